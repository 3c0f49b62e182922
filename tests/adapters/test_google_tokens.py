"""Tokens of Pub/Sub against keys from a real HTTP server: what is let in, and how often the keys are read."""

import json
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from typing import Any

import jwt
import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer
from cryptography.hazmat.primitives.asymmetric import rsa
from jwt.algorithms import RSAAlgorithm

from updater.adapters.google_tokens import GoogleTokens, KeysUnavailable

KEY = rsa.generate_private_key(65537, 2048)
OTHER = rsa.generate_private_key(65537, 2048)
AUDIENCE = "https://updater.example.com/webhook/gar"
ACCOUNT = "pusher@project.iam.gserviceaccount.com"


class Keys:
    """Google's endpoint."""

    def __init__(self) -> None:
        self.reads = 0
        self.names = ["one"]
        self.status = 200
        self.url = ""

    async def answer(self, _: web.Request) -> web.Response:
        self.reads += 1
        public = json.loads(RSAAlgorithm.to_jwk(KEY.public_key()))
        return web.json_response({"keys": [{**public, "kid": name} for name in self.names]}, status=self.status)


@pytest.fixture
async def keys() -> AsyncIterator[Keys]:
    found = Keys()
    app = web.Application()
    app.router.add_get("/certs", found.answer)
    async with TestServer(app, host="127.0.0.1") as server:
        found.url = str(server.make_url("/certs"))
        yield found


def token(key: rsa.RSAPrivateKey = KEY, kid: str = "one", algorithm: str = "RS256", **claims: Any) -> str:
    now = datetime.now(UTC)
    told = {
        "iss": "https://accounts.google.com",
        "aud": AUDIENCE,
        "email": ACCOUNT,
        "email_verified": True,
        "iat": now,
        "exp": now + timedelta(hours=1),
    }
    kept = {name: value for name, value in (told | claims).items() if value is not None}
    return jwt.encode(kept, key, algorithm, headers={"kid": kid})


def checker(keys: Keys, clock: Any = lambda: 0.0) -> GoogleTokens:
    return GoogleTokens(keys.url, AUDIENCE, ACCOUNT, clock)


async def test_token_for_us_is_valid_and_the_keys_are_read_once(keys: Keys) -> None:
    tokens = checker(keys)
    assert await tokens.is_valid(token())
    assert await tokens.is_valid(token())
    assert keys.reads == 1


@pytest.mark.parametrize(
    "claims",
    [
        {"aud": "https://other.example.com"},
        {"iss": "https://evil.example.com"},
        {"email": "somebody@else.iam.gserviceaccount.com"},
        {"email_verified": False},
        {"email": None},
        {"exp": datetime(2020, 1, 1, tzinfo=UTC)},
        {"exp": None},
    ],
    ids=str,
)
async def test_token_that_is_not_for_us_is_refused(keys: Keys, claims: dict[str, Any]) -> None:
    assert not await checker(keys).is_valid(token(**claims))


async def test_token_of_another_key_is_refused(keys: Keys) -> None:
    assert not await checker(keys).is_valid(token(OTHER))


@pytest.mark.parametrize("text", ["", "a.b.c", "x" * 5000])
async def test_what_is_no_token_is_refused_and_reads_no_keys(keys: Keys, text: str) -> None:
    assert not await checker(keys).is_valid(text)
    assert keys.reads == 0


async def test_unsigned_token_is_refused(keys: Keys) -> None:
    unsigned = jwt.encode({"aud": AUDIENCE, "email": ACCOUNT}, "", "none", headers={"kid": "one"})
    assert not await checker(keys).is_valid(unsigned)


async def test_new_key_is_read_when_it_is_first_used_and_not_more_than_once_a_minute(keys: Keys) -> None:
    now = [0.0]
    tokens = checker(keys, lambda: now[0])
    assert await tokens.is_valid(token())
    keys.names = ["one", "two"]
    assert not await tokens.is_valid(token(kid="two"))
    now[0] = 61
    assert await tokens.is_valid(token(kid="two"))
    assert keys.reads == 2


async def test_keys_that_cannot_be_read_are_said_and_known_ones_go_on(keys: Keys) -> None:
    now = [0.0]
    tokens = checker(keys, lambda: now[0])
    keys.status = 500
    with pytest.raises(KeysUnavailable, match="status 500"):
        await tokens.is_valid(token())
    keys.status, now[0] = 200, 61
    assert await tokens.is_valid(token())
    keys.status, now[0] = 500, 4000
    assert await tokens.is_valid(token())
