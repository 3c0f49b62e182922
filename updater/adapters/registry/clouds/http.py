"""The few requests that clouds are asked: bounded in time and bytes, never redirected, and silent about secrets."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import msgspec
from aiohttp import ClientError, ClientSession, ClientTimeout, DummyCookieJar, StreamReader
from yarl import URL

from updater import __version__
from updater.adapters.proxies import environment_proxy
from updater.domain.errors import Misconfigured, RegistryAuthError, RegistryError
from updater.redaction import redact, register_secret

T = TypeVar("T", bound=msgspec.Struct)

_LARGEST_ANSWER = 2**20
_LONGEST_REASON = 200
_THROTTLED = 429
_REFUSALS = range(400, 500)
_OK = range(200, 300)


class _Fault(msgspec.Struct):
    """How clouds say what is wrong: OAuth2, Alibaba Cloud and GitHub."""

    error: str | None = None
    error_description: str | None = None
    code: str | None = msgspec.field(default=None, name="Code")
    said: str | None = msgspec.field(default=None, name="Message")
    code_in_lower_case: str | None = msgspec.field(default=None, name="code")
    message: str | None = None

    def __str__(self) -> str:
        code = self.error or self.code or self.code_in_lower_case
        text = self.error_description or self.said or self.message
        return ": ".join(filter(None, (code, (text or "").partition("\n")[0])))


@dataclass(frozen=True, slots=True)
class CloudHttp:
    """Asks a cloud; connections are not kept, because the next question comes in an hour."""

    seconds: float = 10
    """For one request, from connecting to the last byte."""

    async def get(self, who: str, url: str, kind: type[T], headers: Mapping[str, str], *, proxied: bool = True) -> T:
        """Get a JSON object.

        Raises:
            RegistryError: there was no answer, or none that is understood.
            RegistryAuthError: it was refused.
        """
        return await self._ask(who, "GET", url, kind, headers, None, proxied=proxied)

    async def post(
        self,
        who: str,
        url: str,
        kind: type[T],
        headers: Mapping[str, str] | None = None,
        form: Mapping[str, str] | None = None,
        json: object = None,
    ) -> T:
        """Post a form, JSON, or nothing, and read a JSON object.

        Raises:
            RegistryError: there was no answer, or none that is understood.
            RegistryAuthError: it was refused.
        """
        body: Mapping[str, str] | bytes | None = form
        if json is not None:
            body = msgspec.json.encode(json)
            headers = {"Content-Type": "application/json", **(headers or {})}
        return await self._ask(who, "POST", url, kind, headers or {}, body)

    async def _ask(
        self,
        who: str,
        method: str,
        url: str,
        kind: type[T],
        headers: Mapping[str, str],
        body: Mapping[str, str] | bytes | None,
        *,
        proxied: bool = True,
    ) -> T:
        status, answer = await self._send(who, method, _address(who, url), headers, body, proxied=proxied)
        if status not in _OK:
            raise _refusal(who, status, answer)
        try:
            return msgspec.json.decode(answer, type=kind)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            raise RegistryError(f"{who} gives an answer that is not understood") from None

    async def _send(
        self,
        who: str,
        method: str,
        url: URL,
        headers: Mapping[str, str],
        body: Mapping[str, str] | bytes | None,
        *,
        proxied: bool,
    ) -> tuple[int, bytes]:
        session = ClientSession(
            timeout=ClientTimeout(total=self.seconds),
            headers={"User-Agent": f"updater/{__version__}", "Accept": "application/json"},
            cookie_jar=DummyCookieJar(),
        )
        proxy = environment_proxy(url) if proxied else None
        try:
            async with (
                session,
                session.request(method, url, headers=headers, data=body, allow_redirects=False, proxy=proxy) as answer,
            ):
                return answer.status, await _read(who, answer.content)
        except TimeoutError:
            raise RegistryError(f"{who} did not answer within {self.seconds:g} s") from None
        except (ClientError, OSError) as error:
            raise RegistryError(f"{who} did not answer: {_short(str(error) or type(error).__name__)}") from None


async def _read(who: str, content: StreamReader) -> bytes:
    body = bytearray()
    async for chunk in content.iter_any():
        body += chunk
        if len(body) > _LARGEST_ANSWER:
            raise RegistryError(f"{who} answers with more than {_LARGEST_ANSWER} bytes")
    return bytes(body)


def _address(who: str, text: str) -> URL:
    try:
        url = URL(text, encoded=True)
    except ValueError:
        url = URL()
    if url.scheme not in ("http", "https") or not url.host:
        raise Misconfigured(f"{who} has the address {text[:100]!r}: write one with https:// and a host")
    return url


def _refusal(who: str, status: int, answer: bytes) -> RegistryError:
    try:
        reason = str(msgspec.json.decode(answer, type=_Fault))
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        reason = ""
    text = f"{who} answers with status {status}{f' ({_short(reason)})' if reason else ''}"
    if status in _REFUSALS and status != _THROTTLED:
        return RegistryAuthError(f"{text}: check the identity and what it may do")
    return RegistryError(text)


def _short(text: str) -> str:
    return redact(text.partition("\n")[0])[:_LONGEST_REASON]


def mounted_token(variable: str, file: Path) -> str:
    """Read a token that the kubelet keeps fresh; it is short, and on a disk in memory.

    Raises:
        Misconfigured: it is not there.
    """
    try:
        return secret(file.read_text("ascii").strip())
    except (OSError, UnicodeDecodeError) as error:
        raise Misconfigured(f"{variable} is {file}, which cannot be read ({error}): mount it") from None


def secret(text: str) -> str:
    """Keep a token out of the log from now on."""
    register_secret(text)
    return text
