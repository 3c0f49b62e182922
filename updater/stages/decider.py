"""Decide, whenever a snapshot or an application changed, what each image should have, and ask the writer for it."""

import asyncio
from collections.abc import Callable, Container, Iterable, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field, replace
from datetime import datetime

from updater.domain.application import ApplicationName
from updater.domain.candidates import Snapshot
from updater.domain.contenders import contenders
from updater.domain.decision import Current, Decision, Invalid, Origin, Reason, Update, UpToDate
from updater.domain.election import Election, elect, judge
from updater.domain.errors import Misconfigured
from updater.domain.group import held_apart, in_common
from updater.domain.image import ImageVersion
from updater.domain.messages import (
    ApplicationGone,
    ApplicationSeen,
    ImageIdentity,
    ImageObserved,
    SignatureChecked,
    TrackedApplication,
    TrackedImage,
    UpdateDecided,
    UpdateWithdrawn,
    WriterMessage,
)
from updater.domain.policy import Policy
from updater.domain.polling import PollKey, wants
from updater.domain.ripening import reconsider_at
from updater.domain.rollback import names_version
from updater.domain.target import ApplicationTarget
from updater.ports.memory import WriteMemory
from updater.ports.tracing import UNTRACED, Tracing
from updater.stages.alarms import Alarms
from updater.stages.board import Board
from updater.stages.present import assumed, doubtful, unmanaged
from updater.stages.signature_gate import SignatureGate

_LARGE = 2_000
"""Tags; electing among more happens beside the loop."""
_LONGEST_SLEEP = 60.0
"""Seconds; then the clock is asked again, which somebody may have set."""


@dataclass
class Decider:
    """The third stage: applications and snapshots in, decisions out. Images with equal policies share an election."""

    memory: WriteMemory
    board: Board
    inbox: asyncio.Queue[ApplicationSeen | ApplicationGone | ImageObserved | SignatureChecked]
    out: asyncio.Queue[WriterMessage]
    now: Callable[[], datetime]
    gate: SignatureGate
    need_digests: Callable[[ImageIdentity, PollKey, frozenset[str]], bool]
    """Have the digests of tags that a group could move to; True: they will come with another snapshot."""
    tracing: Tracing = UNTRACED
    _applications: dict[ApplicationName, TrackedApplication] = field(default_factory=dict)
    _subscribers: dict[PollKey, dict[ApplicationName, None]] = field(default_factory=dict)
    _snapshots: dict[PollKey, Snapshot] = field(default_factory=dict)
    _elections: dict[PollKey, dict[Policy, Election]] = field(default_factory=dict)
    _looked_at: set[PollKey] = field(default_factory=set)
    """Whose next snapshot will have digests that a group waits for."""
    _asked: set[ImageIdentity] = field(default_factory=set)
    """What the writer may still have waiting."""
    _alarms: Alarms[ImageIdentity] = field(default_factory=Alarms)
    """When to decide again though nothing changes: they are set anew from what is remembered, after a restart too."""

    async def run(self) -> None:
        while True:
            await self._wake()
            message = await self._next()
            if message is None:
                continue
            match message:
                case ApplicationSeen(tracked):
                    with self.tracing.span("application.decide", application=str(tracked.name)):
                        await self._seen(tracked)
                case ApplicationGone(name):
                    self._forget(name)
                    await self._withdraw(name, keep=())
                case ImageObserved(poll, snapshot, trace):
                    with self.tracing.span("image.decide", [trace], image=str(poll.repository)):
                        await self._observed(poll, snapshot)
                case SignatureChecked(identity):
                    await self._reconsider(identity)
            self.inbox.task_done()

    async def _next(self) -> ApplicationSeen | ApplicationGone | ImageObserved | SignatureChecked | None:
        """Wait for a message, or until an alarm may go off."""
        alarm = self._alarms.next()
        wait = None if alarm is None else min(max((alarm - self.now()).total_seconds(), 0), _LONGEST_SLEEP)
        try:
            async with asyncio.timeout(wait):
                return await self.inbox.get()
        except TimeoutError:
            return None

    async def _wake(self) -> None:
        """Decide again what time alone may have changed."""
        for identity in self._alarms.take(self.now()):
            await self._reconsider(identity)

    async def _reconsider(self, identity: ImageIdentity) -> None:
        tracked = self._applications.get(identity.application)
        images = [image for image in tracked.images if image.alias == identity.alias] if tracked else []
        if tracked and images:
            await self._consider(tracked, images)

    async def _seen(self, tracked: TrackedApplication) -> None:
        polls = {image.poll for image in tracked.images}
        self._forget(tracked.name, keep=polls)
        self._applications[tracked.name] = tracked
        await self._withdraw(tracked.name, keep=[image.alias for image in tracked.images])
        for poll in polls:
            self._subscribers.setdefault(poll, {})[tracked.name] = None
        await self._consider(tracked, tracked.images)

    def _forget(self, name: ApplicationName, keep: AbstractSet[PollKey] = frozenset()) -> None:
        """Drop an application, and the snapshots that nobody but it had a use for."""
        tracked = self._applications.pop(name, None)
        for poll in {image.poll for image in tracked.images} - keep if tracked else ():
            self._subscribers[poll].pop(name, None)
            if not self._subscribers[poll]:
                for by_poll in (self._subscribers, self._snapshots, self._elections):
                    by_poll.pop(poll, None)
                self._looked_at.discard(poll)

    async def _observed(self, poll: PollKey, snapshot: Snapshot) -> None:
        subscribers = self._subscribers.get(poll)
        if subscribers is None:
            return
        self._snapshots[poll] = snapshot
        self._elections.pop(poll, None)
        self._looked_at.discard(poll)
        for name in list(subscribers):
            tracked = self._applications[name]
            await self._consider(tracked, [image for image in tracked.images if image.poll == poll])

    async def _withdraw(self, name: ApplicationName, keep: Container[str]) -> None:
        self.gate.forget_application(name, keep)
        for identity in [each for each in self._asked if each.application == name and each.alias not in keep]:
            self._asked.discard(identity)
            await self.out.put(UpdateWithdrawn(identity))

    async def _consider(self, tracked: TrackedApplication, images: Iterable[TrackedImage]) -> None:
        """Decide for images whose tags are known, and for those that move together with one of them."""
        groups = {image.group: None for image in images if image.group}
        for image in images:
            if not image.group and image.poll in self._snapshots:
                await self._conclude(tracked, await self._decide(tracked, image))
        for group in groups:
            members = [image for image in tracked.images if image.group == group]
            if all(image.poll in self._snapshots for image in members):
                for outcome in await self._decide_together(tracked, group, members):
                    await self._conclude(tracked, outcome)

    async def _conclude(self, tracked: TrackedApplication, outcome: "_Outcome") -> None:
        """Say what was decided, ask the writer for it, and set the alarm for the next time."""
        image, decision, election = outcome.image, outcome.decision, outcome.election
        identity = ImageIdentity(tracked.name, image.alias)
        known = outcome.current.origin is not Origin.UNKNOWN
        said = self.board.decided if known or not isinstance(decision, Update) else self.board.expected
        said(tracked.name, image.alias, decision, election, outcome.current)
        self._alarms.set(identity, reconsider_at(election, decision, self.now()) if election else None)
        update = decision if isinstance(decision, Update) else outcome.doubt
        if update is not None and election is not None:
            self._asked.add(identity)
            await self.out.put(UpdateDecided(tracked, image, election, outcome.current, update, self.tracing.current()))
        elif identity in self._asked:
            self._asked.discard(identity)
            await self.out.put(UpdateWithdrawn(identity))

    async def _decide_together(
        self,
        tracked: TrackedApplication,
        group: str,
        members: Sequence[TrackedImage],
    ) -> list["_Outcome"]:
        """Decide for the images of a group: all updates, or none of them; nothing while digests are to come."""
        elections = [await self._elect(image) for image in members]
        valid = [each for each in elections if isinstance(each, Election)]
        complete = len(valid) == len(members) and not any(each.snapshot.incomplete for each in valid)
        limited: Sequence[Election | Invalid] = elections
        if complete:
            limited = shared = in_common(valid)
            lacking = [self._lacks_digests(tracked, *each) for each in zip(members, shared, strict=True)]
            if any(lacking):
                return []
        outcomes = [
            await self._judge(tracked, image, election) for image, election in zip(members, limited, strict=True)
        ]
        ballots = {each.image.alias: (each.election, each.decision) for each in outcomes}
        holds = held_apart(group, ballots)
        return [replace(each, decision=holds.get(each.image.alias, each.decision)) for each in outcomes]

    def _lacks_digests(self, tracked: TrackedApplication, image: TrackedImage, shared: Election) -> bool:
        """Have the digests looked for that are written of what the group shares; tell whether they are to come."""
        if not wants(image.policy).winners:
            return False
        tags = frozenset(contenders(shared, self.now()))
        if self.need_digests(ImageIdentity(tracked.name, image.alias), image.poll, tags):
            self._looked_at.add(image.poll)
        return image.poll in self._looked_at

    async def _decide(self, tracked: TrackedApplication, image: TrackedImage) -> "_Outcome":
        return await self._judge(tracked, image, await self._elect(image))

    async def _judge(
        self,
        tracked: TrackedApplication,
        image: TrackedImage,
        election: Election | Invalid,
    ) -> "_Outcome":
        memory = await self.memory.memory(tracked.name, image.alias, image.target)
        if memory.released and not names_version(image.policy.release, memory.released):
            await self.memory.forget_release(tracked.name, image.alias, image.target)
            memory = replace(memory, released=ImageVersion())
        current = assumed(tracked.application, image, memory)
        if isinstance(election, Invalid):
            return _Outcome(image, current, election, None)
        decision: Decision = judge(election, current, memory, self.now())
        if isinstance(decision, Update) and isinstance(image.target, ApplicationTarget):
            decision = unmanaged(tracked.application, image, current) or decision
        doubt = None
        if isinstance(decision, UpToDate) and doubtful(tracked.application, image, memory):
            doubt = judge(election, Current(), memory, self.now())
        if isinstance(doubt, Update):
            admitted = self.gate.admit(tracked.name, image, doubt)
            return _Outcome(image, current, decision, election, admitted if isinstance(admitted, Update) else None)
        return _Outcome(image, current, self.gate.admit(tracked.name, image, decision), election)

    async def _elect(self, image: TrackedImage) -> Election | Invalid:
        elections = self._elections.setdefault(image.poll, {})
        election = elections.get(image.policy)
        if election is None:
            snapshot = self._snapshots[image.poll]
            try:
                if len(snapshot.tags) > _LARGE:
                    election = await asyncio.to_thread(elect, image.policy, snapshot, self.now())
                else:
                    election = elect(image.policy, snapshot, self.now())
            except Misconfigured as error:
                return Invalid(reason=Reason.INVALID, message=str(error))
            elections[image.policy] = election
        return election


@dataclass(frozen=True, slots=True)
class _Outcome:
    """What was decided for one image, and from what."""

    image: TrackedImage
    current: Current
    decision: Decision
    election: Election | None
    """None for settings that allow none."""
    doubt: Update | None = None
    """What would be written if the target does not hold any more what we wrote: somebody has to look there."""
