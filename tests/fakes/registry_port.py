"""A registry in memory behind the port itself, for tests of the stages."""

import hashlib
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime

from updater.domain.candidates import Build, Labels, Snapshot, TagRecord
from updater.domain.errors import RepositoryNotFound, UpdaterError
from updater.domain.image import ImageVersion, Repository
from updater.domain.platform import Platform
from updater.domain.polling import PollKey, Wants
from updater.domain.references import parse_reference
from updater.domain.secrets import CredentialSource

_AT = datetime(2026, 1, 1, tzinfo=UTC)


@dataclass
class InMemoryRegistry:
    """Implements `Registry`: complete snapshots at once, or the error it was told to give."""

    tags: dict[Repository, dict[str, TagRecord]] = field(default_factory=dict)
    errors: dict[Repository, UpdaterError | Exception] = field(default_factory=dict)
    looks: Counter[Repository] = field(default_factory=Counter)
    labelled: dict[str, Labels] = field(default_factory=dict)
    """What is read of an image when no look had it."""
    labels_read: list[ImageVersion] = field(default_factory=list)
    intervals: dict[Repository, float] = field(default_factory=dict)
    _last: dict[tuple[PollKey, Wants], Snapshot] = field(default_factory=dict)

    def push(
        self, image: str, *tags: str, created: datetime | None = None, digest: str = "", labels: Labels = ()
    ) -> None:
        """Add tags, or move them to another digest."""
        repository = parse_reference(image).repository
        builds = (Build(Platform("linux", "amd64"), created, labels),) if created else None
        for tag in tags:
            self.tags.setdefault(repository, {})[tag] = TagRecord(
                tag, digest or f"sha256:{hashlib.sha256(tag.encode()).hexdigest()}", builds
            )

    def fail(self, image: str, error: Exception | None) -> None:
        repository = parse_reference(image).repository
        if error is None:
            self.errors.pop(repository, None)
        else:
            self.errors[repository] = error

    def credentials(self, key: PollKey) -> CredentialSource | None:
        return key.credentials

    async def observe(self, key: PollKey, wants: Wants) -> Snapshot:
        self.looks[key.repository] += 1
        if key.repository in self.errors:
            raise self.errors[key.repository]
        if key.repository not in self.tags:
            raise RepositoryNotFound(f"{key.repository} is not known")
        known = self.tags[key.repository]
        tags = tuple(known.values()) if wants.names else tuple(known[tag] for tag in wants.digests if tag in known)
        last = self._last.get((key, wants))
        if last is None or last.tags != tags:
            last = self._last[key, wants] = Snapshot(key.repository, tags, _AT, listed=wants.names)
        return last

    async def labels(self, key: PollKey, version: ImageVersion, platforms: Sequence[Platform]) -> Labels:
        self.labels_read.append(version)
        if key.repository in self.errors:
            raise self.errors[key.repository]
        return self.labelled.get(version.tag, ())

    def forget(self, key: PollKey) -> None:
        """Keep everything: what a test looks at afterwards is not the registry's memory."""

    def interval(self, key: PollKey) -> float | None:
        return self.intervals.get(key.repository)
