"""`updater run` as a process, against Debian's docker-registry with a password and git http-backend over TLS."""

import signal
from datetime import UTC, datetime, timedelta
from typing import Literal

import pytest

from tests.e2e.installation import OVERRIDE, Installation
from updater.demo.gitserver import commit_files

pytestmark = pytest.mark.e2e

Source = Literal["kubernetes", "directory"]
V2_OVERRIDE = "helm:\n  parameters:\n  - name: image.tag\n    value: v2.0\n    forcestring: true\n"


@pytest.mark.parametrize("source", ["kubernetes", "directory"])
@pytest.mark.parametrize("form", ["registries:\n", ""], ids=["registries", "bare list"])
async def test_pushed_image_becomes_one_commit(place: Installation, form: str, source: Source) -> None:
    place.registries_conf_form = form
    place.source = source
    place.application()
    async with place.daemon() as daemon:
        await daemon.wait_for("image.up_to_date")
        await place.push("v2.0")
        updated = (await daemon.wait_for("image.updated")).event
        await daemon.wait_for("application.refreshed")
    assert place.commits() == 2
    assert place.file() == V2_OVERRIDE
    assert {key: updated[key] for key in ("application", "alias", "from", "to", "commit")} == {
        "application": "argocd/gitops-demo",
        "alias": "echoserver",
        "from": "v1.0",
        "to": "v2.0",
        "commit": place.run_git("rev-parse", "main"),
    }
    assert place.stored()["metadata"]["annotations"]["argocd.argoproj.io/refresh"] == "normal"


@pytest.mark.parametrize("source", ["kubernetes", "directory"])
async def test_argocd_method_patches_the_application(place: Installation, source: Source) -> None:
    place.source = source
    place.application(
        annotations={"write-back-method": "argocd"},
        source={"path": "manifests/helm", "targetRevision": "main", "helm": {"releaseName": "demo"}},
    )
    await place.push("v2.0")
    async with place.daemon() as daemon:
        await daemon.wait_for("image.updated")
    assert place.stored()["spec"]["source"]["helm"] == {
        "releaseName": "demo",
        "parameters": [{"name": "image.tag", "value": "v2.0", "forceString": True}],
    }
    assert place.commits() == 1


@pytest.mark.parametrize("strategy", ["newest-build", "latest"])
async def test_newest_build_is_found_by_its_image(place: Installation, strategy: str) -> None:
    await place.push("v9.0", created=datetime.now(UTC) - timedelta(days=2))
    await place.push("v2.0", created=datetime.now(UTC) + timedelta(minutes=1))
    place.application(annotations={"echoserver.update-strategy": strategy})
    async with place.daemon() as daemon:
        await daemon.wait_for("image.updated", to="v2.0")


@pytest.mark.parametrize("strategy", ["alphabetical", "name"])
async def test_alphabetical_takes_the_last_name(place: Installation, strategy: str) -> None:
    await place.push("v10.0", "v9.0")
    place.application(annotations={"echoserver.update-strategy": strategy})
    async with place.daemon() as daemon:
        await daemon.wait_for("image.updated", to="v9.0")


async def test_digest_follows_its_tag(place: Installation) -> None:
    place.application(
        annotations={"image-list": f"echoserver={place.image}:v1.0", "echoserver.update-strategy": "digest"},
    )
    async with place.daemon() as daemon:
        first = (await daemon.wait_for("image.updated")).event
        await place.push("v1.0", created=datetime.now(UTC) + timedelta(minutes=1))
        second = (await daemon.wait_for("image.updated", count=2)).event
    assert str(first["to"]).startswith("v1.0@sha256:")
    assert first["to"] != second["to"]
    assert str(second["to"]) in place.file()


async def test_kustomize_source_gets_an_image_override(place: Installation) -> None:
    commit_files(place.repository, {"kustomize/kustomization.yaml": "resources: []\n"}, "kustomize")
    place.application(
        annotations={"echoserver.helm.image-tag": None},
        source={"path": "kustomize", "targetRevision": "HEAD", "kustomize": {}},
    )
    await place.push("v2.0")
    async with place.daemon() as daemon:
        await daemon.wait_for("image.updated")
    path = "kustomize/.argocd-source-gitops-demo.yaml"
    assert place.file(path) == f"kustomize:\n  images:\n  - {place.image}:v2.0\n"


async def test_application_created_while_running_is_kept_up_to_date(place: Installation) -> None:
    await place.push("v2.0")
    async with place.daemon() as daemon:
        await daemon.wait_for("applications.listed")
        place.application()
        await daemon.wait_for("image.updated", to="v2.0")


async def test_kill_between_push_and_bookkeeping_makes_no_second_commit(place: Installation) -> None:
    """The server's own hook kills the daemon once the branch has moved, before the daemon can hear of it."""
    pid = place.root / "pid"
    hook = place.repository / "hooks" / "post-receive"
    hook.write_text(f"#!/bin/sh\nkill -9 $(cat {pid})\nsleep 0.2\n")
    hook.chmod(0o755)
    place.application()
    async with place.daemon() as daemon:
        pid.write_text(str(daemon.pid))
        await place.push("v2.0")
        assert await daemon.ended() == -signal.SIGKILL
        assert not daemon.events("image.updated")
    hook.unlink()
    async with place.daemon() as daemon:
        recovered = (await daemon.wait_for("write_back.recovered")).event
        await daemon.wait_for("application.refreshed")
        await daemon.wait_for("round.finished", count=2)
    assert recovered["commit"] == place.run_git("rev-parse", "main")
    assert place.commits() == 2


async def test_restart_after_kill_reads_no_image_again(place: Installation) -> None:
    """The images' configurations are gone from the registry by then; their digests can still be asked for."""
    await place.push("v2.0", "v3.0")
    place.application(annotations={"echoserver.update-strategy": "newest-build"})
    async with place.daemon() as daemon:
        await daemon.wait_for("image.updated")
        await daemon.end(signal.SIGKILL)
    blobs = (place.root / "registry/data/docker/registry/v2/blobs").glob("sha256/*/*/data")
    configurations = [blob for blob in blobs if b'"architecture"' in blob.read_bytes()]
    assert len(configurations) == 3
    for blob in configurations:
        blob.unlink()
    async with place.daemon() as daemon:
        await daemon.wait_for("round.finished", count=3)
        assert not daemon.events("image.incomplete")
    assert place.commits() == 2


async def test_sigterm_ends_well_and_finishes_what_was_decided(place: Installation) -> None:
    for number in range(20):
        place.application(f"app{number}")
    await place.push("v2.0")
    async with place.daemon() as daemon:
        await daemon.wait_for("image.observed")
        assert await daemon.end(signal.SIGTERM) == 0
        assert daemon.events("daemon.stopped")
        assert len(daemon.events("image.updated")) == 20
    assert place.commits() == 2


async def test_twenty_applications_are_one_commit(place: Installation) -> None:
    for number in range(20):
        place.application(f"app{number}")
    await place.push("v2.0")
    async with place.daemon() as daemon:
        await daemon.wait_for("image.updated", count=20)
    assert place.commits() == 2


async def test_once_writes_and_exits(place: Installation) -> None:
    place.application()
    await place.push("v2.0")
    async with place.daemon("--once") as daemon:
        assert await daemon.ended() == 0
        summary = daemon.events("round.finished")[-1].event
    assert (summary["applications"], summary["images_updated"], summary["errors"]) == (1, 1, 0)
    assert place.file() == V2_OVERRIDE


async def test_no_secret_is_ever_said(place: Installation) -> None:
    place.application()
    await place.push("v2.0")
    async with place.daemon() as daemon:
        await daemon.wait_for("image.updated")
    said = str([said.event for said in daemon.said])
    assert place.registry_password not in said
    assert place.git_password not in said


class TestBadInput:
    """Each is one clear warning of its own image, and the application beside it goes on."""

    @pytest.fixture(autouse=True)
    async def _neighbour(self, place: Installation) -> None:
        await place.push("v1.0", "v2.0", repository="team/good")
        place.application("good", {"image-list": f"echoserver={place.registry.host}/team/good"})

    async def test_unknown_repository(self, place: Installation) -> None:
        place.application(annotations={"image-list": f"echoserver={place.registry.host}/team/missing"})
        async with place.daemon() as daemon:
            warning = (await daemon.wait_for("image.incomplete")).event
            await daemon.wait_for("image.updated", application="argocd/good")
        assert warning["application"] == "argocd/gitops-demo"
        assert "team/missing" in str(warning["message"])

    async def test_no_matching_tag(self, place: Installation) -> None:
        place.application(annotations={"echoserver.allow-tags": "regexp:^release-"})
        async with place.daemon() as daemon:
            held = (await daemon.wait_for("image.held")).event
            await daemon.wait_for("image.updated", application="argocd/good")
        assert held["reason"] == "no-candidate"

    async def test_annotation_that_does_not_parse(self, place: Installation) -> None:
        place.application(annotations={"echoserver.update-strategy": "newest"})
        async with place.daemon() as daemon:
            warning = (await daemon.wait_for("image.misconfigured")).event
            await daemon.wait_for("image.updated", application="argocd/good")
        assert "write one of semver" in str(warning["reason"])

    async def test_missing_secret(self, place: Installation) -> None:
        place.application(annotations={"write-back-method": "git:secret:argocd/nothing"})
        await place.push("v2.0")
        async with place.daemon() as daemon:
            warning = (await daemon.wait_for("image.write_failed")).event
            await daemon.wait_for("image.updated", application="argocd/good")
        assert "argocd/nothing" in str(warning["reason"])

    async def test_branch_that_does_not_exist(self, place: Installation) -> None:
        place.application(annotations={"git-branch": "nowhere"})
        await place.push("v2.0")
        async with place.daemon() as daemon:
            warning = (await daemon.wait_for("image.write_failed")).event
            await daemon.wait_for("image.updated", application="argocd/good")
        assert "nowhere" in str(warning["reason"])

    async def test_override_file_that_is_no_yaml(self, place: Installation) -> None:
        commit_files(place.repository, {OVERRIDE: "helm: [\n"}, "broken")
        place.application()
        await place.push("v2.0")
        async with place.daemon() as daemon:
            warning = (await daemon.wait_for("image.write_failed")).event
            await daemon.wait_for("image.updated", application="argocd/good")
        assert OVERRIDE in str(warning["reason"])


async def test_wrong_registry_password_is_said_once_and_changes_nothing(place: Installation) -> None:
    place.registry_password = "wrong-p4ssword"
    place.application()
    async with place.daemon() as daemon:
        warning = (await daemon.wait_for("image.incomplete")).event
        await daemon.wait_for("round.finished", count=2)
        assert len(daemon.events("image.incomplete")) == 1
    assert "secret:argocd/acr#acr" in str(warning["message"])
    assert place.commits() == 1


async def test_git_password_that_may_not_push_is_said(place: Installation) -> None:
    place.run_git("config", "http.receivepack", "false")
    place.application()
    await place.push("v2.0")
    async with place.daemon() as daemon:
        warning = (await daemon.wait_for("image.write_failed")).event
    assert "git-creds" in str(warning["reason"])
    assert place.commits() == 1
