"""Decide, whenever a snapshot or an application changed, what each image should have, and ask the writer for it."""

import asyncio
from collections.abc import Callable, Container
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field
from datetime import datetime

from updater.domain.application import ApplicationName
from updater.domain.candidates import Snapshot
from updater.domain.decision import Current, Decision, Invalid, Origin, Reason, Update
from updater.domain.election import Election, elect, judge
from updater.domain.errors import Misconfigured
from updater.domain.messages import (
    ApplicationGone,
    ApplicationSeen,
    ImageIdentity,
    ImageObserved,
    TrackedApplication,
    TrackedImage,
    UpdateDecided,
    UpdateWithdrawn,
)
from updater.domain.policy import Policy
from updater.domain.polling import PollKey
from updater.domain.target import ApplicationTarget
from updater.ports import WriteMemory
from updater.stages.board import Board
from updater.stages.present import assumed, unmanaged

_LARGE = 2_000
"""Tags; electing among more happens beside the loop."""


@dataclass
class Decider:
    """The third stage: applications and snapshots in, decisions out. Images with equal policies share an election."""

    memory: WriteMemory
    board: Board
    inbox: asyncio.Queue[ApplicationSeen | ApplicationGone | ImageObserved]
    out: asyncio.Queue[UpdateDecided | UpdateWithdrawn]
    now: Callable[[], datetime]
    _applications: dict[ApplicationName, TrackedApplication] = field(default_factory=dict)
    _subscribers: dict[PollKey, dict[ApplicationName, None]] = field(default_factory=dict)
    _snapshots: dict[PollKey, Snapshot] = field(default_factory=dict)
    _elections: dict[PollKey, dict[Policy, Election]] = field(default_factory=dict)
    _asked: set[ImageIdentity] = field(default_factory=set)
    """What the writer may still have waiting."""

    async def run(self) -> None:
        while True:
            message = await self.inbox.get()
            match message:
                case ApplicationSeen(tracked):
                    await self._seen(tracked)
                case ApplicationGone(name):
                    self._forget(name)
                    await self._withdraw(name, keep=())
                case ImageObserved(poll, snapshot):
                    await self._observed(poll, snapshot)
            self.inbox.task_done()

    async def _seen(self, tracked: TrackedApplication) -> None:
        polls = {image.poll for image in tracked.images}
        self._forget(tracked.name, keep=polls)
        self._applications[tracked.name] = tracked
        await self._withdraw(tracked.name, keep=[image.alias for image in tracked.images])
        for poll in polls:
            self._subscribers.setdefault(poll, {})[tracked.name] = None
        for image in tracked.images:
            if image.poll in self._snapshots:
                await self._consider(tracked, image)

    def _forget(self, name: ApplicationName, keep: AbstractSet[PollKey] = frozenset()) -> None:
        """Drop an application, and the snapshots that nobody but it had a use for."""
        tracked = self._applications.pop(name, None)
        for poll in {image.poll for image in tracked.images} - keep if tracked else ():
            self._subscribers[poll].pop(name, None)
            if not self._subscribers[poll]:
                for by_poll in (self._subscribers, self._snapshots, self._elections):
                    by_poll.pop(poll, None)

    async def _observed(self, poll: PollKey, snapshot: Snapshot) -> None:
        subscribers = self._subscribers.get(poll)
        if subscribers is None:
            return
        self._snapshots[poll] = snapshot
        self._elections.pop(poll, None)
        for name in list(subscribers):
            tracked = self._applications[name]
            for image in tracked.images:
                if image.poll == poll:
                    await self._consider(tracked, image)

    async def _withdraw(self, name: ApplicationName, keep: Container[str]) -> None:
        for identity in [each for each in self._asked if each.application == name and each.alias not in keep]:
            self._asked.discard(identity)
            await self.out.put(UpdateWithdrawn(identity))

    async def _consider(self, tracked: TrackedApplication, image: TrackedImage) -> None:
        identity = ImageIdentity(tracked.name, image.alias)
        current, decision, election = await self._decide(tracked, image)
        known = current.origin is not Origin.UNKNOWN
        if known or not isinstance(decision, Update):
            self.board.decided(tracked.name, image.alias, decision)
        if isinstance(decision, Update) and election is not None:
            self._asked.add(identity)
            await self.out.put(UpdateDecided(tracked, image, election, current, decision))
        elif identity in self._asked:
            self._asked.discard(identity)
            await self.out.put(UpdateWithdrawn(identity))

    async def _decide(
        self,
        tracked: TrackedApplication,
        image: TrackedImage,
    ) -> tuple[Current, Decision, Election | None]:
        memory = await self.memory.memory(tracked.name, image.alias, image.target)
        current = assumed(tracked.application, image, memory)
        try:
            election = await self._elect(image)
        except Misconfigured as error:
            return current, Invalid(reason=Reason.INVALID, message=str(error)), None
        decision: Decision = judge(election, current, memory, self.now())
        if isinstance(decision, Update) and isinstance(image.target, ApplicationTarget):
            decision = unmanaged(tracked.application, image, current) or decision
        return current, decision, election

    async def _elect(self, image: TrackedImage) -> Election:
        elections = self._elections.setdefault(image.poll, {})
        election = elections.get(image.policy)
        if election is None:
            snapshot = self._snapshots[image.poll]
            if len(snapshot.tags) > _LARGE:
                election = await asyncio.to_thread(elect, image.policy, snapshot, self.now())
            else:
                election = elect(image.policy, snapshot, self.now())
            elections[image.policy] = election
        return election
