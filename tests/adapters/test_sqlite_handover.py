"""What one replica's database hands over to another's."""

import gzip
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from updater.adapters.sqlite.store import SqliteStore
from updater.domain.application import ApplicationName
from updater.domain.candidates import Snapshot, TagRecord
from updater.domain.errors import StoreError
from updater.domain.image import ImageVersion, Repository
from updater.domain.polling import PollKey
from updater.domain.target import ApplicationTarget, FileKind

NAME = ApplicationName("argocd", "demo")
TARGET = ApplicationTarget(NAME, 0, FileKind.OVERRIDE_HELM)
KEY = PollKey(Repository("registry.example.com", "team/app"))
V1, V2 = ImageVersion("v1"), ImageVersion("v2")
NOW = datetime.now(UTC)


async def opened(tmp_path: Path, name: str) -> SqliteStore:
    return await SqliteStore.open(tmp_path / f"{name}.db")


async def see(store: SqliteStore, at: datetime, *tags: str) -> Snapshot:
    return await store.record(KEY, Snapshot(KEY.repository, tuple(map(TagRecord, tags)), at))


async def test_rejection_is_known_to_the_other_one(tmp_path: Path) -> None:
    one, other = await opened(tmp_path, "one"), await opened(tmp_path, "other")
    await one.written(NAME, "app", TARGET, V2, "c0ffee", NOW)
    await one.rejected(NAME, "app", TARGET, V2)
    await other.take_over(await one.hand_over())
    assert await other.memory(NAME, "app", TARGET) == await one.memory(NAME, "app", TARGET)
    await one.close()
    await other.close()


async def test_later_write_counts(tmp_path: Path) -> None:
    one, other = await opened(tmp_path, "one"), await opened(tmp_path, "other")
    await one.written(NAME, "app", TARGET, V1, "", NOW - timedelta(hours=1))
    await other.written(NAME, "app", TARGET, V2, "", NOW)
    await other.take_over(await one.hand_over())
    assert (await other.memory(NAME, "app", TARGET)).written == V2
    await one.take_over(await other.hand_over())
    assert (await one.memory(NAME, "app", TARGET)).written == V2
    await one.close()
    await other.close()


async def test_earlier_first_sight_counts(tmp_path: Path) -> None:
    one, other = await opened(tmp_path, "one"), await opened(tmp_path, "other")
    await see(one, NOW - timedelta(days=3), "v1", "v2")
    await see(other, NOW - timedelta(days=1), "v1")
    await other.take_over(await one.hand_over())
    seen = await see(other, NOW, "v1", "v2", "v3")
    ages = [NOW - record.first_seen for record in seen.tags if record.first_seen]
    assert ages == [timedelta(days=3), timedelta(days=3), timedelta()]
    await one.close()
    await other.close()


async def test_version_changes_with_what_is_to_be_handed_over_alone(tmp_path: Path) -> None:
    store = await opened(tmp_path, "one")
    await see(store, NOW, "v1")
    before = store.handover_version, await store.hand_over()
    await see(store, NOW, "v1")
    assert (store.handover_version, await store.hand_over()) == before
    await store.written(NAME, "app", TARGET, V2, "", NOW)
    assert store.handover_version > before[0]
    await store.close()


@pytest.mark.parametrize(
    "handed",
    [b"", b"no gzip", gzip.compress(b"no pack"), gzip.compress(b"\x93\x02\x90\x90")],
    ids=["nothing", "no gzip", "no pack", "version 2"],
)
async def test_what_cannot_be_read_changes_nothing(tmp_path: Path, handed: bytes) -> None:
    store = await opened(tmp_path, "one")
    await store.written(NAME, "app", TARGET, V2, "", NOW)
    with pytest.raises(StoreError, match="other replicas"):
        await store.take_over(handed)
    assert (await store.memory(NAME, "app", TARGET)).written == V2
    await store.close()
