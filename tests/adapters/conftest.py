"""A directory that may not be written, also when root runs the tests."""

import os
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

_NOBODY = 65534


@pytest.fixture
def shared_directory() -> Iterator[Path]:
    """Give a directory that everybody may read, and its owner write."""
    with tempfile.TemporaryDirectory() as name:
        Path(name).chmod(0o755)
        yield Path(name)


@pytest.fixture
def make_read_only(shared_directory: Path) -> Iterator[Callable[[], None]]:
    """Give a function after which the test may read the shared directory and no more."""
    user = os.geteuid()

    def make() -> None:
        shared_directory.chmod(0o555)
        if user == 0:
            os.seteuid(_NOBODY)

    yield make
    os.seteuid(user)
    shared_directory.chmod(0o755)
