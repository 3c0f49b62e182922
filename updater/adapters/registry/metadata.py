"""What stands behind tags: digests, which move, and builds, which never change under their digest."""

import random
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from itertools import islice

from updater.adapters.registry.breaker import NoAnswer
from updater.adapters.registry.parallel import for_each
from updater.adapters.registry.remote import RemoteRepository
from updater.domain.candidates import Build, Labels
from updater.domain.errors import RegistryError, RegistryThrottled
from updater.domain.image import ImageVersion
from updater.domain.platform import Platform, matches
from updater.domain.rhythm import is_over
from updater.formats.oci import ImageManifest, Index, Manifest, NoImage
from updater.ports.registry import ImageMetadata

_CHECKED_EVERY = timedelta(minutes=10)
"""After which it is looked again where a tag points to."""
_MOVING_CHECKED_EVERY = timedelta(minutes=1)
"""The same for a tag that has moved before."""
_LONG_AGO = datetime.min.replace(tzinfo=UTC)
_FEWEST_CHECKS = 50
_ROUNDS_FOR_ALL = 30
"""Looks after which all tags of a large repository were checked, at the latest."""
_CHUNK = 20
"""New tags whose metadata is complete before that of the next is begun: progress survives a failure."""
_MOST_IMAGES = 50
_DEEPEST = 3


@dataclass(slots=True)
class _Pointer:
    """Where a tag points to."""

    digest: str
    checked_at: datetime
    moves: bool = False
    """It has pointed elsewhere before."""


@dataclass(slots=True)
class Metadata:
    """Everything found out about the tags of one repository."""

    memory: ImageMetadata
    now: Callable[[], datetime]
    _pointers: dict[str, _Pointer] = field(default_factory=dict)
    _builds: dict[tuple[str, Platform], tuple[Build, ...]] = field(default_factory=dict)

    def restore(self, digests: Mapping[str, str]) -> None:
        """Begin with what an earlier run knew, to be checked little by little."""
        now = self.now()
        for tag, digest in digests.items():
            if digest:
                checked_at = now - _CHECKED_EVERY * random.random()  # noqa: S311 - not a secret
                self._pointers.setdefault(tag, _Pointer(digest, checked_at))

    def forget_all_but(self, tags: Iterable[str]) -> None:
        """Forget what is known of other tags, and of digests that none points to."""
        self._pointers = {tag: self._pointers[tag] for tag in tags if tag in self._pointers}
        digests = {pointer.digest for pointer in self._pointers.values()}
        self._builds = {key: builds for key, builds in self._builds.items() if key[0] in digests}

    def doubt(self, tags: Iterable[str]) -> None:
        """Have it looked at in the next round where tags point to."""
        for tag in tags:
            if tag in self._pointers:
                self._pointers[tag].checked_at = _LONG_AGO

    def learn(self, tag: str, digest: str) -> None:
        """Take the registry's own word for where a tag points to now."""
        self._point(tag, digest)

    def learn_builds(self, digest: str, builds: Sequence[Build], platforms: Sequence[Platform]) -> None:
        """Take the registry's own word for what is behind a digest; it comes in each round, so nothing is stored."""
        for platform in platforms:
            serving = tuple(build for build in builds if matches(build.platform, platform))
            self._builds.setdefault((digest, platform), serving)

    def digest(self, tag: str) -> str:
        return self._pointers[tag].digest if tag in self._pointers else ""

    def builds(self, tag: str, platforms: Collection[Platform]) -> tuple[Build, ...]:
        found = {build for platform in platforms for build in self._builds.get((self.digest(tag), platform), ())}
        return tuple(sorted(found, key=lambda build: (build.platform, str(build.created))))

    async def look_at_digests(self, remote: RemoteRepository, tags: Collection[str]) -> frozenset[str]:
        """Find out where tags point to now; return those that exist."""

        async def look(tag: str) -> None:
            digest = await remote.digest(tag, self.digest(tag))
            if digest is None:
                self._pointers.pop(tag, None)
            else:
                self._point(tag, digest)

        await for_each(tags, look, remote.endpoint.settings.concurrency)
        return frozenset(tag for tag in tags if tag in self._pointers)

    async def look_into(self, remote: RemoteRepository, tags: Sequence[str], platforms: Sequence[Platform]) -> None:
        """Make digests and builds of all the tags known; a tag without a manifest has neither.

        Raises:
            RegistryError: something that is there could not be read.
        """
        await for_each(self._due(tags), lambda tag: self._check(remote, tag), remote.endpoint.settings.concurrency)
        new = iter([tag for tag in tags if tag not in self._pointers])
        while chunk := list(islice(new, _CHUNK)):
            manifests = await self._manifests_of(remote, chunk)
            await self._complete(remote, chunk, manifests, platforms)
        await self._complete(remote, tags, {}, platforms)

    async def labels(self, remote: RemoteRepository, version: ImageVersion, platforms: Sequence[Platform]) -> Labels:
        """Return the labels of a version's first image that has any; each digest is read once in a lifetime.

        Raises:
            RegistryError: they could not be read.
        """
        digest = version.digest or self.digest(version.tag) or await remote.digest(version.tag)
        if not digest:
            return ()
        for missing in await self._recall([digest], platforms):
            await self._read(remote, missing, None, platforms)
        builds = [build for platform in platforms for build in self._builds.get((digest, platform), ())]
        return next((build.labels for build in builds if build.labels), ())

    def _due(self, tags: Sequence[str]) -> list[str]:
        """Choose the tags to be checked in this round: those that move, and those not checked for the longest."""
        now = self.now()
        due = []
        for tag in tags:
            pointer = self._pointers.get(tag)
            if pointer is not None:
                every = _MOVING_CHECKED_EVERY if pointer.moves else _CHECKED_EVERY
                if is_over(pointer.checked_at, every, now):
                    due.append((not pointer.moves, pointer.checked_at, tag))
        return [tag for *_, tag in sorted(due)[: max(_FEWEST_CHECKS, len(tags) // _ROUNDS_FOR_ALL)]]

    async def _check(self, remote: RemoteRepository, tag: str) -> None:
        digest = await remote.digest(tag, self.digest(tag))
        if digest is None:
            del self._pointers[tag]  # if it says so again, the tag leads nowhere, as a new one may
            raise RegistryError(f"lists tag {tag}, and has no manifest of it any more")
        self._point(tag, digest)

    def _point(self, tag: str, digest: str) -> None:
        before = self._pointers.get(tag)
        moves = before is not None and (before.moves or before.digest != digest)
        self._pointers[tag] = _Pointer(digest, self.now(), moves)

    async def _manifests_of(self, remote: RemoteRepository, tags: Sequence[str]) -> Mapping[str, Manifest]:
        """Find out where new tags point to; return the manifests, by their digests."""
        manifests: dict[str, Manifest] = {}

        async def look(tag: str) -> None:
            described = await remote.manifest(tag)
            if described is not None:
                manifests[described.digest] = described.manifest
                self._point(tag, described.digest)

        await for_each(tags, look, remote.endpoint.settings.concurrency)
        return manifests

    async def _complete(
        self,
        remote: RemoteRepository,
        tags: Sequence[str],
        manifests: Mapping[str, Manifest],
        platforms: Sequence[Platform],
    ) -> None:
        """Make the builds of all digests known that the tags point to; some manifests are at hand."""

        async def read(digest: str) -> None:
            try:
                await self._read(remote, digest, manifests.get(digest), platforms)
            except (NoAnswer, RegistryThrottled):
                raise
            except RegistryError as error:
                tag = next(tag for tag in tags if self.digest(tag) == digest)
                raise type(error)(
                    f"{error}; that is tag {tag}: push it again, or leave it out by ignore-tags"
                ) from error

        missing = await self._recall({self.digest(tag) for tag in tags} - {""}, platforms)
        await for_each(missing, read, remote.endpoint.settings.concurrency)

    async def _recall(self, digests: Collection[str], platforms: Sequence[Platform]) -> frozenset[str]:
        """Take what is remembered; return the digests of which that is not everything."""
        missing: set[str] = set()
        for platform in platforms:
            unknown = [digest for digest in digests if (digest, platform) not in self._builds]
            if unknown:
                remembered = await self.memory.builds(unknown, (platform,))
                self._builds |= {(digest, platform): tuple(builds) for digest, builds in remembered.items()}
                missing |= set(unknown) - set(remembered)
        return frozenset(missing)

    async def _read(
        self,
        remote: RemoteRepository,
        digest: str,
        manifest: Manifest | None,
        platforms: Sequence[Platform],
    ) -> None:
        builds = await _builds(remote, manifest or await _manifest(remote, digest), None, platforms, _DEEPEST)
        for platform in platforms:
            serving = tuple(build for build in builds if matches(build.platform, platform))
            await self.memory.remember_builds(digest, (platform,), serving)
            self._builds[digest, platform] = serving


async def _manifest(remote: RemoteRepository, digest: str) -> Manifest:
    described = await remote.manifest(digest)
    if described is None:
        raise RegistryError(f"has no manifest {digest}, though something points to it")
    return described.manifest


async def _builds(
    remote: RemoteRepository,
    manifest: Manifest,
    said: Platform | None,
    platforms: Sequence[Platform],
    deepest: int,
) -> list[Build]:
    """Read the builds behind a manifest for the wanted platforms; `said` is the platform that an index says it is."""
    match manifest:
        case ImageManifest(config):
            image = await remote.config(config)
            platform = said or image.platform
            return [Build(platform, image.created, image.labels)] if platform and _wanted(platform, platforms) else []
        case Index(children) if deepest:
            wanted = [each for each in children if each.platform is None or _wanted(each.platform, platforms)]
            if len(wanted) > _MOST_IMAGES:
                raise RegistryError(f"gives an index with more than {_MOST_IMAGES} images for the same platforms")
            builds = []
            for child in wanted:
                inner = await _manifest(remote, child.digest)
                builds += await _builds(remote, inner, child.platform, platforms, deepest - 1)
            return builds
        case Index() | NoImage():
            return []


def _wanted(platform: Platform, platforms: Sequence[Platform]) -> bool:
    return any(matches(platform, wanted) for wanted in platforms)
