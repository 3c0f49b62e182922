"""Leave a registry alone that does not answer, and find out with one request at a time whether it does again."""

import asyncio
import random
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager

import structlog

from updater.domain.errors import RegistryUnanswered

log = structlog.get_logger()

_FAILURES = 5
"""In a row, until the circuit opens."""
_FIRST_PAUSE = 10.0
"""Seconds; doubled with each probe that fails."""
_LONGEST_PAUSE = 300.0


class NoAnswer(RegistryUnanswered):
    """The registry, or what stands in front of it, could not be reached or broke off."""


class CircuitBreaker:
    """Counts requests without an answer, of all repositories of one registry."""

    def __init__(self, registry: str) -> None:
        self._registry = registry
        self._failures = 0
        self._opened = 0
        """How often in a row without a success in between."""
        self._open_until = 0.0
        """Loop time."""
        self._probing = asyncio.Lock()

    @property
    def is_open(self) -> bool:
        return bool(self._opened)

    @asynccontextmanager
    async def request(self) -> AsyncIterator[None]:
        """Let a request through and learn how it ends; while the circuit is open, one probe when its time has come.

        Raises:
            RegistryUnanswered: the registry is left alone for now.
        """
        if self._opened:
            self._raise_if_resting()
            async with self._probing:
                if self._opened:
                    self._raise_if_resting()
                    with self._watched(probe=True):
                        yield
                    return
        with self._watched(probe=False):
            yield

    def _raise_if_resting(self) -> None:
        left = self._open_until - asyncio.get_running_loop().time()
        if left > 0:
            raise RegistryUnanswered(
                f"did not answer {self._failures} times in a row and is left alone; the next try is in {left:.0f} s",
            )

    @contextmanager
    def _watched(self, *, probe: bool) -> Iterator[None]:
        try:
            yield
        except NoAnswer:
            self._failed(probe=probe)
            raise
        self._succeeded()

    def _failed(self, *, probe: bool) -> None:
        self._failures += 1
        if probe or (not self._opened and self._failures >= _FAILURES):
            jitter = random.uniform(0.8, 1.2)  # noqa: S311 - not a secret
            pause = min(_FIRST_PAUSE * 2 ** min(self._opened, 10), _LONGEST_PAUSE) * jitter
            self._opened += 1
            self._open_until = asyncio.get_running_loop().time() + pause
            log.warning("registry.circuit_opened", registry=self._registry, failures=self._failures, seconds=pause)

    def _succeeded(self) -> None:
        self._failures = 0
        if self._opened:
            self._opened = 0
            log.info("registry.circuit_closed", registry=self._registry)
