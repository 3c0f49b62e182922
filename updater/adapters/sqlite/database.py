"""One SQLite file: opened, migrated, set aside when it cannot be read, and written in short transactions.

The file survives the end of the process at any moment. `synchronous` is NORMAL, which syncs at checkpoints alone: a
killed process loses nothing, a machine without power its last seconds, and neither corrupts the file. What must not be
lost even then is written in durable transactions, which wait for the disk.
"""

import asyncio
import sqlite3
from collections.abc import AsyncIterator, Iterable, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from datetime import UTC, datetime
from pathlib import Path
from types import GenericAlias
from typing import TypeVar

import aiosqlite
import msgspec
import structlog

from updater.adapters.sqlite.migrations import MIGRATIONS
from updater.domain.errors import StoreError

log = structlog.get_logger()

Value = str | bytes | int | None
RowT = TypeVar("RowT")

_BUSY_SECONDS = 5.0
_UNUSABLE = frozenset(
    {
        *(sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB, sqlite3.SQLITE_FORMAT),
        *(sqlite3.SQLITE_ERROR, sqlite3.SQLITE_SCHEMA, sqlite3.SQLITE_CONSTRAINT),
    }
)
"""What a file gives as it is opened and migrated that is not as we left it: damage may show as an unknown format, or
as a table that is there already. Whatever else goes wrong then is the volume's fault, or that of who holds the file.
"""
_REMEDIES = {
    sqlite3.SQLITE_BUSY: "another process writes to it: run one updater for each database",
    sqlite3.SQLITE_FULL: "free space on its volume",
    sqlite3.SQLITE_READONLY: "let the updater's user write the file and its directory",
    sqlite3.SQLITE_CANTOPEN: "let the updater's user write the file and its directory",
    sqlite3.SQLITE_IOERR: "check its volume",
    sqlite3.SQLITE_CORRUPT: "restart the updater, which sets it aside and begins a new one",
    sqlite3.SQLITE_NOTADB: "restart the updater, which sets it aside and begins a new one",
}


class _SetAside(Exception):
    """The file is no database that can be used here."""


class Database:
    """One connection that many tasks share; transactions take turns."""

    def __init__(self, path: Path, connection: aiosqlite.Connection) -> None:
        self._path = path
        self._connection = connection
        self._turn = asyncio.Lock()
        self._open = True

    @classmethod
    async def open(cls, path: Path) -> "Database":
        """Open the file, or create it; one that cannot be read is renamed, and a new one begun.

        Raises:
            StoreError: the path cannot be used.
        """
        _make_file(path)
        with _translated(path):
            try:
                return await cls._open_checked(path)
            except _SetAside as reason:
                kept_as = _set_aside(path)
                log.error("store.set_aside", path=str(path), kept_as=str(kept_as), reason=str(reason))  # noqa: TRY400
                _make_file(path)
                return await cls._open_checked(path)

    @classmethod
    async def _open_checked(cls, path: Path) -> "Database":
        # aiosqlite leaves a thread behind that nobody can wait for when the file cannot be opened.
        await asyncio.to_thread(lambda: sqlite3.connect(path).close())
        connection = await aiosqlite.connect(path, timeout=_BUSY_SECONDS, isolation_level=None)
        try:
            await _prepare(connection)
        except BaseException as error:
            await connection.close()
            if isinstance(error, sqlite3.Error) and _code(error) in _UNUSABLE:
                raise _SetAside(str(error)) from None
            if isinstance(error, UnicodeDecodeError):  # sqlite3 quotes the damage in its error, which is no text then
                raise _SetAside("its schema is damaged") from None
            raise
        return cls(path, connection)

    async def close(self) -> None:
        async with self._turn:
            if self._open:
                self._open = False
                await self._connection.close()

    async def rows(self, sql: str, parameters: Sequence[Value], kind: type[RowT]) -> list[RowT]:
        """Read rows of the types that they have, outside of any transaction.

        Raises:
            StoreError
        """
        async with self._turn:
            with _translated(self._path):
                return typed_rows(await self._live().execute_fetchall(sql, parameters), kind)

    @asynccontextmanager
    async def transaction(self, *, durable: bool = False) -> AsyncIterator[aiosqlite.Connection]:
        """Do all of it or nothing, also when the task is cancelled in the middle.

        Statements reach the connection's thread in the order in which they were made, those of a cancelled task too, so
        that the rollback comes after them and before the next transaction.

        Raises:
            StoreError
        """
        async with self._turn:
            with _translated(self._path):
                connection = self._live()
                try:
                    await connection.execute(f"PRAGMA synchronous = {'FULL' if durable else 'NORMAL'}")
                    await connection.execute("BEGIN IMMEDIATE")
                    yield connection
                    await connection.execute("COMMIT")
                except BaseException:
                    await connection.rollback()
                    raise

    def _live(self) -> aiosqlite.Connection:
        if not self._open:
            raise StoreError(f"database {self._path} is closed")
        return self._connection


def typed_rows(rows: Iterable[sqlite3.Row], kind: type[RowT]) -> list[RowT]:
    """Check that rows hold what their columns are declared to hold."""
    typed: list[RowT] = msgspec.convert(rows, GenericAlias(list, (kind,)))
    return typed


async def _prepare(connection: aiosqlite.Connection) -> None:
    """Check the whole file, and bring its schema up to date."""
    await connection.execute("PRAGMA journal_mode = WAL")
    [(version,)] = await connection.execute_fetchall("PRAGMA user_version")
    if version > len(MIGRATIONS):
        raise _SetAside(f"its schema {version} is of a later updater; this one knows {len(MIGRATIONS)}")
    [(found,)] = await connection.execute_fetchall("PRAGMA quick_check(1)")
    if found != "ok":
        raise _SetAside(f"it is damaged: {found}")
    for number, statements in enumerate(MIGRATIONS[version:], start=version + 1):
        await connection.execute("BEGIN IMMEDIATE")
        [(reached,)] = await connection.execute_fetchall("PRAGMA user_version")
        for statement in statements if reached < number else ():  # another process may have been faster
            await connection.execute(statement)
        await connection.execute(f"PRAGMA user_version = {max(number, reached)}")
        await connection.execute("COMMIT")


def _make_file(path: Path) -> None:
    """Create the file and its directory, for its owner alone."""
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        path.touch(mode=0o600)
    except OSError as error:
        raise StoreError(
            f"database {path} cannot be created: {error.strerror}; set state.path to a file in a directory that the "
            "updater's user may write",
        ) from None


def _set_aside(path: Path) -> Path:
    """Rename the file, and the journal that belongs to it and to no other."""
    kept_as = path.with_name(f"{path.name}.{datetime.now(UTC):%Y%m%dT%H%M%S.%fZ}")
    for suffix in ("", "-wal", "-shm"):
        part = path.with_name(path.name + suffix)
        if part.exists():
            part.rename(kept_as.with_name(kept_as.name + suffix))
    return kept_as


@contextmanager
def _translated(path: Path) -> Iterator[None]:
    try:
        yield
    except UnicodeDecodeError as error:
        raise StoreError(f"database {path} has text that is none ({error.reason}): restart, or remove it") from None
    except sqlite3.Error as error:
        remedy = _REMEDIES.get(_code(error), "check the file and its volume")
        raise StoreError(f"database {path}: {error}; {remedy}") from error
    except msgspec.ValidationError as error:
        raise StoreError(f"database {path} holds what no updater wrote: {error}; remove the file") from error
    except OSError as error:
        raise StoreError(f"database {path}: {error.strerror}; check the file and its volume") from error


def _code(error: sqlite3.Error) -> int:
    """Return SQLite's primary result code, -1 for an error of the binding."""
    code = getattr(error, "sqlite_errorcode", None)
    return code & 0xFF if isinstance(code, int) else -1
