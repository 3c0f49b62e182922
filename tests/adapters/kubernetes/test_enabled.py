"""The namespaces that Argo CD looks after are ours too, where nothing else is said."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from tests.adapters.kubernetes.conftest import PACE, Listener, application, told
from tests.fakes.apiserver import ApiServer, Fault
from updater.adapters.kubernetes.cluster import KubernetesCluster
from updater.ports.cluster import Listed

PLACE = "ConfigMap argocd/argocd-cmd-params-cm"


@pytest.fixture
async def cluster(server: ApiServer, tmp_path: Path) -> AsyncIterator[KubernetesCluster]:
    for namespace in ("argocd", "team-a", "team-b", "other"):
        server.put(application(namespace, namespace=namespace))
    cluster = await KubernetesCluster.open_beside("argocd", server.kubeconfig(tmp_path / "kubeconfig"), pace=PACE)
    yield cluster
    await cluster.close()


def told_to_argo_cd(server: ApiServer, namespaces: str) -> None:
    data = {"application.namespaces": namespaces, "server.insecure": "true"}
    server.put({"kind": "ConfigMap", "metadata": {"name": "argocd-cmd-params-cm"}, "data": data})


async def listed(cluster: KubernetesCluster) -> list[str]:
    listener = Listener(cluster)
    words = told(await listener.until(Listed))
    await listener.close()
    return sorted(word.removesuffix(" v1") for word in words if word != "Listed")


@pytest.mark.parametrize(
    ("namespaces", "expected"),
    [
        ("team-a", ["argocd", "team-a"]),
        (" team-a , team-b,", ["argocd", "team-a", "team-b"]),
        ("team-*", ["argocd", "team-a", "team-b"]),
        ("/^(team-b|other)$/", ["argocd", "other", "team-b"]),
        ("*", ["argocd", "other", "team-a", "team-b"]),
        ("argocd", ["argocd"]),
    ],
)
async def test_what_argo_cd_is_told_is_followed(
    server: ApiServer, cluster: KubernetesCluster, namespaces: str, expected: list[str]
) -> None:
    told_to_argo_cd(server, namespaces)
    assert await listed(cluster) == expected


async def test_the_log_says_which_they_are_and_where_from(server: ApiServer, cluster: KubernetesCluster) -> None:
    told_to_argo_cd(server, "team-a,argocd")
    with capture_logs() as said:
        await listed(cluster)
    (entry,) = [each for each in said if each["event"] == "applications.namespaces"]
    assert entry["namespaces"] == ["argocd", "team-a"]
    assert entry["source"] == f"application.namespaces of {PLACE}"


@pytest.mark.parametrize(
    ("forbidden", "reason"), [(False, f"{PLACE} names no others"), (True, "403 configmaps is for")]
)
async def test_without_the_setting_or_the_right_to_it_argo_cds_namespace_is_all(
    server: ApiServer, cluster: KubernetesCluster, reason: str, *, forbidden: bool
) -> None:
    if forbidden:
        told_to_argo_cd(server, "team-a")
        server.forbidden.add(("get", "configmaps"))
    with capture_logs() as said:
        assert await listed(cluster) == ["argocd"]
    (entry,) = [each for each in said if each["event"] == "applications.namespaces"]
    assert entry["namespaces"] == ["argocd"]
    assert reason in entry["source"]


async def test_what_is_no_pattern_is_left_out_and_named(server: ApiServer, cluster: KubernetesCluster) -> None:
    told_to_argo_cd(server, "team-a,Team_B,team-[,/(/")
    with capture_logs() as said:
        assert await listed(cluster) == ["argocd", "team-a"]
    ignored = [each["namespace"] for each in said if each["event"] == "applications.namespace_ignored"]
    assert ignored == ["Team_B", "team-[", "/(/"]


async def test_a_server_that_fails_is_asked_until_it_answers(server: ApiServer, cluster: KubernetesCluster) -> None:
    told_to_argo_cd(server, "team-a")
    server.fail(*[Fault(503, path="argocd-cmd-params-cm")] * 3)
    with capture_logs() as said:
        assert await listed(cluster) == ["argocd", "team-a"]
    events = [
        each["event"] for each in said if each["event"].startswith("cluster.") and each.get("namespace") == "argocd"
    ]
    assert events[:2] == ["cluster.unreachable", "cluster.reachable"]
