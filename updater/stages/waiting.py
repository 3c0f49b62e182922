"""Waiting that can be cut short."""

import asyncio


async def wait_for_event(event: asyncio.Event, until: float) -> bool:
    """Wait for an event until a loop time; tell whether it came."""
    try:
        async with asyncio.timeout_at(until):
            await event.wait()
    except TimeoutError:
        return False
    return True
