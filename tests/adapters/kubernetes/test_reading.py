"""What registries need to know of a cluster: pull secrets of ServiceAccounts, and Argo CD's certificates."""

import pytest
from structlog.testing import capture_logs

from tests.fakes.apiserver import ApiServer, Fault
from updater.adapters.kubernetes.cluster import KubernetesCluster
from updater.domain.errors import ClusterError


async def test_the_pull_secrets_of_a_service_account_are_named(server: ApiServer, cluster: KubernetesCluster) -> None:
    references = [{"name": "hub"}, {"name": "quay"}]
    server.put({"kind": "ServiceAccount", "metadata": {"name": "default"}, "imagePullSecrets": references})
    assert await cluster.pull_secrets("argocd", "default") == ["hub", "quay"]


async def test_a_service_account_without_any_or_that_does_not_exist_has_none(
    server: ApiServer, cluster: KubernetesCluster
) -> None:
    server.put({"kind": "ServiceAccount", "metadata": {"name": "default"}})
    assert await cluster.pull_secrets("argocd", "default") == []
    assert await cluster.pull_secrets("argocd", "builder") == []


async def test_argo_cds_certificates_are_read_by_host(server: ApiServer, cluster: KubernetesCluster) -> None:
    assert await cluster.config_map("argocd", "argocd-tls-certs-cm") == {}
    server.put({"kind": "ConfigMap", "metadata": {"name": "argocd-tls-certs-cm"}, "data": {"a.example.com": "PEM"}})
    assert await cluster.config_map("argocd", "argocd-tls-certs-cm") == {"a.example.com": "PEM"}


async def test_what_rbac_keeps_from_us_is_done_without_and_said_once(
    server: ApiServer, cluster: KubernetesCluster
) -> None:
    server.forbidden |= {("get", "serviceaccounts")}
    with capture_logs() as said:
        for _ in range(2):
            assert await cluster.pull_secrets("argocd", "default") == []
    assert [each["event"] for each in said] == ["cluster.forbidden"]


async def test_a_server_that_fails_is_not_taken_for_one_that_has_nothing(
    server: ApiServer, cluster: KubernetesCluster
) -> None:
    server.fail(Fault(500))
    with pytest.raises(ClusterError):
        await cluster.pull_secrets("argocd", "default")
