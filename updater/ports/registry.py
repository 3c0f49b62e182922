"""Registries, and what is kept of their answers."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from updater.domain.candidates import Build, Labels, Snapshot, TagRecord
from updater.domain.image import ImageVersion, Repository
from updater.domain.platform import Platform
from updater.domain.polling import PollKey, Wants
from updater.domain.resources import Verification


class Registry(Protocol):
    """Looks into registries."""

    async def observe(self, key: PollKey, wants: Wants) -> Snapshot:
        """Return a complete snapshot, as deep as wanted; the same object again when nothing changed.

        Raises:
            RegistryError: no complete answer could be had; RegistryThrottled carries when to come again.
            Misconfigured: credentials or configuration have to be mended by somebody.
        """
        ...

    def forget(self, key: PollKey) -> None:
        """Drop what was kept from look to look: nobody wants the repository any more."""
        ...

    def interval(self, key: PollKey) -> float | None:
        """Return the seconds between two looks that the registry is configured for; None: as many as usual."""
        ...


class ImageLabels(Protocol):
    """Knows what an image was labelled with by whoever built it."""

    async def labels(self, key: PollKey, version: ImageVersion, platforms: Sequence[Platform]) -> Labels:
        """Return the labels of the first of a version's images that has any, of these platforms, or else our own.

        Raises:
            RegistryError: they could not be read now.
            Misconfigured: credentials or configuration have to be mended by somebody.
        """
        ...


class Signatures(Protocol):
    """Looks whether images are signed."""

    async def check(self, key: PollKey, version: ImageVersion, verification: Verification, namespace: str) -> str:
        """Return why an image is not signed as demanded, or an empty text when it is.

        The key's Secret is in `namespace`.

        Raises:
            RegistryError, ClusterError: whether it is could not be found out now.
            Misconfigured: there is no such key, or nothing that identities could be verified with.
        """
        ...


class ImageMetadata(Protocol):
    """Remembers for ever what a digest stands for: a manifest never changes under its digest."""

    async def builds(self, digests: Sequence[str], platforms: Sequence[Platform]) -> Mapping[str, tuple[Build, ...]]:
        """Return what is known of those of `digests` that were looked into for exactly these platforms."""
        ...

    async def remember_builds(self, digest: str, platforms: Sequence[Platform], builds: Sequence[Build]) -> None: ...


class TagMemory(Protocol):
    """Remembers the last complete list of each repository."""

    async def remembered(self, repository: Repository) -> Sequence[TagRecord]:
        """Return what was last observed of each tag, without its builds."""
        ...

    async def record(self, key: PollKey, snapshot: Snapshot) -> Snapshot:
        """Store a complete snapshot in one transaction and return it with the first-seen times filled in."""
        ...


@dataclass(frozen=True, slots=True)
class Due:
    """When a repository was looked at, and when it is to be looked at again."""

    polled_at: datetime
    due_at: datetime


class DueTimes(Protocol):
    """Remembers when each poll is due, so that a restart neither bunches nor skips."""

    async def due_times(self) -> Mapping[PollKey, Due]: ...

    async def set_due(self, key: PollKey, due: Due) -> None: ...
