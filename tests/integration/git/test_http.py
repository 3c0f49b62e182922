"""Redirects, proxies and certificates: where credentials go, and where they do not."""

import ssl
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from aiohttp import web
from structlog.testing import capture_logs

from tests.adapters.git.test_git_client import FILES, PASSWORD, Place, Secrets, client_of
from tests.fakes.certificates import loopback_certificate
from tests.fakes.git_http import FaultyGitServer
from tests.fakes.proxy import proxy
from updater.demo.gitserver import create_repository
from updater.domain.errors import ClusterError, GitError, Misconfigured

pytestmark = pytest.mark.integration

CHANGE = {"README.md": b"new\n"}
LOGIN = {"username": b"bot", "password": PASSWORD.encode()}


@asynccontextmanager
async def served(root: Path, context: ssl.SSLContext | None = None, ca_data: str = "") -> AsyncIterator[Place]:
    repository = create_repository(root, "gitops.git", FILES)
    client = client_of(Secrets(LOGIN), ca_data=ca_data)
    async with FaultyGitServer(root, username="bot", password=PASSWORD, ssl_context=context) as server:
        yield Place(server, repository, client)
        await client.close()


@pytest.fixture
async def place(tmp_path: Path) -> AsyncIterator[Place]:
    async with served(tmp_path) as made:
        yield made


def tls(root: Path, *, want_client: bool = False) -> ssl.SSLContext:
    made = loopback_certificate()
    (root / "server.pem").write_text(made.certificate + made.key)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(root / "server.pem")
    if want_client:
        context.verify_mode = ssl.CERT_REQUIRED
        context.load_verify_locations(cadata=made.certificate)
    return context


def redirect(place: Place, to: str, status: int, method: str = "") -> None:
    """Send requests for `old.git` to `to`."""

    def fault(request: web.Request, body: bytes) -> web.StreamResponse | None:
        if not request.path.startswith("/old.git") or (method and request.method != method):
            return None
        rest = request.path_qs.removeprefix("/old.git")
        return web.Response(status=status, headers={"Location": f"{to}{rest}"})

    place.server.fault = fault


@pytest.mark.parametrize("status", [301, 302, 307, 308])
async def test_redirect_on_the_same_server_is_followed_also_when_pushing(place: Place, status: int) -> None:
    redirect(place, "/gitops.git", status)
    remote = place.branch(url=place.server.url("old.git"))
    head = await remote.head()
    assert await remote.read(head, ["README.md"])
    commit = await place.write(CHANGE)
    assert place.git("rev-parse", "main") == commit


async def test_redirect_of_a_post_alone_sends_its_body_again(place: Place, tmp_path: Path) -> None:
    create_repository(tmp_path, "old.git", FILES)
    redirect(place, place.server.url("gitops.git"), 307, "POST")
    assert await place.branch(url=place.server.url("old.git")).head() == place.git("rev-parse", "main")


@pytest.mark.parametrize("target", ["http://localhost:{port}/gitops.git", "http://127.0.0.1:{other}/gitops.git"])
async def test_redirect_elsewhere_is_refused_and_credentials_stay(place: Place, tmp_path: Path, target: str) -> None:
    (tmp_path / "other").mkdir()
    async with FaultyGitServer(tmp_path / "other", username="bot", password=PASSWORD) as other:
        port, elsewhere = (urlsplit(each.url("")).port for each in (place.server, other))
        redirect(place, target.format(port=port, other=elsewhere), 302)
        with pytest.raises(GitError, match="write that URL in the Application") as caught:
            await place.branch(url=place.server.url("old.git")).head()
        assert PASSWORD not in str(caught.value)
        assert not other.seen
    assert len(place.server.seen) == 1


async def test_redirect_to_a_page_for_people_is_refused(place: Place) -> None:
    place.server.fault = lambda request, body: web.Response(status=302, headers={"Location": "/login?next=x"})
    with pytest.raises(GitError, match="redirects to"):
        await place.branch().head()


async def test_redirect_without_end_is_refused(place: Place) -> None:
    redirect(place, "/old.git", 302)
    with pytest.raises(GitError, match="redirects more than"):
        await place.branch(url=place.server.url("old.git")).head()
    assert len(place.server.seen) <= 5


async def test_proxy_of_the_secret_is_used(place: Place) -> None:
    async with proxy(urlsplit(place.server.url("")).port or 0) as between:
        place.client.reach.secrets = Secrets({**LOGIN, "proxy": between.url.replace("://", "://me:pass@").encode()})
        await place.branch(url="http://git.example.com/gitops.git").head()
        await place.client.close()
        assert between.heads[0].startswith(b"GET http://git.example.com/gitops.git/info/refs")
        assert b"Proxy-Authorization: Basic bWU6cGFzcw==" in between.heads[0]


async def test_proxy_of_the_environment_is_used_except_for_what_it_excludes(place: Place) -> None:
    async with proxy(urlsplit(place.server.url("")).port or 0) as between:
        environ = {"HTTP_PROXY": between.url, "NO_PROXY": "internal.example.com"}
        client = client_of(Secrets(LOGIN), environ=environ)
        place.client = client
        assert await place.branch(url="http://git.example.com/gitops.git").head()
        with pytest.raises(GitError, match="cannot be reached"):
            await place.branch(url="http://internal.example.com/gitops.git").head()
        await client.close()


async def test_tls_goes_through_the_proxy_unread(tmp_path: Path) -> None:
    ca_data = loopback_certificate().certificate
    async with served(tmp_path, tls(tmp_path), ca_data) as place:
        port = urlsplit(place.server.url("")).port or 0
        async with proxy(port) as between:
            place.client.reach.secrets = Secrets({**LOGIN, "proxy": between.url.encode()})
            await place.branch(url=f"https://localhost:{port}/gitops.git").head()
            await place.client.close()
            assert between.heads[0].startswith(b"CONNECT localhost:%d" % port)
            assert b"Authorization" not in between.heads[0]


async def test_authority_is_taken_from_argo_cds_certificates_for_that_host_alone(tmp_path: Path) -> None:
    async with served(tmp_path, tls(tmp_path)) as place:
        port = urlsplit(place.server.url("")).port
        maps = {"argocd-tls-certs-cm": {"127.0.0.1": loopback_certificate().certificate}}
        client = place.client = client_of(Secrets(LOGIN, config_maps=maps))
        assert await place.branch().head()
        with pytest.raises(GitError, match="not trusted"):
            await place.branch(url=f"https://localhost:{port}/gitops.git").head()
        await client.close()


async def test_certificates_that_cannot_be_read_add_none(tmp_path: Path) -> None:
    class Forbidding(Secrets):
        async def config_map(self, namespace: str, name: str) -> Mapping[str, str]:
            raise ClusterError(f"ConfigMap {namespace}/{name}: forbidden")

    async with served(tmp_path, tls(tmp_path)) as place:
        place.client = client_of(Forbidding(LOGIN), ca_data=loopback_certificate().certificate)
        with capture_logs() as logs:
            assert await place.branch().head()
            assert await place.branch().head()
        assert [log["event"] for log in logs] == ["cluster.certificates_unreadable"]
        await place.client.close()


async def test_certificate_is_not_looked_at_only_when_the_secret_says_so(tmp_path: Path) -> None:
    async with served(tmp_path, tls(tmp_path)) as place:
        with pytest.raises(GitError, match="not trusted"):
            await place.branch().head()
        place.client.reach.secrets = Secrets({**LOGIN, "insecure": b"true"})
        assert await place.branch().head()
        place.client.reach.secrets = Secrets({**LOGIN, "insecure": b"false"})
        with pytest.raises(GitError, match="not trusted"):
            await place.branch().head()


async def test_client_certificate_is_shown(tmp_path: Path) -> None:
    made = loopback_certificate()
    async with served(tmp_path, tls(tmp_path, want_client=True), made.certificate) as place:
        with pytest.raises(GitError):
            await place.branch().head()
        fields = {"tlsClientCertData": made.certificate.encode(), "tlsClientCertKey": made.key.encode()}
        place.client.reach.secrets = Secrets({**LOGIN, **fields})
        assert await place.write(CHANGE) == place.git("rev-parse", "main")


async def test_client_certificate_that_is_none_is_misconfigured(tmp_path: Path) -> None:
    async with served(tmp_path, tls(tmp_path)) as place:
        fields = {"tlsClientCertData": b"garbage", "tlsClientCertKey": b"secret-garbage"}
        place.client.reach.secrets = Secrets({**LOGIN, **fields})
        with pytest.raises(Misconfigured, match="tlsClientCertData") as caught:
            await place.branch().head()
        assert "secret-garbage" not in str(caught.value)


async def test_rotated_password_is_used_at_the_next_batch(place: Place) -> None:
    place.client.reach.secrets = Secrets({"username": b"bot", "password": b"yesterdays"})
    with pytest.raises(GitError):
        await place.branch().head()
    place.client.reach.secrets = Secrets(LOGIN)
    assert await place.branch().head()


async def test_push_tells_its_length(place: Place) -> None:
    await place.write(CHANGE)
    (push,) = (request for request in place.server.seen if request.path.endswith("/git-receive-pack"))
    assert int(push.headers["Content-Length"]) > 0
    assert "Transfer-Encoding" not in push.headers
