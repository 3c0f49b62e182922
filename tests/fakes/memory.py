"""A store in plain dictionaries, for tests of what stands in front of the real one."""

from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime

from updater.domain.application import ApplicationName
from updater.domain.candidates import Build, Snapshot, TagRecord
from updater.domain.decision import Memory
from updater.domain.image import ImageVersion, Repository
from updater.domain.platform import Platform
from updater.domain.polling import PollKey
from updater.domain.target import Target
from updater.ports.memory import PendingWrite
from updater.ports.registry import Due


@dataclass
class MemoryStore:
    """ImageMetadata, TagMemory, DueTimes and WriteMemory in one; a test may look inside and set things up there."""

    known_builds: dict[Hashable, tuple[Build, ...]] = field(default_factory=dict)
    """By digest and platforms."""
    known_tags: dict[Repository, dict[str, TagRecord]] = field(default_factory=dict)
    due: dict[PollKey, Due] = field(default_factory=dict)
    memories: dict[Hashable, Memory] = field(default_factory=dict)
    """By application, alias and target, as the pending writes are."""
    pending_writes: dict[Hashable, PendingWrite] = field(default_factory=dict)
    commits: dict[Hashable, tuple[str, datetime]] = field(default_factory=dict)
    """Of the confirmed writes, and when they were confirmed."""

    async def builds(self, digests: Sequence[str], platforms: Sequence[Platform]) -> Mapping[str, tuple[Build, ...]]:
        wanted = frozenset(platforms)
        return {
            digest: self.known_builds[digest, wanted] for digest in digests if (digest, wanted) in self.known_builds
        }

    async def remember_builds(self, digest: str, platforms: Sequence[Platform], builds: Sequence[Build]) -> None:
        self.known_builds[digest, frozenset(platforms)] = tuple(builds)

    async def remembered(self, repository: Repository) -> Sequence[TagRecord]:
        return list(self.known_tags.get(repository, {}).values())

    async def record(self, key: PollKey, snapshot: Snapshot) -> Snapshot:
        before = self.known_tags.get(key.repository, {})
        seen = snapshot.observed_at if snapshot.listed else None
        tags = tuple(_merged(before.get(tag.name), tag, seen) for tag in snapshot.tags)
        kept = {} if snapshot.listed else before
        self.known_tags[key.repository] = {
            **kept,
            **{tag.name: _with_last_words(before.get(tag.name), tag) for tag in tags},
        }
        return replace(snapshot, tags=tags)

    async def due_times(self) -> Mapping[PollKey, Due]:
        return dict(self.due)

    async def set_due(self, key: PollKey, due: Due) -> None:
        self.due[key] = due

    async def memory(self, name: ApplicationName, alias: str, target: Target) -> Memory:
        return self.memories.get((name, alias, target), Memory())

    async def begin(self, pending: Mapping[ApplicationName, Sequence[PendingWrite]]) -> None:
        for name, writes in pending.items():
            self.pending_writes |= {(name, each.alias, each.target): each for each in writes}

    async def pending(self, name: ApplicationName, alias: str, target: Target) -> PendingWrite | None:
        return self.pending_writes.get((name, alias, target))

    async def written(
        self,
        name: ApplicationName,
        alias: str,
        target: Target,
        version: ImageVersion,
        commit: str,
        at: datetime,
    ) -> None:
        key = (name, alias, target)
        before = self.memories.get(key, Memory())
        released = version if before.rejected == version else before.released
        self.memories[key] = Memory(written=version, released=released, written_at=at)
        self.commits[key] = (commit, at)
        self.pending_writes.pop(key, None)

    async def finish(self, writes: Mapping[ApplicationName, Sequence[PendingWrite]], at: datetime) -> None:
        for name, of_one in writes.items():
            for each in of_one:
                await self.written(name, each.alias, each.target, each.version, each.commit, at)

    async def rejected(
        self, name: ApplicationName, alias: str, target: Target, version: ImageVersion, declined_in: str = ""
    ) -> None:
        key = (name, alias, target)
        before = self.memories.get(key, Memory())
        again = before.rejected == version and declined_in not in ("", before.declined_in)
        released = version if again else before.released
        where = declined_in or (before.declined_in if before.rejected == version else "")
        self.memories[key] = replace(before, rejected=version, declined_in=where, released=released)

    async def forget_release(self, name: ApplicationName, alias: str, target: Target) -> None:
        key = (name, alias, target)
        self.memories[key] = replace(self.memories[key], released=ImageVersion())


def _merged(before: TagRecord | None, tag: TagRecord, seen: datetime | None) -> TagRecord:
    return replace(tag, first_seen=(before.first_seen if before else None) or seen)


def _with_last_words(before: TagRecord | None, tag: TagRecord) -> TagRecord:
    """Keep the digest and time of push of an earlier look where this one did not ask for any."""
    known = before or TagRecord(tag.name)
    return replace(tag, digest=tag.digest or known.digest, pushed=tag.pushed or known.pushed)
