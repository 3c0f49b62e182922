"""Send each decided update to the ordered worker of its branch, or of its Application."""

import asyncio
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace

from updater.domain.application import ApplicationName
from updater.domain.messages import ImageIdentity, ReviewMoved, UpdateDecided, WriterMessage
from updater.domain.target import BranchKey, GitTarget
from updater.ports.cluster import Leadership
from updater.stages.application_writer import ApplicationPatcher
from updater.stages.branch_writer import BranchWriter
from updater.stages.keyed import KeyedWorkers, Pace

_APPLICATIONS_AT_ONCE = 10


@dataclass
class Writer:
    """The last stage: decisions in, commits and patches out.

    A decision that is replaced before it is written is written once, in its last form.
    """

    inbox: asyncio.Queue[WriterMessage]
    branches: BranchWriter
    patcher: ApplicationPatcher
    pace: Pace
    branches_at_once: int
    leadership: Leadership
    _tell_workers: Callable[[Pace], None] = lambda _: None
    _places: dict[ImageIdentity, BranchKey | ApplicationName] = field(default_factory=dict)
    _proposed: dict[ImageIdentity, UpdateDecided] = field(default_factory=dict)
    """What may have to be looked at again: its pull request changes, or its branch loses a change."""

    def change_pace(self, pace: Pace, push_tries: int) -> None:
        """Gather for longer or shorter, and push more or less often, from the next batch on."""
        self.pace, self.branches.push_tries = pace, push_tries
        self._tell_workers(pace)

    async def run(self) -> None:
        """Write until cancelled; what waits then is still written, once."""
        async with asyncio.TaskGroup() as tasks:
            to_branches = KeyedWorkers[BranchKey, UpdateDecided](
                "write",
                tasks,
                self.branches.write,
                self.pace,
                self.branches_at_once,
                self.leadership.held,
                server_of=lambda key: key.repository.partition("/")[0],
            )
            to_applications = KeyedWorkers[ApplicationName, UpdateDecided](
                "patch",
                tasks,
                self.patcher.write,
                replace(self.pace, linger=0),
                _APPLICATIONS_AT_ONCE,
                self.leadership.held,
            )

            def tell(pace: Pace) -> None:
                to_branches.pace, to_applications.pace = pace, replace(pace, linger=0)

            self._tell_workers = tell
            try:
                while True:
                    message = await self.inbox.get()
                    if isinstance(message, ReviewMoved):
                        for decided in self._still_asked(message.identities):
                            self._put(decided, to_branches, to_applications)
                    else:
                        self._withdraw(message.identity, to_branches, to_applications)
                        if isinstance(message, UpdateDecided):
                            self._put(message, to_branches, to_applications)
                        else:
                            for decided in self._still_asked(self.branches.forget(message.identity)):
                                self._put(decided, to_branches, to_applications)
                    self.inbox.task_done()
            finally:
                self.leadership.stop_waiting()
                await asyncio.gather(to_branches.drain(), to_applications.drain())

    def _still_asked(self, identities: Iterable[ImageIdentity]) -> list[UpdateDecided]:
        """Give what was last decided for images, unless it was withdrawn."""
        return [self._proposed[each] for each in identities if each in self._proposed]

    def _put(
        self,
        decided: UpdateDecided,
        to_branches: KeyedWorkers[BranchKey, UpdateDecided],
        to_applications: KeyedWorkers[ApplicationName, UpdateDecided],
    ) -> None:
        target = decided.image.target
        if isinstance(target, GitTarget):
            key = self.branches.key(target.branch)
            self._places[decided.identity] = key
            to_branches.put(key, decided.identity, decided)
            if target.branch.target or target.branch.pull_request:
                self._proposed[decided.identity] = decided
        else:
            self._places[decided.identity] = target.application
            to_applications.put(target.application, decided.identity, decided)

    def _withdraw(
        self,
        identity: ImageIdentity,
        from_branches: KeyedWorkers[BranchKey, UpdateDecided],
        from_applications: KeyedWorkers[ApplicationName, UpdateDecided],
    ) -> None:
        place = self._places.pop(identity, None)
        self._proposed.pop(identity, None)
        if isinstance(place, BranchKey):
            from_branches.withdraw(place, identity)
        elif place is not None:
            from_applications.withdraw(place, identity)
