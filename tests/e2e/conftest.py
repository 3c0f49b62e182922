"""One installation for each test."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.e2e.installation import Installation, installed


@pytest.fixture
async def place(tmp_path: Path) -> AsyncIterator[Installation]:
    async with installed(tmp_path) as installation:
        yield installation
