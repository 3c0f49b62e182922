"""Where changes are written, with real parts: several sources, a hydrator, and the Application itself."""

from base64 import b64encode
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Literal

import pytest
from aiohttp import web

from tests.e2e.installation import Installation
from updater.demo.gitserver import commit_files

pytestmark = pytest.mark.e2e


async def test_values_file_that_a_chart_takes_from_git_is_written_there(place: Installation) -> None:
    values = "# the shop\nimage:\n  tag: v1.0  # ours\nreplicas: 2\n"
    commit_files(place.repository, {"env/prod.yaml": values}, "values")
    chart = {
        "repoURL": "https://charts.invalid",
        "chart": "shop",
        "targetRevision": "1.2.3",
        "helm": {"valueFiles": ["$values/env/prod.yaml"]},
    }
    lender = {"repoURL": place.git.url("gitops.git"), "targetRevision": "main", "ref": "values"}
    place.application(
        annotations={"write-back-target": "helmvalues:$values/env/prod.yaml"},
        spec={"sources": [chart, lender]},
    )
    await place.push("v2.0")
    async with place.daemon() as daemon:
        await daemon.wait_for("image.updated")
    assert place.file("env/prod.yaml") == values.replace("v1.0", "v2.0")
    assert place.commits() == 3


async def test_second_source_is_patched_and_nothing_else(place: Installation) -> None:
    first = {"repoURL": place.git.url("gitops.git"), "path": "plain", "directory": {"recurse": True}}
    second = {
        "repoURL": place.git.url("gitops.git"),
        "path": "manifests/helm",
        "helm": {
            "valuesObject": {"image": {"tag": "v0.1", "pullPolicy": None}, "ratio": 0.5},
            "parameters": [{"name": "replicas", "value": "2"}, {"name": "image.tag", "value": "v1.0"}],
        },
    }
    place.application(annotations={"write-back-method": "argocd"}, spec={"sources": [first, second]})
    before = place.stored()
    await place.push("v2.0")
    async with place.daemon() as daemon:
        await daemon.wait_for("image.updated")
        await daemon.wait_for("round.finished", count=3)
        assert len(daemon.events("image.updated")) == 1
    before["spec"]["sources"][1]["helm"]["parameters"][1] |= {"value": "v2.0", "forceString": True}
    assert place.stored()["spec"] == before["spec"]
    assert sum(request.startswith("PATCH") for request in place.api.requests) == 1


async def test_dry_source_of_a_hydrator_is_written_in_git(place: Installation) -> None:
    dry = {"repoURL": place.git.url("gitops.git"), "path": "manifests/helm", "targetRevision": "main"}
    place.application(
        spec={"sourceHydrator": {"drySource": dry, "syncSource": {"targetBranch": "env/prod", "path": "demo"}}},
    )
    await place.push("v2.0")
    async with place.daemon() as daemon:
        updated = (await daemon.wait_for("image.updated")).event
        await daemon.wait_for("application.refreshed")
    assert updated["commit"] == place.run_git("rev-parse", "main")
    assert "value: v2.0" in place.file()
    assert place.stored()["metadata"]["annotations"]["argocd.argoproj.io/hydrate"] == "normal"


async def test_application_set_that_takes_a_write_back_is_named_and_not_fought(place: Installation) -> None:
    application_set = {"kind": "ApplicationSet", "metadata": {"name": "demos", "namespace": "argocd"}, "spec": {}}
    place.put(application_set)
    owner = {"apiVersion": "argoproj.io/v1alpha1", "kind": "ApplicationSet", "name": "demos", "uid": "1"}

    def generate() -> None:
        place.application(
            annotations={"write-back-method": "argocd"},
            source={"path": "manifests/helm", "targetRevision": "main", "helm": {"releaseName": "demo"}},
            metadata={"ownerReferences": [owner]},
        )

    generate()
    await place.push("v2.0")
    async with place.daemon() as daemon:
        warning = (await daemon.wait_for("application.generated")).event
        await daemon.wait_for("image.updated")
        generate()
        failed = (await daemon.wait_for("image.write_failed")).event
        await daemon.wait_for("round.finished", count=6)
        assert not daemon.events("image.held")
        assert len(daemon.events("image.updated")) == 1
        application_set["spec"] = {"ignoreApplicationDifferences": [{"jqPathExpressions": [".spec.source.helm"]}]}
        place.put(application_set)
        await daemon.wait_for("image.updated", count=2)
    assert "jsonPointers: [/spec/source/helm/parameters]" in str(warning["reason"])
    assert "v2.0 was written, and is gone again" in str(failed["reason"])
    assert place.stored()["spec"]["source"]["helm"]["parameters"][0]["value"] == "v2.0"


@asynccontextmanager
async def helm_repository(versions: list[str], login: str = "") -> AsyncIterator[str]:
    """Serve the index of a repository with one chart, at an address of its own."""

    async def index(request: web.BaseRequest) -> web.Response:
        if login and request.headers.get("Authorization") != f"Basic {b64encode(login.encode()).decode()}":
            return web.Response(status=401, headers={"WWW-Authenticate": 'Basic realm="charts"'})
        entries = "".join(f"  - name: shop\n    version: {version}\n" for version in versions)
        found = request.path == "/stable/index.yaml"
        return web.Response(text=f"apiVersion: v1\nentries:\n  shop:\n{entries}", status=200 if found else 404)

    runner = web.ServerRunner(web.Server(index))
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    try:
        yield f"http://127.0.0.1:{runner.addresses[0][1]}/stable"
    finally:
        await runner.cleanup()


@pytest.mark.parametrize("source", ["kubernetes", "directory"])
async def test_chart_of_a_helm_repository_is_followed(
    place: Installation, source: Literal["kubernetes", "directory"]
) -> None:
    """Argo CD's own credentials for the repository are those that the index is read with."""
    place.source = source
    versions = ["1.2.0"]
    async with helm_repository(versions, "argo:p4ssword") as url:
        known = {"name": "charts", "namespace": "argocd", "labels": {"argocd.argoproj.io/secret-type": "repository"}}
        data = {"type": "helm", "url": url, "username": "argo", "password": "p4ssword"}
        encoded = {key: b64encode(value.encode()).decode() for key, value in data.items()}
        place.put({"apiVersion": "v1", "kind": "Secret", "metadata": known, "data": encoded})
        chart = {"repoURL": url, "chart": "shop", "targetRevision": "1.2.0", "helm": {"values": "a: 1\n"}}
        lender = {"repoURL": place.git.url("gitops.git"), "targetRevision": "main", "ref": "values"}
        place.application(
            annotations={
                "image-list": f"chart={url}/shop:~1.2",
                "write-back-method": "argocd",
                **dict.fromkeys(
                    ("echoserver.helm.image-tag", "echoserver.update-strategy", "echoserver.allow-tags"), None
                ),
            },
            spec={"sources": [lender, chart]},
        )
        async with place.daemon() as daemon:
            await daemon.wait_for("image.up_to_date")
            versions[:0] = ["2.0.0", "1.2.1-rc.1", "1.2.1"]
            updated = (await daemon.wait_for("image.updated")).event
    assert (updated["from"], updated["to"], updated["image"]) == ("1.2.0", "1.2.1", f"{url}/shop")
    assert place.stored()["spec"]["sources"] == [lender, {**chart, "targetRevision": "1.2.1"}]


async def test_chart_of_a_registry_is_followed(place: Installation) -> None:
    """Charts of a registry are tags as those of images are, but for `_` in place of Helm's `+`."""
    await place.push("1.2.0", "1.3.0_build.1", "2.0.0", repository="charts/shop")
    chart = {"repoURL": f"{place.registry.host}/charts", "chart": "shop", "targetRevision": "1.2.0"}
    place.application(
        annotations={
            "image-list": f"chart=oci://{place.registry.host}/charts/shop:^1",
            "write-back-method": "argocd",
            **dict.fromkeys(("echoserver.helm.image-tag", "echoserver.update-strategy", "echoserver.allow-tags"), None),
        },
        spec={"source": chart},
    )
    async with place.daemon() as daemon:
        await daemon.wait_for("image.updated", to="1.3.0+build.1")
        await daemon.wait_for("round.finished", count=4)
        assert len(daemon.events("image.updated")) == 1
    assert place.stored()["spec"]["source"] == {**chart, "targetRevision": "1.3.0+build.1"}


async def test_chart_in_the_applications_manifest_in_git_is_followed(place: Installation) -> None:
    """What a parent Application keeps in Git is changed there: a patch would be taken back."""
    versions = ["1.2.0", "1.2.1"]
    async with helm_repository(versions) as url:
        chart = {"repoURL": url, "chart": "shop", "targetRevision": "1.2.0"}
        manifest = (
            "apiVersion: argoproj.io/v1alpha1\nkind: Application\nmetadata:\n  name: gitops-demo  # the demo\n"
            f"spec:\n  source:\n    repoURL: {url}\n    chart: shop\n    targetRevision: 1.2.0  # followed\n"
        )
        commit_files(place.repository, {"apps/demo.yaml": manifest}, "app of apps")
        place.application(
            annotations={
                "image-list": f"chart={url}/shop",
                "write-back-target": "application:apps/demo.yaml",
                "git-repository": place.git.url("gitops.git"),
                **dict.fromkeys(
                    ("echoserver.helm.image-tag", "echoserver.update-strategy", "echoserver.allow-tags"), None
                ),
            },
            spec={"source": chart},
        )
        async with place.daemon() as daemon:
            await daemon.wait_for("image.updated", to="1.2.1")
            await daemon.wait_for("round.finished", count=4)
    assert place.file("apps/demo.yaml") == manifest.replace("1.2.0", "1.2.1")
    assert place.commits() == 3
    assert place.stored()["spec"]["source"] == chart
