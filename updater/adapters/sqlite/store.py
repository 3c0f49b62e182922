"""What survives a restart: image metadata, tags, due times and writes, in one SQLite file."""

import asyncio
import re
import sqlite3
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from functools import lru_cache, partial
from pathlib import Path
from typing import NamedTuple

import msgspec

from updater.adapters.sqlite.database import Database, typed_rows
from updater.adapters.sqlite.handover import UnusableHandover, hand_over, take_over
from updater.domain.application import ApplicationName
from updater.domain.candidates import Build, Snapshot, TagRecord
from updater.domain.decision import Memory
from updater.domain.errors import Misconfigured, StoreError
from updater.domain.image import ImageVersion, Repository
from updater.domain.platform import Platform
from updater.domain.polling import PollKey
from updater.domain.secrets import parse_credential_source
from updater.domain.target import Target
from updater.ports.memory import PendingWrite
from updater.ports.registry import Due

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)
_MANY = 1_000
"""Tags; more are compared beside the loop."""
_DAY = timedelta(days=1)
_FORGOTTEN_AFTER_DAYS = 180
"""What nobody asked for this long is of images that are not tracked any more."""

_MOST_BUILDS = 500_000
"""Some 150 MB; beyond that, what was not used for the longest goes."""

_USERINFO = re.compile(r"(?<=://)[^/\s]*@")

_decode_builds = msgspec.json.Decoder(tuple[Build, ...]).decode


class SqliteStore:
    """Implements `ImageMetadata`, `TagMemory`, `DueTimes` and `WriteMemory`; every method may raise StoreError."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._forgotten_on = 0
        self.handover_version = 0

    @classmethod
    async def open(cls, path: Path) -> "SqliteStore":
        """Open the database, or begin a new one; one that cannot be read is set aside, and an error is logged.

        Raises:
            StoreError: the path cannot be used.
        """
        store = cls(await Database.open(path))
        try:
            await store._forget_unused()
        except BaseException:
            await store.close()
            raise
        return store

    async def close(self) -> None:
        await self._database.close()

    async def ping(self) -> None:
        """Write something that changes nothing.

        Raises:
            StoreError: the database cannot be written.
        """
        async with self._database.transaction() as connection:
            [(version,)] = await connection.execute_fetchall("PRAGMA user_version")
            await connection.execute(f"PRAGMA user_version = {int(version)}")

    async def builds(self, digests: Sequence[str], platforms: Sequence[Platform]) -> Mapping[str, tuple[Build, ...]]:
        rows = await self._database.rows(
            "SELECT digest, builds, used_on FROM builds WHERE platforms = ?"
            " AND digest IN (SELECT value FROM json_each(?))",
            (_platforms(platforms), msgspec.json.encode(digests).decode()),
            tuple[str, bytes, int],
        )
        stale = [digest for digest, _, used_on in rows if used_on != _today()]
        if stale:
            await self._mark_used(stale, platforms)
        return {digest: _decode_builds(stored) for digest, stored, _ in rows}

    async def remember_builds(self, digest: str, platforms: Sequence[Platform], builds: Sequence[Build]) -> None:
        row = (digest, _platforms(platforms), msgspec.json.encode(builds), _today())
        async with self._database.transaction() as connection:
            await connection.execute("INSERT OR REPLACE INTO builds VALUES (?, ?, ?, ?)", row)
        if self._forgotten_on != _today():
            await self._forget_unused()

    async def remembered(self, repository: Repository) -> Sequence[TagRecord]:
        rows = await self._database.rows(
            "SELECT tag, digest, first_seen, pushed FROM tags WHERE host = ? AND repository = ?",
            (repository.host, repository.name),
            tuple[str, str, int | None, int | None],
        )
        return [
            TagRecord(tag, digest, None, _optional_moment(pushed), _optional_moment(first_seen))
            for tag, digest, first_seen, pushed in rows
        ]

    async def record(self, key: PollKey, snapshot: Snapshot) -> Snapshot:
        place = (key.repository.host, key.repository.name)
        async with self._database.transaction() as connection:
            rows = await connection.execute_fetchall(
                "SELECT tag, digest, first_seen, pushed FROM tags WHERE host = ? AND repository = ?", place
            )
            work = partial(_changes, place, rows, snapshot)
            changes = await asyncio.to_thread(work) if len(snapshot.tags) > _MANY else work()
            if changes.new:
                self.handover_version += 1
            if changes.changed:
                insert = "INSERT OR REPLACE INTO tags VALUES (?, ?, ?, ?, ?, ?)"
                await connection.executemany(insert, changes.changed)
            if changes.gone:
                delete = "DELETE FROM tags WHERE host = ? AND repository = ? AND tag = ?"
                await connection.executemany(delete, changes.gone)
        return changes.snapshot

    async def due_times(self) -> Mapping[PollKey, Due]:
        rows = await self._database.rows(
            "SELECT host, repository, credentials, polled_at, due_at FROM due",
            (),
            tuple[str, str, str, int, int],
        )
        try:
            return {
                PollKey(Repository(host, name), parse_credential_source(credentials) if credentials else None): Due(
                    _moment(polled_at), _moment(due_at)
                )
                for host, name, credentials, polled_at, due_at in rows
            }
        except (Misconfigured, OverflowError) as error:
            raise StoreError(f"when looks are due is not what was stored: {error}") from None

    async def set_due(self, key: PollKey, due: Due) -> None:
        credentials = str(key.credentials) if key.credentials else ""
        times = (_microseconds(due.polled_at), _microseconds(due.due_at))
        row = (key.repository.host, key.repository.name, credentials, *times)
        async with self._database.transaction() as connection:
            await connection.execute("INSERT OR REPLACE INTO due VALUES (?, ?, ?, ?, ?)", row)

    async def memory(self, name: ApplicationName, alias: str, target: Target) -> Memory:
        rows = await self._database.rows(
            "SELECT written_tag, written_digest, rejected_tag, rejected_digest, released_tag, released_digest,"
            " declined_in, written_at FROM writes"
            " WHERE namespace = ? AND application = ? AND alias = ? AND target = ?",
            _place(name, alias, target),
            tuple[str, str, str, str, str, str, str, int | None],
        )
        for written, digest, rejected, rejected_digest, released, released_digest, declined_in, at in rows:
            return Memory(
                ImageVersion(written, digest),
                ImageVersion(rejected, rejected_digest),
                ImageVersion(released, released_digest),
                declined_in,
                _optional_moment(at),
            )
        return Memory()

    async def begin(self, pending: Mapping[ApplicationName, Sequence[PendingWrite]]) -> None:
        rows = [
            (*_place(name, each.alias, each.target), each.version.tag, each.version.digest, each.commit)
            for name, writes in pending.items()
            for each in writes
        ]
        async with self._database.transaction(durable=True) as connection:
            await connection.executemany("INSERT OR REPLACE INTO pending VALUES (?, ?, ?, ?, ?, ?, ?)", rows)

    async def pending(self, name: ApplicationName, alias: str, target: Target) -> PendingWrite | None:
        rows = await self._database.rows(
            "SELECT tag, digest, pushed_commit FROM pending"
            " WHERE namespace = ? AND application = ? AND alias = ? AND target = ?",
            _place(name, alias, target),
            tuple[str, str, str],
        )
        for tag, digest, commit in rows:
            return PendingWrite(target, alias, ImageVersion(tag, digest), commit)
        return None

    async def written(
        self,
        name: ApplicationName,
        alias: str,
        target: Target,
        version: ImageVersion,
        commit: str,
        at: datetime,
    ) -> None:
        await self.finish({name: [PendingWrite(target, alias, version, commit)]}, at)

    async def finish(self, writes: Mapping[ApplicationName, Sequence[PendingWrite]], at: datetime) -> None:
        """Record confirmed writes; what was pending or rejected at their places is settled by them.

        A version that had been rejected and is written all the same counts as released.
        """
        rows = [
            (*_place(name, each.alias, each.target), each.version.tag, each.version.digest, each.commit)
            for name, of_one in writes.items()
            for each in of_one
        ]
        if not rows:
            return
        self.handover_version += 1
        async with self._database.transaction(durable=True) as connection:
            await connection.executemany(
                "INSERT INTO writes (namespace, application, alias, target,"
                " written_tag, written_digest, written_commit, written_at) VALUES (?, ?, ?, ?, ?, ?, ?, ?)"
                " ON CONFLICT DO UPDATE SET (released_tag, released_digest) = ("
                " SELECT rejected_tag, rejected_digest"
                " WHERE (rejected_tag, rejected_digest) = (excluded.written_tag, excluded.written_digest)"
                " UNION ALL SELECT released_tag, released_digest LIMIT 1),"
                " written_tag = excluded.written_tag, written_digest = excluded.written_digest,"
                " written_commit = excluded.written_commit, written_at = excluded.written_at,"
                " rejected_tag = '', rejected_digest = '', declined_in = ''",
                [(*row, _microseconds(at)) for row in rows],
            )
            await connection.executemany(
                "DELETE FROM pending WHERE namespace = ? AND application = ? AND alias = ? AND target = ?",
                [row[:4] for row in rows],
            )

    async def rejected(
        self, name: ApplicationName, alias: str, target: Target, version: ImageVersion, declined_in: str = ""
    ) -> None:
        """Record that a person took a version back; when another pull request of it is declined, its release is used.

        The version that an existing row names is compared before it is set.
        """
        self.handover_version += 1
        async with self._database.transaction(durable=True) as connection:
            await connection.execute(
                "INSERT INTO writes (namespace, application, alias, target, rejected_tag, rejected_digest, declined_in)"
                " VALUES (?, ?, ?, ?, ?, ?, ?) ON CONFLICT DO UPDATE SET (released_tag, released_digest) = ("
                " SELECT rejected_tag, rejected_digest"
                " WHERE (rejected_tag, rejected_digest) = (excluded.rejected_tag, excluded.rejected_digest)"
                " AND declined_in <> excluded.declined_in AND excluded.declined_in <> ''"
                " UNION ALL SELECT released_tag, released_digest LIMIT 1),"
                " rejected_tag = excluded.rejected_tag, rejected_digest = excluded.rejected_digest,"
                " declined_in = iif((rejected_tag, rejected_digest) = (excluded.rejected_tag, excluded.rejected_digest)"
                " AND excluded.declined_in = '', declined_in, excluded.declined_in)",
                (*_place(name, alias, target), version.tag, version.digest, declined_in),
            )

    async def forget_release(self, name: ApplicationName, alias: str, target: Target) -> None:
        self.handover_version += 1
        async with self._database.transaction(durable=True) as connection:
            await connection.execute(
                "UPDATE writes SET released_tag = '', released_digest = ''"
                " WHERE namespace = ? AND application = ? AND alias = ? AND target = ?",
                _place(name, alias, target),
            )

    async def hand_over(self) -> bytes:
        return await hand_over(self._database)

    async def take_over(self, handed: bytes) -> None:
        try:
            await take_over(self._database, handed)
        except UnusableHandover as error:
            raise StoreError(f"what other replicas published cannot be used: {error}") from None

    async def _mark_used(self, digests: Sequence[str], platforms: Sequence[Platform]) -> None:
        rows = [(_today(), digest, _platforms(platforms)) for digest in digests]
        async with self._database.transaction() as connection:
            await connection.executemany("UPDATE builds SET used_on = ? WHERE digest = ? AND platforms = ?", rows)

    async def _forget_unused(self) -> None:
        """Forget metadata and repositories that nobody looked at for long; never what was written or rejected."""
        self._forgotten_on = _today()
        day = _today() - _FORGOTTEN_AFTER_DAYS
        async with self._database.transaction() as connection:
            await connection.execute("DELETE FROM builds WHERE used_on < ?", (day,))
            await connection.execute(
                "DELETE FROM builds WHERE (digest, platforms) IN (SELECT digest, platforms FROM builds"
                " ORDER BY used_on DESC LIMIT -1 OFFSET ?)",
                (_MOST_BUILDS,),
            )
            forgotten = await connection.execute_fetchall(
                "DELETE FROM due WHERE due_at < ? RETURNING host, repository",
                (day * (_DAY // _MICROSECOND),),
            )
            await connection.executemany(
                "DELETE FROM tags WHERE host = ?1 AND repository = ?2"
                " AND NOT EXISTS (SELECT 1 FROM due WHERE host = ?1 AND repository = ?2)",
                [tuple(row) for row in forgotten],
            )


class _Tag(NamedTuple):
    """What is stored of a tag."""

    digest: str = ""
    first_seen: int | None = None
    pushed: int | None = None


class _Changes(NamedTuple):
    """What a snapshot changes of what is known, as rows; and the snapshot with what is known."""

    changed: Sequence[tuple[object, ...]]
    gone: Sequence[tuple[str, str, str]]
    new: bool
    """There are tags that were not known."""
    snapshot: Snapshot


def _changes(place: tuple[str, str], rows: Iterable[sqlite3.Row], snapshot: Snapshot) -> _Changes:
    read = typed_rows(rows, tuple[str, str, int | None, int | None])
    known = {tag: _Tag(digest, seen, pushed) for tag, digest, seen, pushed in read}
    merged = _merged(known, snapshot)
    changed = [(*place, tag, *row) for tag, row in merged.items() if known.get(tag) != row]
    gone = [(*place, tag) for tag in known.keys() - merged.keys()] if snapshot.listed else []
    new = snapshot.listed and bool(merged.keys() - known.keys())
    first_seen = {tag: _optional_moment(row.first_seen) for tag, row in merged.items()}
    if any(tag.first_seen != first_seen[tag.name] for tag in snapshot.tags):  # else one copy of many tags is enough
        tags = tuple(replace(tag, first_seen=first_seen[tag.name]) for tag in snapshot.tags)
        return _Changes(changed, gone, new, replace(snapshot, tags=tags))
    return _Changes(changed, gone, new, snapshot)


def _merged(known: Mapping[str, _Tag], snapshot: Snapshot) -> dict[str, _Tag]:
    """Give each tag of a snapshot what was last observed of it, and the time when it was first in a complete list."""
    seen = _microseconds(snapshot.observed_at) if snapshot.listed else None
    merged: dict[str, _Tag] = {}
    for tag in snapshot.tags:
        before = known.get(tag.name, _Tag())
        merged[tag.name] = _Tag(
            tag.digest or before.digest,
            before.first_seen if before.first_seen is not None else _first_seen(tag, seen),
            before.pushed if tag.pushed is None else _microseconds(tag.pushed),
        )
    return merged


def _first_seen(tag: TagRecord, now: int | None) -> int | None:
    return _microseconds(tag.first_seen) if tag.first_seen and now is not None else now


def _place(name: ApplicationName, alias: str, target: Target) -> tuple[str, str, str, str]:
    """Say where a write is remembered: a file keeps its memory when the credentials for it change."""
    return (name.namespace, name.name, alias, _target(target))


def _target(target: Target) -> str:
    """Name a target without the user and password that may stand in its URL."""
    return _USERINFO.sub("", target.identity)


def _platforms(platforms: Sequence[Platform]) -> str:
    return ",".join(sorted({str(platform) for platform in platforms}))


def _microseconds(moment: datetime) -> int:
    return (moment - _EPOCH) // _MICROSECOND


@lru_cache(maxsize=1000)  # a list that came at once has the same time for all of its tags
def _moment(microseconds: int) -> datetime:
    return _EPOCH + microseconds * _MICROSECOND


def _optional_moment(microseconds: int | None) -> datetime | None:
    return None if microseconds is None else _moment(microseconds)


def _today() -> int:
    return (datetime.now(UTC) - _EPOCH) // _DAY
