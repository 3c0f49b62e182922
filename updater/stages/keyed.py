"""Ordered work per key, parallel across keys: one short-lived worker for each key that has something to do.

Items of one key wait for each other a little (the linger window), so that they can be handled together; an item
replaces an older one of the same identity that still waits. What a handler gives back is tried again later.
Nothing is taken before there is permission to begin; until then items gather, and the latest of each is kept.
"""

import asyncio
import random
from collections import defaultdict
from collections.abc import Awaitable, Callable, Hashable, Mapping
from contextlib import AbstractAsyncContextManager, nullcontext
from dataclasses import dataclass, field
from itertools import islice
from typing import Generic, TypeVar

from updater.domain.errors import LeadershipLost
from updater.stages.waiting import wait_for_event

PER_SERVER = 4
"""Keys of one server that are handled at once: as many as its transports have connections, or channels."""

K = TypeVar("K", bound=Hashable)
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Pace:
    """How long items wait for company, and for another try."""

    linger: float = 1.0
    """Seconds without a new item before a batch starts."""
    longest_linger: float = 10.0
    """Seconds after its first item when a batch starts in any case."""
    largest_batch: int = 500
    first_retry: float = 5.0
    """Seconds; doubled with every failure in a row, with jitter."""
    longest_retry: float = 300.0


Batch = Mapping[Hashable, T]
Handler = Callable[[K, Batch[T]], Awaitable[Batch[T]]]
"""Handles a batch and returns the items to try again; LeadershipLost means that nothing may be handled now."""
Permission = Callable[[], Awaitable[bool]]
"""Waits until a batch may be handled; False when none may any more."""


@dataclass(slots=True)
class _Delayed(Generic[T]):
    """An item that failed, and when its next try is due."""

    item: T
    failures: int
    due: float
    """Loop time."""


@dataclass(slots=True)
class _Worker(Generic[T]):
    waiting: dict[Hashable, T] = field(default_factory=dict)
    delayed: dict[Hashable, _Delayed[T]] = field(default_factory=dict)
    """Each waits for its own next try, so that one that keeps failing holds up no other."""
    failures: dict[Hashable, int] = field(default_factory=dict)
    """In a row, of the items that wait or are handled for another try."""
    handled: set[Hashable] = field(default_factory=set)
    """Identities of the batch under way, but for those replaced or withdrawn meanwhile."""
    wake: asyncio.Event = field(default_factory=asyncio.Event)
    """Set by a new item, and when all is to end."""


class KeyedWorkers(Generic[K, T]):
    """Hands items to one worker per key, in a task group of the caller's."""

    def __init__(
        self,
        name: str,
        tasks: asyncio.TaskGroup,
        handle: Handler[K, T],
        pace: Pace,
        parallel: int,
        may_begin: Permission,
        server_of: Callable[[K], Hashable] | None = None,
    ) -> None:
        """Take what work needs.

        Args:
            name: what the tasks are called.
            tasks: the group that they run in.
            handle: does the work of one key.
            pace: how long items wait.
            parallel: keys that are handled at once, at most.
            may_begin: asked before each batch.
            server_of: tells which keys depend on the same server, which holds only some of the places: when it does not
                answer, keys of others go on.
        """
        self._name = name
        self._may_begin = may_begin
        self._tasks = tasks
        self._handle = handle
        self.pace = pace
        """May be changed at any time."""
        self._slots = asyncio.Semaphore(parallel)
        self._server_of = server_of
        self._slots_of: defaultdict[Hashable, asyncio.Semaphore] = defaultdict(lambda: asyncio.Semaphore(PER_SERVER))
        self._workers: dict[K, _Worker[T]] = {}
        self._running: set[asyncio.Task[None]] = set()
        self._draining = False

    def put(self, key: K, identity: Hashable, item: T) -> None:
        worker = self._workers.get(key)
        if worker is None:
            worker = self._workers[key] = _Worker()
            task = self._tasks.create_task(self._work(key, worker), name=f"{self._name} {key}")
            self._running.add(task)
            task.add_done_callback(self._running.discard)
        _forget(worker, identity)
        worker.waiting[identity] = item
        worker.wake.set()

    def withdraw(self, key: K, identity: Hashable) -> None:
        """Forget an item that still waits."""
        worker = self._workers.get(key)
        if worker is not None:
            _forget(worker, identity)
            worker.wake.set()

    async def drain(self) -> None:
        """Handle at once what waits, without further tries, and end all workers."""
        self._draining = True
        for worker in self._workers.values():
            worker.wake.set()
        while self._running:
            await asyncio.wait(self._running)

    async def _work(self, key: K, worker: _Worker[T]) -> None:
        try:
            while worker.waiting or (worker.delayed and not self._draining):
                if not worker.waiting:
                    await self._sleep(worker)
                    continue
                await self._linger(worker)
                if not await self._may_begin():
                    return
                async with self._slots_at_server(key), self._slots:
                    batch = _take(worker, self.pace.largest_batch)
                    try:
                        again = await self._handle(key, batch) if batch else {}
                    except LeadershipLost:
                        _give_back(worker, batch)
                        continue
                self._delay(worker, again)
        finally:
            if self._workers.get(key) is worker:
                del self._workers[key]

    def _slots_at_server(self, key: K) -> AbstractAsyncContextManager[None]:
        return nullcontext() if self._server_of is None else self._slots_of[self._server_of(key)]

    async def _linger(self, worker: _Worker[T]) -> None:
        """Wait until no more items come, the batch is full or old enough, or all is to end."""
        deadline = _later(self.pace.longest_linger)
        while not self._draining and len(worker.waiting) < self.pace.largest_batch:
            worker.wake.clear()
            if not await wait_for_event(worker.wake, until=min(_later(self.pace.linger), deadline)):
                return

    async def _sleep(self, worker: _Worker[T]) -> None:
        """Wait until a failed item is due again, or something happens; make the due ones wait for the next batch."""
        worker.wake.clear()
        next_due = min(each.due for each in worker.delayed.values())
        woken = await wait_for_event(worker.wake, until=next_due)
        # A loop fires its timers within its clock's resolution, which may be a little early.
        now = _later(0) if woken else max(_later(0), next_due)
        for identity, delayed in list(worker.delayed.items()):
            if delayed.due <= now:
                del worker.delayed[identity]
                worker.waiting[identity] = delayed.item
                worker.failures[identity] = delayed.failures

    def _delay(self, worker: _Worker[T], again: Batch[T]) -> None:
        """Put off what failed, unless it was replaced or withdrawn; what failed together comes back together."""
        jitter = random.uniform(0.8, 1.2)  # noqa: S311 - not a secret
        for identity in worker.handled:
            failures = worker.failures.pop(identity, 0) + 1
            if identity in again:
                due = _later(retry_delay(self.pace, failures) * jitter)
                worker.delayed[identity] = _Delayed(again[identity], failures, due)


def retry_delay(pace: Pace, failures: int) -> float:
    """Return the seconds to wait after so many failures in a row, without jitter."""
    return min(pace.first_retry * 2.0 ** min(failures - 1, 16), pace.longest_retry)


def _forget(worker: _Worker[T], identity: Hashable) -> None:
    worker.waiting.pop(identity, None)
    worker.delayed.pop(identity, None)
    worker.failures.pop(identity, None)
    worker.handled.discard(identity)


def _take(worker: _Worker[T], count: int) -> dict[Hashable, T]:
    batch = dict(islice(worker.waiting.items(), count))
    for identity in batch:
        del worker.waiting[identity]
    worker.handled = set(batch)
    return batch


def _give_back(worker: _Worker[T], batch: Batch[T]) -> None:
    """Let a batch wait for permission as if it had never been taken: it did not fail, so it is not put off."""
    worker.waiting |= {identity: batch[identity] for identity in worker.handled}
    worker.handled.clear()


def _later(seconds: float) -> float:
    return asyncio.get_running_loop().time() + seconds
