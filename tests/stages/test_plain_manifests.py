"""Plain manifests through the pipeline: files found by glob in the tree, and one version in all of them."""

from dataclasses import replace
from datetime import datetime, timedelta

import pytest

from tests.fakes.cluster import helm_application
from tests.fakes.house import House, now
from updater.domain.application import Application, ApplicationName
from updater.domain.references import parse_reference

IMAGE = "registry.example.com/team/app"
URL = "https://git.example.com/gitops.git"


def manifests_application(glob: str) -> Application:
    helm = helm_application("one", IMAGE)
    source = replace(helm.sources[0], kind="Directory")
    return replace(helm, annotations={**helm.annotations, "write-back-target": f"manifests:{glob}"}, sources=(source,))


def pod(tag: str) -> str:
    return f"apiVersion: v1\nkind: Pod\nspec:\n  containers:\n  - image: {IMAGE}:{tag}\n"


@pytest.fixture
def house() -> House:
    """One application with plain manifests at v1.0 on two levels, and a registry that has v2.0 as well."""
    house = House()
    house.registry.push(IMAGE, "v1.0", "v2.0")
    house.cluster.put(manifests_application("**/*.yaml"))
    house.git.seed(URL, {f"apps/one/{path}": pod("v1.0") for path in ("web.yaml", "jobs/deep/cron.yaml")})
    house.git.seed(URL, {"apps/other/web.yaml": pod("v1.0"), "apps/one/notes.md": IMAGE})
    return house


async def test_all_files_of_the_glob_are_written_in_one_commit(house: House) -> None:
    async with house.running():
        await house.hear("image.updated")
    assert house.git.file(URL, "apps/one/web.yaml") == pod("v2.0")
    assert house.git.file(URL, "apps/one/jobs/deep/cron.yaml") == pod("v2.0")
    assert house.git.file(URL, "apps/other/web.yaml") == pod("v1.0")
    assert len(house.git.log(URL)) == 3


async def test_file_left_behind_is_brought_up(house: House) -> None:
    house.git.seed(URL, {"apps/one/web.yaml": pod("v2.0")})
    async with house.running():
        await house.hear("image.updated")
    assert house.git.file(URL, "apps/one/jobs/deep/cron.yaml") == pod("v2.0")


async def test_file_that_is_ahead_stops_the_image_with_the_reason(house: House) -> None:
    house.git.seed(URL, {"apps/one/web.yaml": pod("v3.0")})
    async with house.running():
        event = await house.hear("image.write_failed")
    assert "apps/one/**/*.yaml has registry.example.com/team/app at v1.0, v3.0, not all" in event["reason"]
    assert house.git.file(URL, "apps/one/jobs/deep/cron.yaml") == pod("v1.0")


async def test_broken_file_stops_the_image_with_its_name(house: House) -> None:
    house.git.seed(URL, {"apps/one/web.yaml": f"a: [{IMAGE}"})
    async with house.running():
        event = await house.hear("image.write_failed")
    assert event["reason"].startswith("apps/one/web.yaml: line 1: no valid YAML")
    assert house.git.file(URL, "apps/one/jobs/deep/cron.yaml") == pod("v1.0")


async def test_glob_without_files_is_said(house: House) -> None:
    house.cluster.put(manifests_application("no/*.yaml"))
    async with house.running():
        event = await house.hear("image.write_failed")
    assert event["reason"].startswith("apps/one/no/*.yaml matches no file of the branch: correct")


def ago(days: int) -> datetime:
    return now() - timedelta(days=days)


def colours(blue: str, green: str, mark: str = "   # updater: green") -> str:
    lines = f"  - image: {IMAGE}:{blue}   # updater: blue\n  - image: {IMAGE}:{green}{mark}\n"
    return f"apiVersion: v1\nkind: Pod\nspec:\n  containers:\n{lines}"


def coloured(name: str, entry: str) -> Application:
    application = manifests_application("*.yaml")
    named = ApplicationName("argocd", name)
    return replace(application, name=named, annotations={**application.annotations, "image-list": entry})


async def test_two_applications_share_files_in_which_each_has_marked_lines(house: House) -> None:
    house.git.seed(URL, {"apps/one/web.yaml": colours("v1.0", "v0.1")})
    house.registry.push(IMAGE, "v0.2")
    house.cluster.put(coloured("one", f"blue={IMAGE}:>=1"))
    house.cluster.put(coloured("two", f"green={IMAGE}:~0"))
    async with house.running():
        await house.hear("image.updated", count=2)
    assert house.git.file(URL, "apps/one/web.yaml") == colours("v2.0", "v0.2")


@pytest.mark.parametrize("glob", ["web.*", "**/*.yaml"])
async def test_line_that_two_globs_reach_is_the_first_applications(house: House, glob: str) -> None:
    """Also when the other finds a version of its own later, and alone."""
    house.git.seed(URL, {"apps/one/web.yaml": pod("v2.0")})
    house.registry.push(IMAGE, "v1.1")
    house.cluster.put(coloured("one", f"blue={IMAGE}:~2"))
    other = coloured("two", f"green={IMAGE}:~1")
    house.cluster.put(replace(other, annotations={**other.annotations, "write-back-target": f"manifests:{glob}"}))
    async with house.running():
        event = await house.hear("image.write_failed")
        await house.hear("image.up_to_date")
    assert event["application"] == "argocd/two"
    assert event["reason"].startswith("apps/one/web.yaml: ")
    assert f"/{glob} matches it, and so does apps/one/*.yaml for blue of application argocd/one" in event["reason"]
    assert house.git.file(URL, "apps/one/web.yaml") == pod("v2.0")


async def test_line_that_two_globs_reach_is_written_for_neither_when_one_is_to_be_older(house: House) -> None:
    """They want the same, but one of them waits for tags to age."""
    house.registry.push(IMAGE, "v1.1")
    tags = house.registry.tags[parse_reference(IMAGE).repository]
    tags |= {"v1.1": replace(tags["v1.1"], pushed=ago(9)), "v2.0": replace(tags["v2.0"], pushed=ago(0))}
    house.cluster.put(coloured("one", f"blue={IMAGE}"))
    other = coloured("two", f"green={IMAGE}")
    more = {"write-back-target": "manifests:web.*", "green.minimum-age": "24h"}
    house.cluster.put(replace(other, annotations={**other.annotations, **more}))
    async with house.running():
        await house.hear("image.write_failed", count=2)
    reasons = {event["application"]: event["reason"] for event in house.said("image.write_failed")}
    assert "apps/one/web.yaml: a line with" in reasons["argocd/one"]
    assert "is to have v1.1, and v2.0 for blue of argocd/one" in reasons["argocd/two"]
    assert house.git.file(URL, "apps/one/web.yaml") == pod("v1.0")


async def test_line_that_two_globs_reach_for_one_version_is_written(house: House) -> None:
    house.cluster.put(coloured("one", f"blue={IMAGE}"))
    other = coloured("two", f"green={IMAGE}")
    house.cluster.put(replace(other, annotations={**other.annotations, "write-back-target": "manifests:web.*"}))
    async with house.running():
        await house.hear("image.updated", count=2)
    assert house.git.file(URL, "apps/one/web.yaml") == pod("v2.0")


async def test_second_application_leaves_lines_alone_that_are_not_marked_for_it(house: House) -> None:
    before = colours("v2.0", "v0.1", mark="")
    house.git.seed(URL, {"apps/one/web.yaml": before})
    house.registry.push(IMAGE, "v0.2")
    house.cluster.put(coloured("one", f"blue={IMAGE}:>=1"))
    house.cluster.put(coloured("two", f"green={IMAGE}:~0"))
    async with house.running():
        event = await house.hear("image.write_failed")
        await house.hear("image.updated")
    assert event["application"] == "argocd/two"
    assert "give each lines of its own with the comment `# updater: <alias>`" in event["reason"]
    assert house.git.file(URL, "apps/one/web.yaml") == colours("v2.0", "v2.0", mark="")
