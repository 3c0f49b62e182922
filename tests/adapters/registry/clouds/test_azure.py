"""Azure's registry as a workload identity: a token for a token for a token."""

import base64
import json
import time
from collections.abc import Mapping
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from tests.adapters.registry.clouds.conftest import log_in
from tests.fakes.clouds import CloudServer, sample
from updater.domain.errors import Misconfigured, RegistryAuthError, RegistryError
from updater.redaction import redact

HOST = "demo.azurecr.io"
SIGN_IN = "/tenant/oauth2/v2.0/token"
EXCHANGE = "/oauth2/exchange"


def environment(cloud: CloudServer, token_file: Path) -> Mapping[str, str]:
    return {
        "AZURE_CLIENT_ID": "client",
        "AZURE_TENANT_ID": "tenant",
        "AZURE_FEDERATED_TOKEN_FILE": str(token_file),
        "AZURE_AUTHORITY_HOST": f"{cloud.url}/",
    }


def refresh_token(lifetime: float) -> str:
    claims = base64.urlsafe_b64encode(json.dumps({"exp": time.time() + lifetime}).encode()).rstrip(b"=").decode()
    return f"eyJhbGciOiJSUzI1NiJ9.{claims}.the-signature-of-azure"


async def test_the_federated_token_becomes_the_registrys_refresh_token(cloud: CloudServer, token_file: Path) -> None:
    token = refresh_token(7200)
    cloud.answer(SIGN_IN, 200, sample("azure-token.json"))
    cloud.answer(EXCHANGE, 200, sample("azure-exchange.json", token=token))
    login, lifetime = await log_in("azure", environment(cloud, token_file), HOST, cloud.url)
    assert (login.password, login.identity_token) == (token, True)
    assert 7100 < lifetime <= 7200
    signed_in, exchanged = cloud.asked
    assert signed_in.form["client_assertion"] == "the-token-of-the-service-account"
    assert signed_in.form["scope"] == "https://containerregistry.azure.net/.default"
    assert exchanged.form == {
        "grant_type": "access_token",
        "service": HOST,
        "tenant": "tenant",
        "access_token": "the-access-token-of-entra",
    }


async def test_a_refusal_is_said_with_its_code_and_without_the_token(cloud: CloudServer, token_file: Path) -> None:
    cloud.answer(SIGN_IN, 400, sample("azure-error.json"))
    with pytest.raises(RegistryAuthError) as raised:
        await log_in("azure", environment(cloud, token_file), HOST, cloud.url)
    assert "Entra ID answers with status 400 (unauthorized_client: AADSTS700016" in str(raised.value)
    assert "the-token-of" not in str(raised.value)
    assert "the-token-of" not in redact("a library says the-token-of-the-service-account")


async def test_a_registry_that_does_not_know_us_refuses(cloud: CloudServer, token_file: Path) -> None:
    cloud.answer(SIGN_IN, 200, sample("azure-token.json"))
    cloud.answer(EXCHANGE, 401, '{"errors": [{"code": "UNAUTHORIZED"}]}')
    with pytest.raises(RegistryAuthError, match=r"demo.azurecr.io/oauth2/exchange answers with status 401"):
        await log_in("azure", environment(cloud, token_file), HOST, cloud.url)


@pytest.mark.parametrize("answer", ["", "[]", "{}", "<html>", '{"access_token": 5}'])
async def test_an_answer_that_is_none_is_said(cloud: CloudServer, token_file: Path, answer: str) -> None:
    cloud.answer(SIGN_IN, 200, answer)
    with pytest.raises(RegistryError, match="not understood"):
        await log_in("azure", environment(cloud, token_file), HOST, cloud.url)


async def test_what_is_missing_is_named(cloud: CloudServer, token_file: Path) -> None:
    with pytest.raises(Misconfigured, match="AZURE_CLIENT_ID, AZURE_TENANT_ID is not set"):
        await log_in("azure", {"AZURE_FEDERATED_TOKEN_FILE": str(token_file)}, HOST)
    with pytest.raises(Misconfigured, match="cannot be read"):
        await log_in("azure", environment(cloud, Path("/nowhere/token")), HOST)


async def test_a_slow_cloud_is_given_up(cloud: CloudServer, token_file: Path) -> None:
    cloud.silent = True
    with pytest.raises(RegistryError, match=r"Entra ID did not answer within 0.05 s"):
        await log_in("azure", environment(cloud, token_file), HOST, seconds=0.05)


async def test_a_dead_cloud_is_said(cloud: CloudServer, token_file: Path) -> None:
    dead = {**environment(cloud, token_file), "AZURE_AUTHORITY_HOST": "http://127.0.0.1:1/"}
    with capture_logs() as said, pytest.raises(RegistryError, match="Entra ID did not answer: "):
        await log_in("azure", dead, HOST)
    assert not said


async def test_a_redirect_is_not_followed_with_a_token_in_hand(cloud: CloudServer, token_file: Path) -> None:
    cloud.answer(SIGN_IN, 307, "{}")
    with pytest.raises(RegistryError, match="status 307"):
        await log_in("azure", environment(cloud, token_file), HOST)
    assert len(cloud.asked) == 1


async def test_a_flood_is_cut_off(cloud: CloudServer, token_file: Path) -> None:
    cloud.answer(SIGN_IN, 200, " " * (2**20 + 1))
    with pytest.raises(RegistryError, match="more than 1048576 bytes"):
        await log_in("azure", environment(cloud, token_file), HOST)
