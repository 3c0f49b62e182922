"""How fast one registry is asked: a configured pace that yields when the registry asks for less."""

import asyncio
import math

from updater.domain.errors import RegistryThrottled

LONGEST_PAUSE = 3600.0
"""Seconds that a registry may keep us away, whatever it says."""

_UNLIMITED = 1000.0
"""Requests a second where no limit is configured; only a start for the way down."""
_SLOWEST = 0.1
_RECOVERY = 0.02
"""Part of the configured pace that each answered request gives back."""
_LONGEST_UNASKED_PAUSE = 60.0


class Limiter:
    """Spaces requests after a burst, halves the pace when throttled, and regains it with every success."""

    def __init__(self, limit: float, burst: int) -> None:
        self._ceiling = limit if limit > 0 else _UNLIMITED
        self._rate = self._ceiling
        self._burst = burst
        self._next = -math.inf
        """Loop time of the next request when there was no pause before it."""
        self._blocked_until = -math.inf
        self._throttled_in_a_row = 0

    async def turn(self) -> None:
        """Wait for one's turn.

        Raises:
            RegistryThrottled: the registry asked to be left alone for now.
        """
        self._raise_if_blocked()
        now = asyncio.get_running_loop().time()
        slot = max(self._next, now - (self._burst - 1) / self._rate)
        self._next = slot + 1 / self._rate
        if slot > now:
            await asyncio.sleep(slot - now)
            self._raise_if_blocked()

    def throttled(self, retry_after: float | None) -> float:
        """Slow down; return the seconds for which no request is made now."""
        now = asyncio.get_running_loop().time()
        if self._blocked_until <= now:  # else it is an echo of the same, to a request that was under way
            self._throttled_in_a_row += 1
            self._rate = max(self._rate / 2, min(_SLOWEST, self._ceiling))
        pause = min(2.0 ** min(self._throttled_in_a_row - 1, 10), _LONGEST_UNASKED_PAUSE)
        if retry_after is not None:
            pause = min(retry_after, LONGEST_PAUSE)
        self._blocked_until = max(self._blocked_until, now + pause)
        self._next = max(self._next, self._blocked_until)
        return pause

    def succeeded(self) -> None:
        self._throttled_in_a_row = 0
        self._rate = min(self._rate + self._ceiling * _RECOVERY, self._ceiling)

    def _raise_if_blocked(self) -> None:
        left = self._blocked_until - asyncio.get_running_loop().time()
        if left > 0:
            raise RegistryThrottled(f"asked to be left alone for {left:.0f} s more", left)
