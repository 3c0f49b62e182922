"""The whole pipeline around ports in memory: what a test does to the world, and what it then sees."""

import asyncio
from collections.abc import AsyncIterator, Callable, MutableMapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from structlog.contextvars import merge_contextvars
from structlog.testing import capture_logs

from tests.fakes.cluster import FakeCluster
from tests.fakes.forge_port import FakeForge
from tests.fakes.git import FakeGit
from tests.fakes.memory import MemoryStore
from tests.fakes.registry_port import InMemoryRegistry
from tests.fakes.signatures import FakeSignatures
from updater.domain.measurements import Measure, unmeasured
from updater.pipeline import Companion, Pipeline, build_pipeline
from updater.ports.cluster import Leadership
from updater.ports.tracing import UNTRACED, Tracing
from updater.settings.daemon import Git, Polling, RegistryFiles, Settings, Shutdown
from updater.settings.units import Duration, Interval
from updater.stages.commits import Commits
from updater.stages.keyed import Pace
from updater.stages.leadership import Alone

SETTINGS = Settings(
    registries=RegistryFiles(service_account=""),
    polling=Polling(interval=Interval(0.05)),
    git=Git(linger=Duration(0.01)),
    shutdown=Shutdown(grace=Duration(5)),
)
_PACE = Pace(linger=0.01, first_retry=0.02)
_PATIENCE = Pace(first_retry=3600, longest_retry=3600)
_SECONDS = 30.0
"""Patience for what has to come, on the slowest of machines."""

LogEvent = MutableMapping[str, Any]


@dataclass
class House:
    """The world around one or more runs of the pipeline; the store outlives a run as a database would."""

    cluster: FakeCluster = field(default_factory=FakeCluster)
    registry: InMemoryRegistry = field(default_factory=InMemoryRegistry)
    git: FakeGit = field(default_factory=FakeGit)
    store: MemoryStore = field(default_factory=MemoryStore)
    signatures: FakeSignatures = field(default_factory=FakeSignatures)
    settings: Settings = SETTINGS
    pace: Pace = _PACE
    patience: Pace = _PATIENCE
    """With Applications whose ApplicationSet takes back what is written; without end, unless a test says otherwise."""
    leadership: Leadership = field(default_factory=Alone)
    forge: FakeForge = field(init=False)
    commits: Commits | None = None
    """None: worded and attributed as the settings have it."""
    measure: Measure = unmeasured
    tracing: Tracing = UNTRACED
    companions: Sequence[Companion] = ()
    events: Sequence[LogEvent] = ()

    def __post_init__(self) -> None:
        self.forge = FakeForge(self.git, "https://git.example.com/gitops.git")

    @asynccontextmanager
    async def running(self, *, dry_run: bool = False) -> AsyncIterator[Pipeline]:
        """Run the daemon's pipeline; at the end it is stopped as SIGTERM would."""
        stop = asyncio.Event()
        pipeline = self._pipeline(once=False, dry_run=dry_run)
        with capture_logs([merge_contextvars]) as self.events:
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(pipeline.run(stop))
                try:
                    yield pipeline
                finally:
                    stop.set()

    async def run_once(self, *, dry_run: bool = False) -> bool:
        with capture_logs([merge_contextvars]) as self.events:
            return await self._pipeline(once=True, dry_run=dry_run).run_once(asyncio.Event())

    def said(self, event: str) -> list[LogEvent]:
        return [each for each in self.events if each["event"] == event]

    async def hear(self, event: str, count: int = 1) -> LogEvent:
        """Wait until something was logged so often; return the last of it."""
        await eventually(lambda: len(self.said(event)) >= count, lambda: f"{event}; was said last: {self.events[-30:]}")
        return self.said(event)[-1]

    def _pipeline(self, *, once: bool, dry_run: bool) -> Pipeline:
        pipeline = build_pipeline(
            self.settings,
            self.cluster,
            self.registry,
            self.git,
            self.store,
            now,
            self.leadership,
            self.companions,
            signatures=self.signatures,
            once=once,
            dry_run=dry_run,
            commits=self.commits,
            forges=self.forge,
            measure=self.measure,
            tracing=self.tracing,
        )
        pipeline.writer.pace = self.pace
        pipeline.writer.patcher.patience = self.patience
        return pipeline


async def eventually(true: Callable[[], bool], what: Callable[[], str]) -> None:
    try:
        async with asyncio.timeout(_SECONDS):
            while not true():  # noqa: ASYNC110 - what is waited for has no event
                await asyncio.sleep(0.005)
    except TimeoutError:
        raise AssertionError(f"waited in vain for {what()}") from None


def now() -> datetime:
    return datetime.now(UTC)
