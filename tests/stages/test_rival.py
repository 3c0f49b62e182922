"""Argo CD Image Updater beside us: noticed by its Lease, and said once."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import msgspec
import pytest
from structlog.testing import capture_logs

from tests.fakes.cluster import FakeCluster
from tests.fakes.house import SETTINGS, House, LogEvent, eventually
from updater.settings.daemon import LeaderElection
from updater.stages.rival import RivalWatch, is_own_lease


@asynccontextmanager
async def watching(cluster: FakeCluster) -> AsyncIterator[list[LogEvent]]:
    with capture_logs() as logs:
        task = asyncio.create_task(RivalWatch(cluster, "argocd", look_every=0.01).run())
        yield logs
        task.cancel()


async def test_a_lease_that_is_renewed_is_somebody_at_work_and_said_once() -> None:
    cluster = FakeCluster(renewing=True)
    async with watching(cluster) as logs:
        await eventually(lambda: cluster.renewals > 5, lambda: "some looks")
        assert [(log["event"], log["log_level"]) for log in logs] == [("rival.running", "warning")]
        cluster.renewing = False
        await eventually(lambda: len(logs) == 2, lambda: "the end")
    assert logs[1]["event"] == "rival.stopped"


async def test_a_lease_that_is_left_over_is_nobody() -> None:
    cluster = FakeCluster(renewals=1)
    async with watching(cluster) as logs:
        await asyncio.sleep(0.05)
    assert logs == []


@pytest.mark.parametrize(
    ("election", "watched"),
    [
        (LeaderElection(), False),
        (LeaderElection(namespace="argocd"), False),
        (LeaderElection(enabled=False), True),
        (LeaderElection(lease="ours"), True),
        (LeaderElection(namespace="elsewhere"), True),
    ],
)
async def test_replicas_that_renew_the_same_lease_are_no_rivals(election: LeaderElection, watched: bool) -> None:  # noqa: FBT001 - a parameter
    house = House(settings=msgspec.structs.replace(SETTINGS, leader_election=election))
    async with house.running() as pipeline:
        assert any(isinstance(each, RivalWatch) for each in pipeline.companions) is watched
    assert is_own_lease(election, "argocd") is not watched
