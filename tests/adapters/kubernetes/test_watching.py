"""Listing and watching through everything that API servers and networks do."""

import asyncio
import json
from collections.abc import MutableMapping
from pathlib import Path
from typing import Any

import pytest
from structlog.testing import capture_logs

from tests.adapters.kubernetes.conftest import PACE, Listener, application, told
from tests.fakes.apiserver import ApiServer, Fault
from tests.fakes.house import eventually
from updater.adapters.kubernetes.cluster import KubernetesCluster
from updater.adapters.kubernetes.reflector import Pace
from updater.ports.cluster import Gone, Listed, Seen

LIST = "applications?limit="
WATCH = "applications?watch="


def lists(server: ApiServer) -> int:
    """Count the lists that were begun."""
    return sum(LIST in request and "continue=" not in request for request in server.requests)


def watches(server: ApiServer) -> int:
    return sum(WATCH in request for request in server.requests)


def _of_applications(logs: list[MutableMapping[str, Any]]) -> list[MutableMapping[str, Any]]:
    """Leave out that ImageUpdaters are not installed."""
    return [log for log in logs if log["event"] != "cluster.kind_absent"]


async def _watched(server: ApiServer) -> None:
    await eventually(lambda: server.watching > 0, lambda: "a watch")


async def test_a_list_of_many_pages_is_told_once(server: ApiServer, listener: Listener) -> None:
    for number in range(10):
        server.put(application(f"app{number}"))
    assert told(await listener.until(Listed)) == [*(f"app{number} v1" for number in range(10)), "Listed"]
    assert sum(LIST in request for request in server.requests) == 4


async def test_the_watch_begins_where_the_list_ended(server: ApiServer, listener: Listener) -> None:
    server.put(application())
    await listener.until(Listed)
    await _watched(server)
    assert f"resourceVersion={server.get('argocd', 'demo')['metadata']['resourceVersion']}" in server.requests[-1]


async def test_a_dropped_watch_goes_on_from_the_last_event(server: ApiServer, listener: Listener) -> None:
    await listener.until(Listed)
    for round_ in range(3):
        await _watched(server)
        server.drop_watches()
        server.put(application(tag=f"v{round_}"))
        assert told(await listener.until(Seen)) == [f"demo v{round_}"]
    assert lists(server) == 1


async def test_a_watch_that_the_server_ends_is_begun_again(server: ApiServer, tmp_path: Path) -> None:
    kubeconfig = server.kubeconfig(tmp_path / "kubeconfig")
    cluster = await KubernetesCluster.open(["argocd"], kubeconfig, pace=Pace(watch=1, first_pause=0.01))
    listener = Listener(cluster)
    await listener.until(Listed)
    await eventually(lambda: watches(server) >= 2, lambda: "a second watch")
    server.put(application())
    assert told(await listener.until(Seen)) == ["demo v1"]
    assert lists(server) == 1
    await listener.close()
    await cluster.close()


@pytest.mark.parametrize("by_status", [False, True])
async def test_an_expired_watch_lists_again_and_finds_what_it_missed(
    server: ApiServer, listener: Listener, *, by_status: bool
) -> None:
    server.gone_by_status = by_status
    server.bookmark_every = 100
    for name in ("kept", "removed", "changed"):
        server.put(application(name))
    await listener.until(Listed)
    await _watched(server)
    server.silent = True
    server.delete("argocd", "removed")
    server.put(application("changed", tag="v2"))
    server.put(application("added"))
    server.expire()
    server.silent = False
    server.drop_watches()
    assert sorted(told(await listener.until(Listed))) == ["Listed", "added v1", "changed v2", "removed gone"]
    server.put(application("later"))
    assert told(await listener.until(Seen)) == ["later v1"]


async def test_those_that_are_gone_are_told_before_listed(server: ApiServer, listener: Listener) -> None:
    server.put(application())
    await listener.until(Listed)
    await _watched(server)
    server.bookmark_every = 100
    server.silent = True
    server.delete("argocd", "demo")
    server.expire()
    server.silent = False
    server.drop_watches()
    assert told(await listener.until(Listed)) == ["demo gone", "Listed"]


async def test_bookmarks_keep_a_quiet_watch_from_expiring(server: ApiServer, listener: Listener) -> None:
    await listener.until(Listed)
    await _watched(server)
    server.expire()
    expired = server._version
    await asyncio.sleep(3 * server.bookmark_every)
    server.drop_watches()
    await eventually(lambda: f"resourceVersion={expired}" in server.requests[-1], lambda: "the bookmark's version")
    assert lists(server) == 1


async def test_pages_that_expire_are_listed_from_the_beginning(server: ApiServer, listener: Listener) -> None:
    for number in range(5):
        server.put(application(f"app{number}"))
    server.fail(Fault(410, path="continue="))
    assert sorted(told(await listener.until(Listed))) == ["Listed", *(f"app{number} v1" for number in range(5))]


async def test_a_silent_watch_is_taken_for_dead(server: ApiServer, tmp_path: Path) -> None:
    kubeconfig = server.kubeconfig(tmp_path / "kubeconfig")
    cluster = await KubernetesCluster.open(["argocd"], kubeconfig, pace=Pace(idle=0.2))
    listener = Listener(cluster)
    await listener.until(Listed)
    await _watched(server)
    server.silent = True
    server.put(application())
    await eventually(lambda: watches(server) >= 2, lambda: "a second watch")
    server.silent = False
    server.drop_watches()
    assert told(await listener.until(Seen)) == ["demo v1"]
    await listener.close()
    await cluster.close()


@pytest.mark.parametrize(
    "fault",
    [
        Fault(500, "oh no", path=LIST),
        Fault(502, "<html>Bad Gateway</html>", path=LIST),
        Fault(200, "<html>Welcome</html>", path=LIST),
        Fault(200, '{"metadata": {}, "items": "none"}', path=LIST),
        Fault(429, "slow down", {"Retry-After": "0"}, path=LIST),
        Fault(410, path=WATCH),
        Fault(503, path=WATCH),
        Fault(200, "<html>Welcome</html>\n", path=WATCH),
        Fault(200, '{"type": "ADDED"}\n', path=WATCH),
        Fault(200, '{"type": "ADDED", "object": {"metadata": {"name": "de', path=WATCH),
        Fault(200, "", path=WATCH),
        Fault(200, '{"type": "NEWS", "object": {}}\n', path=WATCH),
        Fault(200, '{"type": "ERROR", "object": {"code": 500, "message": "etcd"}}\n', path=WATCH),
    ],
    ids=lambda fault: f"{fault.status} {fault.path} {fault.body[:30]}",
)
async def test_a_broken_answer_is_got_over(server: ApiServer, listener: Listener, fault: Fault) -> None:
    server.put(application())
    server.fail(fault)
    await listener.until(Listed)
    await eventually(lambda: not server._faults, lambda: "the fault")
    await _watched(server)
    server.put(application("later"))
    assert told(await listener.until(Seen))[-1] == "later v1"


async def test_an_outage_is_said_once_and_its_end_too(server: ApiServer, listener: Listener) -> None:
    server.put(application())
    with capture_logs() as logs:
        server.fail(*[Fault(503, path=LIST)] * 5)
        assert told(await listener.until(Listed)) == ["demo v1", "Listed"]
        await eventually(lambda: len(_of_applications(logs)) == 2, lambda: "the end")
    assert [(log["event"], log["log_level"], log["namespace"]) for log in _of_applications(logs)] == [
        ("cluster.unreachable", "warning", "argocd"),
        ("cluster.reachable", "info", "argocd"),
    ]


async def test_a_server_that_restarts_is_found_again(server: ApiServer, listener: Listener) -> None:
    await listener.until(Listed)
    await _watched(server)
    port = server.port
    with capture_logs() as logs:
        await server.stop()
        await eventually(lambda: bool(logs), lambda: "the warning")
        server.put(application())
        await server.start(port)
        assert told(await listener.until(Seen)) == ["demo v1"]
        await eventually(lambda: len(logs) == 2, lambda: "the end")
    assert "Cannot connect" in logs[0]["reason"]


async def test_a_missing_permission_is_named_with_the_rule_to_add(server: ApiServer, listener: Listener) -> None:
    server.forbidden.add(("list", "applications"))
    with capture_logs() as logs:
        listed = asyncio.ensure_future(listener.until(Listed))
        await eventually(lambda: bool(_of_applications(logs)), lambda: "the warning")
        server.forbidden.clear()
        await listed
    reason = _of_applications(logs)[0]["reason"]
    assert reason.startswith("list applications.argoproj.io in namespace argocd: 403 applications is forbidden")
    assert reason.endswith(
        "give the updater's service account a Role in namespace argocd with "
        'apiGroups ["argoproj.io"], resources ["applications"], verbs [get, list, watch, patch]'
    )


async def test_a_server_that_expires_every_watch_is_not_hammered(server: ApiServer, listener: Listener) -> None:
    """Each list costs a large cluster much: the pauses between them grow though each list succeeds."""
    server.fail(*[Fault(410, path=WATCH)] * 1000)
    await listener.until(Listed)
    await asyncio.sleep(0.5)
    assert lists(server) < 20


async def test_a_huge_application_comes_through_a_watch(server: ApiServer, listener: Listener) -> None:
    await listener.until(Listed)
    await _watched(server)
    server.put(application(info=[{"name": "note", "value": "x" * 3_000_000}]))
    assert told(await listener.until(Seen)) == ["demo v1"]


async def test_an_application_that_is_unreadable_in_a_watch_is_told_once(server: ApiServer, listener: Listener) -> None:
    await listener.until(Listed)
    await _watched(server)
    server.put(application(source=1))
    server.put(application(source=1, project="other"))
    server.put(application("good"))
    assert told(await listener.until(Seen)) == ["argocd/demo unreadable", "good v1"]
    server.delete("argocd", "demo")
    assert told(await listener.until(Gone)) == ["demo gone"]


@pytest.mark.parametrize("path", [LIST, WATCH])
async def test_an_application_that_is_nested_as_deep_as_can_be_keeps_no_other_from_being_read(
    server: ApiServer, listener: Listener, path: str
) -> None:
    """Kubernetes takes values of ten thousand levels; whoever may create such an Application stops nobody else."""
    values = '{"a":' * 9_900 + "1" + "}" * 9_900
    spec = f'{{"project": {{}}, "source": {{"helm": {{"valuesObject": {values}}}}}}}'
    deep = f'{{"metadata": {{"name": "deep", "namespace": "argocd"}}, "spec": {spec}}}'
    good = json.dumps(application())
    answer = f'{{"metadata": {{"resourceVersion": "1000"}}, "items": [{deep}, {good}]}}'
    if path == WATCH:
        answer = "".join(f'{{"type": "ADDED", "object": {each}}}\n' for each in (deep, good))
    server.fail(Fault(200, answer, path=path))
    assert told(await listener.until(Seen))[-2:] == ["argocd/deep unreadable", "demo v1"]


async def test_several_namespaces_are_listed_when_all_are(server: ApiServer, tmp_path: Path) -> None:
    server.put(application("one", namespace="team-a"))
    server.put(application("two", namespace="team-b"))
    server.put(application("three", namespace="other"))
    server.fail(Fault(503, path="team-b/"))
    kubeconfig = server.kubeconfig(tmp_path / "kubeconfig")
    cluster = await KubernetesCluster.open(["team-a", "team-b", "team-a"], kubeconfig, pace=PACE)
    listener = Listener(cluster)
    assert sorted(told(await listener.until(Listed))) == ["Listed", "one v1", "two v1"]
    server.put(application("four", namespace="team-b"))
    assert told(await listener.until(Seen)) == ["four v1"]
    await cluster.close()
    await listener.close()


async def test_no_namespace_means_all(server: ApiServer, tmp_path: Path) -> None:
    server.put(application("one", namespace="team-a"))
    server.put(application("two", namespace="team-b"))
    cluster = await KubernetesCluster.open([], server.kubeconfig(tmp_path / "kubeconfig"), pace=PACE)
    listener = Listener(cluster)
    assert told(await listener.until(Listed)) == ["one v1", "two v1", "Listed"]
    await listener.close()
    await cluster.close()


async def test_nothing_is_left_running_when_the_events_are_let_go(
    server: ApiServer, cluster: KubernetesCluster
) -> None:
    listener = Listener(cluster)
    await listener.until(Listed)
    await _watched(server)
    await listener.close()
    await eventually(lambda: server.watching == 0, lambda: "the end of the watch")
    assert [task.get_name() for task in asyncio.all_tasks() if task.get_name().startswith("watch")] == []
