"""Statuses and Events: what the cluster is told, and how seldom."""

import asyncio
from dataclasses import replace
from datetime import timedelta
from typing import Any

import msgspec
import pytest

from tests.domain.builders import NOW
from tests.domain.resources import image, ref, resource
from tests.fakes.cluster import FakeCluster, helm_application
from tests.fakes.house import House, eventually
from updater.domain.application import ApplicationName
from updater.domain.errors import ClusterError, RegistryError
from updater.domain.image import ImageVersion
from updater.domain.messages import Happening, Noticed
from updater.ports.cluster import ApplicationEvent
from updater.settings.daemon import Defaults, Kube
from updater.stages.events import EventRecorder, make_event
from updater.stages.leadership import Alone
from updater.stages.status import StatusKeeper

IMAGE = "registry.example.com/team/app"
URL = "https://git.example.com/gitops.git"
NAME = ApplicationName("argocd", "one")


@pytest.fixture
def house() -> House:
    house = House()
    house.git.seed(URL, {"apps/one/Chart.yaml": "name: one\n", "apps/one/values.yaml": "image:\n  tag: v1.0\n"})
    house.registry.push(IMAGE, "v1.0", "v2.0")
    house.cluster.put(replace(helm_application("one", IMAGE), annotations={}))
    targets = {"manifestTargets": {"helm": {"tag": "image.tag"}}}
    git = {"writeBackConfig": {"method": "git"}}
    house.cluster.put_resource(resource("team", ref("*", image("app", IMAGE, **targets), **git)))
    return house


def last(house: House) -> dict[str, Any]:
    return dict(house.cluster.statuses[-1][1]) if house.cluster.statuses else {}


def verdicts(house: House) -> list[str]:
    return [each["verdict"] for each in last(house).get("images", [])]


def quick(pipeline: Any) -> None:
    for companion in pipeline.companions:
        if isinstance(companion, StatusKeeper | EventRecorder):
            companion.linger = companion.pause = 0.01


async def test_a_status_tells_of_the_update(house: House) -> None:
    async with house.running() as pipeline:
        quick(pipeline)
        await eventually(lambda: bool(last(house).get("recentUpdates")), lambda: "the status of the update")
    told = last(house)
    assert (told["applicationsMatched"], told["imagesManaged"]) == (1, 1)
    assert told["recentUpdates"][0]["message"] == "Updated from v1.0 to v2.0."


async def test_a_status_that_says_the_same_is_not_written_again(house: House) -> None:
    async with house.running() as pipeline:
        quick(pipeline)
        await eventually(lambda: bool(last(house).get("recentUpdates")), lambda: "the status of the update")
        written = len(house.cluster.statuses)
        (keeper,) = [each for each in pipeline.companions if isinstance(each, StatusKeeper)]
        for _ in range(5):
            keeper.wake()
            await eventually(lambda: not keeper._changed.is_set(), lambda: "another look")
            await asyncio.sleep(0.03)
        assert len(house.cluster.statuses) == written


async def test_a_failed_registry_shows_in_the_status(house: House) -> None:
    house.registry.fail(IMAGE, RegistryError("registry.example.com answered 503"))
    async with house.running() as pipeline:
        quick(pipeline)
        await eventually(
            lambda: any(each.get("verdict") == "Failed" for each in last(house).get("images", [])),
            lambda: "the failure",
        )
    assert "answered 503" in last(house)["images"][0]["message"]


async def test_a_status_that_cannot_be_written_is_said_once(house: House) -> None:
    house.cluster.error = ClusterError("imageupdaters/status is forbidden")
    async with house.running() as pipeline:
        quick(pipeline)
        event = await house.hear("status.failed")
        await asyncio.sleep(0.1)
        assert len(house.said("status.failed")) == 1
    assert event["resource"] == "argocd/team"


async def test_a_dry_run_tells_the_cluster_nothing(house: House) -> None:
    async with house.running(dry_run=True):
        await house.hear("image.would_update")
    assert (house.cluster.statuses, house.cluster.recorded) == ([], [])


async def test_an_update_is_an_event_as_argocd_image_updater_writes_it(house: House) -> None:
    async with house.running() as pipeline:
        quick(pipeline)
        await eventually(lambda: bool(house.cluster.recorded), lambda: "the Event")
    (event,) = house.cluster.recorded
    assert (event.reason, event.warning) == ("ImagesUpdated", False)
    assert event.message == "Successfully updated application 'one'"
    assert dict(event.annotations) == {
        "argocd-image-updater.image-0/full-image-name": f"{IMAGE}:v2.0",
        "argocd-image-updater.image-0/image-name": IMAGE,
        "argocd-image-updater.image-0/old-tag": "v1.0",
        "argocd-image-updater.image-0/new-tag": "v2.0",
    }


async def test_events_can_be_turned_off(house: House) -> None:
    house.settings = msgspec.structs.replace(house.settings, kube=Kube(events=False))
    async with house.running() as pipeline:
        kinds = {type(each) for each in pipeline.companions}
        assert StatusKeeper in kinds
        assert EventRecorder not in kinds


def noticed(happening: Happening, alias: str = "app", message: str = "because") -> Noticed:
    return Noticed(happening, NAME, alias, IMAGE, message, ImageVersion("v1"), ImageVersion("v2"))


def test_holds_are_normal_and_failures_warnings() -> None:
    kinds = {
        happening: make_event(NAME, happening, [noticed(happening)], NOW)
        for happening in (Happening.HELD, Happening.MISCONFIGURED, Happening.FAILED)
    }
    assert {each.reason: each.warning for each in kinds.values()} == {
        "ImagesHeld": False,
        "ImagesMisconfigured": True,
        "ImageUpdateFailed": True,
    }
    assert kinds[Happening.HELD].message == "app: because"


def test_many_images_are_named_up_to_a_number() -> None:
    event = make_event(NAME, Happening.FAILED, [noticed(Happening.FAILED, f"a{n}", "x" * 50) for n in range(30)], NOW)
    assert event.message.endswith("; and 20 more")
    assert len(event.message) < 1024


@pytest.fixture
def recorder() -> EventRecorder:
    return EventRecorder(FakeCluster(), Alone(), lambda: NOW + timedelta(seconds=0), linger=0.01, pause=0.1)


async def test_what_happens_within_a_moment_is_one_event(recorder: EventRecorder) -> None:
    task = asyncio.create_task(recorder.run())
    for alias in ("one", "two"):
        recorder.notice(noticed(Happening.FAILED, alias))
    cluster = recorder.events
    assert isinstance(cluster, FakeCluster)
    await eventually(lambda: bool(cluster.recorded), lambda: "the Event")
    assert [each.message for each in cluster.recorded] == ["one: because; two: because"]
    task.cancel()


async def test_repeated_failures_are_held_back_and_told_together(recorder: EventRecorder) -> None:
    task = asyncio.create_task(recorder.run())
    cluster = recorder.events
    assert isinstance(cluster, FakeCluster)
    recorder.notice(noticed(Happening.FAILED, "app", "first"))
    await eventually(lambda: len(cluster.recorded) == 1, lambda: "the first Event")
    for number in range(20):
        recorder.notice(noticed(Happening.FAILED, "app", f"again {number}"))
        await asyncio.sleep(0)
    await eventually(lambda: len(cluster.recorded) == 2, lambda: "the second Event")
    assert cluster.recorded[1].message == "app: again 19"
    task.cancel()


async def test_what_happens_while_events_are_written_is_told_next(
    recorder: EventRecorder, monkeypatch: pytest.MonkeyPatch
) -> None:
    task = asyncio.create_task(recorder.run())
    cluster = recorder.events
    assert isinstance(cluster, FakeCluster)
    record = cluster.record_event

    async def record_slowly(event: ApplicationEvent) -> None:
        if not cluster.recorded:
            recorder.notice(noticed(Happening.HELD, "app", "meanwhile"))
        await record(event)

    monkeypatch.setattr(cluster, "record_event", record_slowly)
    recorder.notice(noticed(Happening.UPDATED, "app", ""))
    await eventually(lambda: len(cluster.recorded) == 2 or task.done(), lambda: "the second Event")
    assert [event.reason for event in cluster.recorded] == ["ImagesUpdated", "ImagesHeld"]
    task.cancel()


async def test_settings_give_the_lowest_of_all_values(house: House) -> None:
    house.registry.push(IMAGE, "v3.0-rc1", "v9.0")
    house.settings = msgspec.structs.replace(house.settings, defaults=Defaults(ignore_tags=("v9*",)))
    async with house.running():
        event = await house.hear("image.updated")
    assert event["to"] == "v2.0"
