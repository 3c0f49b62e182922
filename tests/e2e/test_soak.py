"""A short run of `make soak`: everything fails in turn, and nothing is wrong, lost, doubled, told or left behind."""

from pathlib import Path

import pytest

from tests.soak.forge_troubles import TroubledGitLab
from tests.soak.run import soak

pytestmark = pytest.mark.e2e


async def test_what_must_hold_holds_after_trouble_everywhere(tmp_path: Path) -> None:
    assert await soak(tmp_path, seed=1, seconds=8, say=print, forges=[TroubledGitLab]) == []
