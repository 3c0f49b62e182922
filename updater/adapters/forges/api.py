"""HTTP to a forge's API: bounded, conditional where it can be, and patient when the forge asks for fewer requests."""

import asyncio
import ssl
import time
from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, TypeVar
from urllib.parse import urlsplit

import aiohttp
import msgspec
import structlog

from updater import __version__
from updater.adapters.git.login import Login
from updater.domain.errors import ForgeError, ForgeRefused, ForgeThrottled

log = structlog.get_logger()

_Kind = TypeVar("_Kind")

_LARGEST_ANSWER = 16 * 2**20
_LONGEST_WORDS = 300
_MOST_KEPT = 500
_LONGEST_WAIT = 3600.0
_SHORTEST_WAIT = 60.0
"""Seconds, when a forge asks for fewer requests and does not say for how long (GitHub's own advice)."""
_SUCCESS = range(200, 300)
_NOT_MODIFIED = 304
_UNAUTHORISED = (203, 401)
"""203 is Azure DevOps' page to sign in at."""
_FORBIDDEN = 403
_NOT_FOUND = 404
_TOO_MANY = 429
_REDIRECT = range(300, 400)
_SERVER = range(500, 600)
_RATE_LIMIT = "rate limit"
_RATE_LIMITED = "RATE_LIMITED"


@dataclass(frozen=True, slots=True)
class Answer:
    """What a forge answered, in whole."""

    status: int
    headers: Mapping[str, str]
    body: bytes
    place: str

    def decode(self, kind: type[_Kind]) -> _Kind:
        """Read the answer.

        Raises:
            ForgeError: it is something else.
        """
        try:
            return msgspec.json.decode(self.body, type=kind)
        except (msgspec.DecodeError, RecursionError) as error:
            raise ForgeError(f"{self.place} cannot be understood: {error}") from None


@dataclass
class Memory:
    """What is kept from look to look, for all repositories and users."""

    answers: OrderedDict[tuple[str, str], Answer] = field(default_factory=OrderedDict)
    """Of conditional requests, by user and address."""
    quiet: dict[tuple[str, str], float] = field(default_factory=dict)
    """Until when (monotonic) a user asks a host for nothing."""


@dataclass(frozen=True, slots=True)
class Api:
    """One forge, as one user."""

    session: aiohttp.ClientSession
    base: str
    """Address of the API, without a slash at its end."""
    login: Login
    authorization: str = field(repr=False)
    trust: ssl.SSLContext | bool
    timeout: float
    memory: Memory = field(repr=False)
    accept: str = "application/json"

    async def get(self, path: str) -> Answer:
        """Ask for something; for free, as far as the forge allows, when it has not changed since the last time.

        Raises:
            ForgeError
        """
        key = (self.authorization, self.base + path)
        known = self.memory.answers.get(key)
        headers = {"If-None-Match": known.headers["ETag"]} if known else {}
        answer = await self._send("GET", path, None, headers)
        if answer.status == _NOT_MODIFIED and known is not None:
            self.memory.answers.move_to_end(key)
            return known
        if answer.headers.get("ETag"):
            self.memory.answers[key] = answer
            if len(self.memory.answers) > _MOST_KEPT:
                self.memory.answers.popitem(last=False)
        return answer

    async def head(self, path: str) -> Answer:
        """Ask for the headers alone.

        Raises:
            ForgeError
        """
        return await self._send("HEAD", path, None, {})

    async def send(self, method: str, path: str, body: Mapping[str, Any]) -> Answer:
        """Have something done.

        Raises:
            ForgeRefused: it was understood, and not done.
            ForgeError: whether it was done is not known.
        """
        return await self._send(method, path, msgspec.json.encode(body), {"Content-Type": "application/json"})

    async def graphql(self, url: str, query: str, variables: Mapping[str, Any]) -> Answer:
        """Have GitHub's other API do something; it says 200 when it wants fewer requests, too.

        Raises:
            ForgeThrottled: nothing was done.
            ForgeError: as from `send`; other errors are left in the answer.
        """
        answer = await self.send("POST", url, {"query": query, "variables": variables})
        for error in answer.decode(_GraphqlAnswer).errors:
            if error.type == _RATE_LIMITED or _RATE_LIMIT in error.message.lower():
                raise self._throttled(answer, urlsplit(url).netloc, error.message)
        return answer

    async def _send(self, method: str, path: str, body: bytes | None, headers: Mapping[str, str]) -> Answer:
        url = path if path.startswith("http") else f"{self.base}{path}"
        host = urlsplit(url).netloc
        self._check_quiet(host)
        place = f"{method} {url.partition('?')[0]}"
        proxy, proxy_headers = self.login.proxy_for(url)
        sent = {"User-Agent": f"updater/{__version__}", "Accept": self.accept, **headers}
        sent["Authorization"] = self.authorization
        if url.startswith("http://"):
            sent |= proxy_headers or {}
        try:
            async with self.session.request(
                method,
                url,
                data=body,
                headers=sent,
                allow_redirects=False,
                ssl=self.trust,
                proxy=proxy,
                proxy_headers=proxy_headers,
                timeout=aiohttp.ClientTimeout(total=self.timeout),
            ) as response:
                answer = Answer(response.status, response.headers.copy(), await _read(response, place), place)
        except TimeoutError:
            raise ForgeError(f"{place}: no answer within {self.timeout:g} s: is the forge well?") from None
        except (aiohttp.ClientError, OSError, asyncio.IncompleteReadError) as error:
            raise ForgeError(f"{place}: the forge cannot be reached: {type(error).__name__} {error}") from None
        self._check(answer, host)
        return answer

    def _check_quiet(self, host: str) -> None:
        """Ask for nothing while the forge wants to be left alone."""
        rest = self.memory.quiet.get((self.authorization, host), 0.0) - time.monotonic()
        if rest > 0:
            raise ForgeThrottled(f"{host} asks {self.login.name} for fewer requests: asked again in {rest:.0f} s")

    def _check(self, answer: Answer, host: str) -> None:
        good = answer.status in _SUCCESS or answer.status == _NOT_MODIFIED
        if good and answer.status not in _UNAUTHORISED:
            return
        words = _words(answer.body)
        if _wants_fewer(answer, words):
            raise self._throttled(answer, host, words)
        said = f"{answer.place} answered {answer.status}: {words}"
        if answer.status in _SERVER:
            raise ForgeError(f"{said}: is the forge well?")
        if answer.status in _UNAUTHORISED:
            self.login.refused()
            raise ForgeRefused(f"{said}: the forge does not take {self.login.name}: see that the token is right")
        if answer.status == _FORBIDDEN:
            raise ForgeRefused(f"{said}: {self.login.name} may not do this: give the token the rights that it needs")
        if answer.status == _NOT_FOUND:
            raise ForgeRefused(f"{said}: it is not there, or {self.login.name} may not see it")
        if answer.status in _REDIRECT:
            where = answer.headers.get("Location", "").partition("?")[0]
            raise ForgeRefused(f"{said}: it has moved to {where}: write the repository's new URL in the Application")
        raise ForgeRefused(said)

    def _throttled(self, answer: Answer, host: str, words: str) -> ForgeThrottled:
        """Leave a forge alone for as long as it wants."""
        wait = _asked_to_wait(answer)
        self.memory.quiet[self.authorization, host] = time.monotonic() + wait
        log.warning("forge.throttled", host=host, seconds=round(wait), reason=words)
        return ForgeThrottled(
            f"{host} asks {self.login.name} for fewer requests: asked again in {wait:.0f} s ({words})"
        )


def next_page(answer: Answer, base: str) -> str:
    """Return the address of the next page, as the header Link has it (RFC 8288); empty: there is none.

    Only on the same server: what is sent there goes with the credentials.
    """
    for part in answer.headers.get("Link", "").split(","):
        target, _, parameters = part.strip().partition(">")
        if target.startswith("<") and 'rel="next"' in parameters.replace("'", '"'):
            url = target[1:]
            return url if on_same_server(url, base) else ""
    return ""


def on_same_server(url: str, base: str) -> bool:
    return urlsplit(url)[:2] == urlsplit(base)[:2]


async def _read(response: aiohttp.ClientResponse, place: str) -> bytes:
    body = bytearray()
    async for chunk in response.content.iter_chunked(2**16):
        body += chunk
        if len(body) > _LARGEST_ANSWER:
            raise ForgeError(f"{place}: the answer has more than {_LARGEST_ANSWER} bytes")
    return bytes(body)


def _wants_fewer(answer: Answer, words: str) -> bool:
    """Tell whether the forge wants to be left alone: GitHub says 403 or 429, GitLab and Gitea 429."""
    secondary = _RATE_LIMIT in words.lower() or "abuse" in words.lower()
    limited = answer.status == _FORBIDDEN and (_exhausted(answer) or secondary or "Retry-After" in answer.headers)
    return answer.status == _TOO_MANY or limited


def _exhausted(answer: Answer) -> bool:
    return answer.headers.get("X-RateLimit-Remaining", answer.headers.get("RateLimit-Remaining")) == "0"


def _asked_to_wait(answer: Answer) -> float:
    """Tell for how many seconds: GitHub has Retry-After for its secondary limits, else when the primary is reset."""
    headers = answer.headers
    after, reset = headers.get("Retry-After", ""), headers.get("X-RateLimit-Reset", headers.get("RateLimit-Reset", ""))
    if after.isdecimal():
        return min(float(after), _LONGEST_WAIT)
    if _exhausted(answer) and reset.isdecimal():
        return min(max(float(reset) - datetime.now(UTC).timestamp(), 1.0), _LONGEST_WAIT)
    return _SHORTEST_WAIT


class _GraphqlError(msgspec.Struct):
    message: str = ""
    type: str = ""


class _GraphqlAnswer(msgspec.Struct):
    errors: list[_GraphqlError] = []


class _Complaint(msgspec.Struct):
    """How GitHub, GitLab and Gitea say what is wrong."""

    message: Any = ""
    error: Any = ""
    errors: Any = None


def _words(body: bytes) -> str:
    """Give a forge's own words, cut short."""
    try:
        said = msgspec.json.decode(body, type=_Complaint)
    except msgspec.DecodeError:
        text = body[: _LONGEST_WORDS * 2].decode("utf-8", "replace")
    else:
        parts = [said.message or said.error, *(said.errors if isinstance(said.errors, list) else ())]
        text = "; ".join(filter(None, map(_sentence, parts)))
    return " ".join(text.split())[:_LONGEST_WORDS] or "no reason given"


def _sentence(part: Any) -> str:  # noqa: ANN401 - whatever a forge says
    if isinstance(part, dict):
        return str(part.get("message") or ", ".join(f"{key}: {value}" for key, value in part.items()))
    return ", ".join(map(str, part)) if isinstance(part, list) else str(part or "")
