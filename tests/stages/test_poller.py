"""The poller: each repository when it is due, once for all who want it, and only what changed is passed on."""

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from itertools import pairwise

import pytest

from tests.fakes.cluster import helm_application
from tests.fakes.memory import MemoryStore
from updater.domain.annotations import track
from updater.domain.candidates import Snapshot, TagRecord
from updater.domain.errors import (
    DoubtfulList,
    RegistryAuthError,
    RegistryError,
    RegistryThrottled,
    RegistryUnanswered,
    SecretNotFound,
    StoreError,
    UpdaterError,
)
from updater.domain.image import Repository
from updater.domain.messages import (
    ApplicationGone,
    ApplicationSeen,
    ImageIdentity,
    ImageObserved,
    SignatureChecked,
    TrackedApplication,
)
from updater.domain.polling import PollKey, Wants
from updater.ports.registry import Due
from updater.stages.poller import Poller

pytestmark = pytest.mark.looptime

IMAGE = "registry.example.com/team/app"
START = datetime(2026, 1, 1, tzinfo=UTC)
INTERVAL = 100.0


def now() -> datetime:
    return START + timedelta(seconds=asyncio.get_running_loop().time())


@dataclass
class TimedRegistry:
    """Notes when it was asked for what; a test sets what it answers."""

    tags: tuple[str, ...] = ("v1",)
    error: Exception | None = None
    asked: list[tuple[float, Wants]] = field(default_factory=list)
    last: Snapshot | None = None
    forgotten: list[PollKey] = field(default_factory=list)
    delay: float = 0
    own_interval: float | None = None

    def interval(self, key: PollKey) -> float | None:
        return self.own_interval

    async def observe(self, key: PollKey, wants: Wants) -> Snapshot:
        self.asked.append((asyncio.get_running_loop().time(), wants))
        if self.error:
            raise self.error
        await asyncio.sleep(self.delay)
        tags = tuple(TagRecord(tag) for tag in self.tags)
        if self.last is None or self.last.tags != tags:
            self.last = Snapshot(key.repository, tags, now())
        return self.last

    def forget(self, key: PollKey) -> None:
        self.forgotten.append(key)

    def waits(self) -> list[float]:
        return [later - earlier for (earlier, _), (later, _) in pairwise(self.asked)]


@dataclass
class Desk:
    """A poller under test, and the mail that it sent."""

    registry: TimedRegistry = field(default_factory=TimedRegistry)
    longest: float = 0
    store: MemoryStore = field(default_factory=MemoryStore)
    inbox: asyncio.Queue[ApplicationSeen | ApplicationGone] = field(default_factory=asyncio.Queue)
    out: asyncio.Queue[ApplicationSeen | ApplicationGone | ImageObserved | SignatureChecked] = field(
        default_factory=asyncio.Queue
    )

    @asynccontextmanager
    async def running(self) -> AsyncIterator[Poller]:
        poller = Poller(self.registry, self.store, self.store, self.inbox, self.out, INTERVAL, now)
        poller.longest_interval = self.longest
        task = asyncio.create_task(poller.run())
        try:
            yield poller
        finally:
            task.cancel()
            await asyncio.wait({task})

    def observed(self) -> list[Snapshot]:
        mail = [self.out.get_nowait() for _ in range(self.out.qsize())]
        return [message.snapshot for message in mail if isinstance(message, ImageObserved)]


def tracked(name: str = "one", annotations: Mapping[str, str] | None = None, image: str = IMAGE) -> TrackedApplication:
    found = track(helm_application(name, image, annotations), "argocd")
    assert found is not None
    assert not found.problems
    return found


async def test_new_repository_is_looked_at_at_once() -> None:
    desk = Desk()
    async with desk.running():
        await desk.inbox.put(ApplicationSeen(tracked()))
        await asyncio.sleep(1)
    assert [time for time, _ in desk.registry.asked] == [0]


class Damaged(MemoryStore):
    async def due_times(self) -> Mapping[PollKey, Due]:
        raise StoreError("it is damaged")


async def test_due_times_that_cannot_be_read_make_everything_due() -> None:
    desk = Desk(store=Damaged())
    async with desk.running():
        await desk.inbox.put(ApplicationSeen(tracked()))
        await asyncio.sleep(1)
    assert [time for time, _ in desk.registry.asked] == [0]


async def test_repository_is_looked_at_once_an_interval() -> None:
    desk = Desk()
    async with desk.running():
        await desk.inbox.put(ApplicationSeen(tracked()))
        await asyncio.sleep(INTERVAL * 10)
    assert all(0.9 * INTERVAL <= wait <= INTERVAL for wait in desk.registry.waits())


async def test_application_is_passed_on_before_its_snapshots() -> None:
    desk = Desk()
    async with desk.running():
        await desk.inbox.put(ApplicationSeen(tracked()))
        first, second = await desk.out.get(), await desk.out.get()
    assert isinstance(first, ApplicationSeen)
    assert isinstance(second, ImageObserved)


async def test_unchanged_snapshot_wakes_nobody() -> None:
    desk = Desk()
    async with desk.running():
        await desk.inbox.put(ApplicationSeen(tracked()))
        await asyncio.sleep(INTERVAL * 5)
    assert len(desk.observed()) == 1


async def test_new_tag_is_passed_on() -> None:
    desk = Desk()
    async with desk.running():
        await desk.inbox.put(ApplicationSeen(tracked()))
        await asyncio.sleep(1)
        desk.registry.tags = ("v1", "v2")
        await asyncio.sleep(INTERVAL)
    assert [len(snapshot.tags) for snapshot in desk.observed()] == [1, 2]


async def test_second_application_of_a_repository_costs_no_look() -> None:
    desk = Desk()
    async with desk.running():
        await desk.inbox.put(ApplicationSeen(tracked("one")))
        await desk.inbox.put(ApplicationSeen(tracked("two")))
        await asyncio.sleep(1)
    assert len(desk.registry.asked) == 1


async def test_application_that_wants_more_is_served_at_once() -> None:
    desk = Desk()
    async with desk.running():
        await desk.inbox.put(ApplicationSeen(tracked("one")))
        await asyncio.sleep(1)
        await desk.inbox.put(ApplicationSeen(tracked("two", {"app.update-strategy": "newest-build"})))
        await asyncio.sleep(1)
    assert [bool(wants.metadata) for _, wants in desk.registry.asked] == [False, True]


async def test_repository_nobody_wants_any_more_is_left_alone() -> None:
    desk = Desk()
    async with desk.running():
        await desk.inbox.put(ApplicationSeen(tracked()))
        await asyncio.sleep(1)
        await desk.inbox.put(ApplicationGone(tracked().name))
        await asyncio.sleep(INTERVAL * 5)
    assert len(desk.registry.asked) == 1


async def test_failure_is_passed_on_as_incomplete_once() -> None:
    desk = Desk(TimedRegistry(error=RegistryError("500")))
    async with desk.running():
        await desk.inbox.put(ApplicationSeen(tracked()))
        await asyncio.sleep(INTERVAL * 5)
    assert [snapshot.incomplete for snapshot in desk.observed()] == ["500"]


async def test_failing_repository_is_asked_less_and_less() -> None:
    desk = Desk(TimedRegistry(error=RegistryError("500")))
    async with desk.running():
        await desk.inbox.put(ApplicationSeen(tracked()))
        await asyncio.sleep(INTERVAL * 8)
    waits = desk.registry.waits()
    assert waits == sorted(waits)
    assert waits[-1] > 2 * waits[0]


@pytest.mark.parametrize("error", [RegistryAuthError("refused"), SecretNotFound("no such Secret")])
async def test_what_somebody_has_to_mend_is_looked_at_again_within_five_minutes(error: UpdaterError) -> None:
    desk = Desk(TimedRegistry(error=error))
    async with desk.running():
        await desk.inbox.put(ApplicationSeen(tracked()))
        await asyncio.sleep(3600)
    assert max(desk.registry.waits()) <= 300


async def test_recovered_repository_tells_its_tags_again() -> None:
    """Also when they are the same as before the failure: the stages behind us were told that nothing is known."""
    desk = Desk()
    async with desk.running():
        await desk.inbox.put(ApplicationSeen(tracked()))
        await asyncio.sleep(1)
        desk.registry.error = RegistryError("500")
        await asyncio.sleep(INTERVAL)
        desk.registry.error = None
        await asyncio.sleep(INTERVAL * 3)
    assert [bool(snapshot.incomplete) for snapshot in desk.observed()] == [False, True, False]


async def test_throttled_repository_waits_no_longer_than_that_whatever_failed_before() -> None:
    desk = Desk(TimedRegistry(error=RegistryError("500")))
    async with desk.running():
        await desk.inbox.put(ApplicationSeen(tracked()))
        await asyncio.sleep(16 * INTERVAL)
        desk.registry.error = RegistryThrottled("429", retry_after=2)
        await asyncio.sleep(20 * INTERVAL)
        start = len(desk.registry.asked)
        await asyncio.sleep(5 * INTERVAL)
    assert len(desk.registry.asked) - start >= 4


async def test_throttled_repository_waits_as_long_as_the_registry_asks() -> None:
    desk = Desk(TimedRegistry(error=RegistryThrottled("429", retry_after=5000)))
    async with desk.running():
        await desk.inbox.put(ApplicationSeen(tracked()))
        await asyncio.sleep(4000)
    assert len(desk.registry.asked) == 1


async def test_restart_continues_where_the_last_run_was() -> None:
    desk = Desk()
    async with desk.running():
        await desk.inbox.put(ApplicationSeen(tracked()))
        await asyncio.sleep(30)
    async with desk.running():
        await desk.inbox.put(ApplicationSeen(tracked()))
        await asyncio.sleep(1)
        assert len(desk.registry.asked) == 1
        await asyncio.sleep(INTERVAL)
    assert len(desk.registry.asked) == 2


async def test_clock_that_was_set_back_delays_no_poll_by_more_than_an_interval() -> None:
    desk = Desk()
    key = tracked().images[0].poll
    desk.store.due[key] = Due(START + timedelta(days=300), START + timedelta(days=301))
    async with desk.running():
        await desk.inbox.put(ApplicationSeen(tracked()))
        await asyncio.sleep(INTERVAL + 1)
    assert len(desk.registry.asked) >= 1


async def test_first_seen_times_are_filled_in() -> None:
    desk = Desk()
    async with desk.running():
        await desk.inbox.put(ApplicationSeen(tracked()))
        await asyncio.sleep(1)
    assert desk.observed()[0].tags[0].first_seen == START


async def test_nudged_repository_is_looked_at_at_once() -> None:
    desk = Desk()
    async with desk.running() as poller:
        await desk.inbox.put(ApplicationSeen(tracked()))
        await asyncio.sleep(30)
        assert poller.nudge(tracked().images[0].poll.repository, "v1") == 1
        await asyncio.sleep(1)
    assert [(time, wants.awaited) for time, wants in desk.registry.asked] == [(0, False), (30, True)]
    assert desk.registry.asked[-1][1].hints == {"v1"}


async def test_many_nudges_are_one_look() -> None:
    desk = Desk()
    async with desk.running() as poller:
        await desk.inbox.put(ApplicationSeen(tracked()))
        await asyncio.sleep(1)
        for number in range(100):
            poller.nudge(tracked().images[0].poll.repository, f"v{number}")
        await asyncio.sleep(20)
    assert [time for time, _ in desk.registry.asked] == [0, 1]
    assert len(desk.registry.asked[-1][1].hints) == 100


async def test_nudges_that_follow_each_other_wait_for_five_seconds() -> None:
    desk = Desk()
    async with desk.running() as poller:
        await desk.inbox.put(ApplicationSeen(tracked()))
        for _ in range(8):
            await asyncio.sleep(1)
            poller.nudge(tracked().images[0].poll.repository)
        await asyncio.sleep(20)
    assert [time for time, _ in desk.registry.asked] == [0, 1, 6, 11]


async def test_storm_of_webhooks_is_remembered_no_further_than_it_helps() -> None:
    desk = Desk()
    async with desk.running() as poller:
        await desk.inbox.put(ApplicationSeen(tracked()))
        await asyncio.sleep(1)
        for number in range(5_000):
            poller.nudge(tracked().images[0].poll.repository, f"v{number}")
        await asyncio.sleep(20)
    assert len(desk.registry.asked) == 2
    assert len(desk.registry.asked[-1][1].hints) == 1000


async def test_application_that_goes_away_during_a_look_leaves_nothing_behind() -> None:
    desk = Desk(TimedRegistry(delay=3))
    async with desk.running() as poller:
        await desk.inbox.put(ApplicationSeen(tracked()))
        await asyncio.sleep(1)
        await desk.inbox.put(ApplicationGone(tracked().name))
        await asyncio.sleep(20)
        assert poller.nudge(tracked().images[0].poll.repository) == 0
        await desk.inbox.put(ApplicationSeen(tracked()))
        await asyncio.sleep(5)
    assert [time for time, _ in desk.registry.asked] == [0, 21]
    assert len(desk.observed()) == 1


async def test_nudge_during_a_look_brings_another_after_it() -> None:
    """What was pushed while a list was read may have come too late for it."""
    desk = Desk(TimedRegistry(delay=3))
    async with desk.running() as poller:
        await desk.inbox.put(ApplicationSeen(tracked()))
        await asyncio.sleep(1)
        poller.nudge(tracked().images[0].poll.repository)
        await asyncio.sleep(20)
    assert [time for time, _ in desk.registry.asked] == [0, 3]


async def test_nudge_for_a_repository_nobody_wants_concerns_no_poll() -> None:
    desk = Desk()
    async with desk.running() as poller:
        await desk.inbox.put(ApplicationSeen(tracked()))
        await asyncio.sleep(1)
        assert poller.nudge(Repository("registry.example.com", "team/other")) == 0
        await asyncio.sleep(20)
    assert len(desk.registry.asked) == 1


async def test_hint_of_a_look_that_failed_is_not_lost() -> None:
    desk = Desk()
    async with desk.running() as poller:
        await desk.inbox.put(ApplicationSeen(tracked()))
        await asyncio.sleep(10)
        desk.registry.error = RegistryError("500")
        poller.nudge(tracked().images[0].poll.repository, "v1")
        await asyncio.sleep(10)
        desk.registry.error = None
        await asyncio.sleep(INTERVAL)
    assert [(wants.hints, wants.awaited) for _, wants in desk.registry.asked[-2:]] == [(frozenset({"v1"}), True)] * 2


async def test_application_that_wants_more_during_the_first_look_is_served_after_it() -> None:
    desk = Desk(TimedRegistry(delay=3))
    async with desk.running():
        await desk.inbox.put(ApplicationSeen(tracked("one")))
        await asyncio.sleep(1)
        await desk.inbox.put(ApplicationSeen(tracked("two", {"app.update-strategy": "newest-build"})))
        await asyncio.sleep(10)
    assert [bool(wants.metadata) for _, wants in desk.registry.asked] == [False, True]


async def test_quiet_repository_is_looked_at_ever_more_rarely_up_to_the_bound() -> None:
    desk = Desk(longest=1000)
    async with desk.running():
        await desk.inbox.put(ApplicationSeen(tracked()))
        await asyncio.sleep(100_000)
    waits = [round(wait) for wait in desk.registry.waits()]
    assert waits == sorted(waits)
    assert 900 <= waits[-1] <= 1000


async def test_news_bring_a_stretched_repository_back_to_its_interval() -> None:
    desk = Desk(longest=1000)
    async with desk.running():
        await desk.inbox.put(ApplicationSeen(tracked()))
        await asyncio.sleep(50_000)
        desk.registry.tags = ("v1", "v2")
        await asyncio.sleep(2_000)
    assert desk.registry.waits()[-1] <= INTERVAL


async def test_repository_that_a_webhook_spoke_of_is_stretched_sooner() -> None:
    looks = []
    for hinted in (False, True):
        desk = Desk(longest=10_000)
        async with desk.running() as poller:
            await desk.inbox.put(ApplicationSeen(tracked()))
            await asyncio.sleep(10)
            if hinted:
                poller.nudge(tracked().images[0].poll.repository)
            await asyncio.sleep(50_000)
        looks.append(len(desk.registry.asked))
    assert looks[1] < looks[0] / 2


async def test_what_was_kept_of_a_repository_nobody_wants_is_forgotten() -> None:
    desk = Desk()
    async with desk.running():
        await desk.inbox.put(ApplicationSeen(tracked()))
        await asyncio.sleep(1)
        await desk.inbox.put(ApplicationGone(tracked().name))
        await asyncio.sleep(1)
    assert desk.registry.forgotten == [tracked().images[0].poll]


async def test_registry_with_an_interval_of_its_own_is_asked_at_that() -> None:
    desk = Desk(TimedRegistry(own_interval=1000))
    async with desk.running():
        await desk.inbox.put(ApplicationSeen(tracked()))
        await asyncio.sleep(10_000)
    assert all(900 <= wait <= 1000 for wait in desk.registry.waits())


async def test_list_that_shrank_is_looked_at_again_a_minute_later_whatever_the_interval() -> None:
    desk = Desk(TimedRegistry(error=DoubtfulList("shrank", 60)))
    async with desk.running():
        await desk.inbox.put(ApplicationSeen(tracked()))
        await asyncio.sleep(80)
    assert [60 <= wait <= 70 for wait in desk.registry.waits()] == [True]


async def test_list_that_shrank_does_not_stretch_a_shorter_interval() -> None:
    desk = Desk(TimedRegistry(error=DoubtfulList("shrank", 60), own_interval=10))
    async with desk.running():
        await desk.inbox.put(ApplicationSeen(tracked()))
        await asyncio.sleep(80)
    assert max(desk.registry.waits()) <= 10


async def test_looks_at_a_list_that_shrank_do_not_put_off_the_next_one_after_a_failure() -> None:
    desk = Desk(TimedRegistry(error=DoubtfulList("shrank", 60), own_interval=1))
    async with desk.running():
        await desk.inbox.put(ApplicationSeen(tracked()))
        await asyncio.sleep(50)
        desk.registry.error, before = RegistryError("is confused"), len(desk.registry.asked)
        await asyncio.sleep(10)
    assert len(desk.registry.asked) - before == 3


@pytest.mark.parametrize("error", [RegistryUnanswered("is down"), RegistryError("gives no tag list (status 500)")])
async def test_registry_that_works_again_has_all_that_waited_for_it_looked_at(error: RegistryError) -> None:
    """However long each of them has failed, and however far off its next look is; and each of them once."""
    desk = Desk(TimedRegistry(error=error))
    async with desk.running():
        for number in range(20):
            await desk.inbox.put(ApplicationSeen(tracked(f"app-{number}", image=f"{IMAGE}-{number}")))
        await asyncio.sleep(7200)
        desk.registry.error, before = None, len(desk.registry.asked)
        await asyncio.sleep(1800)
        first = desk.registry.asked[before][0]
    assert sum(first <= moment <= first + 1 for moment, _ in desk.registry.asked) == 20


async def test_repository_whose_registry_does_not_answer_is_looked_at_every_five_minutes() -> None:
    desk = Desk(TimedRegistry(error=RegistryUnanswered("is down")))
    async with desk.running():
        await desk.inbox.put(ApplicationSeen(tracked()))
        await asyncio.sleep(7200)
    assert max(desk.registry.waits()) <= 300


async def test_digests_that_a_group_needs_are_looked_for_at_once_and_as_long_as_it_is_a_group() -> None:
    annotations = {"app.group": "web", "app.output": "digest"}
    application = tracked("one", annotations)
    identity, key = ImageIdentity(application.name, "app"), application.images[0].poll
    desk = Desk()
    async with desk.running() as poller:
        await desk.inbox.put(ApplicationSeen(application))
        await asyncio.sleep(1)
        assert poller.need_digests(identity, key, frozenset({"v0"}))
        await asyncio.sleep(1)
        assert not poller.need_digests(identity, key, frozenset({"v0"}))
        assert len(desk.observed()) == 2
        await desk.inbox.put(ApplicationSeen(tracked("one", {"app.output": "digest"})))
        await asyncio.sleep(INTERVAL)
    assert [wants.digests for _, wants in desk.registry.asked] == [set(), {"v0"}, set()]
