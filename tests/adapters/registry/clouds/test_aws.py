"""AWS's registry: as a role of the ServiceAccount, as a pod identity, and with keys."""

import sys
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from tests.adapters.registry.clouds.conftest import log_in
from tests.fakes.clouds import Asked, CloudServer, sample
from updater.adapters.registry.clouds import CloudIdentities, Place
from updater.adapters.registry.clouds.aws import serves
from updater.domain.errors import Misconfigured, RegistryAuthError, RegistryError
from updater.formats.docker_config import Login

HOST = "123456789012.dkr.ecr.eu-central-1.amazonaws.com"
LOGIN = Login("AWS", "the-password-of-ecr")
KEYS = {"AWS_ACCESS_KEY_ID": "AKIDEXAMPLE", "AWS_SECRET_ACCESS_KEY": "the-secret-access-key"}


@pytest.fixture(autouse=True)
def environment(cloud: CloudServer, monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    """Point the library to the cloud on loopback, and keep it off everything else."""
    for name in ("AWS_CONFIG_FILE", "AWS_SHARED_CREDENTIALS_FILE"):
        monkeypatch.setenv(name, "/nowhere")
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv("AWS_ENDPOINT_URL_ECR", f"{cloud.url}/ecr")
    monkeypatch.setenv("AWS_ENDPOINT_URL_STS", f"{cloud.url}/sts")
    return monkeypatch


def expiration() -> datetime:
    return datetime.now(UTC) + timedelta(hours=12)


def give(environment: pytest.MonkeyPatch, variables: Mapping[str, str]) -> None:
    for name, value in variables.items():
        environment.setenv(name, value)


def serve(cloud: CloudServer, key: str) -> None:
    """Answer requests that somebody signed for the right service and region."""

    def answer(asked: Asked) -> tuple[int, str]:
        scope = asked.headers["authorization"].partition("Credential=")[2].split("/")
        if (scope[0], scope[2:4]) != (key, ["eu-central-1", "ecr"]):
            return 400, '{"__type": "UnrecognizedClientException", "message": "The security token is invalid."}'
        return 200, sample("aws-get-authorization-token.json", expires=expiration().timestamp())

    cloud.serve("/ecr", answer)


async def test_keys_of_the_environment_sign_for_the_hosts_region(
    cloud: CloudServer, environment: pytest.MonkeyPatch
) -> None:
    give(environment, KEYS)
    serve(cloud, "AKIDEXAMPLE")
    login, lifetime = await log_in("aws", KEYS, HOST)
    assert login == LOGIN
    assert 43_000 < lifetime <= 43_200
    assert cloud.asked[0].headers["x-amz-target"] == "AmazonEC2ContainerRegistry_V20150921.GetAuthorizationToken"


async def test_a_role_is_assumed_with_the_service_accounts_token(
    cloud: CloudServer, environment: pytest.MonkeyPatch, token_file: Path
) -> None:
    give(
        environment,
        {"AWS_ROLE_ARN": "arn:aws:iam::123456789012:role/updater", "AWS_WEB_IDENTITY_TOKEN_FILE": str(token_file)},
    )
    expires = expiration().strftime("%Y-%m-%dT%H:%M:%SZ")
    cloud.answer("/sts", 200, sample("aws-assume-role-with-web-identity.xml", expiration=expires))
    serve(cloud, "ASIAIOSFODNN7EXAMPLE")
    assert (await log_in("aws", {}, HOST))[0] == LOGIN
    assert cloud.asked[0].form["WebIdentityToken"] == "the-token-of-the-service-account"
    assert cloud.asked[1].headers["x-amz-security-token"] == "the-session-token-of-sts"


async def test_a_pod_identity_asks_the_agent_of_its_node(
    cloud: CloudServer, environment: pytest.MonkeyPatch, token_file: Path
) -> None:
    give(
        environment,
        {
            "AWS_CONTAINER_CREDENTIALS_FULL_URI": f"{cloud.url}/v1/credentials",
            "AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE": str(token_file),
        },
    )
    expires = expiration().strftime("%Y-%m-%dT%H:%M:%SZ")
    cloud.answer("/v1/credentials", 200, sample("aws-pod-identity.json", expiration=expires))
    serve(cloud, "ASIAIOSFODNN7EXAMPLE")
    assert (await log_in("aws", {}, HOST))[0] == LOGIN
    assert cloud.asked[0].headers["authorization"] == "the-token-of-the-service-account"


async def test_a_refusal_is_said_with_its_code_and_without_the_key(
    cloud: CloudServer, environment: pytest.MonkeyPatch
) -> None:
    give(environment, KEYS)
    serve(cloud, "somebody else")
    with pytest.raises(RegistryAuthError, match=r"GetAuthorizationToken \(UnrecognizedClientException") as raised:
        await log_in("aws", KEYS, HOST)
    assert "the-secret-access-key" not in str(raised.value)


async def test_a_busy_cloud_is_asked_again_later(cloud: CloudServer, environment: pytest.MonkeyPatch) -> None:
    give(environment, KEYS)
    cloud.answer("/ecr", 400, '{"__type": "ThrottlingException", "message": "Rate exceeded"}')
    with pytest.raises(RegistryError, match="Rate exceeded") as raised:
        await log_in("aws", KEYS, HOST)
    assert not isinstance(raised.value, RegistryAuthError)
    assert len(cloud.asked) == 2


async def test_a_dead_cloud_is_said(environment: pytest.MonkeyPatch) -> None:
    give(environment, {**KEYS, "AWS_ENDPOINT_URL_ECR": "http://127.0.0.1:1"})
    with pytest.raises(RegistryError, match="AWS did not answer: Could not connect"):
        await log_in("aws", KEYS, HOST)


async def test_a_slow_cloud_is_given_up(cloud: CloudServer, environment: pytest.MonkeyPatch) -> None:
    give(environment, KEYS)
    environment.setattr("updater.adapters.registry.clouds.aws._READ_SECONDS", 0.05)
    cloud.silent = True
    with pytest.raises(RegistryError, match="AWS did not answer: Read timeout"):
        await log_in("aws", KEYS, HOST)


async def test_an_environment_without_an_identity_is_said() -> None:
    with pytest.raises(Misconfigured, match=r"the environment offers no identity .*: give the ServiceAccount a role"):
        await log_in("aws", {}, HOST)


async def test_a_missing_library_is_named_with_its_extra(environment: pytest.MonkeyPatch) -> None:
    environment.setitem(sys.modules, "botocore", None)  # what Python takes for not installed
    with pytest.raises(Misconfigured, match=r"install updater\[aws\]"):
        await log_in("aws", KEYS, HOST)


@pytest.mark.parametrize(
    ("host", "served"),
    [
        (HOST, True),
        ("123456789012.dkr.ecr-fips.us-gov-west-1.amazonaws.com", True),
        ("123456789012.dkr.ecr.cn-north-1.amazonaws.com.cn", True),
        ("123456789012.dkr-ecr.us-east-1.on.aws", True),
        ("public.ecr.aws", False),
        (f"{HOST}.example.com", False),
    ],
)
def test_its_hosts_are_known(host: str, *, served: bool) -> None:
    assert serves(host) == served


@pytest.mark.parametrize(("variables", "offered"), [(KEYS, True), ({}, False)])
def test_an_identity_is_offered_by_the_environment(variables: Mapping[str, str], *, offered: bool) -> None:
    found = CloudIdentities(variables).offered(Place(f"https://{HOST}", (HOST,)))
    assert (str(found) if found else "") == ("aws" if offered else "")
