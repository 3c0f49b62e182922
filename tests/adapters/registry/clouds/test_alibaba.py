"""Alibaba Cloud's registries: enterprise and personal, with an AccessKey and as a role."""

import time
from collections.abc import Mapping
from pathlib import Path

import pytest

from tests.adapters.registry.clouds.conftest import log_in
from tests.fakes.clouds import Asked, CloudServer, sample
from updater.adapters.registry.clouds.alibaba import authorization, serves
from updater.domain.errors import Misconfigured, RegistryAuthError
from updater.formats.docker_config import Login

ENTERPRISE = "demo-registry-vpc.cn-hangzhou.cr.aliyuncs.com"
PERSONAL = "registry.cn-hangzhou.aliyuncs.com"
LOGIN = Login("cr_temp_user", "the-authorization-token-of-acr")


def endpoints(cloud: CloudServer) -> Mapping[str, str]:
    return {"ALIBABA_CLOUD_CR_ENDPOINT": cloud.url, "ALIBABA_CLOUD_STS_ENDPOINT": f"{cloud.url}/sts"}


def keys(cloud: CloudServer) -> Mapping[str, str]:
    return {
        **endpoints(cloud),
        "ALIBABA_CLOUD_ACCESS_KEY_ID": "LTAI",
        "ALIBABA_CLOUD_ACCESS_KEY_SECRET": "the-access-key-secret",
    }


def serve(
    cloud: CloudServer, *, lifetime: float = 3600, key: tuple[str, str] = ("LTAI", "the-access-key-secret")
) -> None:
    """Answer both editions' requests, if they are signed with the key."""
    expires = int((time.time() + lifetime) * 1000)
    answers = {
        "ListInstance": sample("alibaba-list-instance.json"),
        "GetAuthorizationToken": sample("alibaba-get-authorization-token.json", expires=expires),
    }

    def answer(asked: Asked) -> tuple[int, str]:
        signed = asked.headers["authorization"].partition("SignedHeaders=")[2].partition(",")[0].split(";")
        headers = {name: asked.headers[name] for name in signed}
        request = f"{asked.method}\n{asked.path}\n{asked.query}"
        if asked.headers["authorization"] != authorization(*key, request, headers):
            return 400, sample("alibaba-error.json")
        if asked.path == "/tokens":
            return 200, sample("alibaba-personal-token.json", expires=expires)
        return 200, answers[asked.headers["x-acs-action"]]

    cloud.serve("/", answer)
    cloud.serve("/tokens", answer)


def test_the_signature_is_the_documented_one() -> None:
    headers = {
        "host": "ecs.cn-shanghai.aliyuncs.com",
        "x-acs-action": "RunInstances",
        "x-acs-content-sha256": "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
        "x-acs-date": "2023-10-26T10:22:32Z",
        "x-acs-signature-nonce": "3156853299f313e23d1673dc12e1703d",
        "x-acs-version": "2014-05-26",
    }
    query = "ImageId=win2019_1809_x64_dtc_zh-cn_40G_alibase_20230811.vhd&RegionId=cn-shanghai"
    signed = authorization("YourAccessKeyId", "YourAccessKeySecret", f"POST\n/\n{query}", headers)
    assert signed.endswith("Signature=06563a9e1b43f5dfe96b81484da74bceab24a1d853912eee15083a6f0f3283c0")


async def test_an_enterprise_instance_is_found_by_its_name(cloud: CloudServer) -> None:
    serve(cloud)
    login, lifetime = await log_in("alibaba", keys(cloud), ENTERPRISE)
    assert login == LOGIN
    assert 3500 < lifetime <= 3600
    assert [asked.headers["x-acs-action"] for asked in cloud.asked] == ["ListInstance", "GetAuthorizationToken"]
    assert cloud.asked[1].query == "InstanceId=cri-xkx6vujuhay0%2A%2A%2A%2A"


async def test_an_instance_that_is_named_is_not_looked_for(cloud: CloudServer) -> None:
    serve(cloud)
    await log_in("alibaba", {**keys(cloud), "ALIBABA_CLOUD_ACR_INSTANCE_ID": "cri-1"}, ENTERPRISE)
    assert [asked.query for asked in cloud.asked] == ["InstanceId=cri-1"]


async def test_an_instance_that_is_not_seen_is_said_with_the_remedy(cloud: CloudServer) -> None:
    serve(cloud)
    with pytest.raises(Misconfigured, match=r"0 instances of the name other .*ALIBABA_CLOUD_ACR_INSTANCE_ID"):
        await log_in("alibaba", keys(cloud), ENTERPRISE.replace("demo", "other"))


async def test_the_personal_edition_has_an_api_of_its_own(cloud: CloudServer) -> None:
    serve(cloud)
    assert (await log_in("alibaba", keys(cloud), PERSONAL))[0] == LOGIN
    (asked,) = cloud.asked
    assert (str(asked), asked.headers["x-acs-version"]) == ("GET /tokens", "2016-06-07")


async def test_a_role_is_assumed_with_the_service_accounts_token(cloud: CloudServer, token_file: Path) -> None:
    serve(cloud, key=("STS.NUgYrLnoC37mZZCNnAbez****", "the-access-key-secret-of-sts"))
    cloud.answer("/sts", 200, sample("alibaba-assume-role-with-oidc.json"))
    environment = {
        **endpoints(cloud),
        "ALIBABA_CLOUD_ROLE_ARN": "acs:ram::1:role/updater",
        "ALIBABA_CLOUD_OIDC_PROVIDER_ARN": "acs:ram::1:oidc-provider/ack",
        "ALIBABA_CLOUD_OIDC_TOKEN_FILE": str(token_file),
    }
    assert (await log_in("alibaba", environment, PERSONAL))[0] == LOGIN
    assumed, asked = cloud.asked
    assert assumed.form["Action"] == "AssumeRoleWithOIDC"
    assert assumed.form["OIDCToken"] == "the-token-of-the-service-account"
    assert asked.headers["x-acs-security-token"] == "the-security-token-of-sts"


async def test_a_wrong_key_is_said_with_the_clouds_words_and_not_itself(cloud: CloudServer) -> None:
    serve(cloud, key=("LTAI", "another"))
    with pytest.raises(RegistryAuthError, match=r"\(SignatureDoesNotMatch: Specified signature") as raised:
        await log_in("alibaba", keys(cloud), PERSONAL)
    assert "the-access-key-secret" not in str(raised.value)


async def test_an_environment_without_an_identity_is_said() -> None:
    with pytest.raises(Misconfigured, match="enable RRSA for the ServiceAccount, or set ALIBABA_CLOUD_ACCESS_KEY_ID"):
        await log_in("alibaba", {}, PERSONAL)


@pytest.mark.parametrize(
    ("host", "served"),
    [
        (ENTERPRISE, True),
        (PERSONAL, True),
        ("registry-vpc.cn-beijing.aliyuncs.com", True),
        ("crpi-abc123.cn-shanghai.personal.cr.aliyuncs.com", True),
        ("registry.example.com", False),
        ("demo-registry.cn-hangzhou.cr.aliyuncs.com.example.com", False),
    ],
)
def test_its_hosts_are_known(host: str, *, served: bool) -> None:
    assert serves(host) == served
