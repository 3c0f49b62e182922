"""Azure Container Registry as a workload identity: a federated token becomes one of Entra ID, that the registry's own.

The registry's refresh token is then used as any other identity token. Both steps are one form each, so the library,
which would bring its own client, cache and retries, is not needed.
"""

import base64
import binascii
import time
from collections.abc import Mapping
from pathlib import Path
from urllib.parse import quote

import msgspec

from updater.adapters.registry.clouds.http import CloudHttp, mounted_token, secret
from updater.domain.errors import Misconfigured
from updater.formats.docker_config import Login

_USER = "00000000-0000-0000-0000-000000000000"
"""By which the registry knows that the password is a token."""
_AUTHORITY = "https://login.microsoftonline.com/"
_NEEDED = ("AZURE_CLIENT_ID", "AZURE_TENANT_ID", "AZURE_FEDERATED_TOKEN_FILE")
_SCOPE = "https://containerregistry.azure.net/.default"
_LIFETIME = 3 * 3600.0
"""Of the registry's refresh token, where it does not say so itself."""
_SHORTEST = 60.0


class _AccessToken(msgspec.Struct):
    access_token: str


class _RefreshToken(msgspec.Struct):
    refresh_token: str


class _Claims(msgspec.Struct):
    exp: float


def serves(host: str) -> bool:
    return host.endswith((".azurecr.io", ".azurecr.cn", ".azurecr.us"))


def is_offered(environment: Mapping[str, str]) -> bool:
    return all(environment.get(name) for name in _NEEDED)


async def login(http: CloudHttp, environment: Mapping[str, str], host: str, api_url: str) -> tuple[Login, float]:
    missing = [name for name in _NEEDED if not environment.get(name)]
    if missing:
        raise Misconfigured(
            f"credentials azure: {', '.join(missing)} is not set: give the pod the label azure.workload.identity/use "
            "and its ServiceAccount a client id"
        )
    client, tenant, file = (environment[name] for name in _NEEDED)
    access_token = await _sign_in(http, environment, client, tenant, Path(file))
    form = {"grant_type": "access_token", "service": host, "tenant": tenant, "access_token": access_token}
    answer = await http.post(f"{host}/oauth2/exchange", f"{api_url}/oauth2/exchange", _RefreshToken, form=form)
    token = secret(answer.refresh_token)
    return Login(_USER, token, identity_token=True), max(_expiry(token) - time.time(), _SHORTEST)


async def _sign_in(http: CloudHttp, environment: Mapping[str, str], client: str, tenant: str, file: Path) -> str:
    """Show Entra ID the token that the kubelet keeps fresh."""
    authority = (environment.get("AZURE_AUTHORITY_HOST") or _AUTHORITY).rstrip("/")
    form = {
        "client_id": client,
        "scope": _SCOPE,
        "grant_type": "client_credentials",
        "client_assertion_type": "urn:ietf:params:oauth:client-assertion-type:jwt-bearer",
        "client_assertion": mounted_token(_NEEDED[2], file),
    }
    url = f"{authority}/{quote(tenant, safe='')}/oauth2/v2.0/token"
    return secret((await http.post("Entra ID", url, _AccessToken, form=form)).access_token)


def _expiry(token: str) -> float:
    """Read until when a token is good, as it says itself; nothing else in it is believed or needed."""
    try:
        payload = token.split(".")[1]
        claims = base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4))
        return msgspec.json.decode(claims, type=_Claims).exp
    except (IndexError, binascii.Error, ValueError, msgspec.DecodeError):
        return time.time() + _LIFETIME
