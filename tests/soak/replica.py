"""The daemon as a process that may be killed, frozen and started again, and all that it ever said."""

import json
import os
import resource
import signal
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Self

from updater.demo.daemon import DaemonProcess, Event

_FAKETIME = Path("/usr/lib/x86_64-linux-gnu/faketime/libfaketimeMT.so.1")
CLOCKS_JUMP = _FAKETIME.exists()
"""Whether Debian's faketime is there."""


@dataclass(frozen=True, slots=True)
class Held:
    """What a process has of the system."""

    descriptors: Mapping[str, int]
    """By kind: socket, file, pipe."""
    children: int
    threads: int


@dataclass
class Replica:
    """One of the daemons."""

    name: str
    config: Path
    said: list[Event] = field(default_factory=list)
    """By all processes of it, in order."""
    unexpected_ends: list[int] = field(default_factory=list)
    unclean_ends: list[int] = field(default_factory=list)
    """Exit codes after SIGTERM, other than 0."""
    process: DaemonProcess | None = None

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.end(signal.SIGTERM)

    async def start(self) -> None:
        self.jump(0)
        faked = {
            "LD_PRELOAD": str(_FAKETIME),
            "FAKETIME_TIMESTAMP_FILE": str(self._clock),
            "FAKETIME_CACHE_DURATION": "1",
            "FAKETIME_DONT_FAKE_MONOTONIC": "1",
        }
        environ = {**os.environ, **(faked if CLOCKS_JUMP else {})}
        process = DaemonProcess(self.config, on_event=self._hear, environ=environ)
        self.process = await process.__aenter__()

    def _hear(self, event: Event) -> None:
        self.said.append(event)
        with self.config.with_suffix(".log").open("a") as log:
            log.write(f"{json.dumps(event)}\n")

    async def end(self, number: signal.Signals) -> None:
        assert self.process is not None
        code = await self.process.end(number)
        if number == signal.SIGTERM and code != 0:
            self.unclean_ends.append(code)
        elif code not in (0, -number):
            self.unexpected_ends.append(code)
        self.process = None

    def send(self, number: signal.Signals) -> None:
        if self.process is not None and not self.process.has_ended:
            self.process.send(number)

    def jump(self, seconds: int) -> None:
        """Have its wall clock run so far ahead of, or behind, the true one."""
        new = self._clock.with_suffix(".new")
        new.write_text(f"{seconds:+d}\n")
        new.replace(self._clock)

    def limit_files(self, size: int) -> None:
        """Have no file grow beyond a size, as on a disk that is full."""
        if self.process is not None and not self.process.has_ended:
            resource.prlimit(self.process.pid, resource.RLIMIT_FSIZE, (size, resource.RLIM_INFINITY))

    @property
    def database(self) -> Path:
        return self.config.parent / "state" / f"{self.name}.db"

    @property
    def _clock(self) -> Path:
        return self.config.with_suffix(".clock")

    def held(self) -> Held:
        """Look at the process from the outside."""
        assert self.process is not None
        proc = Path("/proc") / str(self.process.pid)
        kinds: dict[str, int] = {}
        for descriptor in (proc / "fd").iterdir():
            try:
                target = str(descriptor.readlink())
            except FileNotFoundError:
                continue
            kind = target.partition(":")[0] if ":[" in target else "file"
            kinds[kind] = kinds.get(kind, 0) + 1
        tasks = list((proc / "task").iterdir())
        children = sum(len(_text(task / "children").split()) for task in tasks)
        return Held(kinds, children, len(tasks))


def _text(path: Path) -> str:
    try:
        return path.read_text()
    except (FileNotFoundError, ProcessLookupError):
        return ""
