"""One fetch on behalf of all who want the same thing at the same time."""

import asyncio
import math
from collections.abc import Awaitable, Callable
from typing import Generic, TypeVar

from updater.domain.errors import UpdaterError

T = TypeVar("T")

_LONGEST_PAUSE = 300.0


class Shared(Generic[T]):
    """A value that is fetched when needed and kept for a while; who waits for a fetch gets its failure, too."""

    def __init__(self, pause: float = 0) -> None:
        """Fetch nothing yet.

        Args:
            pause: seconds in which who is asked is left alone after a failure, doubled with each up to five minutes,
                and in which a value that was just fetched is not fetched again although it was refused.
        """
        self._pause = pause
        self._not_before = -math.inf
        self._failures = 0
        self._lock = asyncio.Lock()
        self._value: T | None = None
        self._expires = -math.inf
        self._failure: UpdaterError | None = None
        self._fetches = 0

    @property
    def value(self) -> T | None:
        """What was fetched last, however long ago."""
        return self._value

    @property
    def expired(self) -> bool:
        return self._expires <= _now()

    async def get(self, fetch: Callable[[], Awaitable[tuple[T, float]]], *, refused: T | None = None) -> T:
        """Return the value, fetched if there is none, it has expired, or it is the one that was refused.

        `fetch` returns the value and for how many seconds it is good.
        """
        fetches = self._fetches
        async with self._lock:
            if self._fetches != fetches and self._failure is not None:
                raise self._failure.with_traceback(None)
            if self._value is None or self.expired or (refused is not None and self._value == refused):
                if self._waits():
                    return self._left_alone()
                await self._fetch(fetch)
            if self._value is None:
                raise RuntimeError("fetched nothing")
            return self._value

    def _waits(self) -> bool:
        due = _now() >= self._not_before
        return not due and (self._failure is not None or not self.expired)

    def _left_alone(self) -> T:
        if self._failure is not None:
            raise self._failure.with_traceback(None)
        if self._value is None:
            raise RuntimeError("neither failed nor fetched")
        return self._value

    async def _fetch(self, fetch: Callable[[], Awaitable[tuple[T, float]]]) -> None:
        try:
            self._value, lifetime = await fetch()
        except UpdaterError as error:
            self._failure = error
            self._fetches += 1
            self._not_before = _now() + min(self._pause * 2.0**self._failures, _LONGEST_PAUSE)
            self._failures = min(self._failures + 1, 10)
            raise
        self._failure = None
        self._failures = 0
        self._fetches += 1
        self._not_before = _now() + self._pause
        self._expires = _now() + lifetime


def _now() -> float:
    return asyncio.get_running_loop().time()
