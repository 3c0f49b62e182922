"""No update passes whose image is not signed as demanded, whatever the registry does."""

from dataclasses import replace

import pytest

from tests.domain.resources import image, ref, resource
from tests.fakes.cluster import helm_application
from tests.fakes.house import House, eventually
from updater.domain.application import Application
from updater.domain.errors import Misconfigured, RegistryError

IMAGE = "registry.example.com/team/app"
URL = "https://git.example.com/gitops.git"
OVERRIDE = "apps/one/.argocd-source-one.yaml"
KEY = {"cosignKey": {"secretName": "cosign", "key": "cosign.pub"}}


def bare(application: Application) -> Application:
    return replace(application, annotations={})


@pytest.fixture
def house() -> House:
    """One application that a resource selects, which demands a signature; v2.0 is to be had."""
    house = House()
    house.git.seed(URL, {"apps/one/Chart.yaml": "name: one\n", "apps/one/values.yaml": "image:\n  tag: v1.0\n"})
    house.registry.push(IMAGE, "v1.0", "v2.0")
    house.cluster.put(bare(helm_application("one", IMAGE)))
    targets = {"manifestTargets": {"helm": {"tag": "image.tag"}}}
    house.cluster.put_resource(
        resource(
            "team", ref("*", image("app", IMAGE, **targets), writeBackConfig={"method": "git"}), imagesVerification=KEY
        )
    )
    return house


async def test_a_signed_image_is_written_with_the_digest_that_is_signed(house: House) -> None:
    house.signatures.signed.add("v2.0")
    async with house.running():
        await house.hear("image.updated")
    assert "value: v2.0@sha256:" in house.git.file(URL, OVERRIDE)
    assert house.signatures.checked[0].startswith("v2.0@sha256:")


async def test_an_unsigned_image_is_held_with_the_reason(house: House) -> None:
    async with house.running():
        await eventually(lambda: any(e["reason"] == "unsigned" for e in house.said("image.held")), lambda: "the hold")
    held = house.said("image.held")[-1]
    assert "it is not signed; sign it, or set imagesVerification.enabled: false" in held["message"]
    assert len(house.git.log(URL)) == 1


async def test_an_image_that_is_signed_later_is_written_then(house: House) -> None:
    async with house.running() as pipeline:
        pipeline.decider.gate.first_retry = 0.01
        await eventually(lambda: any(e["reason"] == "unsigned" for e in house.said("image.held")), lambda: "the hold")
        house.signatures.signed.add("v2.0")
        await house.hear("image.updated")
    assert "value: v2.0@sha256:" in house.git.file(URL, OVERRIDE)


async def test_a_registry_that_cannot_tell_leaves_the_answer_incomplete(house: House) -> None:
    house.signatures.error = RegistryError("registry.example.com answered 503")
    async with house.running():
        event = await house.hear("image.incomplete")
    assert "its signature cannot be looked at: registry.example.com answered 503" in event["message"]
    assert len(house.git.log(URL)) == 1


async def test_a_missing_key_stops_the_image(house: House) -> None:
    house.signatures.error = Misconfigured("Secret argocd/cosign does not exist: create it")
    async with house.running():
        event = await house.hear("image.misconfigured")
    assert event["reason"] == "Secret argocd/cosign does not exist: create it"


async def test_one_question_is_asked_once_for_all_applications(house: House) -> None:
    for number in range(20):
        house.cluster.put(bare(helm_application(f"more{number}", IMAGE)))
    house.signatures.signed.add("v2.0")
    async with house.running():
        await house.hear("image.updated", count=21)
    assert len(house.signatures.checked) == 1


async def test_a_single_round_waits_for_the_answers(house: House) -> None:
    house.signatures.signed.add("v2.0")
    assert await house.run_once()
    assert "value: v2.0@sha256:" in house.git.file(URL, OVERRIDE)


async def test_an_image_that_nobody_demands_a_signature_of_is_not_looked_at(house: House) -> None:
    house.cluster.resources.clear()
    house.cluster.put(helm_application("one", IMAGE))
    async with house.running():
        await house.hear("image.updated")
    assert house.signatures.checked == []


async def test_a_deleted_application_is_not_asked_about_any_more(house: House) -> None:
    async with house.running() as pipeline:
        await eventually(lambda: bool(house.signatures.checked), lambda: "the question")
        house.cluster.delete(next(iter(house.cluster.applications)))
        await house.hear("application.gone")
        await eventually(lambda: not pipeline.decider.gate._tasks, lambda: "the end of the questions")
