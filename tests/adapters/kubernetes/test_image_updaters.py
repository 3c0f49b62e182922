"""ImageUpdaters beside Applications: watched where they are installed, done without where they are not."""

from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from tests.adapters.kubernetes.conftest import PACE, Listener, application
from tests.domain.builders import NOW
from tests.domain.resources import image, manifest, ref
from tests.fakes.apiserver import ApiServer, Fault
from tests.fakes.house import eventually
from updater.adapters.kubernetes.cluster import KubernetesCluster
from updater.domain.application import ApplicationName
from updater.domain.errors import ClusterError
from updater.domain.resources import ResourceName
from updater.ports.cluster import ApplicationEvent, Listed, ResourceGone, ResourceSeen, Seen, Unreadable

TEAM = manifest("team", ref("*", image()))
WATCH = "imageupdaters?watch="


@pytest.fixture
async def server() -> AsyncIterator[ApiServer]:
    async with ApiServer() as server:
        yield server


async def test_resources_are_told_before_the_applications_they_select(server: ApiServer, listener: Listener) -> None:
    server.put(application())
    server.put(TEAM)
    assert [type(event) for event in await listener.until(Listed)] == [ResourceSeen, Seen, Listed]


async def test_applications_wait_while_resources_cannot_be_listed(server: ApiServer, listener: Listener) -> None:
    """To decide without what a resource may forbid would be to decide on half an answer."""
    server.put(application())
    server.put(TEAM)
    server.fail(*[Fault(502, "<html>bad gateway</html>", path="imageupdaters?limit=")] * 3)
    assert [type(event) for event in await listener.until(Listed)] == [ResourceSeen, Seen, Listed]


async def test_a_changed_resource_is_told(server: ApiServer, listener: Listener) -> None:
    server.put(TEAM)
    await listener.until(Listed)
    server.put(manifest("team", ref("web-*", image())))
    *_, event = await listener.until(ResourceSeen)
    assert isinstance(event, ResourceSeen)
    assert event.resource.spec.refs[0].pattern == "web-*"


async def test_a_resource_deleted_while_its_watch_was_down_is_told_as_gone(
    server: ApiServer, listener: Listener
) -> None:
    server.put(TEAM)
    await listener.until(Listed)
    await eventually(lambda: any(WATCH in each for each in server.requests), lambda: "a watch")
    server.silent = True
    server.delete("argocd", "team", "ImageUpdater")
    server.expire()
    server.silent = False
    server.drop_watches()
    assert ResourceGone(ResourceName("argocd", "team")) in await listener.until(ResourceGone)


async def test_a_resource_that_is_none_is_said_and_leaves_the_others(server: ApiServer, listener: Listener) -> None:
    broken = manifest("broken")
    broken["spec"] = {"applicationRefs": "all"}
    server.put(broken)
    server.put(TEAM)
    events = await listener.until(Listed)
    assert [type(event) for event in events] == [Unreadable, ResourceSeen, Listed]
    assert isinstance(events[0], Unreadable)
    assert events[0].name == "ImageUpdater argocd/broken"
    assert "spec.applicationRefs" in events[0].message


async def _listener(server: ApiServer, tmp_path: Path, absent: float) -> AsyncIterator[Listener]:
    pace = replace(PACE, absent=absent)
    cluster = await KubernetesCluster.open(["argocd"], server.kubeconfig(tmp_path / "kubeconfig"), pace=pace)
    listener = Listener(cluster)
    yield listener
    await listener.close()
    await cluster.close()


@pytest.fixture
async def searching(server: ApiServer, tmp_path: Path) -> AsyncIterator[Listener]:
    """Look for a missing kind again at once."""
    async for listener in _listener(server, tmp_path, absent=0.02):
        yield listener


async def test_everything_works_where_the_kind_is_not_installed(server: ApiServer, searching: Listener) -> None:
    server.missing.add("imageupdaters")
    server.put(application())
    with capture_logs() as logs:
        assert [type(event) for event in await searching.until(Listed)] == [Seen, Listed]
        await eventually(
            lambda: sum("imageupdaters" in each for each in server.requests) > 3, lambda: "looking for it again"
        )
    assert [(log["event"], log["log_level"]) for log in logs] == [("cluster.kind_absent", "info")]


async def test_a_kind_that_is_installed_later_is_found(server: ApiServer, searching: Listener) -> None:
    server.missing.add("imageupdaters")
    await searching.until(Listed)
    server.put(TEAM)
    server.missing.clear()
    *_, event = await searching.until(ResourceSeen)
    assert isinstance(event, ResourceSeen)
    assert event.resource.name == ResourceName("argocd", "team")


async def test_a_kind_that_is_removed_takes_its_resources_along(server: ApiServer, searching: Listener) -> None:
    server.put(TEAM)
    await searching.until(Listed)
    await eventually(lambda: any(WATCH in each for each in server.requests), lambda: "a watch")
    server.missing.add("imageupdaters")
    server.expire()
    server.drop_watches()
    assert ResourceGone(ResourceName("argocd", "team")) in await searching.until(ResourceGone)


async def test_without_permission_the_rule_to_add_is_said_and_annotations_work(
    server: ApiServer, searching: Listener
) -> None:
    server.forbidden.add(("list", "imageupdaters"))
    server.put(application())
    with capture_logs() as logs:
        assert [type(event) for event in await searching.until(Listed)] == [Seen, Listed]
    assert logs[0]["log_level"] == "warning"
    assert 'resources ["imageupdaters"], verbs [get, list, watch]' in logs[0]["reason"]


async def test_a_status_is_replaced_through_its_subresource(server: ApiServer, cluster: KubernetesCluster) -> None:
    server.put(TEAM)
    await cluster.write_status(ResourceName("argocd", "team"), {"imagesManaged": 3})
    assert server.get("argocd", "team", "ImageUpdater")["status"] == {"imagesManaged": 3}
    assert server.requests[-1].split("?")[0].endswith("/imageupdaters/team/status")


async def test_a_status_of_a_resource_that_is_gone_is_nobodys_loss(cluster: KubernetesCluster) -> None:
    await cluster.write_status(ResourceName("argocd", "team"), {"imagesManaged": 3})


async def test_a_status_that_may_not_be_written_names_the_rule(server: ApiServer, cluster: KubernetesCluster) -> None:
    server.put(TEAM)
    server.forbidden.add(("patch", "imageupdaters"))
    with pytest.raises(ClusterError, match=r'resources \["imageupdaters/status"\], verbs \[patch\]'):
        await cluster.write_status(ResourceName("argocd", "team"), {})


async def test_an_event_is_attached_to_its_application(server: ApiServer, cluster: KubernetesCluster) -> None:
    event = ApplicationEvent(ApplicationName("argocd", "demo"), "ImagesHeld", "app: paused", False, NOW, {"a/b": "c"})
    await cluster.record_event(event)
    await cluster.record_event(replace(event, reason="ImagesUpdated"))
    first, second = (each for key, each in server._objects.items() if key.plural == "events")
    assert first["involvedObject"]["name"] == "demo"
    assert (first["type"], first["reason"], first["count"]) == ("Normal", "ImagesHeld", 1)
    assert first["metadata"]["annotations"] == {"a/b": "c"}
    assert first["metadata"]["name"].startswith("demo.")
    assert second["metadata"]["name"] != first["metadata"]["name"]


async def test_a_pattern_of_namespaces_is_one_watch_and_leaves_the_others_out(
    server: ApiServer, tmp_path: Path
) -> None:
    for namespace in ("argocd", "team-a", "other"):
        server.put(application(namespace=namespace))
        server.put(manifest("team", ref("*", image()), namespace=namespace))
    kubeconfig = server.kubeconfig(tmp_path / "kubeconfig")
    cluster = await KubernetesCluster.open(["argocd", "team-*"], kubeconfig, pace=PACE)
    listener = Listener(cluster)
    events = await listener.until(Listed)
    assert [event.application.name.namespace for event in events if isinstance(event, Seen)] == ["argocd", "team-a"]
    assert [event.resource.name.namespace for event in events if isinstance(event, ResourceSeen)] == [
        "argocd",
        "team-a",
    ]
    assert not any("/namespaces/" in request for request in server.requests)
    await listener.close()
    await cluster.close()


async def test_the_lease_of_somebody_else_is_read(server: ApiServer, cluster: KubernetesCluster) -> None:
    spec = {"holderIdentity": "aiu-1", "renewTime": "2026-08-01T12:00:00.000000Z"}
    server.put({"kind": "Lease", "metadata": {"name": "c21b75f2.argoproj.io"}, "spec": spec})
    assert await cluster.renewal("argocd", "c21b75f2.argoproj.io") == "2026-08-01T12:00:00.000000Z"
    assert await cluster.renewal("argocd", "other") == ""
