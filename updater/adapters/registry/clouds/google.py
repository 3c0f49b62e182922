"""Google: Artifact Registry and Container Registry, as a workload identity or a service account.

The metadata server and the token endpoint take one request each, so their library is not needed.
"""

import time
from collections.abc import Mapping
from pathlib import Path

import msgspec

from updater.adapters.registry.clouds.http import CloudHttp, secret
from updater.adapters.registry.clouds.jwt import sign
from updater.domain.errors import Misconfigured
from updater.formats.docker_config import Login

MACHINE = Path("/sys/class/dmi/id/product_name")

_USER = "oauth2accesstoken"
_KEY_FILE = "GOOGLE_APPLICATION_CREDENTIALS"
_METADATA_HOST = "GCE_METADATA_HOST"
_METADATA = "metadata.google.internal"
_SCOPE = "https://www.googleapis.com/auth/cloud-platform"
_SHORTEST = 60.0
_ASSERTED = 3600


class _Key(msgspec.Struct):
    type: str = ""
    client_email: str = ""
    private_key: str = ""
    private_key_id: str = ""
    token_uri: str = "https://oauth2.googleapis.com/token"  # noqa: S105 - an address


class _Token(msgspec.Struct):
    access_token: str
    expires_in: float = 0


def serves(host: str) -> bool:
    return host == "gcr.io" or host.endswith((".gcr.io", "-docker.pkg.dev"))


def is_offered(environment: Mapping[str, str], machine: Path) -> bool:
    """Say whether we are somebody: by a key file, or on one of Google's machines."""
    if environment.get(_KEY_FILE) or environment.get(_METADATA_HOST):
        return True
    try:
        return machine.read_text("utf-8", "replace").strip().startswith("Google")
    except OSError:
        return False


async def login(http: CloudHttp, environment: Mapping[str, str]) -> tuple[Login, float]:
    path = environment.get(_KEY_FILE)
    token = await (_of_key(http, Path(path)) if path else _of_workload(http, environment))
    return Login(_USER, secret(token.access_token)), max(token.expires_in, _SHORTEST)


async def _of_workload(http: CloudHttp, environment: Mapping[str, str]) -> _Token:
    host = environment.get(_METADATA_HOST) or _METADATA
    url = f"http://{host}/computeMetadata/v1/instance/service-accounts/default/token"
    return await http.get("Google's metadata server", url, _Token, {"Metadata-Flavor": "Google"}, proxied=False)


async def _of_key(http: CloudHttp, path: Path) -> _Token:
    key = _read(path)
    now = int(time.time())
    claims = {"iss": key.client_email, "scope": _SCOPE, "aud": key.token_uri, "iat": now, "exp": now + _ASSERTED}
    form = {
        "grant_type": "urn:ietf:params:oauth:grant-type:jwt-bearer",
        "assertion": sign(claims, key.private_key.encode(), f"private_key of {path}"),
    }
    return await http.post("Google's token endpoint", key.token_uri, _Token, form=form)


def _read(path: Path) -> _Key:
    try:
        key = msgspec.json.decode(path.read_bytes(), type=_Key)
    except OSError as error:
        raise Misconfigured(f"{_KEY_FILE} is {path}, which cannot be read: {error.strerror}; mount it") from None
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        raise Misconfigured(f"{_KEY_FILE} is {path}, which is no key: download the service account's as JSON") from None
    if key.type != "service_account" or not key.client_email:
        raise Misconfigured(
            f"{_KEY_FILE} is {path}, a key of type {key.type[:40]!r}: give one of type service_account, or use "
            "workload identity and leave the variable out"
        )
    secret(key.private_key)
    return key
