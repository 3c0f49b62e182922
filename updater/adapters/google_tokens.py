"""The tokens that Google signs for what Pub/Sub pushes, checked with Google's public keys."""

import asyncio
import time
from collections.abc import Callable, Mapping
from typing import Any

import jwt
import msgspec
from aiohttp import ClientError, ClientSession, ClientTimeout, DummyCookieJar
from yarl import URL

from updater.adapters.proxies import environment_proxy
from updater.domain.errors import UpdaterError

_ISSUERS = ("https://accounts.google.com", "accounts.google.com")
_PATIENCE = ClientTimeout(total=10)
_LARGEST = 256 * 1024
_KEPT = 3600.0
"""Seconds until the keys are read again; Google changes them once a day or so, and publishes them long before."""
_BETWEEN_READS = 60.0
"""Seconds between two reads, however many tokens name a key that is not known."""
_LEEWAY = 60
_OK = 200


class KeysUnavailable(UpdaterError):
    """Google's keys cannot be read, so that no token can be checked."""


class GoogleTokens:
    """Tells whether a token was signed by Google for our audience, and for the service account that pushes."""

    def __init__(
        self,
        keys: str,
        audience: str,
        service_account: str,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._url = URL(keys)
        self._audience = audience
        self._account = service_account
        self._clock = clock
        self._keys: Mapping[str, jwt.PyJWK] = {}
        self._read_at: float | None = None
        self._reading = asyncio.Lock()

    async def is_valid(self, token: str) -> bool:
        """Check signature, issuer, audience, times and account.

        Raises:
            KeysUnavailable
        """
        if not token.isascii():
            return False
        try:
            name = jwt.get_unverified_header(token).get("kid", "")
        except jwt.PyJWTError:
            return False
        key = await self._key(str(name))
        if key is None:
            return False
        try:
            claims: dict[str, Any] = jwt.decode(
                token,
                key,
                algorithms=["RS256"],
                audience=self._audience,
                issuer=_ISSUERS,
                leeway=_LEEWAY,
                options={"require": ["exp", "iat", "aud", "iss"]},
            )
        except jwt.PyJWTError:
            return False
        return claims.get("email") == self._account and claims.get("email_verified") is True

    async def _key(self, name: str) -> jwt.PyJWK | None:
        async with self._reading:
            age = None if self._read_at is None else self._clock() - self._read_at
            if age is None or age > _KEPT or (name not in self._keys and age > _BETWEEN_READS):
                await self._read()
        return self._keys.get(name)

    async def _read(self) -> None:
        """Read the keys anew; while they cannot be had, those that are known are used."""
        try:
            self._keys = await self._fetched()
        except (ClientError, OSError, TimeoutError, ValueError, jwt.PyJWTError) as error:
            if not self._keys:
                raise KeysUnavailable(f"webhooks.gar_keys {self._url}: cannot be read: {error}") from None
        self._read_at = self._clock()

    async def _fetched(self) -> Mapping[str, jwt.PyJWK]:
        async with (
            ClientSession(timeout=_PATIENCE, cookie_jar=DummyCookieJar()) as session,
            session.get(self._url, proxy=environment_proxy(self._url), allow_redirects=False) as answer,
        ):
            if answer.status != _OK:
                raise ValueError(f"status {answer.status}")
            body = await answer.content.read(_LARGEST)
            while len(body) < _LARGEST and not answer.content.at_eof():
                body += await answer.content.read(_LARGEST - len(body))
        found = msgspec.json.decode(body, type=dict[str, list[dict[str, Any]]])
        usable = [key for key in found.get("keys", []) if key.get("kty") == "RSA" and "kid" in key]
        return {str(key["kid"]): jwt.PyJWK(key, "RS256") for key in usable}
