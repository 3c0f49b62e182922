"""Alibaba Cloud's Container Registry, enterprise and personal, with an AccessKey or as a role by OIDC (RRSA).

Three kinds of request, signed with one HMAC, are no reason for their library, which blocks and brings many others.
"""

import hashlib
import hmac
import re
import secrets
import time
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TypeVar
from urllib.parse import quote, urlsplit

import msgspec

from updater.adapters.registry.clouds.http import CloudHttp, mounted_token, secret
from updater.domain.errors import Misconfigured, RegistryAuthError
from updater.formats.docker_config import Login

T = TypeVar("T", bound=msgspec.Struct)

_ENTERPRISE = re.compile(r"(?P<instance>[a-z0-9-]+?)-registry(-vpc)?\.(?P<region>[a-z0-9-]+)\.cr\.aliyuncs\.com")
_PERSONAL = re.compile(
    r"registry(-vpc|-internal)?\.(?P<region>[a-z0-9-]+)\.(cr\.)?aliyuncs\.com"
    r"|crpi-[a-z0-9]+(-vpc)?\.(?P<own_region>[a-z0-9-]+)\.personal\.cr\.aliyuncs\.com"
)
_KEY = ("ALIBABA_CLOUD_ACCESS_KEY_ID", "ALIBABA_CLOUD_ACCESS_KEY_SECRET")
_ROLE = ("ALIBABA_CLOUD_ROLE_ARN", "ALIBABA_CLOUD_OIDC_PROVIDER_ARN", "ALIBABA_CLOUD_OIDC_TOKEN_FILE")
_ALGORITHM = "ACS3-HMAC-SHA256"
_SESSION = "updater"
_SHORTEST = 60.0


@dataclass(frozen=True, slots=True)
class _Key:
    """Who signs."""

    id: str
    secret: str
    token: str = ""

    def __repr__(self) -> str:
        return "_Key(***)"


class _Credentials(msgspec.Struct, rename="pascal"):
    access_key_id: str
    access_key_secret: str
    security_token: str


class _Role(msgspec.Struct, rename="pascal"):
    credentials: _Credentials


class _Instance(msgspec.Struct, rename="pascal"):
    instance_id: str
    instance_name: str = ""


class _Instances(msgspec.Struct, rename="pascal"):
    instances: list[_Instance] = []


class _Enterprise(msgspec.Struct, rename="pascal"):
    is_success: bool = True
    code: str = ""
    temp_username: str = ""
    authorization_token: str = ""
    expire_time: float = 0
    """Milliseconds since 1970."""


class _PersonalData(msgspec.Struct, rename="camel"):
    authorization_token: str
    temp_user_name: str
    expire_date: float
    """Milliseconds since 1970."""


class _Personal(msgspec.Struct):
    data: _PersonalData


def serves(host: str) -> bool:
    return any(pattern.fullmatch(host) for pattern in (_ENTERPRISE, _PERSONAL))


def is_offered(environment: Mapping[str, str]) -> bool:
    return any(all(environment.get(name) for name in names) for names in (_KEY, _ROLE))


def is_enterprise(host: str) -> bool:
    return _PERSONAL.fullmatch(host) is None and _ENTERPRISE.fullmatch(host) is not None


async def login(http: CloudHttp, environment: Mapping[str, str], host: str) -> tuple[Login, float]:
    api = await open_api(http, environment, host)
    return await _enterprise(api, environment, host) if is_enterprise(host) else await _personal(api)


async def open_api(http: CloudHttp, environment: Mapping[str, str], host: str) -> "Api":
    """Return the API of a registry's region, to be asked with a key that is good for an hour."""
    matched = _PERSONAL.fullmatch(host) or _ENTERPRISE.fullmatch(host)
    if matched is None:
        raise ValueError(host)
    region = matched["region"] or matched.groupdict().get("own_region") or ""
    return Api(http, _endpoint(environment, "CR", f"cr.{region}.aliyuncs.com"), await _key(http, environment))


async def _enterprise(api: "Api", environment: Mapping[str, str], host: str) -> tuple[Login, float]:
    instance = await instance_of(api, environment, host)
    answer = await api.call("GetAuthorizationToken", "2018-12-01", _Enterprise, {"InstanceId": instance})
    if not answer.is_success or not answer.authorization_token:
        raise RegistryAuthError(f"Alibaba Cloud gives no token for instance {instance} ({answer.code[:100]})")
    login = Login(answer.temp_username, secret(answer.authorization_token))
    return login, max(answer.expire_time / 1000 - time.time(), _SHORTEST)


async def instance_of(api: "Api", environment: Mapping[str, str], host: str) -> str:
    """Find the id of an instance, of which the host has the name only."""
    named = environment.get("ALIBABA_CLOUD_ACR_INSTANCE_ID")
    if named:
        return named
    matched = _ENTERPRISE.fullmatch(host)
    if matched is None:
        raise ValueError(host)
    name, region = matched["instance"], matched["region"]
    answer = await api.call("ListInstance", "2018-12-01", _Instances, {"InstanceName": name, "PageSize": "100"})
    found = [each.instance_id for each in answer.instances if each.instance_name == name]
    if len(found) != 1:
        raise Misconfigured(
            f"credentials alibaba: {len(found)} instances of the name {name} are to be seen in {region}: allow "
            "cr:ListInstance, or set ALIBABA_CLOUD_ACR_INSTANCE_ID"
        )
    return found[0]


async def _personal(api: "Api") -> tuple[Login, float]:
    data = (await api.call("GetAuthorizationToken", "2016-06-07", _Personal, {}, path="/tokens")).data
    login = Login(data.temp_user_name, secret(data.authorization_token))
    return login, max(data.expire_date / 1000 - time.time(), _SHORTEST)


async def _key(http: CloudHttp, environment: Mapping[str, str]) -> _Key:
    if all(environment.get(name) for name in _ROLE):
        return await _assume_role(http, environment)
    if all(environment.get(name) for name in _KEY):
        secret(environment[_KEY[1]])
        return _Key(environment[_KEY[0]], environment[_KEY[1]], environment.get("ALIBABA_CLOUD_SECURITY_TOKEN", ""))
    raise Misconfigured(
        "credentials alibaba: the environment offers no identity: enable RRSA for the ServiceAccount, or set "
        f"{' and '.join(_KEY)}"
    )


async def _assume_role(http: CloudHttp, environment: Mapping[str, str]) -> _Key:
    """Become the role that the ServiceAccount's token stands for; this request is not signed."""
    role, provider, file = (environment[name] for name in _ROLE)
    form = {
        "Action": "AssumeRoleWithOIDC",
        "Version": "2015-04-01",
        "Format": "JSON",
        "Timestamp": _timestamp(),
        "SignatureNonce": secrets.token_hex(16),
        "RoleArn": role,
        "OIDCProviderArn": provider,
        "OIDCToken": mounted_token(_ROLE[2], Path(file)),
        "RoleSessionName": environment.get("ALIBABA_CLOUD_ROLE_SESSION_NAME") or _SESSION,
    }
    url = _endpoint(environment, "STS", "sts.aliyuncs.com")
    given = (await http.post("Alibaba Cloud's STS", url, _Role, form=form)).credentials
    return _Key(given.access_key_id, secret(given.access_key_secret), secret(given.security_token))


def _endpoint(environment: Mapping[str, str], service: str, usual: str) -> str:
    """Return a service's address; a variable may name another, as for a network without a way to the usual one."""
    named = environment.get(f"ALIBABA_CLOUD_{service}_ENDPOINT") or usual
    return named.rstrip("/") if "://" in named else f"https://{named}"


@dataclass(frozen=True, slots=True)
class Api:
    """The registry's API, with the third version of signatures."""

    http: CloudHttp
    endpoint: str
    key: _Key

    async def call(self, action: str, version: str, kind: type[T], query: Mapping[str, str], path: str = "/") -> T:
        text = "&".join(f"{_quoted(name)}={_quoted(value)}" for name, value in sorted(query.items()))
        headers = {
            "host": urlsplit(self.endpoint).netloc,
            "x-acs-action": action,
            "x-acs-content-sha256": hashlib.sha256(b"").hexdigest(),
            "x-acs-date": _timestamp(),
            "x-acs-signature-nonce": secrets.token_hex(16),
            "x-acs-version": version,
        } | ({"x-acs-security-token": self.key.token} if self.key.token else {})
        headers["Authorization"] = authorization(self.key.id, self.key.secret, f"GET\n{path}\n{text}", headers)
        url = f"{self.endpoint}{path}{f'?{text}' if text else ''}"
        return await self.http.get(f"Alibaba Cloud's {action}", url, kind, headers)


def authorization(key_id: str, key_secret: str, request: str, headers: Mapping[str, str]) -> str:
    """Sign a request without a body: its method, path and query, each on a line, and all of its headers."""
    names = ";".join(sorted(headers))
    lines = "".join(f"{name}:{headers[name].strip()}\n" for name in sorted(headers))
    canonical = f"{request}\n{lines}\n{names}\n{headers['x-acs-content-sha256']}"
    to_sign = f"{_ALGORITHM}\n{hashlib.sha256(canonical.encode()).hexdigest()}"
    signature = hmac.new(key_secret.encode(), to_sign.encode(), hashlib.sha256).hexdigest()
    return f"{_ALGORITHM} Credential={key_id},SignedHeaders={names},Signature={signature}"


def _timestamp() -> str:
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _quoted(text: str) -> str:
    return quote(text, safe="~")
