"""GitHub's container registry, as a GitHub App or with a token: a Secret holds either, in fields that Argo CD knows."""

import math
import time
from collections.abc import Mapping
from datetime import datetime
from urllib.parse import quote

import msgspec

from updater.adapters.registry.clouds.http import CloudHttp, secret
from updater.adapters.registry.clouds.jwt import sign
from updater.domain.errors import Misconfigured
from updater.formats.docker_config import Login

_API = "https://api.github.com"
_APP = ("githubAppID", "githubAppInstallationID", "githubAppPrivateKey")
_USER = "x-access-token"
_ASSERTED = 540
"""Seconds; GitHub takes at most ten minutes."""
_CLOCKS_DIFFER = 60
_SHORTEST = 60.0


class _Token(msgspec.Struct):
    token: str
    expires_at: datetime


async def login(http: CloudHttp, data: Mapping[str, bytes], place: str) -> tuple[Login, float]:
    token = _text(data, "password") or _text(data, "token")
    if token and not any(name in data for name in _APP):
        return Login(_text(data, "username") or _USER, secret(token)), math.inf
    if missing := [name for name in _APP if not _text(data, name)]:
        raise Misconfigured(
            f"{place}: the Secret has no {', '.join(missing)}: add it, or a token as password with read:packages"
        )
    return await _as_app(http, data, place)


async def _as_app(http: CloudHttp, data: Mapping[str, bytes], place: str) -> tuple[Login, float]:
    """Ask for a token of the installation that may read packages and nothing else."""
    app, installation, key = (_text(data, name) for name in _APP)
    now = int(time.time())
    claims = {"iss": app, "iat": now - _CLOCKS_DIFFER, "exp": now + _ASSERTED}
    api = (_text(data, "githubAppEnterpriseBaseUrl") or _API).rstrip("/")
    answer = await http.post(
        "GitHub",
        f"{api}/app/installations/{quote(installation, safe='')}/access_tokens",
        _Token,
        headers={
            "Authorization": f"Bearer {sign(claims, key.encode(), f'{place}: {_APP[2]}')}",
            "Accept": "application/vnd.github+json",
        },
        json={"permissions": {"packages": "read"}},
    )
    return Login(_USER, secret(answer.token)), max(answer.expires_at.timestamp() - time.time(), _SHORTEST)


def _text(data: Mapping[str, bytes], name: str) -> str:
    return data.get(name, b"").decode("utf-8", "replace").strip()
