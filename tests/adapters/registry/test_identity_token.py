"""Identity tokens: exchanged at the token service by OAuth2's refresh grant, and never sent as a password."""

import json
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager

import pytest

from tests.fakes.clouds import Asked, CloudServer
from tests.fakes.house import now
from updater.adapters.registry.credentials import Sources
from updater.adapters.registry.endpoint import Endpoint
from updater.adapters.registry.http import Answer
from updater.domain.errors import RegistryAuthError, SecretNotFound
from updater.domain.image import Repository
from updater.domain.secrets import parse_credential_source
from updater.settings.registries import RegistrySettings

APP = Repository("registry.example.com", "team/app")
REFRESH = "the-refresh-token-of-docker"


class Secrets:
    async def secret(self, namespace: str, name: str) -> Mapping[str, bytes]:
        if (namespace, name) != ("argocd", "pull"):
            raise SecretNotFound(name)
        auths = {"registry.example.com": {"username": "alice", "identitytoken": REFRESH}}
        return {".dockerconfigjson": json.dumps({"auths": auths}).encode()}


@asynccontextmanager
async def endpoint(cloud: CloudServer) -> AsyncIterator[Endpoint]:
    endpoint = Endpoint(RegistrySettings("Test", cloud.url, "registry.example.com"), Sources(Secrets()), now)
    try:
        yield endpoint
    finally:
        await endpoint.close()


async def ask(cloud: CloudServer, times: int = 1) -> Answer:
    async with endpoint(cloud) as registry:
        access = registry.access(APP, parse_credential_source("pullsecret:argocd/pull"))
        for _ in range(times):
            answer = await registry.ask("GET", registry.url("v2/team/app/tags/list"), access, {}, 1000)
    return answer


def serve(cloud: CloudServer, challenge: str) -> None:
    """Let in who has the token that the refresh token is good for."""

    def registry(asked: Asked) -> tuple[int, str]:
        return (200, "{}") if asked.headers.get("authorization") == "Bearer access" else (401, "{}")

    cloud.headers = {"WWW-Authenticate": challenge.format(url=cloud.url)}
    cloud.serve("/v2/team/app/tags/list", registry)
    cloud.answer("/token", 200, json.dumps({"access_token": "access", "expires_in": 300}))


BEARER = 'Bearer realm="{url}/token",service="registry"'


async def test_an_identity_token_is_posted_for_an_access_token(cloud: CloudServer) -> None:
    serve(cloud, BEARER)
    assert (await ask(cloud, times=3)).status == 200
    assert cloud.said() == ["GET /v2/team/app/tags/list", "POST /token", *["GET /v2/team/app/tags/list"] * 3]
    assert cloud.asked[1].form == {
        "grant_type": "refresh_token",
        "refresh_token": REFRESH,
        "service": "registry",
        "scope": "repository:team/app:pull",
        "client_id": "updater",
    }
    assert "authorization" not in cloud.asked[1].headers


async def test_a_refused_identity_token_is_said_without_it(cloud: CloudServer) -> None:
    serve(cloud, BEARER)
    cloud.answer("/token", 401, json.dumps({"errors": [{"code": "UNAUTHORIZED"}]}))
    with pytest.raises(RegistryAuthError, match=r"refuses credentials pullsecret:argocd/pull \(status 401") as raised:
        await ask(cloud)
    assert REFRESH not in str(raised.value)


async def test_a_token_service_that_redirects_gets_it_once(cloud: CloudServer) -> None:
    serve(cloud, BEARER)
    cloud.headers |= {"Location": "http://127.0.0.1:1/"}
    cloud.answer("/token", 307, "{}")
    with pytest.raises(Exception, match="answers with status 307"):
        await ask(cloud)


async def test_a_registry_that_wants_a_password_does_not_get_it(cloud: CloudServer) -> None:
    serve(cloud, 'Basic realm="registry"')
    with pytest.raises(RegistryAuthError, match=r"wants user and password, and credentials .* are an identity token"):
        await ask(cloud)
    assert cloud.said() == ["GET /v2/team/app/tags/list"]
