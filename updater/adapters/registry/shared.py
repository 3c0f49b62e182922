"""One fetch on behalf of all who want the same thing at the same time."""

import asyncio
import math
from collections.abc import Awaitable, Callable
from typing import Generic, TypeVar

from updater.domain.errors import UpdaterError

T = TypeVar("T")


class Shared(Generic[T]):
    """A value that is fetched when needed and kept for a while; who waits for a fetch gets its failure, too."""

    def __init__(self) -> None:
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
        return self._expires <= asyncio.get_running_loop().time()

    async def get(self, fetch: Callable[[], Awaitable[tuple[T, float]]], *, refused: T | None = None) -> T:
        """Return the value, fetched if there is none, it has expired, or it is the one that was refused.

        `fetch` returns the value and for how many seconds it is good.
        """
        fetches = self._fetches
        async with self._lock:
            if self._fetches != fetches and self._failure is not None:
                raise self._failure.with_traceback(None)
            if self._value is None or self.expired or (refused is not None and self._value == refused):
                await self._fetch(fetch)
            if self._value is None:
                raise RuntimeError("fetched nothing")
            return self._value

    async def _fetch(self, fetch: Callable[[], Awaitable[tuple[T, float]]]) -> None:
        try:
            self._value, lifetime = await fetch()
        except UpdaterError as error:
            self._failure = error
            self._fetches += 1
            raise
        self._failure = None
        self._fetches += 1
        self._expires = asyncio.get_running_loop().time() + lifetime
