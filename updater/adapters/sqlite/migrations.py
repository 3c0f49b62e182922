"""The database's schema, as the steps that led to it; `PRAGMA user_version` counts those that were taken.

Steps are only ever added. Times are microseconds since 1970 in UTC, days since 1970 where a day is precise enough.
"""

from collections.abc import Sequence

_FIRST: Sequence[str] = (
    """
    CREATE TABLE builds (
        digest TEXT NOT NULL,
        platforms TEXT NOT NULL,
        builds BLOB NOT NULL,
        used_on INTEGER NOT NULL,
        PRIMARY KEY (digest, platforms)
    ) WITHOUT ROWID
    """,
    """
    CREATE TABLE tags (
        host TEXT NOT NULL,
        repository TEXT NOT NULL,
        tag TEXT NOT NULL,
        digest TEXT NOT NULL,
        first_seen INTEGER,
        PRIMARY KEY (host, repository, tag)
    ) WITHOUT ROWID
    """,
    """
    CREATE TABLE due (
        host TEXT NOT NULL,
        repository TEXT NOT NULL,
        credentials TEXT NOT NULL,
        polled_at INTEGER NOT NULL,
        due_at INTEGER NOT NULL,
        PRIMARY KEY (host, repository, credentials)
    ) WITHOUT ROWID
    """,
    """
    CREATE TABLE writes (
        namespace TEXT NOT NULL,
        application TEXT NOT NULL,
        alias TEXT NOT NULL,
        target TEXT NOT NULL,
        written_tag TEXT NOT NULL DEFAULT '',
        written_digest TEXT NOT NULL DEFAULT '',
        written_commit TEXT NOT NULL DEFAULT '',
        written_at INTEGER,
        rejected_tag TEXT NOT NULL DEFAULT '',
        rejected_digest TEXT NOT NULL DEFAULT '',
        PRIMARY KEY (namespace, application, alias, target)
    ) WITHOUT ROWID
    """,
    """
    CREATE TABLE pending (
        namespace TEXT NOT NULL,
        application TEXT NOT NULL,
        alias TEXT NOT NULL,
        target TEXT NOT NULL,
        tag TEXT NOT NULL,
        digest TEXT NOT NULL,
        pushed_commit TEXT NOT NULL,
        PRIMARY KEY (namespace, application, alias, target)
    ) WITHOUT ROWID
    """,
)

_RELEASES: Sequence[str] = (
    "ALTER TABLE writes ADD COLUMN released_tag TEXT NOT NULL DEFAULT ''",
    "ALTER TABLE writes ADD COLUMN released_digest TEXT NOT NULL DEFAULT ''",
)

_DECLINED: Sequence[str] = ("ALTER TABLE writes ADD COLUMN declined_in TEXT NOT NULL DEFAULT ''",)

_PUSHES: Sequence[str] = ("ALTER TABLE tags ADD COLUMN pushed INTEGER",)

MIGRATIONS: Sequence[Sequence[str]] = (_FIRST, _RELEASES, _DECLINED, _PUSHES)
"""The statements of each step; a step and its number are committed together."""
