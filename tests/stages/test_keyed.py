"""Keyed workers: ordered per key, parallel across keys, gathered by lingering, tried again by backing off."""

import asyncio
import random
from collections.abc import Hashable, Mapping
from dataclasses import dataclass, field

import pytest

from updater.domain.errors import LeadershipLost
from updater.stages.keyed import PER_SERVER, KeyedWorkers, Pace, retry_delay
from updater.stages.leadership import Alone

pytestmark = pytest.mark.looptime

Batch = Mapping[Hashable, str]


@dataclass
class Recorder:
    """A handler that remembers its batches and fails the items it was told to fail."""

    failing: set[str] = field(default_factory=set)
    takes: float = 0
    batches: list[tuple[float, str, list[str]]] = field(default_factory=list)
    at_once: int = 0
    most_at_once: int = 0

    async def handle(self, key: str, batch: Batch) -> Batch:
        self.batches.append((round(asyncio.get_running_loop().time(), 3), key, list(batch.values())))
        self.at_once += 1
        self.most_at_once = max(self.most_at_once, self.at_once)
        await asyncio.sleep(self.takes)
        self.at_once -= 1
        return {identity: item for identity, item in batch.items() if item in self.failing}

    def items(self) -> list[list[str]]:
        return [items for _, _, items in self.batches]


def workers(tasks: asyncio.TaskGroup, recorder: Recorder, pace: Pace, parallel: int = 10) -> KeyedWorkers[str, str]:
    return KeyedWorkers("test", tasks, recorder.handle, pace, parallel, Alone().held)


async def test_items_that_come_within_the_linger_window_are_one_batch() -> None:
    recorder = Recorder()
    async with asyncio.TaskGroup() as tasks:
        keyed = workers(tasks, recorder, Pace(linger=2))
        for number in range(3):
            keyed.put("branch", number, str(number))
            await asyncio.sleep(1)
    assert recorder.batches == [(4, "branch", ["0", "1", "2"])]


async def test_batch_does_not_wait_longer_than_its_age_allows() -> None:
    recorder = Recorder()
    async with asyncio.TaskGroup() as tasks:
        keyed = workers(tasks, recorder, Pace(linger=2, longest_linger=5))
        for number in range(8):
            keyed.put("branch", number, str(number))
            await asyncio.sleep(1)
    assert recorder.batches[0][0] == 5


async def test_full_batch_starts_at_once() -> None:
    recorder = Recorder()
    async with asyncio.TaskGroup() as tasks:
        keyed = workers(tasks, recorder, Pace(linger=60, longest_linger=60, largest_batch=2))
        for number in range(4):
            keyed.put("branch", number, str(number))
    assert recorder.batches == [(0, "branch", ["0", "1"]), (0, "branch", ["2", "3"])]


async def test_newer_item_replaces_one_that_waits() -> None:
    recorder = Recorder()
    async with asyncio.TaskGroup() as tasks:
        keyed = workers(tasks, recorder, Pace())
        keyed.put("branch", "app", "old")
        keyed.put("branch", "app", "new")
    assert recorder.items() == [["new"]]


async def test_withdrawn_item_is_not_handled() -> None:
    recorder = Recorder()
    async with asyncio.TaskGroup() as tasks:
        keyed = workers(tasks, recorder, Pace())
        keyed.put("branch", "app", "item")
        keyed.withdraw("branch", "app")
    assert recorder.items() == []


async def test_keys_are_handled_side_by_side() -> None:
    recorder = Recorder(takes=1)
    async with asyncio.TaskGroup() as tasks:
        keyed = workers(tasks, recorder, Pace(linger=0))
        for key in "abc":
            keyed.put(key, "app", key)
    assert recorder.most_at_once == 3


async def test_no_more_keys_than_allowed_are_handled_at_once() -> None:
    recorder = Recorder(takes=1)
    async with asyncio.TaskGroup() as tasks:
        keyed = workers(tasks, recorder, Pace(linger=0), parallel=2)
        for key in "abcde":
            keyed.put(key, "app", key)
    assert recorder.most_at_once == 2


async def test_one_key_is_never_handled_twice_at_once() -> None:
    recorder = Recorder(takes=5)
    async with asyncio.TaskGroup() as tasks:
        keyed = workers(tasks, recorder, Pace(linger=0))
        keyed.put("branch", 1, "first")
        await asyncio.sleep(1)
        keyed.put("branch", 2, "second")
    assert recorder.most_at_once == 1
    assert recorder.items() == [["first"], ["second"]]


async def test_failed_item_is_tried_again_later_and_later() -> None:
    recorder = Recorder(failing={"bad"})
    async with asyncio.TaskGroup() as tasks:
        keyed = workers(tasks, recorder, Pace(linger=0, first_retry=10))
        keyed.put("branch", "app", "bad")
        await asyncio.sleep(100)
        recorder.failing.clear()
    waits = [
        later - earlier for (earlier, *_), (later, *_) in zip(recorder.batches, recorder.batches[1:], strict=False)
    ]
    assert [8 <= waits[0] <= 12, 16 <= waits[1] <= 24, 32 <= waits[2] <= 48] == [True] * 3


async def test_failing_item_holds_up_no_other() -> None:
    recorder = Recorder(failing={"bad"})
    async with asyncio.TaskGroup() as tasks:
        keyed = workers(tasks, recorder, Pace(linger=0, first_retry=1000, longest_retry=1000))
        keyed.put("branch", "app", "bad")
        await asyncio.sleep(1)
        keyed.put("branch", "other", "good")
        await asyncio.sleep(1)
        keyed.withdraw("branch", "app")
    assert recorder.batches == [(0, "branch", ["bad"]), (1, "branch", ["good"])]


async def test_items_that_failed_together_come_back_together() -> None:
    recorder = Recorder(failing={"a", "b"})
    async with asyncio.TaskGroup() as tasks:
        keyed = workers(tasks, recorder, Pace(linger=0.1))
        keyed.put("branch", 1, "a")
        keyed.put("branch", 2, "b")
        await asyncio.sleep(1)
        recorder.failing.clear()
    assert recorder.items() == [["a", "b"], ["a", "b"]]


async def test_item_withdrawn_while_it_is_handled_is_not_tried_again() -> None:
    recorder = Recorder(failing={"bad"}, takes=5)
    async with asyncio.TaskGroup() as tasks:
        keyed = workers(tasks, recorder, Pace(linger=0))
        keyed.put("branch", "app", "bad")
        await asyncio.sleep(1)
        keyed.withdraw("branch", "app")
    assert recorder.items() == [["bad"]]


async def test_item_replaced_while_it_is_handled_is_not_tried_again() -> None:
    recorder = Recorder(failing={"bad"}, takes=5)
    async with asyncio.TaskGroup() as tasks:
        keyed = workers(tasks, recorder, Pace(linger=0))
        keyed.put("branch", "app", "bad")
        await asyncio.sleep(1)
        keyed.put("branch", "app", "good")
    assert recorder.items() == [["bad"], ["good"]]


async def test_drain_handles_at_once_what_waits() -> None:
    recorder = Recorder()
    async with asyncio.TaskGroup() as tasks:
        keyed = workers(tasks, recorder, Pace(linger=60, longest_linger=60))
        keyed.put("branch", "app", "item")
        await asyncio.sleep(1)
        await keyed.drain()
    assert recorder.batches == [(1, "branch", ["item"])]


async def test_drain_does_not_wait_for_what_keeps_failing() -> None:
    recorder = Recorder(failing={"bad"})
    async with asyncio.TaskGroup() as tasks:
        keyed = workers(tasks, recorder, Pace(linger=0, first_retry=1000))
        keyed.put("branch", "app", "bad")
        await asyncio.sleep(1)
        await keyed.drain()
    assert recorder.items() == [["bad"]]


def test_retries_are_bounded() -> None:
    assert retry_delay(Pace(first_retry=5, longest_retry=300), failures=1_000_000) == 300


async def test_retry_comes_though_its_timer_fires_a_little_early() -> None:
    """The jitter of this seed makes a time that no clock hits exactly; waiting for it anew would never end."""
    random.seed(359)
    recorder = Recorder(failing={"one", "two", "three"})
    async with asyncio.TaskGroup() as tasks:
        keyed = workers(tasks, recorder, Pace(linger=2, first_retry=5))
        keyed.put("branch", 1, "one")
        keyed.put("branch", 2, "two")
        await asyncio.sleep(100 * random.random())
        keyed.put("branch", 3, "three")
        await asyncio.sleep(200)
        recorder.failing.clear()
    assert len(recorder.batches) > 4


@dataclass
class Gate:
    """Lets begin when it is opened; when it is shut for good, never."""

    opened: asyncio.Event = field(default_factory=asyncio.Event)
    shut: bool = False

    async def __call__(self) -> bool:
        await self.opened.wait()
        return not self.shut


async def test_items_gather_until_they_may_be_handled_and_the_latest_counts() -> None:
    recorder, gate = Recorder(), Gate()
    async with asyncio.TaskGroup() as tasks:
        keyed = KeyedWorkers("test", tasks, recorder.handle, Pace(linger=1), 10, gate)
        keyed.put("branch", 1, "old")
        await asyncio.sleep(100)
        keyed.put("branch", 1, "new")
        keyed.put("branch", 2, "other")
        await asyncio.sleep(100)
        assert not recorder.batches
        gate.opened.set()
    assert recorder.items() == [["new", "other"]]


async def test_batch_that_lost_its_leader_is_taken_again_as_soon_as_it_may() -> None:
    tries: list[float] = []

    async def handle(key: str, batch: Batch) -> Batch:
        tries.append(asyncio.get_running_loop().time())
        if len(tries) < 5:
            raise LeadershipLost
        return {}

    async with asyncio.TaskGroup() as tasks:
        keyed = KeyedWorkers("test", tasks, handle, Pace(linger=1), 10, Alone().held)
        keyed.put("branch", 1, "item")
    assert tries == [1, 2, 3, 4, 5]


async def test_what_may_not_be_handled_any_more_is_left() -> None:
    recorder, gate = Recorder(), Gate(shut=True)
    async with asyncio.TaskGroup() as tasks:
        keyed = KeyedWorkers("test", tasks, recorder.handle, Pace(linger=1), 10, gate)
        keyed.put("branch", 1, "item")
        await asyncio.sleep(5)
        gate.opened.set()
        await keyed.drain()
    assert not recorder.batches


async def test_server_that_does_not_answer_takes_only_some_of_the_places() -> None:
    recorder = Recorder(takes=1000)
    async with asyncio.TaskGroup() as tasks:
        may_begin = Alone().held
        keyed = KeyedWorkers(
            "test", tasks, recorder.handle, Pace(linger=1), PER_SERVER + 1, may_begin, lambda key: key.partition("/")[0]
        )
        for number in range(20):
            keyed.put(f"dead/{number}", number, "item")
        keyed.put("alive/1", "other", "item")
        await asyncio.sleep(2)
        assert len([key for _, key, _ in recorder.batches if key.startswith("dead/")]) == PER_SERVER
        assert "alive/1" in [key for _, key, _ in recorder.batches]
