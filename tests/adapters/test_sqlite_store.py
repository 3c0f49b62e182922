"""The SQLite store: what it remembers, what it survives, and how it fails."""

import asyncio
import os
import sqlite3
import subprocess
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, closing
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from updater.adapters.sqlite import store as store_module
from updater.adapters.sqlite.migrations import MIGRATIONS
from updater.adapters.sqlite.store import SqliteStore
from updater.domain.application import ApplicationName
from updater.domain.candidates import Build, Snapshot, TagRecord
from updater.domain.decision import Memory
from updater.domain.errors import StoreError
from updater.domain.image import ImageVersion, Repository
from updater.domain.platform import Platform
from updater.domain.polling import PollKey
from updater.domain.secrets import parse_credential_source
from updater.domain.target import Branch, FileKind, GitTarget
from updater.ports.memory import PendingWrite
from updater.ports.registry import Due

NOW = datetime.now(UTC)
REPOSITORY = Repository("registry.example.com:5000", "team/app")
KEY = PollKey(REPOSITORY)
NAME = ApplicationName("argocd", "demo")
TARGET = GitTarget(Branch("https://git.example.com/a.git", "main", "repocreds"), "a/values.yaml", FileKind.HELM_VALUES)
AMD64 = Platform("linux", "amd64")
V2 = ImageVersion("v2.0")


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "state.db"


@asynccontextmanager
async def opened(path: Path) -> AsyncIterator[SqliteStore]:
    store = await SqliteStore.open(path)
    try:
        yield store
    finally:
        await store.close()


def snapshot(*tags: str, at: datetime = NOW, listed: bool = True, digest: str = "") -> Snapshot:
    return Snapshot(REPOSITORY, tuple(TagRecord(tag, digest) for tag in tags), at, listed=listed)


def _content(path: Path) -> bytes:
    return path.read_bytes()


async def digests(store: SqliteStore, repository: Repository) -> dict[str, str]:
    return {tag.name: tag.digest for tag in await store.remembered(repository)}


async def test_a_restart_returns_the_same(path: Path) -> None:
    build = Build(AMD64, NOW, (("org.opencontainers.image.revision", "4f1c2ab"),))
    due = Due(NOW, NOW + timedelta(minutes=2))
    secret_key = PollKey(REPOSITORY, parse_credential_source("secret:argocd/acr#acr"))
    pending = PendingWrite(TARGET, "other", ImageVersion("v3", "sha256:1"), "c0ffee")
    async with opened(path) as store:
        await store.remember_builds("sha256:1", [AMD64], [build])
        await store.record(KEY, snapshot("v1", digest="sha256:1"))
        await store.set_due(KEY, due)
        await store.set_due(secret_key, replace(due, polled_at=NOW + timedelta(1)))
        await store.written(NAME, "app", TARGET, V2, "deadbeef", NOW)
        await store.rejected(NAME, "app", TARGET, ImageVersion("v3"))
        await store.begin({NAME: [pending]})
    async with opened(path) as store:
        assert await store.builds(["sha256:1", "sha256:2"], [AMD64]) == {"sha256:1": (build,)}
        assert await digests(store, REPOSITORY) == {"v1": "sha256:1"}
        later = await store.record(KEY, snapshot("v1", at=NOW + timedelta(days=9)))
        assert later.tags[0].first_seen == NOW
        assert await store.due_times() == {KEY: due, secret_key: replace(due, polled_at=NOW + timedelta(1))}
        remembered = await store.memory(NAME, "app", TARGET)
        assert (remembered, remembered.written_at) == (Memory(V2, ImageVersion("v3")), NOW)
        assert await store.pending(NAME, "other", TARGET) == pending


async def test_rejected_version_that_is_written_again_is_remembered_as_released(path: Path) -> None:
    async with opened(path) as store:
        await store.written(NAME, "app", TARGET, V2, "c0ffee", NOW)
        await store.rejected(NAME, "app", TARGET, V2)
        await store.written(NAME, "app", TARGET, V2, "deadbeef", NOW)
        assert await store.memory(NAME, "app", TARGET) == Memory(V2, released=V2)
        await store.written(NAME, "app", TARGET, ImageVersion("v3"), "deadbeef", NOW)
    async with opened(path) as store:
        assert await store.memory(NAME, "app", TARGET) == Memory(ImageVersion("v3"), released=V2)
        await store.forget_release(NAME, "app", TARGET)
        assert await store.memory(NAME, "app", TARGET) == Memory(ImageVersion("v3"))


async def test_writes_of_many_applications_are_one_transaction(path: Path) -> None:
    applications = [NAME._replace(name=f"app-{number}") for number in range(500)]
    writes = {name: [PendingWrite(TARGET, "app", V2, "c0ffee")] for name in applications}
    async with opened(path) as store:
        commits: list[str] = []
        await store._database._connection.set_trace_callback(
            lambda sql: commits.append(sql) if sql == "COMMIT" else None
        )
        await store.begin(writes)
        await store.finish(writes, NOW)
        assert len(commits) == 2
        assert store.handover_version == 1
        assert {await store.pending(name, "app", TARGET) for name in applications} == {None}
        assert {(await store.memory(name, "app", TARGET)).written for name in applications} == {V2}


async def test_nothing_to_finish_changes_nothing(path: Path) -> None:
    async with opened(path) as store:
        await store.finish({}, NOW)
        assert store.handover_version == 0


async def test_an_unchanged_list_writes_nothing(path: Path) -> None:
    async with opened(path) as store:
        await store.record(KEY, snapshot("v1", "v2"))
        before = store._database._connection.total_changes
        await store.record(KEY, snapshot("v2", "v1", at=NOW + timedelta(hours=1)))
        assert store._database._connection.total_changes == before


async def test_a_tag_that_left_the_list_is_new_when_it_comes_back(path: Path) -> None:
    async with opened(path) as store:
        await store.record(KEY, snapshot("v1", "v2"))
        await store.record(KEY, snapshot("v2"))
        again = await store.record(KEY, snapshot("v1", "v2", at=NOW + timedelta(hours=1)))
        assert [tag.first_seen for tag in again.tags] == [NOW + timedelta(hours=1), NOW]


async def test_time_of_push_is_kept_while_the_registry_does_not_tell(path: Path) -> None:
    told = Snapshot(REPOSITORY, (TagRecord("v1", pushed=NOW - timedelta(days=3)), TagRecord("v2")), NOW)
    async with opened(path) as store:
        await store.record(KEY, told)
        await store.record(KEY, snapshot("v1", "v2"))
    async with opened(path) as store:
        assert (await store.remembered(REPOSITORY))[0].pushed == NOW - timedelta(days=3)
        await store.record(KEY, replace(told, tags=(TagRecord("v1", pushed=NOW),)))
        assert (await store.remembered(REPOSITORY))[0].pushed == NOW


async def test_many_tags_are_remembered(path: Path) -> None:
    tags = [f"v1.{number}" for number in range(5_000)]
    async with opened(path) as store:
        await store.record(KEY, snapshot(*tags))
        recorded = await store.record(KEY, snapshot(*tags, "v2", at=NOW + timedelta(hours=1)))
    assert [tag.name for tag in recorded.tags if tag.first_seen != NOW] == ["v2"]


async def test_metadata_of_many_digests_is_found_at_once(path: Path) -> None:
    async with opened(path) as store:
        await store.remember_builds("sha256:7", [AMD64], [])
        digests = [f"sha256:{number}" for number in range(50_000)]
        assert await store.builds(digests, [AMD64]) == {"sha256:7": ()}


async def test_metadata_is_bounded_and_what_was_not_used_for_the_longest_goes(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(store_module, "_MOST_BUILDS", 3)
    digests = [f"sha256:{number}" for number in range(5)]
    async with opened(path) as store:
        for age, digest in enumerate(digests):
            await store.remember_builds(digest, [AMD64], [])
            days = int(NOW.timestamp() // 86_400) - age
            async with store._database.transaction() as connection:
                await connection.execute("UPDATE builds SET used_on = ? WHERE digest = ?", (days, digest))
    async with opened(path) as store:
        assert set(await store.builds(digests, [AMD64])) == set(digests[:3])


async def test_unused_metadata_is_forgotten_once_a_day_without_a_restart(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with opened(path) as store:
        await store.remember_builds("sha256:old", [AMD64], [])
        later = int(NOW.timestamp() // 86_400) + 400
        monkeypatch.setattr(store_module, "_today", lambda: later)
        await store.remember_builds("sha256:new", [AMD64], [])
        assert set(await store.builds(["sha256:old", "sha256:new"], [AMD64])) == {"sha256:new"}


async def test_passwords_in_urls_do_not_reach_the_disk(path: Path) -> None:
    target = replace(TARGET, branch=TARGET.branch._replace(url="https://bot:hunter22@git.example.com/a.git"))
    async with opened(path) as store:
        await store.begin({NAME: [PendingWrite(target, "app", V2, "c0ffee")]})
        await store.written(NAME, "app", target, V2, "c0ffee", NOW)
        assert await store.memory(NAME, "app", TARGET) == Memory(V2)
    assert b"hunter22" not in _content(path)


async def test_what_nobody_asks_for_any_more_is_forgotten_but_no_write(path: Path) -> None:
    long_ago = datetime.now(UTC) - timedelta(days=400)
    kept = PollKey(Repository("docker.io", "library/nginx"))
    async with opened(path) as store:
        for key, at in ((KEY, long_ago), (kept, datetime.now(UTC))):
            await store.record(key, replace(snapshot("v1"), repository=key.repository))
            await store.set_due(key, Due(at, at))
        await store.written(NAME, "app", TARGET, V2, "deadbeef", long_ago)
    async with opened(path) as store:
        assert await digests(store, REPOSITORY) == {}
        assert await digests(store, kept.repository) == {"v1": ""}
        assert set(await store.due_times()) == {kept}
        assert await store.memory(NAME, "app", TARGET) == Memory(V2)


async def test_many_tasks_use_it_at_once(path: Path) -> None:
    keys = [PollKey(Repository("docker.io", f"team/app{number}")) for number in range(50)]

    async def use(store: SqliteStore, key: PollKey) -> None:
        await store.record(key, replace(snapshot("v1", "v2"), repository=key.repository))
        await store.set_due(key, Due(NOW, NOW))
        await store.written(NAME, key.repository.name, TARGET, V2, "c0ffee", NOW)

    async with opened(path) as store:
        async with asyncio.TaskGroup() as tasks:
            for key in keys:
                tasks.create_task(use(store, key))
        assert len(await store.due_times()) == len(keys)
        assert all([len(await digests(store, key.repository)) == 2 for key in keys])


async def test_a_task_cancelled_in_the_middle_leaves_all_or_nothing(path: Path) -> None:
    """Cancelled after each possible number of steps, and whatever comes next finds the connection usable."""
    tags = [f"v{number}" for number in range(20)]
    async with opened(path) as store:
        for steps in range(40):
            key = PollKey(Repository("docker.io", f"team/app{steps}"))
            task = asyncio.create_task(store.record(key, replace(snapshot(*tags), repository=key.repository)))
            for _ in range(steps):
                await asyncio.sleep(0)
            task.cancel()
            await asyncio.wait({task})
            assert len(await digests(store, key.repository)) in {0, len(tags)}


async def test_declined_pull_request_is_remembered_and_a_second_one_uses_the_release_up(path: Path) -> None:
    async with opened(path) as store:
        await store.rejected(NAME, "app", TARGET, V2, "https://forge/pulls/1")
        await store.rejected(NAME, "app", TARGET, V2)
    async with opened(path) as store:
        assert await store.memory(NAME, "app", TARGET) == Memory(rejected=V2, declined_in="https://forge/pulls/1")
        await store.rejected(NAME, "app", TARGET, V2, "https://forge/pulls/2")
        again = Memory(rejected=V2, released=V2, declined_in="https://forge/pulls/2")
        assert await store.memory(NAME, "app", TARGET) == again
        await store.written(NAME, "app", TARGET, ImageVersion("v3"), "c0ffee", NOW)
        assert await store.memory(NAME, "app", TARGET) == Memory(ImageVersion("v3"), released=V2)


_KILLED = """
import asyncio, os, sys
from pathlib import Path
from tests.adapters.test_sqlite_store import NAME, KEY, NOW, TARGET, V2, snapshot
from updater.adapters.sqlite.store import SqliteStore
from updater.ports.memory import PendingWrite

async def main() -> None:
    store = await SqliteStore.open(Path(sys.argv[1]))
    await store.begin({NAME: [PendingWrite(TARGET, "app", V2, "c0ffee")]})
    await store.record(KEY, snapshot("v1"))
    async with store._database.transaction() as connection:
        await connection.execute("DELETE FROM tags")
        await connection.execute("DELETE FROM pending")
        os._exit(9)

asyncio.run(main())
"""


async def test_a_process_killed_in_a_transaction_leaves_what_was_committed(path: Path) -> None:
    ended = subprocess.run([sys.executable, "-c", _KILLED, str(path)], check=False, timeout=60)
    assert ended.returncode == 9
    async with opened(path) as store:
        pending = await store.pending(NAME, "app", TARGET)
        assert pending is not None
        assert pending.commit == "c0ffee"
        assert await digests(store, REPOSITORY) == {"v1": ""}


def _no_database(path: Path) -> None:
    path.write_bytes(b"this is a text, and long enough to be taken for one by everybody who looks at it " * 20)


def _damaged(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[4096:-4096] = os.urandom(len(content) - 8192)
    path.write_bytes(content)


def _with_a_schema_that_is_no_text(path: Path) -> None:
    path.write_bytes(path.read_bytes().replace(b"CREATE TABLE ", b"CREATE \xc0\xc1\xfeLE "))


def _cut_off(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:5000])


def _of_a_later_updater(path: Path) -> None:
    with closing(sqlite3.connect(path)) as connection:
        connection.execute(f"PRAGMA user_version = {len(MIGRATIONS) + 1}")


def _with_another_number(path: Path, place: int, number: int) -> None:
    """Change one of the numbers of https://sqlite.org/fileformat.html#the_database_header."""
    content = bytearray(path.read_bytes())
    content[place : place + 4] = number.to_bytes(4, "big")
    path.write_bytes(content)


def _of_an_unknown_format(path: Path) -> None:
    _with_another_number(path, 44, 9)


def _said_to_be_empty(path: Path) -> None:
    _with_another_number(path, 60, 0)


@pytest.mark.parametrize(
    "spoil",
    [
        *(_no_database, _damaged, _with_a_schema_that_is_no_text, _cut_off, _of_a_later_updater),
        *(_of_an_unknown_format, _said_to_be_empty),
    ],
)
async def test_an_unusable_database_is_set_aside_and_rebuilt(path: Path, spoil: Callable[[Path], None]) -> None:
    async with opened(path) as store:
        await store.record(KEY, snapshot(*(f"v{number}" for number in range(1000))))
    spoil(path)
    spoiled = _content(path)
    with capture_logs() as logs:
        async with opened(path) as store:
            assert await digests(store, REPOSITORY) == {}
            await store.record(KEY, snapshot("v1"))
    [kept] = [each for each in path.parent.iterdir() if each.name.startswith("state.db.")]
    assert _content(kept) == spoiled
    assert [(log["event"], log["log_level"], log["kept_as"]) for log in logs] == [
        ("store.set_aside", "error", str(kept))
    ]


async def test_an_empty_file_is_a_new_database(path: Path) -> None:
    await asyncio.to_thread(path.touch)
    async with opened(path) as store:
        assert await store.due_times() == {}


async def test_a_missing_directory_is_made_for_its_owner_alone(tmp_path: Path) -> None:
    path = tmp_path / "var" / "lib" / "state.db"
    async with opened(path):
        assert path.stat().st_mode & 0o077 == 0


async def test_a_read_only_directory_is_named_with_a_remedy(
    shared_directory: Path, make_read_only: Callable[[], None]
) -> None:
    make_read_only()
    with pytest.raises(StoreError, match=rf"{shared_directory}/state.db cannot be created: .* set state.path"):
        await SqliteStore.open(shared_directory / "state.db")


async def test_a_path_that_is_a_directory_is_named_with_a_remedy(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match=f"database {tmp_path}: unable to open .* let the updater's user write"):
        await SqliteStore.open(tmp_path)


async def test_errors_of_sqlite_name_the_path_and_a_remedy(path: Path) -> None:
    async with opened(path) as store:
        await store._database._connection.execute("PRAGMA query_only = 1")
        with pytest.raises(StoreError, match=f"database {path}: .* let the updater's user write"):
            await store.record(KEY, snapshot("v1"))


async def test_rows_that_no_updater_wrote_are_an_error_of_the_store(path: Path) -> None:
    async with opened(path) as store:
        await store._database._connection.execute("INSERT INTO due VALUES ('a', 'b', '', 'never', 0)")
        with pytest.raises(StoreError, match="holds what no updater wrote"):
            await store.due_times()


async def test_a_closed_store_says_so(path: Path) -> None:
    store = await SqliteStore.open(path)
    await store.close()
    await store.close()
    with pytest.raises(StoreError, match="is closed"):
        await store.due_times()


@pytest.mark.parametrize("row", ["('a', 'b', '', 1, 9223372036854775807)", "('a', 'b', 'nonsense:', 1, 2)"])
async def test_due_time_that_is_none_is_said_to_be(path: Path, row: str) -> None:
    """As damage makes it that leaves the file's structure as it was."""
    async with opened(path) as store:
        await store._database._connection.execute(f"INSERT INTO due VALUES {row}")
        with pytest.raises(StoreError, match="when looks are due is not what was stored"):
            await store.due_times()
