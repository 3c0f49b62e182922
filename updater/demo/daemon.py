"""`updater run` as a process of its own, seen through its log."""

import asyncio
import contextlib
import signal
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Self

import msgspec

Event = Mapping[str, object]

_LONGEST_LINE = 2**20
_SECONDS_TO_END = 30.0


class DaemonSilent(Exception):
    """The daemon did not say what was expected of it; the text has what it said instead."""


@dataclass(frozen=True, slots=True)
class Said:
    """A line of the log."""

    at: float
    """Monotonic time when it was read."""
    event: Event


class DaemonProcess:
    """Runs the daemon; at the end of the context it is stopped as Kubernetes would."""

    def __init__(
        self,
        config: Path,
        *arguments: str,
        on_event: Callable[[Event], None] = lambda _: None,
        environ: Mapping[str, str] | None = None,
    ) -> None:
        self._command = [sys.executable, "-m", "updater", "run", "--config", str(config), *arguments]
        self._on_event = on_event
        self._environ = environ
        """None: our own."""
        self._process: asyncio.subprocess.Process | None = None
        self._listening: asyncio.Task[None] | None = None
        self._news = asyncio.Condition()
        self._ended = False
        self.said: list[Said] = []

    async def __aenter__(self) -> Self:
        self._process = await asyncio.create_subprocess_exec(
            *self._command,
            stderr=asyncio.subprocess.PIPE,
            env=self._environ,
            limit=_LONGEST_LINE,
            start_new_session=True,  # Ctrl-C reaches whoever started us, who then ends the daemon in good order
        )
        self._listening = asyncio.create_task(self._listen(), name="listen to the daemon")
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self.end(signal.SIGTERM)

    @property
    def pid(self) -> int:
        return self._running.pid

    @property
    def has_ended(self) -> bool:
        return self._ended

    def send(self, number: signal.Signals) -> None:
        self._running.send_signal(number)

    async def end(self, number: signal.Signals) -> int:
        """Send a signal, wait until the daemon is gone and all it said is read, and return its exit code."""
        with contextlib.suppress(ProcessLookupError):
            self._running.send_signal(number)
        return await self.ended()

    async def ended(self) -> int:
        """Wait until the daemon is gone and all it said is read; return its exit code, negative for a signal."""
        try:
            async with asyncio.timeout(_SECONDS_TO_END):
                code = await self._running.wait()
        except TimeoutError:
            self._running.kill()
            code = await self._running.wait()
        if self._listening is not None:
            await self._listening
        return code

    def events(self, name: str, **matching: object) -> list[Said]:
        """Return what was said under a name, as far as it has these values."""
        return [said for said in self.said if said.event.get("event") == name and _matches(said.event, matching)]

    async def wait_for(self, name: str, patience: float = 30, count: int = 1, **matching: object) -> Said:
        """Wait until something was said so often; return the last of it.

        Raises:
            DaemonSilent: it was not said in time, or the daemon ended without it.
        """
        try:
            async with asyncio.timeout(patience), self._news:
                await self._news.wait_for(lambda: self._ended or len(self.events(name, **matching)) >= count)
        except TimeoutError:
            pass
        found = self.events(name, **matching)
        if len(found) < count:
            last = "\n".join(str(dict(said.event)) for said in self.said[-20:])
            end = "ended" if self._ended else f"was silent for {patience:g} s"
            raise DaemonSilent(f"the daemon {end} before it said {name} {matching or ''}; it said:\n{last}")
        return found[count - 1]

    @property
    def _running(self) -> asyncio.subprocess.Process:
        assert self._process is not None, "the context was not entered"  # noqa: S101 - a mistake of the caller
        return self._process

    async def _listen(self) -> None:
        assert self._running.stderr is not None  # noqa: S101 - it was asked for
        async for line in self._running.stderr:
            said = Said(time.monotonic(), _decode(line))
            self._on_event(said.event)
            async with self._news:
                self.said.append(said)
                self._news.notify_all()
        async with self._news:
            self._ended = True
            self._news.notify_all()


def _decode(line: bytes) -> Event:
    try:
        return msgspec.json.decode(line, type=dict[str, object])
    except msgspec.DecodeError:
        return {"event": line.decode(errors="replace").rstrip(), "level": "error"}


def _matches(event: Event, matching: Mapping[str, object]) -> bool:
    return all(event.get(key.rstrip("_")) == value for key, value in matching.items())
