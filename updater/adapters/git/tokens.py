"""Tokens that stand for a longer secret: of a GitHub App, a Google service account, or an Azure workload identity.

A token is kept until four fifths of its life are over, for all repositories that the same secret opens.
"""

import asyncio
import time
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from urllib.parse import urlsplit

import aiohttp
import msgspec

from updater import __version__
from updater.domain.errors import GitAuthError, GitError, Misconfigured
from updater.formats.jwt import signed_token
from updater.redaction import register_secret

_USED_PART = 0.8
_MOST_TOKENS = 500
_LARGEST_ANSWER = 64 * 2**10
_LONGEST_ERROR = 200
_ASSERTION_SECONDS = 540
"""GitHub takes ten minutes at most."""
_CLOCKS_DIFFER_SECONDS = 60
_SUCCESS = range(200, 300)
_REFUSED = range(400, 500)
_THROTTLED = 429
_AZURE_DEVOPS = "499b84ac-1321-427f-aa17-267ca6975798/.default"
_GOOGLE_SCOPE = "https://www.googleapis.com/auth/cloud-platform"
_GOOGLE_TOKENS = "https://oauth2.googleapis.com/token"
GITHUB_API = "https://api.github.com"

Post = Callable[[str, Mapping[str, str], Mapping[str, str] | None], Awaitable[bytes]]
"""Sends a form (None: nothing) to an address with some headers, and returns the answer."""


@dataclass(frozen=True, slots=True)
class Token:
    value: str
    seconds: float
    """How long it is good for, from now on."""


class _Answer(msgspec.Struct):
    """Of GitHub, or of an OAuth endpoint."""

    token: str = ""
    expires_at: datetime | None = None
    access_token: str = ""
    expires_in: float | str = 3600


class GoogleKey(msgspec.Struct):
    """A service account's key, as Google issues it."""

    client_email: str
    private_key: str
    private_key_id: str = ""
    token_uri: str = _GOOGLE_TOKENS


class Tokens:
    """The tokens that are good now."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._kept: OrderedDict[object, tuple[str, float]] = OrderedDict()
        self._locks: dict[object, asyncio.Lock] = {}

    async def get(self, key: object, fetch: Callable[[], Awaitable[Token]]) -> str:
        """Return the token kept under a key; else fetch one, once for all that wait for it."""
        lock = self._locks.setdefault(key, asyncio.Lock())
        try:
            async with lock:
                value, until = self._kept.get(key, ("", 0.0))
                if not value or self._clock() >= until:
                    token = await fetch()
                    register_secret(token.value)
                    value, until = token.value, self._clock() + token.seconds * _USED_PART
                    self._kept[key] = value, until
                    if len(self._kept) > _MOST_TOKENS:
                        self._kept.popitem(last=False)
                return value
        finally:
            if not lock.locked():
                self._locks.pop(key, None)

    def forget(self, key: object) -> None:
        """Fetch another one next time: this one was refused."""
        self._kept.pop(key, None)


async def github_app_token(post: Post, api: str, app: str, installation: str, key: bytes, place: str) -> Token:
    """Ask for the token of an installation of a GitHub App."""
    now = int(time.time())
    claims = {"iat": now - _CLOCKS_DIFFER_SECONDS, "exp": now + _ASSERTION_SECONDS, "iss": app}
    headers = {"Authorization": f"Bearer {signed_token(claims, key, f'{place}, field githubAppPrivateKey,')}"}
    headers["Accept"] = "application/vnd.github+json"
    answer = _decoded(await post(f"{api}/app/installations/{installation}/access_tokens", headers, None), place)
    if not answer.token or answer.expires_at is None:
        raise GitError(f"{place}: the answer to its GitHub App has no token")
    return Token(answer.token, (answer.expires_at - datetime.now(UTC)).total_seconds())


async def google_token(post: Post, key: GoogleKey, place: str) -> Token:
    """Exchange an assertion signed by a service account for an access token."""
    now = int(time.time())
    claims = {"iss": key.client_email, "scope": _GOOGLE_SCOPE, "aud": key.token_uri, "iat": now, "exp": now + 3600}
    named = {"kid": key.private_key_id} if key.private_key_id else None
    assertion = signed_token(claims, key.private_key.encode(), f"{place}, field gcpServiceAccountKey,", named)
    form = {"grant_type": "urn:ietf:params:oauth:grant-type:jwt-bearer", "assertion": assertion}
    return _oauth_token(_decoded(await post(key.token_uri, {}, form), place), place)


async def azure_token(post: Post, environ: Mapping[str, str], place: str) -> Token:
    """Exchange the token of the pod's service account for one of Azure DevOps."""
    names = ("AZURE_CLIENT_ID", "AZURE_TENANT_ID", "AZURE_FEDERATED_TOKEN_FILE")
    missing = [name for name in names if not environ.get(name)]
    if missing:
        raise Misconfigured(
            f"{place} asks for Azure's workload identity, but {missing[0]} is not set: label the pod with "
            "azure.workload.identity/use and annotate its service account",
        )
    client, tenant, file = (environ[name] for name in names)
    try:
        assertion = (await asyncio.to_thread(Path(file).read_text, "utf-8")).strip()
    except (OSError, UnicodeDecodeError) as error:
        raise Misconfigured(f"AZURE_FEDERATED_TOKEN_FILE is {file}, which cannot be read: {error}") from None
    authority = environ.get("AZURE_AUTHORITY_HOST", "https://login.microsoftonline.com").rstrip("/")
    form = {
        "grant_type": "client_credentials",
        "client_id": client,
        "client_assertion_type": "urn:ietf:params:oauth:client-assertion-type:jwt-bearer",
        "client_assertion": assertion,
        "scope": _AZURE_DEVOPS,
    }
    return _oauth_token(_decoded(await post(f"{authority}/{tenant}/oauth2/v2.0/token", {}, form), place), place)


def _oauth_token(answer: _Answer, place: str) -> Token:
    if not answer.access_token:
        raise GitError(f"{place}: the token endpoint's answer has no access_token")
    try:
        return Token(answer.access_token, float(answer.expires_in))
    except ValueError:
        return Token(answer.access_token, 0)


def _decoded(answer: bytes, place: str) -> _Answer:
    try:
        return msgspec.json.decode(answer, type=_Answer)
    except msgspec.DecodeError as error:
        raise GitError(f"{place}: the token endpoint's answer cannot be understood: {error}") from None


async def send_form(
    session: aiohttp.ClientSession,
    url: str,
    headers: Mapping[str, str],
    form: Mapping[str, str] | None,
    how: Mapping[str, object],
) -> bytes:
    """POST to a token endpoint; no redirect is followed, for what is sent is as good as a password.

    Raises:
        GitAuthError: it refused.
        GitError: it did not answer, or not well.
    """
    endpoint = urlsplit(url).netloc.rpartition("@")[2]
    sent = {"User-Agent": f"updater/{__version__}", **headers}
    try:
        async with session.post(url, data=form, headers=sent, allow_redirects=False, **how) as answer:  # type: ignore[arg-type]
            body = await answer.content.read(_LARGEST_ANSWER)
            while not answer.content.at_eof() and len(body) < _LARGEST_ANSWER:
                body += await answer.content.read(_LARGEST_ANSWER)
    except (aiohttp.ClientError, OSError, TimeoutError) as error:
        raise GitError(f"the token endpoint {endpoint} cannot be reached: {type(error).__name__} {error}") from None
    if answer.status in _SUCCESS:
        return body
    words = " ".join(body[:_LONGEST_ERROR].decode("utf-8", "replace").split())
    kind = GitAuthError if answer.status in _REFUSED and answer.status != _THROTTLED else GitError
    raise kind(f"the token endpoint {endpoint} answered {answer.status} {words}")
