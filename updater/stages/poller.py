"""Poll the repositories that somebody wants, each when it is due, and pass on what changed.

One task per repository: a slow registry keeps none of the others waiting. How fast a registry may be asked is its
adapter's business.
"""

import asyncio
import hashlib
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

import structlog

from updater.domain.application import ApplicationName
from updater.domain.candidates import Snapshot
from updater.domain.errors import (
    DoubtfulList,
    Misconfigured,
    RegistryAuthError,
    RegistryError,
    RegistryThrottled,
    RegistryUnanswered,
    RepositoryNotFound,
    StoreError,
)
from updater.domain.image import Repository
from updater.domain.measurements import Measure, PollEnded, unmeasured
from updater.domain.messages import (
    ApplicationGone,
    ApplicationSeen,
    ImageIdentity,
    ImageObserved,
    SignatureChecked,
    TrackedApplication,
)
from updater.domain.polling import PollKey, RegistryState, Wants, wants
from updater.domain.rhythm import next_wait
from updater.ports.registry import Due, DueTimes, Registry, TagMemory
from updater.ports.tracing import UNTRACED, Tracing
from updater.stages.poll import Poll
from updater.stages.waiting import wait_for_event

log = structlog.get_logger()

_LONGEST_BACK_OFF = timedelta(minutes=30)
_LONGEST_UNAUTHORIZED = timedelta(minutes=5)
"""Somebody has to mend it, and wants to see that it is; more often, and the registry may lock the account."""
_LONGEST_UNANSWERED = timedelta(minutes=5)
"""As long as a registry is left alone that does not answer: until then, a look costs it nothing."""
_OF_ONE_REPOSITORY = (RegistryAuthError, RepositoryNotFound, RegistryThrottled, DoubtfulList)
"""What says nothing of a registry's other repositories, or when to come again."""
_SPREAD = 0.1
"""Part of a wait that a poll's own place may take off."""


@dataclass
class Poller:
    """The second stage: tracked applications in; the same and complete snapshots out.

    An application is passed on before any snapshot it subscribed to.
    """

    registry: Registry
    tags: TagMemory
    due_times: DueTimes
    inbox: asyncio.Queue[ApplicationSeen | ApplicationGone]
    out: asyncio.Queue[ApplicationSeen | ApplicationGone | ImageObserved | SignatureChecked]
    interval: float
    """Seconds between two looks at a repository, where its registry has no interval of its own."""
    now: Callable[[], datetime]
    remember_due_times: bool = True
    """False: everything is due at once, as `--once` wants it."""
    measure: Measure = unmeasured
    tracing: Tracing = UNTRACED
    longest_interval: float = 0
    """Seconds to which `interval` is stretched at most while nothing happens; 0: never."""
    _polls: dict[PollKey, Poll] = field(default_factory=dict)
    _of_repository: dict[Repository, dict[PollKey, Poll]] = field(default_factory=dict)
    _keys_of: dict[ApplicationName, frozenset[PollKey]] = field(default_factory=dict)
    """What each application subscribed to."""

    async def run(self) -> None:
        stored = await self._stored()
        async with asyncio.TaskGroup() as tasks:
            while True:
                message = await self.inbox.get()
                match message:
                    case ApplicationSeen(tracked):
                        self._subscribe(tracked, stored, tasks)
                    case ApplicationGone(name):
                        self._unsubscribe(name, keep=frozenset())
                await self.out.put(message)
                self.inbox.task_done()

    async def _stored(self) -> Mapping[PollKey, Due]:
        """Read when looks are due; when that cannot be read, all of them are at once."""
        try:
            return await self.due_times.due_times() if self.remember_due_times else {}
        except StoreError as error:
            log.warning("store.failed", reason=str(error))
            return {}

    async def all_polled(self) -> None:
        """Wait until each repository wanted now has been looked at, with whatever success."""
        for poll in list(self._polls.values()):
            await poll.caught_up.wait()

    def nudge(self, repository: Repository, tag: str = "") -> int:
        """Have a look soon, because somebody says that a repository, or one tag of it, has changed.

        Many nudges become one look. Return how many polls it concerns: several identities may read the repository.
        """
        concerned = self._of_repository.get(repository, {}).values()
        for poll in concerned:
            poll.hint(tag, self.tracing.current(), self.now(), asyncio.get_running_loop().time())
        return len(concerned)

    def registries(self) -> Sequence[RegistryState]:
        """Tell how the looks at each registry go.

        A repository that was never looked at counts from its first due time on.
        """
        now, by_host = asyncio.get_running_loop().time(), dict[str, list[Poll]]()
        for key, poll in self._polls.items():
            by_host.setdefault(key.repository.host, []).append(poll)
        return [
            RegistryState(
                host=host,
                repositories=len({poll.key.repository for poll in polls}),
                failing=sum(poll.failures > 0 for poll in polls),
                oldest_look=max(now - max(poll.looked_at, min(poll.first_due, now)) for poll in polls),
            )
            for host, polls in sorted(by_host.items())
        ]

    def need_digests(self, identity: ImageIdentity, key: PollKey, tags: frozenset[str]) -> bool:
        """Have the digests of the tags that an image's group could move to, instead of those that it could before.

        Return whether they have to be looked for; then a snapshot follows, or the reason why there is none.
        """
        poll = self._polls.get(key)
        if poll is None:
            return False
        poll.shared[identity] = tags
        if not poll.lacks():
            return False
        poll.told = None
        poll.caught_up.clear()
        poll.want_at(asyncio.get_running_loop().time())
        return True

    def change_rhythm(self, interval: float, longest_interval: float) -> None:
        """Look more often, or more rarely, from now on; looks that were to be later come within an interval."""
        if (interval, longest_interval) == (self.interval, self.longest_interval):
            return
        self.interval, self.longest_interval = interval, longest_interval
        now = asyncio.get_running_loop().time()
        for key, poll in self._polls.items():
            wait, longest = poll.due - now, self._interval(key).total_seconds()
            if wait > longest and not poll.failures:
                poll.due = now + wait % longest  # as spread as they were
                poll.nudge.set()

    def _subscribe(self, tracked: TrackedApplication, stored: Mapping[PollKey, Due], tasks: asyncio.TaskGroup) -> None:
        wanted: dict[PollKey, list[Wants]] = {}
        for image in tracked.images:
            wanted.setdefault(image.poll, []).append(wants(image.policy))
        self._unsubscribe(tracked.name, keep=frozenset(wanted))
        for key, each in wanted.items():
            poll = self._polls.get(key)
            if poll is None:
                due = self._first_due(key, stored.get(key))
                poll = self._polls[key] = Poll(key, {}, due, first_due=due)
                self._of_repository.setdefault(key.repository, {})[key] = poll
                poll.task = tasks.create_task(self._poll_for_ever(poll), name=f"poll {key.repository}")
            poll.subscribers[tracked.name] = Wants.union(each)
            grouped = {image.alias for image in tracked.images if image.group and image.poll == key}
            poll.forget_shared(tracked.name, keep=grouped)
            if poll.asked is not None and poll.lacks():
                poll.want_at(asyncio.get_running_loop().time())

    def _unsubscribe(self, name: ApplicationName, keep: frozenset[PollKey]) -> None:
        left = [self._polls[key] for key in self._keys_of.get(name, keep) - keep]
        self._keys_of[name] = keep
        if not keep:
            del self._keys_of[name]
        for poll in left:
            del poll.subscribers[name]
            poll.forget_shared(name, keep=())
            if not poll.subscribers:
                del self._polls[poll.key]
                del self._of_repository[poll.key.repository][poll.key]
                if not self._of_repository[poll.key.repository]:
                    del self._of_repository[poll.key.repository]
                if poll.task is not None:
                    poll.task.cancel()
                self.registry.forget(poll.key)

    def _first_due(self, key: PollKey, stored: Due | None) -> float:
        """Continue where an earlier run was; never later than the longest interval from now, whatever the clock did."""
        wait = (stored.due_at - self.now()).total_seconds() if stored else 0.0
        longest = max(self._interval(key).total_seconds(), self.longest_interval)
        return asyncio.get_running_loop().time() + min(max(wait, 0.0), longest)

    async def _poll_for_ever(self, poll: Poll) -> None:
        while True:
            until = min(poll.due, poll.wanted_at)
            nudged = await wait_for_event(poll.nudge, until=until)
            poll.nudge.clear()
            if nudged and min(poll.due, poll.wanted_at) > asyncio.get_running_loop().time():
                continue
            causes, poll.causes = poll.causes, []
            with self.tracing.span("registry.look", causes, image=str(poll.key.repository)) as span:
                span.note(outcome=await self._poll_once(poll))
            if not poll.lacks():
                poll.caught_up.set()

    async def _poll_once(self, poll: Poll) -> str:
        """Look; return how it ended, as `PollEnded` has it."""
        try:
            snapshot = await self._observe(poll)
            poll.failures = 0
            if poll.troubled:
                self._works_again(poll)
            poll.looked_at = asyncio.get_running_loop().time()
            delay = self._rhythm(poll)
            outcome = "complete"
        except (RegistryError, Misconfigured, StoreError) as error:
            poll.failures = max(poll.failures, 1) if isinstance(error, DoubtfulList) else poll.failures + 1
            poll.troubled = isinstance(error, RegistryError) and not isinstance(error, _OF_ONE_REPOSITORY)
            outcome = _outcome(error)
            delay = self._back_off(poll, error)
            snapshot = Snapshot(poll.key.repository, (), self.now(), incomplete=str(error))
        except Exception as error:
            poll.failures += 1
            outcome = "crashed"
            delay = self._back_off(poll, error)
            snapshot = Snapshot(poll.key.repository, (), self.now(), incomplete=f"unexpected {type(error).__name__}")
            log.exception("registry.poll_crashed", image=str(poll.key.repository))
        self.measure(PollEnded(poll.key.repository.host, outcome))
        await self._tell(poll, snapshot)
        await self._schedule(poll, delay)
        return outcome

    def _works_again(self, looked: Poll) -> None:
        """Have looked at, once, whatever else waits for the same registry, which was in trouble and is not any more."""
        looked.troubled, now = False, asyncio.get_running_loop().time()
        for key, poll in self._polls.items():
            if key.repository.host == looked.key.repository.host and poll.troubled:
                poll.troubled = False
                poll.want_at(now)

    async def _observe(self, poll: Poll) -> Snapshot:
        poll.asked, poll.wanted_at = poll.wants(), math.inf
        hints, awaited = frozenset(poll.hints), poll.awaited
        poll.hints, poll.awaited = set(), False
        try:
            observed = await self.registry.observe(poll.key, replace(poll.asked, hints=hints, awaited=awaited))
        except BaseException:
            poll.hints |= hints
            poll.awaited |= awaited
            raise
        if poll.recorded is None or observed is not poll.observed:
            first = poll.recorded is None
            poll.recorded = await self.tags.record(poll.key, observed)
            poll.observed = observed
            poll.changed_at = _newest(poll.recorded) if first else self.now()
        return poll.recorded

    def _rhythm(self, poll: Poll) -> timedelta:
        """Wait longer where nothing happened for long, and longer still where webhooks would tell."""
        now = self.now()
        return next_wait(
            self._interval(poll.key),
            timedelta(seconds=self.longest_interval),
            now - poll.changed_at if poll.changed_at else None,
            now - poll.hinted_at if poll.hinted_at else None,
        )

    async def _tell(self, poll: Poll, snapshot: Snapshot) -> None:
        told, poll.told = poll.told, snapshot
        if told is snapshot or (told is not None and snapshot.incomplete and told.incomplete == snapshot.incomplete):
            return
        if not snapshot.incomplete:
            log.info("image.observed", image=str(poll.key.repository), tags=len(snapshot.tags))
        await self.out.put(ImageObserved(poll.key, snapshot, self.tracing.current()))

    async def _schedule(self, poll: Poll, delay: timedelta) -> None:
        spread = delay * (1 + _SPREAD * _spread(poll.key))
        poll.due = asyncio.get_running_loop().time() + spread.total_seconds()
        now = self.now()
        try:
            await self.due_times.set_due(poll.key, Due(now, now + spread))
        except StoreError as error:
            log.warning("store.failed", reason=str(error))

    def _interval(self, key: PollKey) -> timedelta:
        return timedelta(seconds=self.registry.interval(key) or self.interval)

    def _back_off(self, poll: Poll, error: Exception) -> timedelta:
        interval = self._interval(poll.key)
        longest = _LONGEST_BACK_OFF
        if isinstance(error, RegistryAuthError | Misconfigured):
            longest = _LONGEST_UNAUTHORIZED
        elif isinstance(error, RegistryUnanswered):
            longest = _LONGEST_UNANSWERED
        if isinstance(error, DoubtfulList):
            return min(interval, timedelta(seconds=error.retry_after) / (1 - _SPREAD))  # it may be whole again by then
        if isinstance(error, RegistryThrottled):  # it has said when, and its adapter keeps the pace
            return max(interval, timedelta(seconds=error.retry_after or 0) / (1 - _SPREAD))
        return max(min(interval * 2.0 ** min(poll.failures - 1, 10), longest), interval)


def _outcome(error: Exception) -> str:
    match error:
        case RegistryThrottled():
            return "throttled"
        case Misconfigured():
            return "misconfigured"
        case _:
            return "failed"


def _newest(snapshot: Snapshot) -> datetime:
    """Tell when the newest tag came; what moved in an earlier run is not known."""
    return max((tag.first_seen for tag in snapshot.tags if tag.first_seen), default=snapshot.observed_at)


def _spread(key: PollKey) -> float:
    """Give each poll its own place between -1 and 0, the same in every run, so that polls do not bunch."""
    digest = hashlib.sha256(f"{key.repository} {key.credentials}".encode()).digest()
    return int.from_bytes(digest[:4], "big") / 2**32 - 1
