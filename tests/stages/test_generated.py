"""Applications that an ApplicationSet generates: warned of, written, and left alone when the write does not stay."""

import asyncio
from dataclasses import replace

import pytest

from tests.fakes.cluster import helm_application
from tests.fakes.house import House
from updater.domain.application import ApplicationName, Parameter
from updater.domain.application_sets import ApplicationSetRules, IgnoreRule
from updater.stages.keyed import Pace

IMAGE = "registry.example.com/team/app"
SET = ("argocd", "shops")
ONE = ApplicationName("argocd", "one")
SPARED = ApplicationSetRules(ignored=(IgnoreRule(json_pointers=("/spec/source/helm/parameters",)),))


@pytest.fixture
def house() -> House:
    """One generated application at v1.0 by its parameter, whose set takes changes back."""
    house = House()
    house.registry.push(IMAGE, "v1.0", "v2.0")
    application = helm_application("one", IMAGE, method="argocd", parameters=(Parameter("image.tag", "v1.0"),))
    house.cluster.application_sets[SET] = ApplicationSetRules()
    house.cluster.put(replace(application, generated_by="shops"))
    return house


async def test_write_that_is_taken_back_is_made_once_and_told(house: House) -> None:
    async with house.running():
        failed = await house.hear("image.write_failed")
        await house.hear("round.finished", count=6)
    assert house.cluster.patched == [ONE]
    assert "v2.0 was written, and is gone again: ApplicationSet argocd/shops takes back" in failed["reason"]
    assert len(house.said("image.write_failed")) == 1


async def test_danger_is_warned_of_once_with_the_remedy(house: House) -> None:
    async with house.running():
        warning = await house.hear("application.generated")
        await house.hear("round.finished", count=4)
    assert "jsonPointers: [/spec/source/helm/parameters]" in warning["reason"]
    assert len(house.said("application.generated")) == 1


async def test_write_that_is_taken_back_is_no_rollback(house: House) -> None:
    async with house.running():
        await house.hear("image.write_failed")
    assert not house.said("image.held")


async def test_write_that_is_taken_back_is_tried_again_after_a_while(house: House) -> None:
    house.patience = Pace(first_retry=0.01, longest_retry=0.02)
    async with house.running():
        await house.hear("image.updated", count=3)
    assert house.cluster.patched[:3] == [ONE] * 3


async def test_write_is_made_at_once_when_the_set_comes_to_spare_it(house: House) -> None:
    async with house.running():
        await house.hear("image.write_failed")
        house.cluster.application_sets[SET] = SPARED
        await house.hear("image.updated", count=2)
    assert house.cluster.patched == [ONE, ONE]


async def test_write_that_stays_is_followed_by_the_next_at_once(house: House) -> None:
    """Nobody took it back: the warning was for nothing, and costs nothing."""
    house.cluster.application_sets.clear()
    async with house.running():
        await house.hear("image.updated")
        house.registry.push(IMAGE, "v3.0")
        await house.hear("image.updated", count=2)
        warning = house.said("application.generated")
    assert len(warning) == 1
    assert "may take back" in warning[0]["reason"]
    assert not house.said("image.write_failed")


async def test_rollback_of_what_the_set_spares_is_a_persons(house: House) -> None:
    house.cluster.application_sets[SET] = SPARED
    before = house.cluster.applications[ONE]
    async with house.running():
        await house.hear("image.updated")
        house.cluster.put(before)
        held = await house.hear("image.held")
    assert held["reason"] == "rolled-back"
    assert not house.said("application.generated")


async def test_nothing_is_patched_again_while_argo_cd_syncs(house: House) -> None:
    """The Application alone is compared with: what runs is older for a while, and changes on its way."""
    house.cluster.application_sets[SET] = SPARED
    async with house.running():
        await house.hear("image.updated")
        for live in ("v1.0", "v1.5", "v2.0"):
            house.cluster.put(replace(house.cluster.applications[ONE], live_images=(f"{IMAGE}:{live}",)))
            await asyncio.sleep(0)
        await house.hear("round.finished", count=4)
    assert house.cluster.patched == [ONE]


async def test_two_applications_that_want_different_things_of_one_file_do_not_take_turns() -> None:
    """The second by name is told, and the file keeps what the first wants, whatever comes."""
    house = House()
    url, path = "https://git.example.com/gitops.git", "shop/values.yaml"
    house.git.seed(url, {path: "image:\n  tag: v1.0\n"})
    house.registry.push(IMAGE, "v1.0", "v1.1", "v2.0")
    target = {"write-back-target": f"helmvalues:/{path}"}
    house.cluster.put(helm_application("two", f"{IMAGE}:~2", target), helm_application("one", f"{IMAGE}:~1", target))
    async with house.running():
        await house.hear("image.updated")
        told = await house.hear("image.misconfigured")
        house.registry.push(IMAGE, "v1.2", "v2.1")
        await house.hear("image.updated", count=2)
        await house.hear("round.finished", count=4)
    assert [commit.files[path] for commit in house.git.log(url)] == [
        f"image:\n  tag: v{version}\n".encode() for version in ("1.0", "1.1", "1.2")
    ]
    assert (told["application"], told["alias"]) == ("argocd/two", "app")


URL = "https://git.example.com/gitops.git"
OVERRIDE = "helm:\n  parameters:\n  - name: image.tag\n    value: v1.0\n"


@pytest.mark.parametrize("name", [".argocd-source.yaml", ".argocd-source-one.yaml"])
async def test_file_that_outranks_the_application_is_warned_of_once(name: str) -> None:
    house = House()
    house.git.seed(URL, {f"apps/one/{name}": OVERRIDE})
    house.registry.push(IMAGE, "v1.0", "v2.0")
    house.cluster.put(helm_application("one", IMAGE, method="argocd"))
    async with house.running():
        warning = await house.hear("image.outranked")
        house.registry.push(IMAGE, "v3.0")
        await house.hear("image.updated", count=2)
    assert f"apps/one/{name} of {URL} gives image.tag v1.0" in warning["reason"]
    assert len(house.said("image.outranked")) == 1


@pytest.mark.parametrize("files", [{}, {"apps/one/.argocd-source.yaml": OVERRIDE.replace("image.tag", "replicas")}])
async def test_nothing_is_said_where_no_file_names_the_image(files: dict[str, str]) -> None:
    """Also where the repository cannot be read at all."""
    house = House()
    if files:
        house.git.seed(URL, files)
    house.registry.push(IMAGE, "v1.0", "v2.0")
    house.cluster.put(helm_application("one", IMAGE, method="argocd"))
    async with house.running():
        await house.hear("image.updated")
        await house.hear("round.finished", count=3)
    assert not house.said("image.outranked")
