"""The stages and the queues between them: how they start, go on, and end without losing what was decided."""

import asyncio
from collections.abc import Callable, Collection, Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from datetime import datetime
from typing import Protocol

import structlog

from updater.domain.measurements import Measure, unmeasured
from updater.domain.messages import (
    ApplicationGone,
    ApplicationSeen,
    ImageIdentity,
    ImageObserved,
    SignatureChecked,
    WriterMessage,
)
from updater.domain.secrets import SecretAccess, variables_read
from updater.ports.cluster import (
    ApplicationEvents,
    ApplicationSource,
    ApplicationWriter,
    Leadership,
    LeaseReader,
    ResourceStatuses,
)
from updater.ports.forges import Forges
from updater.ports.git import Author, GitServer
from updater.ports.memory import WriteMemory as _WriteMemory
from updater.ports.registry import DueTimes, Registry, Signatures, TagMemory
from updater.ports.tracing import UNTRACED, Tracing
from updater.settings.daemon import Settings
from updater.stages.application_writer import ApplicationPatcher
from updater.stages.board import Board
from updater.stages.branch_writer import BranchWriter
from updater.stages.commits import Commits
from updater.stages.decider import Decider
from updater.stages.events import EventRecorder
from updater.stages.keyed import Pace
from updater.stages.outranked import Outranked
from updater.stages.poller import Poller
from updater.stages.pull_requests import NO_FORGES, PullRequests, ReviewRounds
from updater.stages.refreshes import Refreshes
from updater.stages.rival import RivalWatch, is_own_lease
from updater.stages.signature_gate import NO_SIGNATURES, SignatureGate
from updater.stages.status import StatusKeeper
from updater.stages.watcher import Watcher
from updater.stages.writer import Writer

log = structlog.get_logger()

_QUEUE_SIZE = 1000
_BEFORE_ANOTHER_RUN = 5.0
"""Seconds after a companion's fault."""
_SECONDS_TO_KNOW_IMAGES = 10.0
_LISTED_WITHIN = 60.0
"""Seconds for the Applications to be listed when everything is to be done once."""


class Cluster(ApplicationSource, ApplicationWriter, ResourceStatuses, ApplicationEvents, LeaseReader, Protocol):
    """Where Applications live."""


class Store(DueTimes, TagMemory, _WriteMemory, Protocol):
    """What survives a restart."""


class Companion(Protocol):
    """What runs beside the stages as long as they do."""

    async def run(self) -> None:
        """Run until cancelled."""
        ...


@dataclass(slots=True)
class Pipeline:
    """Watcher -> poller -> decider -> writer."""

    watcher: Watcher
    poller: Poller
    decider: Decider
    writer: Writer
    board: Board
    rounds: ReviewRounds
    interval: float
    """Seconds between two summaries."""
    grace: float
    """Seconds to end in."""
    queues: Mapping[str, Callable[[], int]] = field(default_factory=dict)
    """How much waits between two stages, by the name of the later one."""
    stopping: asyncio.Event = field(default_factory=asyncio.Event)
    """Set when the end has begun."""
    companions: Sequence[Companion] = ()
    """They end after the last write; a single round does without them."""

    async def run(self, stop: asyncio.Event) -> None:
        """Run until `stop` is set, then finish what was decided; a stage that crashes ends all of them."""
        async with asyncio.TaskGroup() as tasks:
            companions = [
                tasks.create_task(_kept(companion), name=type(companion).__name__) for companion in self.companions
            ]
            stages = self._start(tasks)
            rounds = tasks.create_task(self._summarise(), name="rounds")
            await stop.wait()
            log.info("daemon.stopping", grace_seconds=self.grace)
            self.stopping.set()
            rounds.cancel()
            await self._end(stages)
            for companion in reversed(companions):
                await _cancelled(companion)

    async def follow(self, settings: Settings) -> None:
        """Go on by other settings, as far as they can change while the daemon runs."""
        self.interval, self.grace = settings.polling.interval, settings.shutdown.grace
        self.rounds.interval = settings.polling.interval
        self.poller.change_rhythm(settings.polling.interval, settings.polling.longest_interval)
        self.writer.change_pace(_pace(settings), settings.git.push_tries)
        await self.watcher.change_defaults(_defaults(settings))

    async def run_once(self, stop: asyncio.Event) -> bool:
        """Look at everything once and write what is needed; tell whether nothing is in error."""
        async with asyncio.TaskGroup() as tasks:
            stages = self._start(tasks)
            looked = tasks.create_task(self._first_round(_LISTED_WITHIN), name="first round")
            stopped = tasks.create_task(stop.wait(), name="stop")
            await asyncio.wait({looked, stopped}, return_when=asyncio.FIRST_COMPLETED)
            complete = looked.done() and looked.result()
            looked.cancel()
            stopped.cancel()
            await self._end(stages)
        return self._report() == 0 and complete

    def _start(self, tasks: asyncio.TaskGroup) -> "_Running":
        return _Running(
            watcher=tasks.create_task(self.watcher.run(), name="watcher"),
            poller=tasks.create_task(self.poller.run(), name="poller"),
            decider=tasks.create_task(self.decider.run(), name="decider"),
            writer=tasks.create_task(self.writer.run(), name="writer"),
        )

    async def _end(self, stages: "_Running") -> None:
        """Take no more in, decide on what was observed, write what was decided: all within the grace period."""
        try:
            async with asyncio.timeout(self.grace):
                await _cancelled(stages.watcher)
                await _cancelled(stages.poller)
                await self.decider.inbox.join()
                await _cancelled(stages.decider)
                await self.decider.gate.close()
                await self.writer.inbox.join()
                await _cancelled(stages.writer)
        except TimeoutError:
            log.warning("daemon.cut_short", grace_seconds=self.grace)
            await self.decider.gate.close()
            for stage in stages.all():
                stage.cancel()

    async def variables_of_images(self) -> Collection[str]:
        """Name the variables that images have their credentials in; all of them, unless the listing takes too long."""
        with suppress(TimeoutError):
            async with asyncio.timeout(_SECONDS_TO_KNOW_IMAGES):
                await self.watcher.listed.wait()
        told = self.watcher.told.values()
        return variables_read(*(image.poll.credentials for tracked in told for image in tracked.images))

    async def _first_round(self, listed_within: float | None) -> bool:
        """Wait until every Application that exists has been seen, and every repository looked at."""
        try:
            async with asyncio.timeout(listed_within):
                await self.watcher.listed.wait()
        except TimeoutError:
            log.error("applications.not_listed", waited_seconds=listed_within)  # noqa: TRY400 - the wait has no story
            return False
        await self.poller.inbox.join()
        await self.poller.all_polled()
        await self.decider.inbox.join()
        await self.poller.all_polled()  # once more for groups, which tell then of which tags they need the digests
        await self.decider.inbox.join()
        await self.decider.gate.settled()
        await self.decider.inbox.join()
        return True

    async def _summarise(self) -> None:
        await self._first_round(None)
        while True:
            self._report()
            await asyncio.sleep(self.interval)

    def _report(self) -> int:
        """Log the round's summary; return the number of errors."""
        summary = self.board.summary()
        log.info("round.finished", **asdict(summary))
        return summary.errors


@dataclass(frozen=True, slots=True)
class _Running:
    """The stages' tasks."""

    watcher: asyncio.Task[None]
    poller: asyncio.Task[None]
    decider: asyncio.Task[None]
    writer: asyncio.Task[None]

    def all(self) -> tuple[asyncio.Task[None], ...]:
        return (self.watcher, self.poller, self.decider, self.writer)


async def _kept(companion: Companion) -> None:
    """Run a companion; a fault of it is said, and it begins again: nothing else ends for it."""
    while True:
        try:
            await companion.run()
        except Exception:
            log.exception("daemon.task_crashed", task=type(companion).__name__)
            await asyncio.sleep(_BEFORE_ANOTHER_RUN)
        else:
            return


async def _cancelled(task: asyncio.Task[None]) -> None:
    task.cancel()
    await asyncio.wait({task})


def _pace(settings: Settings) -> Pace:
    return Pace(settings.git.linger, settings.git.max_batch_age, settings.git.max_batch)


def _defaults(settings: Settings) -> Mapping[str, str]:
    """Give what the settings say of all images, as annotations would."""
    defaults = settings.defaults
    said = {
        "schedule": settings.updates.schedule,
        "pause": "true" if settings.updates.pause else "",
        "update-strategy": defaults.update_strategy,
        "allow-tags": defaults.allow_tags,
        "ignore-tags": ", ".join(defaults.ignore_tags),
        "platforms": ", ".join(defaults.platforms),
        "minimum-age": f"{defaults.minimum_age:f}s" if defaults.minimum_age else "",
        "rollback": defaults.rollback,
    }
    return {key: value for key, value in said.items() if value}


def _tellers(
    settings: Settings,
    cluster: Cluster,
    board: Board,
    watcher: Watcher,
    store: Store,
    leadership: Leadership,
    now: Callable[[], datetime],
) -> Sequence[Companion]:
    """Have the cluster told what becomes of its resources and Applications."""
    keeper = StatusKeeper(
        statuses=cluster,
        board=board,
        selection=watcher.selection,
        tracked=watcher.told,
        due_times=store,
        leadership=leadership,
        now=now,
        listed=watcher.listed,
    )
    board.subscribe(keeper.notice)
    watcher.on_resource = keeper.wake
    tellers: list[Companion] = [keeper]
    if not is_own_lease(settings.leader_election, settings.argocd.namespace):
        tellers.append(RivalWatch(cluster, settings.argocd.namespace))
    if settings.kube.events:
        recorder = EventRecorder(cluster, leadership, now)
        board.subscribe(recorder.notice)
        tellers.append(recorder)
    return tellers


def _access(settings: Settings) -> SecretAccess:
    shared = frozenset(settings.applications.secret_namespaces)
    return SecretAccess(settings.argocd.namespace, shared, settings.registries.service_account)


def build_pipeline(
    settings: Settings,
    cluster: Cluster,
    registry: Registry,
    git: GitServer,
    store: Store,
    now: Callable[[], datetime],
    leadership: Leadership,
    companions: Sequence[Companion] = (),
    *,
    signatures: Signatures = NO_SIGNATURES,
    forges: Forges = NO_FORGES,
    once: bool = False,
    dry_run: bool = False,
    commits: Commits | None = None,
    measure: Measure = unmeasured,
    tracing: Tracing = UNTRACED,
) -> Pipeline:
    """Join the stages by bounded queues: a slow stage makes those before it wait, and loses nothing."""
    board = Board()
    seen: asyncio.Queue[ApplicationSeen | ApplicationGone] = asyncio.Queue(_QUEUE_SIZE)
    observed: asyncio.Queue[ApplicationSeen | ApplicationGone | ImageObserved | SignatureChecked] = asyncio.Queue(
        _QUEUE_SIZE
    )

    async def wake(identity: ImageIdentity) -> None:
        await observed.put(SignatureChecked(identity))

    decided: asyncio.Queue[WriterMessage] = asyncio.Queue(_QUEUE_SIZE)
    git_settings = settings.git
    commits = commits or Commits(Author(git_settings.user, git_settings.email))
    reviews = PullRequests(forges, store, board, commits)
    tries = git_settings.push_tries
    branches = BranchWriter(
        git, Refreshes(cluster), store, board, commits, tries, now, leadership, reviews, dry_run, measure, tracing
    )
    rounds = ReviewRounds(reviews, branches.proposals, decided, leadership, settings.polling.interval)
    outranked = Outranked(git, board, settings.argocd.namespace)
    patcher = ApplicationPatcher(cluster, store, board, now, leadership, outranked, dry_run)
    watcher = Watcher(cluster, board, seen, settings.argocd.namespace, _defaults(settings), _access(settings))
    if not (once or dry_run):
        companions = [*companions, *_tellers(settings, cluster, board, watcher, store, leadership, now)]
    poller = Poller(
        registry=registry,
        tags=store,
        due_times=store,
        inbox=seen,
        out=observed,
        interval=settings.polling.interval,
        now=now,
        remember_due_times=not once,
        longest_interval=settings.polling.longest_interval,
        measure=measure,
        tracing=tracing,
    )
    gate = SignatureGate(signatures, now, wake)
    return Pipeline(
        watcher=watcher,
        poller=poller,
        decider=Decider(store, board, observed, decided, now, gate, poller.need_digests, tracing),
        writer=Writer(decided, branches, patcher, _pace(settings), git_settings.concurrency, leadership),
        board=board,
        rounds=rounds,
        interval=settings.polling.interval,
        grace=settings.shutdown.grace,
        queues={"poller": seen.qsize, "decider": observed.qsize, "writer": decided.qsize},
        companions=(*companions, rounds),
    )
