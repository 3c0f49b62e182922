"""Credentials that a script prints: `ext:/absolute/path`, run without a shell and not for long."""

import asyncio
import contextlib
import os
import signal
from collections.abc import Mapping, Sequence
from pathlib import Path

from updater.domain.errors import Misconfigured, RegistryError

_SECONDS = 10.0
_LONGEST_OUTPUT = 65_536


async def run_script(path: Path, directories: Sequence[Path], environment: Mapping[str, str]) -> str:
    """Return what a script prints, without a newline at its end.

    Raises:
        Misconfigured: it is no script, or outside of the directories from which scripts are run.
        RegistryError: it failed, printed too much, or took too long.
    """
    script = _allowed(path, directories)
    try:
        process = await asyncio.create_subprocess_exec(
            str(script),
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.DEVNULL,
            env=environment,
            start_new_session=True,
        )
    except OSError as error:
        raise Misconfigured(f"script {path} cannot be run: {error.strerror}; make it executable") from None
    try:
        async with asyncio.timeout(_SECONDS):
            output = await _output(process, path)
    except TimeoutError:
        raise RegistryError(f"script {path} printed no credentials within {_SECONDS:g} s") from None
    finally:
        await _end(process)
    return output


def _allowed(path: Path, directories: Sequence[Path]) -> Path:
    script = path.resolve()
    if not any(script.is_relative_to(directory.resolve()) for directory in directories):
        raise Misconfigured(f"script {path} is outside of registries.script_directories: move it there, or add its own")
    return script


async def _output(process: asyncio.subprocess.Process, path: Path) -> str:
    assert process.stdout is not None  # noqa: S101 - it was asked for
    output = bytearray()
    while chunk := await process.stdout.read(_LONGEST_OUTPUT):
        output += chunk
        if len(output) > _LONGEST_OUTPUT:
            raise RegistryError(f"script {path} printed more than {_LONGEST_OUTPUT} bytes")
    if code := await process.wait():
        raise RegistryError(f"script {path} failed with exit code {code}")
    try:
        return output.decode().removesuffix("\n")
    except UnicodeDecodeError:
        raise RegistryError(f"script {path} printed what is no text") from None


async def _end(process: asyncio.subprocess.Process) -> None:
    """End what the script left running, and the script itself when it was cut short."""
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(process.pid, signal.SIGKILL)
    await process.wait()
