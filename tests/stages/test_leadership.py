"""Several replicas: all decide, one writes, and what the others wanted is not written twice."""

import pytest

from tests.fakes.cluster import helm_application
from tests.fakes.house import House
from tests.fakes.leadership import FakeLeadership
from tests.stages.test_pipeline import CHART, IMAGE, OVERRIDE, URL


@pytest.fixture
def leadership() -> FakeLeadership:
    return FakeLeadership()


@pytest.fixture
def house(leadership: FakeLeadership) -> House:
    house = House(leadership=leadership)
    house.git.seed(URL, CHART)
    house.registry.push(IMAGE, "v1.0", "v2.0")
    house.cluster.put(helm_application("one", IMAGE))
    return house


async def test_standby_decides_and_does_not_write(house: House) -> None:
    async with house.running():
        await house.hear("image.update_decided")
        await house.hear("round.finished")
    assert len(house.git.log(URL)) == 1
    assert house.git.looks == 0


async def test_standby_that_becomes_the_leader_writes_what_it_decided_last(
    house: House, leadership: FakeLeadership
) -> None:
    async with house.running():
        await house.hear("image.update_decided")
        house.registry.push(IMAGE, "v3.0")
        await house.hear("image.update_decided", count=2)
        leadership.gain()
        await house.hear("image.updated")
    assert len(house.git.log(URL)) == 2
    assert "value: v3.0" in house.git.file(URL, OVERRIDE)


async def test_standby_that_takes_over_does_not_write_what_the_leader_wrote(
    house: House, leadership: FakeLeadership
) -> None:
    override = "helm:\n  parameters:\n  - name: image.tag\n    value: v2.0\n    forcestring: true\n"
    async with house.running():
        await house.hear("image.update_decided")
        house.git.seed(URL, {OVERRIDE: override})
        leadership.gain()
        await house.hear("image.up_to_date")
    assert len(house.git.log(URL)) == 2


async def test_leader_that_lost_the_lease_before_its_push_pushes_once_it_has_it_again(
    house: House, leadership: FakeLeadership
) -> None:
    leadership.gain()
    house.git.after_commit = leadership.lose
    async with house.running():
        await house.hear("write_back.left_to_another")
        assert len(house.git.log(URL)) == 1
        house.git.after_commit = lambda: None
        leadership.gain()
        await house.hear("image.updated")
    assert not house.said("image.write_failed")
    assert len(house.git.log(URL)) == 2


async def test_standby_does_not_patch_an_application(
    house: House,
) -> None:
    house.cluster.put(helm_application("two", IMAGE, method="argocd"))
    async with house.running():
        await house.hear("image.update_decided", count=2)
    assert not house.cluster.patched
