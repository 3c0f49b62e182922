"""A cloud, or any other server of tokens, on loopback."""

from collections.abc import AsyncIterator

import pytest

from tests.fakes.clouds import CloudServer


@pytest.fixture
async def cloud() -> AsyncIterator[CloudServer]:
    async with CloudServer() as cloud:
        yield cloud
