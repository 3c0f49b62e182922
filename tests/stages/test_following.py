"""Settings that change while the pipeline runs."""

import msgspec
import pytest

from tests.fakes.cluster import helm_application
from tests.fakes.house import SETTINGS, House, eventually
from updater.settings.daemon import Settings
from updater.settings.units import Duration, Interval
from updater.stages.keyed import Pace

IMAGE = "registry.example.com/team/app"
URL = "https://git.example.com/gitops.git"
HOUR = Interval(3600)


def settings(section: str, **values: object) -> Settings:
    changed = msgspec.structs.replace(getattr(SETTINGS, section), **values)
    return msgspec.structs.replace(SETTINGS, **{section: changed})


@pytest.fixture
def house() -> House:
    """One application at v1.0, and a registry that has v2.0 as well."""
    house = House()
    house.git.seed(URL, {"apps/one/Chart.yaml": "name: one\n", "apps/one/values.yaml": "image:\n  tag: v1.0\n"})
    house.registry.push(IMAGE, "v1.0", "v2.0")
    house.cluster.put(helm_application("one", IMAGE))
    return house


async def test_a_pause_holds_what_is_new_and_its_end_writes_it(house: House) -> None:
    house.registry.tags.clear()
    house.registry.push(IMAGE, "v1.0")
    async with house.running() as pipeline:
        await house.hear("image.up_to_date")
        await pipeline.follow(settings("updates", pause=True))
        house.registry.push(IMAGE, "v2.0")
        held = await house.hear("image.held")
        assert (held["reason"], house.said("image.updated")) == ("paused", [])
        await pipeline.follow(SETTINGS)
        await house.hear("image.updated")


async def test_a_schedule_is_followed(house: House) -> None:
    house.settings = settings("updates", schedule="deny * * * * * 1m")
    async with house.running() as pipeline:
        assert (await house.hear("image.held"))["reason"] == "outside-schedule"
        await pipeline.follow(SETTINGS)
        await house.hear("image.updated")


async def test_how_tags_are_chosen_by_default_is_followed(house: House) -> None:
    house.settings = settings("defaults", allow_tags="regexp:^v1")
    async with house.running() as pipeline:
        await house.hear("image.up_to_date")
        await pipeline.follow(SETTINGS)
        await house.hear("image.updated")


async def test_a_shorter_interval_counts_at_once(house: House) -> None:
    house.settings = settings("polling", interval=HOUR)
    async with house.running() as pipeline:
        await house.hear("image.updated")
        looks = house.registry.looks.total()
        await pipeline.follow(SETTINGS)
        await eventually(lambda: house.registry.looks.total() > looks, lambda: "another look")


async def test_a_shorter_linger_counts_for_the_next_batch(house: House) -> None:
    house.settings = settings("git", linger=HOUR, max_batch_age=HOUR)
    house.pace = Pace(linger=3600, longest_linger=3600)
    house.registry.tags.clear()
    house.registry.push(IMAGE, "v1.0")
    async with house.running() as pipeline:
        await house.hear("image.up_to_date")
        await pipeline.follow(SETTINGS)
        house.registry.push(IMAGE, "v2.0")
        await house.hear("image.updated")


async def test_other_values_are_handed_on(house: House) -> None:
    async with house.running() as pipeline:
        await pipeline.follow(settings("shutdown", grace=Duration(7)))
        assert pipeline.grace == 7
        await pipeline.follow(settings("git", push_tries=9, max_batch=3))
        assert (pipeline.writer.branches.push_tries, pipeline.writer.pace.largest_batch) == (9, 3)
        await pipeline.follow(settings("polling", longest_interval=HOUR))
        assert pipeline.poller.longest_interval == HOUR
