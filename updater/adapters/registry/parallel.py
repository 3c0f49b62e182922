"""Bounded parallel work of which the first failure ends the rest."""

import asyncio
from collections.abc import Awaitable, Callable, Collection
from typing import TypeVar

T = TypeVar("T")


async def for_each(items: Collection[T], work: Callable[[T], Awaitable[None]], parallel: int) -> None:
    """Do the work for all items, so many at a time; raise what failed first, as itself."""
    waiting = iter(items)

    async def worker() -> None:
        for item in waiting:
            await work(item)

    try:
        async with asyncio.TaskGroup() as tasks:
            for _ in range(min(parallel, len(items))):
                tasks.create_task(worker())
    except BaseExceptionGroup as failures:
        raise failures.exceptions[0] from None
