"""Which Secret counts, and what is made of its fields; token endpoints are small servers of our own."""

import asyncio
import base64
import json
import sys
from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from aiohttp import web
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from tests.adapters.git.test_git_client import Secrets
from updater.adapters.git.credentials import find_fields
from updater.adapters.git.login import Login
from updater.adapters.git.logins import Logins
from updater.adapters.git.tokens import Post, Tokens, send_form
from updater.domain.errors import GitAuthError, GitError, Misconfigured
from updater.domain.target import Branch
from updater.formats.codecommit import AwsKey, codecommit_login
from updater.formats.repository_url import covers, is_ssh, normalised, plain, ssh_address
from updater.ports.secrets import LabelledSecret

URL = "https://git.example.com/team/gitops.git"


def stored(kind: str, name: str, url: str, **fields: str) -> LabelledSecret:
    labels = {"argocd.argoproj.io/secret-type": kind}
    return LabelledSecret("argocd", name, labels, {k: v.encode() for k, v in {"url": url, **fields}.items()})


async def password_of(*stored_secrets: LabelledSecret, url: str = URL, project: str = "") -> str:
    credentials = f"repocreds:{project}" if project else "repocreds"
    _, fields = await find_fields(Secrets({}, stored_secrets), Branch(url, "main", credentials), "argocd")
    return fields["password"]


@pytest.mark.parametrize(
    "url",
    [URL, "https://git.example.com/team/gitops", "https://bot@GIT.example.com/Team/gitops.git", f"{URL}/"],
)
async def test_spellings_of_a_url_are_one(url: str) -> None:
    assert await password_of(stored("repository", "own", url, password="p")) == "p"


async def test_own_secret_comes_before_any_template() -> None:
    own = stored("repository", "own", URL, password="own")
    template = stored("repo-creds", "template", URL, password="template")
    assert await password_of(template, own) == "own"


async def test_longest_template_counts() -> None:
    short = stored("repo-creds", "short", "https://git.example.com", password="short")
    long = stored("repo-creds", "long", "https://git.example.com/team", password="long")
    assert await password_of(short, long) == "long"
    assert await password_of(long, short) == "long"


async def test_template_does_not_cover_a_longer_host() -> None:
    with pytest.raises(GitAuthError, match="no credentials"):
        await password_of(stored("repo-creds", "other", "https://git.example.co", password="p"))


async def test_own_secret_without_credentials_takes_a_templates_and_keeps_its_settings() -> None:
    own = stored("repository", "own", URL, proxy="http://proxy.example.com:3128")
    template = stored("repo-creds", "template", "https://git.example.com/team", password="p", proxy="http://other")
    _, fields = await find_fields(Secrets({}, (own, template)), Branch(URL, "main", "repocreds"), "argocd")
    assert fields["password"] == "p"
    assert fields["proxy"] == "http://proxy.example.com:3128"


async def test_secret_of_the_project_comes_before_one_of_none() -> None:
    of_none = stored("repository", "a", URL, password="none")
    of_project = stored("repository", "b", URL, password="payments", project="payments")
    assert await password_of(of_none, of_project, project="payments") == "payments"
    assert await password_of(of_none, of_project) == "none"


async def test_secret_of_another_project_is_not_used() -> None:
    of_project = stored("repository", "b", URL, password="payments", project="payments")
    with pytest.raises(GitAuthError, match="of another project"):
        await password_of(of_project)


async def test_ssh_urls_have_credentials_by_both_spellings() -> None:
    template = stored("repo-creds", "t", "git@git.example.com:team", password="p")
    assert await password_of(template, url="ssh://git@git.example.com/team/gitops.git") == "p"
    assert await password_of(template, url="git@git.example.com:team/gitops.git") == "p"


def test_ssh_addresses_are_taken_apart() -> None:
    assert ssh_address("git@host:team/x.git") == ("git", "host", 22, "team/x.git")
    assert ssh_address("ssh://bot@host:2222/team/x%20y.git") == ("bot", "host", 2222, "/team/x y.git")
    assert ssh_address("ssh://host/~bot/x.git") == ("", "host", 22, "~bot/x.git")
    assert not is_ssh("https://git@host/x")
    with pytest.raises(GitError, match="no SSH URL"):
        ssh_address("ssh://host")


def test_urls_are_shown_without_credentials() -> None:
    assert plain("https://bot:secret@git.example.com/x.git/") == "https://git.example.com/x.git"
    assert plain("ssh://git:secret@host/x") == "ssh://git@host/x"
    assert normalised("ssh://git@Host/x.git") == normalised("git@host:x")


def test_templates_cover_whole_names_of_hosts_alone() -> None:
    assert covers("https://host", "https://host/x")
    assert covers("https://host/te", "https://host/team/x")
    assert not covers("https://hos", "https://host/x")
    assert not covers("", "https://host/x")
    assert covers("host/team", "host/team/x")
    assert not covers("hos", "host/x")


@dataclass
class Endpoint:
    """A token endpoint that gives numbered tokens."""

    url: str = ""
    asked: list[tuple[str, Mapping[str, str], Mapping[str, str]]] = field(default_factory=list)
    answer: Callable[[int], Mapping[str, Any]] = lambda number: {"access_token": f"token-{number}", "expires_in": 100}
    status: int = 200
    now: float = 0.0
    session: aiohttp.ClientSession | None = None

    def logins(self, **environ: str) -> Logins:
        return Logins(self.post, environ=environ, tokens=Tokens(lambda: self.now))

    def post(self, endpoint: str, login: Login) -> Post:
        async def post(url: str, headers: Mapping[str, str], form: Mapping[str, str] | None) -> bytes:
            assert self.session is not None
            return await send_form(self.session, url, headers, form, {})

        return post


@pytest.fixture
async def endpoint() -> AsyncIterator[Endpoint]:
    made = Endpoint()

    async def serve(request: web.Request) -> web.Response:
        form = {key: str(value) for key, value in (await request.post()).items()}
        made.asked.append((request.path, dict(request.headers), form))
        return web.json_response(made.answer(len(made.asked)), status=made.status)

    application = web.Application()
    application.router.add_route("*", "/{path:.*}", serve)
    runner = web.AppRunner(application)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    made.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
    async with aiohttp.ClientSession() as made.session:
        yield made
    await runner.cleanup()


KEY = rsa.generate_private_key(65537, 2048)
PEM = KEY.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()


def claims(token: str) -> dict[str, Any]:
    """Check a token's signature, and return what it says."""
    told, _, signature = token.rpartition(".")
    KEY.public_key().verify(decode(signature), told.encode(), PKCS1v15(), SHA256())
    assert json.loads(decode(told.partition(".")[0]))["alg"] == "RS256"
    said: dict[str, Any] = json.loads(decode(told.partition(".")[2]))
    return said


def decode(text: str) -> bytes:
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


def basic(authorization: str) -> str:
    return base64.b64decode(authorization.removeprefix("Basic ")).decode()


def app(endpoint: Endpoint) -> dict[str, str]:
    api = f"{endpoint.url}/api/v3"
    endpoint.answer = lambda number: {
        "token": f"token-{number}",
        "expires_at": (datetime.now(UTC) + timedelta(seconds=100)).isoformat(),
    }
    names = {"githubAppID": "12", "githubAppInstallationID": "34", "githubAppPrivateKey": PEM.strip()}
    return {**names, "githubAppEnterpriseBaseUrl": api}


async def test_github_app_logs_in_with_the_token_of_its_installation(endpoint: Endpoint) -> None:
    login = await endpoint.logins().login(URL, "Secret a/b", app(endpoint))
    assert basic(login.authorization) == "x-access-token:token-1"
    path, headers, _ = endpoint.asked[0]
    assert path == "/api/v3/app/installations/34/access_tokens"
    said = claims(headers["Authorization"].removeprefix("Bearer "))
    assert said["iss"] == "12"
    assert said["exp"] - said["iat"] <= 600


async def test_token_is_fetched_once_until_four_fifths_of_its_life_are_over(endpoint: Endpoint) -> None:
    logins, fields = endpoint.logins(), app(endpoint)
    await asyncio.gather(*(logins.login(URL, "Secret a/b", fields) for _ in range(20)))
    endpoint.now = 79
    await logins.login(URL, "Secret a/b", fields)
    assert len(endpoint.asked) == 1
    endpoint.now = 81
    assert basic((await logins.login(URL, "Secret a/b", fields)).authorization).endswith("token-2")


async def test_token_that_was_refused_is_fetched_anew(endpoint: Endpoint) -> None:
    logins, fields = endpoint.logins(), app(endpoint)
    (await logins.login(URL, "Secret a/b", fields)).refused()
    await logins.login(URL, "Secret a/b", fields)
    assert len(endpoint.asked) == 2


async def test_rotated_key_of_an_app_fetches_its_own_token(endpoint: Endpoint) -> None:
    logins, fields = endpoint.logins(), app(endpoint)
    await logins.login(URL, "Secret a/b", fields)
    other = rsa.generate_private_key(65537, 2048)
    pem = other.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()
    await logins.login(URL, "Secret a/b", {**fields, "githubAppPrivateKey": pem})
    assert len(endpoint.asked) == 2


async def test_endpoint_that_refuses_is_said_without_the_key(endpoint: Endpoint) -> None:
    endpoint.status = 401
    endpoint_answer = {"message": "A JSON web token could not be decoded"}
    fields = app(endpoint)
    endpoint.answer = lambda number: endpoint_answer
    with pytest.raises(GitAuthError, match="could not be decoded") as caught:
        await endpoint.logins().login(URL, "Secret a/b", fields)
    assert PEM.splitlines()[1] not in str(caught.value)


async def test_redirect_of_an_endpoint_is_not_followed(endpoint: Endpoint) -> None:
    endpoint.status = 307
    with pytest.raises(GitError, match="307"):
        await endpoint.logins().login(URL, "Secret a/b", app(endpoint))
    assert len(endpoint.asked) == 1


@pytest.mark.parametrize("key", ["garbage", "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----"])
async def test_app_key_that_is_none_is_misconfigured(endpoint: Endpoint, key: str) -> None:
    with pytest.raises(Misconfigured, match="Secret a/b, field githubAppPrivateKey"):
        await endpoint.logins().login(URL, "Secret a/b", {**app(endpoint), "githubAppPrivateKey": key})


async def test_google_service_account_exchanges_an_assertion(endpoint: Endpoint) -> None:
    account = {
        "client_email": "bot@p.iam",
        "private_key": PEM,
        "private_key_id": "k1",
        "token_uri": f"{endpoint.url}/t",
    }
    login = await endpoint.logins().login(URL, "Secret a/b", {"gcpServiceAccountKey": json.dumps(account)})
    assert basic(login.authorization) == "bot@p.iam:token-1"
    _, _, form = endpoint.asked[0]
    assert form["grant_type"] == "urn:ietf:params:oauth:grant-type:jwt-bearer"
    said = claims(form["assertion"])
    assert (said["iss"], said["aud"]) == ("bot@p.iam", f"{endpoint.url}/t")


async def test_azure_workload_identity_exchanges_the_pods_token(endpoint: Endpoint, tmp_path: Path) -> None:
    (tmp_path / "token").write_text("pod-token\n")
    environ = {
        "AZURE_CLIENT_ID": "client",
        "AZURE_TENANT_ID": "tenant",
        "AZURE_FEDERATED_TOKEN_FILE": str(tmp_path / "token"),
        "AZURE_AUTHORITY_HOST": f"{endpoint.url}/",
    }
    login = await endpoint.logins(**environ).login(URL, "Secret a/b", {"useAzureWorkloadIdentity": "true"})
    assert login.authorization == "Bearer token-1"
    path, _, form = endpoint.asked[0]
    assert path == "/tenant/oauth2/v2.0/token"
    assert form["client_assertion"] == "pod-token"
    assert form["scope"] == "499b84ac-1321-427f-aa17-267ca6975798/.default"


async def test_azure_without_an_identity_names_what_is_missing(endpoint: Endpoint) -> None:
    with pytest.raises(Misconfigured, match="AZURE_CLIENT_ID is not set"):
        await endpoint.logins().login(URL, "Secret a/b", {"useAzureWorkloadIdentity": "true"})


async def test_bearer_token_is_sent_as_one(endpoint: Endpoint) -> None:
    login = await endpoint.logins().login(URL, "Secret a/b", {"bearerToken": "abcdefgh"})
    assert login.authorization == "Bearer abcdefgh"
    assert "abcdefgh" not in repr(login)


async def test_secret_without_credentials_names_the_remedy(endpoint: Endpoint) -> None:
    with pytest.raises(GitAuthError, match="Secret a/b has no field password"):
        await endpoint.logins().login(URL, "Secret a/b", {"username": "bot"})


def test_codecommit_signature_is_aws_own() -> None:
    """The expected one was made with botocore's signer, as git-remote-codecommit does."""
    key = AwsKey("AKIDEXAMPLE", "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY", "session")
    now = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
    host, path = "git-codecommit.eu-west-1.amazonaws.com", "/v1/repos/gitops"
    user, password = codecommit_login(host, path, key, now)
    assert user == "AKIDEXAMPLE%session"
    assert password == "20260102T030405Z2f638ac1daca1bcc42f03c7dc3f43dcaa4dd5ed3fa0bda3da663a8c3ad1b7906"


async def test_aws_key_is_for_codecommit_alone(endpoint: Endpoint) -> None:
    fields = {"awsAccessKeyID": "AKID", "awsSecretAccessKey": "secret-key"}
    with pytest.raises(GitAuthError, match="git-codecommit"):
        await endpoint.logins().login(URL, "Secret a/b", fields)
    login = await endpoint.logins().login(
        "https://git-codecommit.eu-west-1.amazonaws.com/v1/repos/x", "Secret a/b", fields
    )
    assert basic(login.authorization).startswith("AKID:20")


async def test_aws_identity_without_its_library_names_the_extra(
    endpoint: Endpoint, monkeypatch: pytest.MonkeyPatch
) -> None:
    for module in ("botocore", "botocore.exceptions", "botocore.session"):
        monkeypatch.setitem(sys.modules, module, None)
    url = "https://git-codecommit.eu-west-1.amazonaws.com/v1/repos/x"
    with pytest.raises(Misconfigured, match=r"updater\[aws\]"):
        await endpoint.logins().login(url, "Secret a/b", {"useAwsWorkloadIdentity": "true"})
