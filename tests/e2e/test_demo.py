"""`updater demo` as a newcomer runs it."""

import asyncio
import os
import signal
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.e2e


async def start(temporary: Path) -> asyncio.subprocess.Process:
    return await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "updater", "demo"),
        env={**os.environ, "TMPDIR": str(temporary)},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )


def daemons(temporary: Path) -> list[str]:
    """Find processes that were started with a file of the demonstration."""
    found = []
    for process in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            command = process.read_bytes()
        except OSError:
            continue
        if str(temporary).encode() in command:
            found.append(command.decode(errors="replace"))
    return found


async def test_it_shows_the_commit_and_ends_well(tmp_path: Path) -> None:
    process = await start(tmp_path)
    out, err = await process.communicate()
    assert process.returncode == 0, err.decode()
    text = out.decode()
    assert "+    value: v2.0\n" in text
    assert "from push to decision in" in text
    assert "\x1b" not in text
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM], ids=["ctrl-c", "sigterm"])
async def test_interrupted_it_leaves_nothing_running(tmp_path: Path, number: signal.Signals) -> None:
    process = await start(tmp_path)
    assert process.stdout is not None
    async for line in process.stdout:
        if b"daemon.started" in line:
            break
    process.send_signal(number)
    await process.communicate()
    assert process.returncode == 130
    assert daemons(tmp_path) == []
    assert list(tmp_path.iterdir()) == []
