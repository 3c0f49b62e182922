"""How the API server is found, and who the updater is there."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from kubernetes_asyncio.client import ApiClient

from tests.fakes.apiserver import ApiServer
from tests.fakes.certificates import loopback_certificate
from updater.adapters.kubernetes.configuration import load_configuration
from updater.adapters.kubernetes.connection import SECRETS, ApiError, Connection
from updater.domain.errors import Misconfigured


@asynccontextmanager
async def in_cluster(server: ApiServer, directory: Path) -> AsyncIterator[Connection]:
    """Connect as a pod would whose service account is mounted at a directory."""
    (directory / "ca.crt").write_text(loopback_certificate().certificate)
    (directory / "token").write_text(f"{server.token}\n")
    environ = {"KUBERNETES_SERVICE_HOST": "127.0.0.1", "KUBERNETES_SERVICE_PORT": str(server.port)}
    configuration, reload = await load_configuration(None, "", environ, directory)
    connection = Connection(ApiClient(configuration), reload)
    try:
        yield connection
    finally:
        await connection.close()


async def test_a_pod_uses_its_service_account_and_sees_its_token_renewed(tmp_path: Path) -> None:
    async with ApiServer(tls=True) as server, in_cluster(server, tmp_path) as connection:
        await connection.get(SECRETS, "argocd")
        server.token = "renewed-token"
        with pytest.raises(ApiError, match=r"401 .*renew"):
            await connection.get(SECRETS, "argocd")
        (tmp_path / "token").write_text(server.token)
        await connection.get(SECRETS, "argocd")


async def test_a_kubeconfigs_token_is_read_again_when_it_is_refused(tmp_path: Path) -> None:
    async with ApiServer(tls=True) as server:
        connection = await Connection.open(server.kubeconfig(tmp_path / "kubeconfig"), "")
        await connection.get(SECRETS, "argocd")
        server.token = "renewed-token"
        server.kubeconfig(tmp_path / "kubeconfig")
        await connection.get(SECRETS, "argocd")
        await connection.close()


async def test_a_certificate_that_is_not_trusted_is_said(tmp_path: Path) -> None:
    async with ApiServer(tls=True) as server:
        text = server.kubeconfig(tmp_path / "kubeconfig").read_text().replace("certificate-authority-data", "other")
        (tmp_path / "kubeconfig").write_text(text)
        connection = await Connection.open(tmp_path / "kubeconfig", "")
        with pytest.raises(ApiError, match=r"list secrets in namespace argocd: .*certificate verify failed"):
            await connection.get(SECRETS, "argocd")
        await connection.close()


async def test_a_pod_without_a_token_is_told_how_to_get_one(tmp_path: Path) -> None:
    with pytest.raises(Misconfigured, match="automountServiceAccountToken"):
        await load_configuration(None, "", {"KUBERNETES_SERVICE_HOST": "10.0.0.1"}, tmp_path)


@pytest.mark.parametrize(
    "content",
    [
        "",
        "[]",
        "a: b: hunter22",
        '{"users": [{"name": "u", "user": {"token": "hunter22"}}], "current-context": "none"}',
    ],
)
async def test_a_bad_kubeconfig_is_named_without_its_content(tmp_path: Path, content: str) -> None:
    path = tmp_path / "kubeconfig"
    path.write_text(content)
    with pytest.raises(Misconfigured, match=rf"kubeconfig {path} cannot be used: .*applications\.kubeconfig") as caught:
        await load_configuration(path, "")
    assert "hunter22" not in str(caught.value)


async def test_a_missing_kubeconfig_is_named(tmp_path: Path) -> None:
    with pytest.raises(Misconfigured, match="does not exist"):
        await load_configuration(tmp_path / "none", "")


async def test_a_context_that_is_not_there_is_named(tmp_path: Path) -> None:
    async with ApiServer() as server:
        with pytest.raises(Misconfigured, match="production"):
            await load_configuration(server.kubeconfig(tmp_path / "kubeconfig"), "production")


async def test_names_cannot_lead_to_another_path(tmp_path: Path) -> None:
    assert SECRETS.path("argocd", "../../x?y") == "/api/v1/namespaces/argocd/secrets/..%2F..%2Fx%3Fy"


async def test_a_page_of_html_is_no_message(tmp_path: Path) -> None:
    async with ApiServer() as server:
        connection = await Connection.open(server.kubeconfig(tmp_path / "kubeconfig"), "")
        server.url = server.url
        server.forbidden.add(("list", "secrets"))
        with pytest.raises(ApiError) as caught:
            await connection.get(SECRETS, "argocd")
        assert caught.value.status == 403
        await connection.close()
