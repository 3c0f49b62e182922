"""Google's registries: as a workload identity, and as a service account."""

import base64
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from tests.adapters.registry.clouds.conftest import log_in, rsa_pem, verify
from tests.fakes.clouds import CloudServer, sample
from updater.adapters.registry.clouds import CloudIdentities, Place
from updater.domain.errors import Misconfigured, RegistryAuthError, RegistryError
from updater.formats.docker_config import Login

HOST = "europe-docker.pkg.dev"
METADATA = "/computeMetadata/v1/instance/service-accounts/default/token"
LOGIN = Login("oauth2accesstoken", "ya29.the-access-token-of-google")


async def test_a_workload_identity_asks_the_metadata_server(cloud: CloudServer) -> None:
    cloud.answer(METADATA, 200, sample("google-token.json"))
    assert await log_in("gcp", {"GCE_METADATA_HOST": cloud.host}, HOST) == (LOGIN, 3599)
    assert cloud.asked[0].headers["metadata-flavor"] == "Google"


async def test_the_metadata_server_is_not_looked_for_behind_a_proxy(
    cloud: CloudServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HTTP_PROXY", cloud.url)
    with pytest.raises(RegistryError, match="metadata server did not answer"):
        await log_in("gcp", {"GCE_METADATA_HOST": "metadata.invalid"}, HOST)
    assert not cloud.asked


@pytest.fixture
def key_file(cloud: CloudServer, tmp_path: Path) -> Path:
    file = tmp_path / "key.json"
    key = {
        "type": "service_account",
        "project_id": "demo",
        "private_key_id": "abc",
        "private_key": rsa_pem(),
        "client_email": "updater@demo.iam.gserviceaccount.com",
        "token_uri": f"{cloud.url}/token",
    }
    file.write_text(json.dumps(key))
    return file


def claims_of(assertion: str) -> Mapping[str, Any]:
    signed, _, signature = assertion.rpartition(".")
    verify(base64.urlsafe_b64decode(signature + "=="), signed.encode())
    payload = signed.partition(".")[2]
    claims: dict[str, Any] = json.loads(base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))
    return claims


async def test_a_service_account_signs_for_itself(cloud: CloudServer, key_file: Path) -> None:
    cloud.answer("/token", 200, sample("google-token.json"))
    assert (await log_in("gcp", {"GOOGLE_APPLICATION_CREDENTIALS": str(key_file)}, "gcr.io"))[0] == LOGIN
    form = cloud.asked[0].form
    assert form["grant_type"] == "urn:ietf:params:oauth:grant-type:jwt-bearer"
    claims = claims_of(form["assertion"])
    assert (claims["iss"], claims["aud"]) == ("updater@demo.iam.gserviceaccount.com", f"{cloud.url}/token")
    assert claims["exp"] - claims["iat"] == 3600


async def test_a_refused_key_is_said_with_googles_words(cloud: CloudServer, key_file: Path) -> None:
    cloud.answer("/token", 400, '{"error": "invalid_grant", "error_description": "Invalid JWT Signature."}')
    with pytest.raises(RegistryAuthError, match=r"status 400 \(invalid_grant: Invalid JWT Signature.\)"):
        await log_in("gcp", {"GOOGLE_APPLICATION_CREDENTIALS": str(key_file)}, HOST)


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("nonsense", "is no key"),
        ('{"type": "external_account"}', "a key of type 'external_account'"),
        ('{"type": "service_account", "client_email": "a", "private_key": "nonsense"}', "is no RSA key in PEM"),
    ],
)
async def test_a_file_that_is_no_key_is_refused(tmp_path: Path, content: str, said: str) -> None:
    file = tmp_path / "key.json"
    file.write_text(content)
    with pytest.raises(Misconfigured, match=said):
        await log_in("gcp", {"GOOGLE_APPLICATION_CREDENTIALS": str(file)}, HOST)


@pytest.mark.parametrize(("machine", "offered"), [("Google Compute Engine\n", True), ("KVM\n", False)])
def test_googles_machines_are_known_without_asking_anybody(tmp_path: Path, machine: str, *, offered: bool) -> None:
    file = tmp_path / "product_name"
    file.write_text(machine)
    identities = CloudIdentities({}, machine=file)
    assert bool(identities.offered(Place(f"https://{HOST}", (HOST,)))) == offered


async def test_credentials_of_a_cloud_are_for_its_own_registries() -> None:
    with pytest.raises(Misconfigured, match=r"credentials gcp are for gcr.io .*, not for evil.example.com"):
        await log_in("gcp", {}, "evil.example.com")
