"""The daemon as a process that may be killed, frozen and started again, and all that it ever said."""

import json
import os
import re
import resource
import signal
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Self

from tests.soak.descriptors import Held, held
from updater.demo.daemon import DaemonProcess, Event

_FAKETIME = Path("/usr/lib/x86_64-linux-gnu/faketime/libfaketimeMT.so.1")
CLOCKS_JUMP = _FAKETIME.exists()
"""Whether Debian's faketime is there."""


@dataclass
class Replica:
    """One of the daemons."""

    name: str
    config: Path
    hooks: int
    """The port at which it takes webhooks."""
    environ: Mapping[str, str]
    """Beside ours."""
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
            "FAKETIME_FORCE_MONOTONIC_FIX": "0",  # else threads that wait for the interpreter never sleep
        }
        environ = {**os.environ, **self.environ, **(faked if CLOCKS_JUMP else {})}
        process = DaemonProcess(self.config, on_event=self._hear, environ=environ)
        self.process = await process.__aenter__()

    def _hear(self, event: Event) -> None:
        self.said.append(event)
        with self.config.with_suffix(".log").open("a") as log:
            log.write(f"{json.dumps(event)}\n")

    async def end(self, number: signal.Signals) -> None:
        assert self.process is not None
        code = await self.process.end(number)
        begun = self.process.events("daemon.started")  # before that, nothing is under way that could be ended well
        if code == 1 and _has_no_database(self.process):
            pass
        elif number == signal.SIGTERM and code != 0 and begun:
            self.unclean_ends.append(code)
        elif code not in (0, -number):
            self.unexpected_ends.append(code)
        self.process = None

    async def revive(self) -> None:
        """Start it again as the kubelet does, when it found its disk full as it started."""
        assert self.process is not None
        if self.process.has_ended:
            await self.end(signal.SIGTERM)
            await self.start()

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

    def held(self, names: Mapping[int, str]) -> Held:
        """Look at what the process has; `names` says who listens at a port."""
        assert self.process is not None
        return held(self.process.pid, names)


def _has_no_database(process: DaemonProcess) -> bool:
    """Tell whether it ended, with the reason and before anything was done, because its disk was full."""
    return bool(process.said) and is_about_the_volume(process.said[-1].event)


def is_about_the_volume(event: Event) -> bool:
    """Tell the last words of a daemon that has no room for its database; they are for people, not for the log."""
    return re.fullmatch(r"updater: database .*(I/O error|is full); .*", str(event.get("event"))) is not None
