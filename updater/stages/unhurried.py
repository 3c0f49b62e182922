"""Long loops that let others have their turn."""

import asyncio
from collections.abc import AsyncIterator, Iterable
from typing import TypeVar

_IN_A_ROW = 25
"""At about 0.2 ms for each, with a line of log."""

ItemT = TypeVar("ItemT")


async def unhurried(items: Iterable[ItemT]) -> AsyncIterator[ItemT]:
    """Give items in order, and the event loop after some of them: a base image is used by thousands."""
    for number, item in enumerate(items, start=1):
        yield item
        if number % _IN_A_ROW == 0:
            await asyncio.sleep(0)
