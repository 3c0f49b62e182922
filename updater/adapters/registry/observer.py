"""Look at one repository again and again, as deep as wanted, and tell whether anything changed."""

import asyncio
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from updater.adapters.registry.catalogue import Catalogue, CatalogueReader
from updater.adapters.registry.metadata import Metadata
from updater.adapters.registry.remote import RemoteRepository
from updater.adapters.registry.tags import TagList, read_tags
from updater.domain.candidates import Snapshot, TagRecord
from updater.domain.contenders import contenders
from updater.domain.errors import DoubtfulList, Misconfigured
from updater.domain.filters import TagFilters
from updater.domain.image import Repository
from updater.domain.platform import Platform
from updater.domain.policy import Policy
from updater.domain.polling import Wants
from updater.domain.ranking import Election, elect
from updater.ports.registry import TagMemory

_CONFIRMED_AFTER = timedelta(seconds=60)
_LARGE = 2_000
"""Tags; electing among more happens beside the loop."""


@dataclass(slots=True)
class Observer:
    """What is known of one repository as one identity: the last complete answer, and what it was made of."""

    repository: Repository
    metadata: Metadata
    tags: TagMemory
    own_platform: Platform
    now: Callable[[], datetime]
    _restored: bool = False
    _listed: TagList | None = None
    _names_before: tuple[str, ...] | None = None
    _count: int = 0
    """Tags in the last complete list."""
    _shrunk: "_Shrunk | None" = None
    """A list that is suspiciously short and not confirmed."""
    _called: str = ""
    """By what name the registry gave the last list that was believed."""
    _renamed: "_Renamed | None" = None
    """A list by the name of another repository, not confirmed."""
    _snapshot: Snapshot | None = None
    _compared: "_Compared | None" = field(default=None)
    _plain: tuple[str, ...] | None = None
    """The list that the snapshot was made of, if of nothing else: while it stays, so does the snapshot."""
    _fresh: dict[str, datetime] = field(default_factory=dict)
    """When tags were first in a complete list that are not in the snapshot."""
    _told: Catalogue | None = None
    """The registry's own list, as it last was."""
    _pushed: dict[str, datetime] = field(default_factory=dict)
    """When tags were pushed, as the registry last told; kept while it does not, so that no order changes by that."""
    _elected: "_Elected | None" = field(default=None)

    async def observe(self, remote: RemoteRepository, wants: Wants, reader: CatalogueReader | None = None) -> Snapshot:
        """Return a complete snapshot; the one of before when nothing changed.

        `reader` reads the registry's own list, where it has one and more than names is wanted.

        Raises:
            RegistryError: in any of its kinds.
            Misconfigured: somebody has to mend something.
        """
        await self._restore()
        listing = wants.names or bool(wants.metadata)
        told = await reader.read(times=wants.times) if listing and reader else None
        names = await self._names(remote, told) if listing else ()
        self.metadata.doubt(wants.hints)
        platforms = self._platforms(wants)
        known = self._learn(told, platforms)
        chosen = await self._contenders(names, wants.winners)
        existing = await self._look_at_digests(remote, wants.digests | chosen, known)
        compared = self._compared_tags(names, wants.metadata)
        await self.metadata.look_into(remote, compared.names, platforms)
        unlisted = sorted(existing.difference(names))
        digests = existing | compared.set
        if self._snapshot is not None and not digests and names is self._plain:
            return self._snapshot
        first_seen = self._first_seen()
        records = tuple(
            TagRecord(
                name,
                self.metadata.digest(name) if name in digests else "",
                self.metadata.builds(name, platforms) if name in compared.set else None,
                self._pushed.get(name),
                first_seen.get(name),
            )
            for name in (*names, *unlisted)
        )
        if listing:
            self.metadata.forget_all_but((*names, *unlisted))
        self._fresh = {} if listing else first_seen
        self._plain = None if digests or told or not listing else names
        return self._unless_same(Snapshot(self.repository, records, self.now(), listed=listing))

    async def _restore(self) -> None:
        if not self._restored:
            remembered = await self.tags.remembered(self.repository)
            self.metadata.restore({tag.name: tag.digest for tag in remembered})
            self._fresh = {tag.name: tag.first_seen for tag in remembered if tag.first_seen}
            self._pushed = {tag.name: tag.pushed for tag in remembered if tag.pushed}
            self._count = len(remembered)
            self._restored = True

    async def _names(self, remote: RemoteRepository, told: Catalogue | None) -> tuple[str, ...]:
        if told is None:
            listed = self._listed = await read_tags(remote, self._listed)
            self._check_name(listed.repository, remote.name)
            names = listed.names
        else:
            names = told.names
        self._check_shrinking(names)
        self._count = len(names)
        if names is not self._names_before:
            now, known = self.now(), self._first_seen()
            self._fresh = {name: known.get(name, now) for name in names}
            self._pushed = {name: at for name, at in self._pushed.items() if name in self._fresh}
            self._names_before = names
        return names

    def _first_seen(self) -> dict[str, datetime]:
        """Tell when each tag was first in a complete list."""
        tags = self._snapshot.tags if self._snapshot is not None else ()
        return {tag.name: tag.first_seen for tag in tags if tag.first_seen} | self._fresh

    def _learn(self, told: Catalogue | None, platforms: Sequence[Platform]) -> frozenset[str]:
        """Take the registry's word for digests and builds; return the tags of which it holds now."""
        if told is None:
            return frozenset()
        before, self._told = self._told.tags if self._told else {}, told
        self._pushed = {tag.name: tag.pushed for tag in told.tags.values() if tag.pushed}
        for tag in told.tags.values():
            if tag.digest and (told.tells_moves or before.get(tag.name) != tag):
                self.metadata.learn(tag.name, tag.digest)
            if tag.digest and tag.builds is not None:
                self.metadata.learn_builds(tag.digest, tag.builds, platforms)
        return frozenset(name for name, tag in told.tags.items() if tag.digest) if told.tells_moves else frozenset()

    async def _look_at_digests(
        self, remote: RemoteRepository, tags: frozenset[str], known: frozenset[str]
    ) -> frozenset[str]:
        """Find out where tags point to that the registry's own list did not tell just now; return those that exist."""
        return (tags & known) | await self.metadata.look_at_digests(remote, tags - known)

    async def _contenders(self, names: tuple[str, ...], policies: frozenset[Policy]) -> frozenset[str]:
        """Elect without metadata, anew only for another list; time alone may make another tag old enough."""
        if not policies:
            return frozenset()
        before = self._elected
        if before is None or before.listed is not names or before.policies != policies:
            first_seen = self._first_seen()
            records = tuple(
                TagRecord(name, pushed=self._pushed.get(name), first_seen=first_seen.get(name)) for name in names
            )
            snapshot = Snapshot(self.repository, records, self.now())
            before = self._elected = _Elected(names, policies, await _elections(policies, snapshot))
        now = self.now()
        return frozenset(tag for election in before.elections for tag in contenders(election, now))

    def _check_name(self, called: str, asked: str) -> None:
        """Refuse a list by another repository's name, as a cache that mixes them up gives, until it stays so."""
        if called and called != self._called and not _may_be_called(asked, called):
            now, first = self.now(), self._renamed
            if first is None or now < first.seen_at or first.called != called:
                first = self._renamed = _Renamed(now, called)
            left = _CONFIRMED_AFTER - (now - first.seen_at)
            if left > timedelta():
                raise DoubtfulList(
                    f"gives the tag list of {called} for that of {asked}, "
                    f"and is believed when another look, {_CONFIRMED_AFTER.seconds} s later, says the same",
                    left.total_seconds(),
                )
        self._called, self._renamed = called, None

    def _check_shrinking(self, names: tuple[str, ...]) -> None:
        """Refuse a list that lost half of its tags or more, until a second look a minute later has them all again."""
        if not self._count or len(names) * 2 > self._count:
            self._shrunk = None
            return
        now, first = self.now(), self._shrunk
        if first is None or now < first.seen_at or not first.names.issubset(names):
            first = self._shrunk = _Shrunk(now, frozenset(names))
        left = _CONFIRMED_AFTER - (now - first.seen_at)
        if left > timedelta():
            raise DoubtfulList(
                f"lists {len(names)} tags where it had {self._count}: the list shrank, "
                f"and is believed when another look, {_CONFIRMED_AFTER.seconds} s later, says the same",
                left.total_seconds(),
            )
        self._shrunk = None

    def _compared_tags(self, names: tuple[str, ...], policies: frozenset[Policy]) -> "_Compared":
        """Choose the tags of which builds are compared; filtering is done again only for another list."""
        before = self._compared
        if before is None or before.listed is not names or before.policies != policies:
            filters = _filters(policies)
            passed = tuple(name for name in names if any(not each.drops(name) for each in filters))
            before = self._compared = _Compared(names, policies, passed, frozenset(passed))
        return before

    def _platforms(self, wants: Wants) -> Sequence[Platform]:
        """Merge the platforms of the policies: one that names none means our own."""
        wanted = {platform for policy in wants.metadata for platform in policy.platforms or (self.own_platform,)}
        return sorted(wanted)

    def _unless_same(self, snapshot: Snapshot) -> Snapshot:
        before = self._snapshot
        if before is None or before.tags != snapshot.tags or before.listed != snapshot.listed:
            self._snapshot = snapshot
            return snapshot
        return before


@dataclass(frozen=True, slots=True)
class _Renamed:
    seen_at: datetime
    called: str


def _may_be_called(asked: str, called: str) -> bool:
    """Tell whether a registry may give a repository's list by a name: those behind proxies know more of it, or less."""
    one, other = f"/{asked.lower()}", f"/{called.lower()}"
    return one.endswith(other) or other.endswith(one)


@dataclass(frozen=True, slots=True)
class _Shrunk:
    seen_at: datetime
    names: frozenset[str]


@dataclass(frozen=True, slots=True)
class _Compared:
    """Which tags of a list pass the filters of which policies."""

    listed: tuple[str, ...]
    policies: frozenset[Policy]
    names: tuple[str, ...]
    set: frozenset[str]


@dataclass(frozen=True, slots=True)
class _Elected:
    """What policies that choose by name make of a list."""

    listed: tuple[str, ...]
    policies: frozenset[Policy]
    elections: tuple[Election, ...]


async def _elections(policies: frozenset[Policy], snapshot: Snapshot) -> tuple[Election, ...]:
    """Elect for each policy; among many tags beside the loop."""
    if len(snapshot.tags) * len(policies) > _LARGE:
        return await asyncio.to_thread(_elect_all, policies, snapshot)
    return _elect_all(policies, snapshot)


def _elect_all(policies: frozenset[Policy], snapshot: Snapshot) -> tuple[Election, ...]:
    """Elect for each policy; one that cannot be followed chooses nothing, and its image is told elsewhere."""
    elections = []
    for policy in policies:
        with suppress(Misconfigured):
            elections.append(elect(policy, snapshot, snapshot.observed_at))
    return tuple(elections)


def _filters(policies: frozenset[Policy]) -> list[TagFilters]:
    """Compile filters; a policy whose filters are malformed gets no candidates, and its image is told elsewhere."""
    compiled = []
    for policy in policies:
        try:
            compiled.append(TagFilters.of(policy))
        except Misconfigured:
            continue
    return compiled
