"""What was written where, over restarts."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from updater.domain.application import ApplicationName
from updater.domain.decision import Memory
from updater.domain.image import ImageVersion
from updater.domain.target import Target


@dataclass(frozen=True, slots=True)
class PendingWrite:
    """A commit that was about to be pushed when it was noted; whether it arrived, the branch tells."""

    target: Target
    alias: str
    version: ImageVersion
    commit: str


class WriteMemory(Protocol):
    """Remembers what was written where; keyed by (application, alias, target)."""

    async def memory(self, name: ApplicationName, alias: str, target: Target) -> Memory: ...

    async def begin(self, pending: Mapping[ApplicationName, Sequence[PendingWrite]]) -> None:
        """Note before a push what it carries, of all applications at once."""
        ...

    async def pending(self, name: ApplicationName, alias: str, target: Target) -> PendingWrite | None: ...

    async def written(
        self,
        name: ApplicationName,
        alias: str,
        target: Target,
        version: ImageVersion,
        commit: str,
        at: datetime,
    ) -> None:
        """Record a confirmed write, and forget that it was pending."""
        ...

    async def finish(self, writes: Mapping[ApplicationName, Sequence[PendingWrite]], at: datetime) -> None:
        """Record the confirmed writes of many applications at once."""
        ...

    async def rejected(
        self, name: ApplicationName, alias: str, target: Target, version: ImageVersion, declined_in: str = ""
    ) -> None:
        """Record that a person took `version` back; `declined_in` is the pull request in which they did so.

        When it was taken back before, in another pull request, the release that let it be proposed again is used up.
        """
        ...

    async def forget_release(self, name: ApplicationName, alias: str, target: Target) -> None:
        """Let a release of the version that was written again count once more."""
        ...
