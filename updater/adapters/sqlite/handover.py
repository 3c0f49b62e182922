"""What another replica has to know to go on where this one ends.

That is what was written, taken back and released, and when young tags were first seen. The rest it finds out by itself,
as fast and as rightly.
"""

import asyncio
import gzip
import zlib
from datetime import UTC, datetime, timedelta
from typing import NamedTuple

import msgspec

from updater.adapters.sqlite.database import Database

_VERSION = 1
_YOUNG = timedelta(days=30)
"""Older tags pass any minimum age that makes sense."""
_MOST_TAGS = 50_000
"""The youngest ones; what is forgotten waits for its minimum age anew, and is never too early."""
_LARGEST = 64 * 2**20
_LEVEL = 6
"""gzip's highest takes six times as long, for a tenth of the bytes."""


class WriteRow(NamedTuple):
    """A row of `writes`."""

    namespace: str
    application: str
    alias: str
    target: str
    written_tag: str
    written_digest: str
    written_commit: str
    written_at: int | None
    rejected_tag: str
    rejected_digest: str
    released_tag: str
    released_digest: str
    declined_in: str = ""


class SeenRow(NamedTuple):
    """When a tag was first seen, in microseconds since 1970."""

    host: str
    repository: str
    tag: str
    first_seen: int


_WRITES = ", ".join(WriteRow._fields)


class _Handover(msgspec.Struct, array_like=True):
    version: int
    writes: list[WriteRow]
    seen: list[SeenRow]


class UnusableHandover(ValueError):
    """It was not written by an updater of this version."""


async def hand_over(database: Database) -> bytes:
    """Return what another replica has to know; the same bytes as long as nothing changed."""
    since = int((datetime.now(UTC) - _YOUNG).timestamp() * 1_000_000)
    writes = await database.rows(f"SELECT {_WRITES} FROM writes ORDER BY 1, 2, 3, 4", (), WriteRow)  # noqa: S608
    seen = await database.rows(
        "SELECT host, repository, tag, first_seen FROM tags WHERE first_seen >= ?"
        " ORDER BY first_seen DESC, host, repository, tag LIMIT ?",
        (since, _MOST_TAGS),
        SeenRow,
    )
    return await asyncio.to_thread(_encode, _Handover(_VERSION, writes, seen))


async def take_over(database: Database, handed: bytes) -> None:
    """Learn what another replica knew; of a write that both know of, the later one counts.

    Raises:
        UnusableHandover: it cannot be read; nothing was changed.
        StoreError
    """
    learned = await asyncio.to_thread(_decode, handed)
    async with database.transaction(durable=True) as connection:
        await connection.executemany(
            f"INSERT INTO writes ({_WRITES}) VALUES ({', '.join('?' * 13)}) ON CONFLICT DO UPDATE SET"  # noqa: S608
            " (written_tag, written_digest, written_commit, written_at, rejected_tag, rejected_digest,"
            " released_tag, released_digest, declined_in) = (excluded.written_tag, excluded.written_digest,"
            " excluded.written_commit, excluded.written_at, excluded.rejected_tag, excluded.rejected_digest,"
            " excluded.released_tag, excluded.released_digest, excluded.declined_in)"
            " WHERE coalesce(excluded.written_at, 0) >= coalesce(written_at, 0)",
            learned.writes,
        )
        await connection.executemany(
            "INSERT INTO tags (host, repository, tag, digest, first_seen) VALUES (?, ?, ?, '', ?)"
            " ON CONFLICT DO UPDATE SET first_seen = min(coalesce(first_seen, excluded.first_seen),"
            " excluded.first_seen)",
            learned.seen,
        )


def _encode(handover: _Handover) -> bytes:
    return gzip.compress(msgspec.msgpack.encode(handover), _LEVEL, mtime=0)


def _decode(handed: bytes) -> _Handover:
    try:
        unpacker = zlib.decompressobj(wbits=31)
        plain = unpacker.decompress(handed, _LARGEST)
        learned = msgspec.msgpack.decode(plain, type=_Handover)
    except (zlib.error, msgspec.DecodeError, UnicodeDecodeError) as error:
        raise UnusableHandover(str(error)) from None
    if learned.version != _VERSION or not unpacker.eof:
        raise UnusableHandover(f"it is of version {learned.version}, or larger than {_LARGEST >> 20} MiB")
    return learned
