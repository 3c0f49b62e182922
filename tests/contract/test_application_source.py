"""What every source of Applications and Secrets does, be it an API server or a directory of manifests."""

import asyncio
import base64
import json
from collections.abc import AsyncGenerator, AsyncIterator, Mapping
from contextlib import aclosing, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import pytest

from tests.fakes.apiserver import ApiServer
from updater.adapters.directory import DirectoryCluster
from updater.adapters.kubernetes.cluster import KubernetesCluster
from updater.domain.application import ApplicationName, Parameter
from updater.domain.change import Edit
from updater.domain.errors import ClusterError, EditError, Misconfigured, SecretNotFound
from updater.domain.image import ImageVersion
from updater.domain.references import parse_reference
from updater.domain.target import ApplicationTarget, FileKind, ImageKeys
from updater.ports.cluster import ApplicationSource, ApplicationWriter, ClusterEvent, Gone, Listed, Seen, Unreadable
from updater.ports.secrets import RepositorySecrets

NAME = ApplicationName("argocd", "demo")
REFRESH = "argocd.argoproj.io/refresh"


class Cluster(ApplicationSource, ApplicationWriter, RepositorySecrets, Protocol):
    """All that a source fulfils."""


class World(Protocol):
    """Where Applications and Secrets are kept, as a test changes it."""

    cluster: Cluster

    def put(self, manifest: Mapping[str, Any]) -> None: ...

    def delete(self, name: str) -> None: ...

    def get(self, name: str) -> dict[str, Any]: ...


@dataclass
class InDirectory:
    root: Path
    cluster: Cluster

    def put(self, manifest: Mapping[str, Any]) -> None:
        self._file(manifest["metadata"]["name"]).write_text(json.dumps(manifest, indent=2))

    def delete(self, name: str) -> None:
        self._file(name).unlink()

    def get(self, name: str) -> dict[str, Any]:
        manifest: dict[str, Any] = json.loads(self._file(name).read_text())
        return manifest

    def _file(self, name: str) -> Path:
        return self.root / f"{name}.yaml"


@dataclass
class InKubernetes:
    server: ApiServer
    cluster: Cluster

    def put(self, manifest: Mapping[str, Any]) -> None:
        self.server.put(manifest)

    def delete(self, name: str) -> None:
        self.server.delete("argocd", name)

    def get(self, name: str) -> dict[str, Any]:
        return self.server.get("argocd", name)


@asynccontextmanager
async def _kubernetes(path: Path) -> AsyncIterator[World]:
    async with ApiServer() as server:
        cluster = await KubernetesCluster.open(["argocd"], server.kubeconfig(path / "kubeconfig"))
        try:
            yield InKubernetes(server, cluster)
        finally:
            await cluster.close()


@pytest.fixture(params=["directory", "kubernetes"])
async def world(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[World]:
    if request.param == "directory":
        yield InDirectory(tmp_path, DirectoryCluster(tmp_path, interval=0.01))
    else:
        async with _kubernetes(tmp_path) as kubernetes:
            yield kubernetes


def application(name: str = "demo", **spec: Any) -> dict[str, Any]:
    return {
        "apiVersion": "argoproj.io/v1alpha1",
        "kind": "Application",
        "metadata": {
            "name": name,
            "namespace": "argocd",
            "annotations": {"argocd-image-updater.argoproj.io/image-list": "app=quay.io/team/app"},
        },
        "spec": {
            "source": {
                "repoURL": "https://git.example.com/gitops.git",
                "path": "manifests/helm",
                "helm": {"parameters": [{"name": "replicas", "value": "2"}, {"name": "image.tag", "value": "v1"}]},
            },
            **spec,
        },
    }


def secret(name: str, labels: Mapping[str, str] | None = None, **data: str) -> dict[str, Any]:
    encoded = {key: base64.b64encode(value.encode()).decode() for key, value in data.items()}
    metadata = {"name": name, "namespace": "argocd", "labels": dict(labels or {})}
    return {"apiVersion": "v1", "kind": "Secret", "metadata": metadata, "data": encoded}


def edit(tag: str = "v2.0") -> Edit:
    return Edit(parse_reference("quay.io/team/app").at(ImageVersion(tag)), ImageKeys(tag="image.tag"))


def target(source: int = 0, kind: FileKind = FileKind.OVERRIDE_HELM) -> ApplicationTarget:
    return ApplicationTarget(NAME, source, kind)


@asynccontextmanager
async def listening(world: World) -> AsyncIterator[AsyncIterator[ClusterEvent]]:
    events = world.cluster.events()
    assert isinstance(events, AsyncGenerator)
    async with aclosing(events):
        yield events


async def _until(events: AsyncIterator[ClusterEvent], last: type[ClusterEvent]) -> list[ClusterEvent]:
    """Take events up to the first of a kind."""
    taken: list[ClusterEvent] = []
    async with asyncio.timeout(10):
        async for event in events:
            taken.append(event)
            if isinstance(event, last):
                return taken
    raise AssertionError("the events came to an end")


def _seen(events: list[ClusterEvent]) -> list[str]:
    return sorted(event.application.name.name for event in events if isinstance(event, Seen))


async def test_all_that_exist_are_told_before_listed(world: World) -> None:
    world.put(application("one"))
    world.put(application("two"))
    async with listening(world) as events:
        told = await _until(events, Listed)
    assert _seen(told) == ["one", "two"]


async def test_an_application_is_read_as_it_is(world: World) -> None:
    world.put(application())
    async with listening(world) as events:
        [seen] = [event.application for event in await _until(events, Listed) if isinstance(event, Seen)]
    assert seen.name == NAME
    assert seen.annotations == {"image-list": "app=quay.io/team/app"}
    assert seen.sources[0].helm_parameters[1] == Parameter("image.tag", "v1")
    assert seen.live_images is None


async def test_password_within_a_url_goes_no_further(world: World) -> None:
    """What an Application says of its repository is shown by statuses, Events, notifications, traces and the API."""
    world.put(application(source={"repoURL": "https://bot:p4ssword@git.example.com/gitops.git", "path": "x"}))
    async with listening(world) as events:
        [seen] = [event.application for event in await _until(events, Listed) if isinstance(event, Seen)]
    assert seen.sources[0].repo_url == "https://git.example.com/gitops.git"


async def test_application_set_that_generates_an_application_is_known(world: World) -> None:
    owned = application()
    owned["metadata"]["ownerReferences"] = [
        {"kind": "Project", "name": "x"},
        {"kind": "ApplicationSet", "name": "shops"},
    ]
    world.put(owned)
    async with listening(world) as events:
        [seen] = [event.application for event in await _until(events, Listed) if isinstance(event, Seen)]
    assert seen.generated_by == "shops"


async def test_whether_an_edit_holds_is_told(world: World) -> None:
    world.put(application())
    assert not await world.cluster.holds(target(), [edit()])
    assert await world.cluster.set_images(target(), [edit()])
    assert await world.cluster.holds(target(), [edit()])


def hydrated(**dry: Any) -> dict[str, Any]:
    """Make an Application whose manifests are rendered into another branch."""
    dry_source = {"repoURL": "https://git.example.com/dry.git", "path": "shop", "targetRevision": "main", **dry}
    hydrator = {"drySource": dry_source, "syncSource": {"targetBranch": "env/prod", "path": "shop"}}
    return application(source=None, sourceHydrator=hydrator)


async def test_dry_source_of_a_hydrator_is_the_source(world: World) -> None:
    world.put({**hydrated(), "status": {"sourceType": "Directory"}})
    async with listening(world) as events:
        [seen] = [event.application for event in await _until(events, Listed) if isinstance(event, Seen)]
    [source] = seen.sources
    assert (source.repo_url, source.path, source.kind) == ("https://git.example.com/dry.git", "shop", "")


@pytest.mark.parametrize("block", [None, {"releaseName": "shop"}], ids=["no block", "a block"])
async def test_dry_source_of_a_hydrator_is_patched(world: World, block: dict[str, Any] | None) -> None:
    given = hydrated(**({"helm": block} if block else {}))
    world.put(given)
    assert await world.cluster.set_images(target(), [edit()])
    wanted = {"parameters": [{"name": "image.tag", "value": "v2.0", "forceString": True}]}
    expected = given["spec"]
    expected["sourceHydrator"]["drySource"]["helm"] = {**(block or {}), **wanted}
    assert world.get("demo")["spec"] == expected


async def test_nothing_at_all_is_listed_too(world: World) -> None:
    async with listening(world) as events:
        assert len(await _until(events, Listed)) == 1


async def test_changes_are_told(world: World) -> None:
    async with listening(world) as events:
        await _until(events, Listed)
        world.put(application())
        assert _seen(await _until(events, Seen)) == ["demo"]
        world.put(application(project="other"))
        [seen] = await _until(events, Seen)
        assert isinstance(seen, Seen)
        assert seen.application.project == "other"
        world.delete("demo")
        assert await _until(events, Gone) == [Gone(NAME)]


async def test_what_does_not_matter_is_not_told_again(world: World) -> None:
    world.put(application())
    async with listening(world) as events:
        await _until(events, Listed)
        changed = application()
        changed["metadata"]["annotations"]["example.com/note"] = "new"
        world.put(changed)
        world.put(application("later"))
        assert _seen(await _until(events, Seen)) == ["later"]


async def test_a_hydrated_application_is_asked_to_render_as_well(world: World) -> None:
    world.put(hydrated())
    async with listening(world) as events:
        [seen] = [event.application for event in await _until(events, Listed) if isinstance(event, Seen)]
    await world.cluster.refresh(NAME, hydrate=seen.hydrated)
    annotations = world.get("demo")["metadata"]["annotations"]
    assert annotations[REFRESH] == annotations["argocd.argoproj.io/hydrate"] == "normal"


async def test_an_unreadable_application_is_told_once_and_stops_no_other(world: World) -> None:
    world.put(application("bad", source={"repoURL": ["no", "text"]}))
    world.put(application("good"))
    async with listening(world) as events:
        told = await _until(events, Listed)
        [unreadable] = [event for event in told if isinstance(event, Unreadable)]
        assert unreadable.name == "argocd/bad"
        assert "$.spec.source.repoURL" in unreadable.message
        assert _seen(told) == ["good"]
        world.put(application("bad"))
        assert _seen(await _until(events, Seen)) == ["bad"]


async def test_an_application_that_becomes_unreadable_is_not_gone(world: World) -> None:
    world.put(application())
    async with listening(world) as events:
        await _until(events, Listed)
        world.put(application(source="none"))
        told = await _until(events, Unreadable)
        assert [type(event) for event in told] == [Unreadable]
        world.delete("demo")
        assert await _until(events, Gone) == [Gone(NAME)]


async def test_each_listener_is_told_everything(world: World) -> None:
    world.put(application())
    for _ in range(2):
        async with listening(world) as events:
            assert _seen(await _until(events, Listed)) == ["demo"]


async def test_a_secret_is_decoded(world: World) -> None:
    world.put(secret("acr", acr="user:password"))
    assert await world.cluster.secret("argocd", "acr") == {"acr": b"user:password"}


async def test_plain_data_of_a_secret_is_read(world: World) -> None:
    world.put({**secret("acr"), "stringData": {"acr": "user:password"}})
    assert await world.cluster.secret("argocd", "acr") == {"acr": b"user:password"}


async def test_a_secret_without_data_is_empty(world: World) -> None:
    world.put({**secret("empty"), "data": None})
    assert await world.cluster.secret("argocd", "empty") == {}


@pytest.mark.parametrize(("namespace", "name"), [("argocd", "none"), ("other", "acr")])
async def test_a_missing_secret_is_named(world: World, namespace: str, name: str) -> None:
    world.put(secret("acr", acr="user:password"))
    with pytest.raises(SecretNotFound, match=f"{namespace}/{name}"):
        await world.cluster.secret(namespace, name)


async def test_a_secret_is_read_anew_each_time(world: World) -> None:
    world.put(secret("acr", acr="user:password"))
    await world.cluster.secret("argocd", "acr")
    world.put(secret("acr", acr="user:changed!"))
    assert await world.cluster.secret("argocd", "acr") == {"acr": b"user:changed!"}


async def test_secrets_are_found_by_label(world: World) -> None:
    label = "argocd.argoproj.io/secret-type"
    world.put(secret("one", {label: "repository"}, url="https://git.example.com"))
    world.put(secret("two", {label: "repo-creds"}))
    world.put(secret("cluster", {label: "cluster"}))
    world.put(secret("plain"))
    found = await world.cluster.secrets_labelled("argocd", label, ["repository", "repo-creds"])
    assert sorted((each.name, each.data.get("url")) for each in found) == [
        ("one", b"https://git.example.com"),
        ("two", None),
    ]
    assert await world.cluster.secrets_labelled("other", label, ["repository"]) == []


async def test_images_are_set_and_nothing_else(world: World) -> None:
    world.put(application())
    assert await world.cluster.set_images(target(), [edit()])
    source = world.get("demo")["spec"]["source"]
    assert source == {
        **application()["spec"]["source"],
        "helm": {
            "parameters": [
                {"name": "replicas", "value": "2"},
                {"name": "image.tag", "value": "v2.0", "forceString": True},
            ]
        },
    }


async def test_images_that_are_set_already_are_left_alone(world: World) -> None:
    world.put(application())
    await world.cluster.set_images(target(), [edit()])
    before = world.get("demo")
    assert not await world.cluster.set_images(target(), [edit()])
    assert world.get("demo") == before


async def test_images_of_one_source_of_several_are_set(world: World) -> None:
    sources: list[dict[str, Any]] = [
        {"repoURL": "https://git.example.com/a.git", "path": "a"},
        {"repoURL": "https://git.example.com/b.git", "path": "b", "kustomize": {"images": ["quay.io/team/app:v1"]}},
    ]
    world.put(application(source=None, sources=sources))
    assert await world.cluster.set_images(target(1, FileKind.OVERRIDE_KUSTOMIZE), [edit()])
    assert world.get("demo")["spec"]["sources"] == [
        sources[0],
        {**sources[1], "kustomize": {"images": ["quay.io/team/app:v2.0"]}},
    ]


async def test_a_source_without_parameters_gets_them(world: World) -> None:
    world.put(application(source={"repoURL": "https://git.example.com/a.git", "path": "a"}))
    assert await world.cluster.set_images(target(), [edit()])
    assert world.get("demo")["spec"]["source"]["helm"]["parameters"] == [
        {"name": "image.tag", "value": "v2.0", "forceString": True}
    ]


async def test_a_source_that_is_not_there_is_an_error(world: World) -> None:
    world.put(application(source=None, sources=[{"repoURL": "https://git.example.com/a.git"}]))
    with pytest.raises((Misconfigured, EditError), match="source"):
        await world.cluster.set_images(target(3), [edit()])


async def test_an_application_that_is_not_there_is_an_error(world: World) -> None:
    with pytest.raises(ClusterError, match="demo"):
        await world.cluster.set_images(target(), [edit()])
    with pytest.raises(ClusterError, match="demo"):
        await world.cluster.refresh(NAME)


async def test_a_refresh_is_an_annotation_that_wakes_nobody(world: World) -> None:
    world.put(application())
    async with listening(world) as events:
        await _until(events, Listed)
        await world.cluster.refresh(NAME)
        await world.cluster.refresh(NAME)
        annotations = world.get("demo")["metadata"]["annotations"]
        assert annotations == {**application()["metadata"]["annotations"], REFRESH: "normal"}
        world.put(application("later"))
        assert _seen(await _until(events, Seen)) == ["later"]


async def test_many_writes_at_once_are_all_kept(world: World) -> None:
    keys = [f"image{number}.tag" for number in range(8)]
    world.put(application(source={"repoURL": "https://git.example.com/a.git", "helm": {"parameters": []}}))
    written = [
        asyncio.create_task(_write_until_it_works(world.cluster, Edit(edit().image, ImageKeys(tag=key))))
        for key in keys
    ]
    await asyncio.gather(*written)
    parameters = world.get("demo")["spec"]["source"]["helm"]["parameters"]
    assert sorted(each["name"] for each in parameters) == keys


async def _write_until_it_works(cluster: Cluster, one: Edit) -> None:
    async with asyncio.timeout(10):
        while True:
            try:
                await cluster.set_images(target(), [one])
            except ClusterError:
                await asyncio.sleep(0)
            else:
                return
