"""Helm repositories: an `index.yaml` over HTTP in place of a registry's tag lists.

One index serves all charts of a repository; it is read again only when it changed.
"""

import asyncio
import hashlib
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

from yarl import URL

from updater.adapters.registry.auth import Access
from updater.adapters.registry.endpoint import Endpoint
from updater.adapters.registry.remote import unexpected
from updater.domain.candidates import Build, Snapshot, TagRecord
from updater.domain.errors import DoubtfulList, RegistryError, RepositoryNotFound
from updater.domain.image import Repository
from updater.domain.platform import Platform
from updater.formats.helm_index import Charts, ChartVersion, Malformed, decode_index
from updater.settings.registries import Registries, RegistrySettings, hostname

_INDEX_BYTES = 64 * 2**20
_OK = 200
_NOT_MODIFIED = 304
_NOT_FOUND = 404
_CONFIRMED_AFTER = timedelta(seconds=60)


def helm_settings(registries: Registries, repository: Repository) -> RegistrySettings:
    """Return how a chart's repository is reached: as the registry of the same origin, if one is configured.

    An entry that serves every other image is not meant: its credentials are for its own address.
    """
    url = URL(repository.host)
    entry = registries.serving(Repository(url.authority, f"{url.path.strip('/')}/{repository.name}".lstrip("/")))
    if URL(entry.api_url).origin() != url.origin():
        authority = registries.authorities.get(hostname(url.authority), "")
        entry = RegistrySettings(url.authority, repository.host, ca_data=authority)
    return replace(entry, api_url=repository.host)


@dataclass(slots=True)
class _Told:
    """What was last said of one chart."""

    snapshot: Snapshot
    shrunk: Snapshot | None = None
    """One that is suspiciously short, as it was first seen."""


@dataclass
class HelmRepository:
    """One repository as one identity, and what is known of its charts."""

    endpoint: Endpoint
    access: Access
    own_platform: Platform
    now: Callable[[], datetime]
    _charts: Charts = field(default_factory=dict)
    _etag: str = ""
    _fingerprint: bytes = b""
    _told: dict[str, _Told] = field(default_factory=dict)
    _reading: asyncio.Lock = field(default_factory=asyncio.Lock)

    async def observe(self, chart: Repository) -> Snapshot:
        """Return all versions of a chart; the snapshot of before when nothing changed.

        Raises:
            RepositoryNotFound: the repository has no such chart.
            RegistryError: in any of its kinds.
        """
        async with self._reading:
            await self._read()
        versions = self._charts.get(chart.name)
        if versions is None:
            raise RepositoryNotFound(f"has no chart {chart.name}: check the image-list")
        snapshot = Snapshot(chart, tuple(self._record(each) for each in versions), self.now())
        return self._unless_same(chart.name, snapshot)

    async def _read(self) -> None:
        """Read the index, unless it is as it was."""
        headers = {"If-None-Match": self._etag} if self._etag else {}
        answer = await self.endpoint.ask("GET", self.endpoint.url("index.yaml"), self.access, headers, _INDEX_BYTES)
        if answer.status == _NOT_MODIFIED and self._etag:
            return
        if answer.status == _NOT_FOUND:
            raise RegistryError("has no index.yaml: check the address of the Helm repository")
        if answer.status != _OK:
            raise unexpected(answer, "index.yaml")
        fingerprint = hashlib.sha256(answer.body).digest()
        if fingerprint != self._fingerprint:
            try:
                self._charts = await asyncio.to_thread(decode_index, answer.body)
            except Malformed as error:
                raise RegistryError(f"gives an index.yaml that is not understood: {error}") from None
        self._fingerprint, self._etag = fingerprint, answer.headers.get("ETag", "")

    def _record(self, each: ChartVersion) -> TagRecord:
        builds = (Build(self.own_platform, each.created),) if each.created else ()
        return TagRecord(each.version, builds=builds, pushed=each.created)

    def _unless_same(self, chart: str, snapshot: Snapshot) -> Snapshot:
        """Keep what was told before while it holds; believe a list that lost half only when it stays so."""
        told = self._told.setdefault(chart, _Told(snapshot))
        if told.snapshot.tags == snapshot.tags:
            told.shrunk = None
            return told.snapshot
        if len(snapshot.tags) * 2 <= len(told.snapshot.tags):
            self._confirm(told, snapshot)
        self._told[chart] = _Told(snapshot)
        return snapshot

    def _confirm(self, told: _Told, snapshot: Snapshot) -> None:
        """Refuse a list that lost half of its versions or more, until a second look later has them all again."""
        first = told.shrunk
        if first is None or not {tag.name for tag in first.tags}.issubset(tag.name for tag in snapshot.tags):
            first = told.shrunk = snapshot
        left = _CONFIRMED_AFTER - (snapshot.observed_at - first.observed_at)
        if left > timedelta():
            raise DoubtfulList(
                f"lists {len(snapshot.tags)} versions where it had {len(told.snapshot.tags)}: the list shrank, "
                f"and is believed when another look, {_CONFIRMED_AFTER.seconds} s later, says the same",
                left.total_seconds(),
            )
