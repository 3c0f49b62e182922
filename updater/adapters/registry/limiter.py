"""How fast one registry is asked: a configured pace that yields when the registry asks for less."""

import asyncio
import math
from collections import deque
from dataclasses import dataclass

from updater.domain.errors import RegistryThrottled
from updater.domain.secrets import CredentialSource
from updater.formats.http_headers import Allowance

LONGEST_PAUSE = 3600.0
"""Seconds that a registry may keep us away, whatever it says."""

_UNLIMITED = 1000.0
"""Requests a second where no limit is configured; only a start for the way down."""
_SLOWEST = 0.1
_RECOVERY = 0.02
"""Part of the configured pace that each answered request gives back."""
_LONGEST_UNASKED_PAUSE = 60.0
_AWAITED_IN_A_ROW = 3
"""Turns of those that are awaited, before one of the others: no flood of webhooks keeps us from looking elsewhere."""

_KEPT_FOR_NODES = 0.5
"""Part of the pulls that is left to whoever else pulls from our address: the cluster's nodes."""
_COUNTED_AGAIN_AFTER = 600.0
"""Seconds until one more pull finds out how many are left."""


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
        self._awaited: deque[asyncio.Future[None]] = deque()
        """Who waits for a turn, and is waited for."""
        self._others: deque[asyncio.Future[None]] = deque()
        self._awaited_in_a_row = 0
        self._timer: asyncio.TimerHandle | None = None

    async def turn(self, *, awaited: bool = False) -> None:
        """Wait for one's turn; who is `awaited` goes before those who are not.

        Raises:
            RegistryThrottled: the registry asked to be left alone for now.
        """
        self._raise_if_blocked()
        turn = asyncio.get_running_loop().create_future()
        (self._awaited if awaited else self._others).append(turn)
        self._give_turns()
        await turn
        self._raise_if_blocked()

    def _give_turns(self) -> None:
        """Give all turns that are due, and come again for the next one; while we are kept away, tell all who wait."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        loop = asyncio.get_running_loop()
        while queue := self._first_queue():
            now = loop.time()
            if self._blocked_until <= now:
                slot = max(self._next, now - (self._burst - 1) / self._rate)
                if slot > now:
                    self._timer = loop.call_at(slot, self._give_turns)
                    return
                self._next = slot + 1 / self._rate
            self._awaited_in_a_row = self._awaited_in_a_row + 1 if queue is self._awaited else 0
            queue.popleft().set_result(None)

    def _first_queue(self) -> deque[asyncio.Future[None]] | None:
        for queue in (self._awaited, self._others):
            while queue and queue[0].done():  # whoever waited was cancelled
                queue.popleft()
        if self._awaited and (self._awaited_in_a_row < _AWAITED_IN_A_ROW or not self._others):
            return self._awaited
        return self._others or None

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
        self._give_turns()
        return pause

    def succeeded(self) -> None:
        self._throttled_in_a_row = 0
        self._rate = min(self._rate + self._ceiling * _RECOVERY, self._ceiling)

    def heard(self, said: Allowance) -> None:
        """Make a pause before the registry has to ask for it: nothing is left until its reset."""
        if not said.remaining and said.reset:
            pause = min(said.reset, LONGEST_PAUSE)
            self._blocked_until = max(self._blocked_until, asyncio.get_running_loop().time() + pause)
            self._next = max(self._next, self._blocked_until)
            self._give_turns()

    def _raise_if_blocked(self) -> None:
        left = self._blocked_until - asyncio.get_running_loop().time()
        if left > 0:
            raise RegistryThrottled(f"asked to be left alone for {left:.0f} s more", left)


@dataclass(frozen=True, slots=True)
class Pace:
    """How fast one identity asks."""

    limiter: Limiter
    pulls: "PullBudget"


class Paces:
    """How fast one server is asked, by identity, whichever entries of the configuration lead to it."""

    def __init__(self, limit: float, burst: int) -> None:
        self._limit = limit
        self._burst = burst
        self._known: dict[CredentialSource | None, Pace] = {}

    def of(self, identity: CredentialSource | None) -> Pace:
        if identity not in self._known:
            self._known[identity] = Pace(Limiter(self._limit, self._burst), PullBudget())
        return self._known[identity]


class PullBudget:
    """Keeps manifests from being read at the cost of pulls that nodes need; asking for a digest alone costs none.

    Docker Hub says with each manifest how many pulls are left to our address or account; who says nothing is not
    limited.
    """

    def __init__(self) -> None:
        self._last: Allowance | None = None
        self._blocked_until = -math.inf

    def spend(self) -> None:
        """Take one pull.

        Raises:
            RegistryThrottled: too few are left.
        """
        left = self._blocked_until - asyncio.get_running_loop().time()
        if self._last is not None and left > 0:
            raise RegistryThrottled(
                f"allows {self._last.limit} pulls in {self._last.window / 3600:g} h, of which {self._last.remaining} "
                "are left and kept for the cluster's nodes: give credentials of an account that may pull more, or use "
                "a strategy that reads no manifests",
                left,
            )

    def heard(self, said: Allowance) -> None:
        """Learn how many are left, from a GET or HEAD of a manifest."""
        self._last = said
        enough = said.remaining > said.limit * _KEPT_FOR_NODES
        self._blocked_until = -math.inf if enough else asyncio.get_running_loop().time() + _COUNTED_AGAIN_AFTER
