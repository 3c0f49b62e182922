"""Copy the database of another process, also while that writes to it."""

import sqlite3
from contextlib import closing
from pathlib import Path

import structlog

log = structlog.get_logger()


def copy_database(source: Path, target: Path) -> None:
    """Copy what is committed; nothing when there is no database, and a warning when it cannot be read."""
    if not source.exists():
        return
    try:
        with (
            closing(sqlite3.connect(f"{source.absolute().as_uri()}?mode=ro", uri=True)) as theirs,
            closing(sqlite3.connect(target)) as ours,
        ):
            theirs.backup(ours)
    except sqlite3.Error as error:
        log.warning("store.not_copied", path=str(source), reason=str(error))
        target.unlink(missing_ok=True)
