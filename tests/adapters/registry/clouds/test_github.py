"""GitHub's registry: as an App, and with a token."""

import base64
import json
import math
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta

import pytest

from tests.adapters.registry.clouds.conftest import rsa_pem, verify
from tests.fakes.clouds import CloudServer, sample
from updater.adapters.registry.clouds import CloudIdentities
from updater.domain.errors import Misconfigured, RegistryAuthError
from updater.domain.secrets import parse_credential_source
from updater.formats.docker_config import Login

SOURCE = parse_credential_source("github:argocd/app")
TOKENS = "/app/installations/67890/access_tokens"


def app(cloud: CloudServer) -> Mapping[str, bytes]:
    return {
        "githubAppID": b"12345",
        "githubAppInstallationID": b"67890",
        "githubAppPrivateKey": rsa_pem().encode(),
        "githubAppEnterpriseBaseUrl": cloud.url.encode(),
    }


async def test_an_app_gets_a_token_that_may_read_packages_alone(cloud: CloudServer) -> None:
    expires = (datetime.now(UTC) + timedelta(hours=1)).strftime("%Y-%m-%dT%H:%M:%SZ")
    cloud.answer(TOKENS, 201, sample("github-installation-token.json", expiration=expires))
    login, lifetime = await CloudIdentities({}).github(app(cloud), SOURCE)
    assert login == Login("x-access-token", "ghs_16C7e42F292c6912E7710c838347Ae178B4a")
    assert 3500 < lifetime <= 3600
    (asked,) = cloud.asked
    assert asked.json == {"permissions": {"packages": "read"}}
    signed, _, signature = asked.headers["authorization"].removeprefix("Bearer ").rpartition(".")
    verify(base64.urlsafe_b64decode(signature + "=="), signed.encode())
    payload = signed.partition(".")[2]
    claims = json.loads(base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))
    assert claims["iss"] == "12345"
    assert claims["exp"] - claims["iat"] <= 600


async def test_an_app_without_the_permission_is_said(cloud: CloudServer) -> None:
    cloud.answer(TOKENS, 422, '{"message": "The permissions requested are not granted to this installation."}')
    with pytest.raises(RegistryAuthError, match=r"status 422 \(The permissions requested are not granted"):
        await CloudIdentities({}).github(app(cloud), SOURCE)


@pytest.mark.parametrize("field", ["password", "token"])
async def test_a_token_is_used_as_it_is(field: str) -> None:
    login, lifetime = await CloudIdentities({}).github({field: b"ghp_secret\n"}, SOURCE)
    assert (login, lifetime) == (Login("x-access-token", "ghp_secret"), math.inf)


async def test_a_secret_with_neither_is_said() -> None:
    with pytest.raises(Misconfigured, match=r"github:argocd/app: the Secret has no githubAppInstallationID, githubApp"):
        await CloudIdentities({}).github({"githubAppID": b"1"}, SOURCE)
