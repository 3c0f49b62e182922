"""HTTP as registries need it: bounded in time, bytes and redirects, and credentials for one origin alone."""

import asyncio
import ssl
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import cache

from aiohttp import ClientError, ClientResponse, ClientSession, ClientTimeout, DummyCookieJar, TCPConnector
from multidict import CIMultiDictProxy
from yarl import URL

from updater import __version__
from updater.adapters.proxies import environment_proxy
from updater.adapters.registry.breaker import NoAnswer
from updater.domain.errors import Misconfigured, RegistryError
from updater.settings.registries import DIRECT, ClientCertificate, RegistrySettings

_MOST_REDIRECTS = 5
_REDIRECTS = (301, 302, 303, 307, 308)
_CONNECT_SECONDS = 10
_CHUNK = 65_536
_IDLE_SECONDS = 150
"""A little more than the usual interval between two polls: connections are kept."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What came back, read to its end."""

    status: int
    headers: CIMultiDictProxy[str]
    body: bytes
    url: URL
    """Where it came from at last."""


class Transport:
    """Sends requests to one registry, and to where it redirects."""

    def __init__(self, settings: RegistrySettings) -> None:
        """Prepare it.

        Raises:
            Misconfigured: its certificates cannot be used.
        """
        self._settings = settings
        self._plain = settings.insecure or settings.api_url.startswith("http:")
        self._session = ClientSession(
            connector=TCPConnector(
                limit=0,  # the endpoint counts what is under way
                ssl=_tls(settings.ca_data, settings.client_certificate, insecure=settings.insecure),
                keepalive_timeout=_IDLE_SECONDS,
            ),
            timeout=ClientTimeout(total=settings.timeout, connect=min(_CONNECT_SECONDS, settings.timeout)),
            headers={"User-Agent": f"updater/{__version__}"},
            cookie_jar=DummyCookieJar(),
        )

    async def send(self, method: str, url: URL, headers: Mapping[str, str], limit: int) -> Answer:
        """Send GET or HEAD, follow redirects, and read at most `limit` bytes.

        `Authorization` is left out as soon as a redirect leads to another origin.

        Raises:
            NoAnswer: there was none, or it broke off.
            RegistryError: it is larger than allowed, or redirected to where we do not go.
        """
        for _ in range(_MOST_REDIRECTS + 1):
            answer, location = await self._send_once(method, url, headers, limit)
            if location is None:
                return answer
            target = self._redirected(url, location)
            if target.origin() != url.origin():
                headers = {name: value for name, value in headers.items() if name.lower() != "authorization"}
            url = target
        raise RegistryError(f"redirects more than {_MOST_REDIRECTS} times")

    async def post(self, url: URL, form: Mapping[str, str], limit: int) -> Answer:
        """Send a form; where it leads to another address, it is not sent on.

        Raises:
            NoAnswer: there was none, or it broke off.
            RegistryError: it is larger than allowed.
        """
        answer, _ = await self._send_once("POST", url, {}, limit, form)
        return answer

    async def close(self) -> None:
        await self._session.close()

    def allows(self, url: URL) -> bool:
        """Say whether an address may be asked: over TLS, unless the registry itself is reached without."""
        return bool(url.host) and (url.scheme == "https" or (url.scheme == "http" and self._plain))

    async def _send_once(
        self,
        method: str,
        url: URL,
        headers: Mapping[str, str],
        limit: int,
        form: Mapping[str, str] | None = None,
    ) -> tuple[Answer, str | None]:
        async with self._response(method, url, headers, form) as response:
            if response.status in _REDIRECTS and "Location" in response.headers:
                return Answer(response.status, response.headers, b"", url), response.headers["Location"]
            body = await _read(response, limit)
            return Answer(response.status, response.headers, body, url), None

    @asynccontextmanager
    async def _response(
        self, method: str, url: URL, headers: Mapping[str, str], form: Mapping[str, str] | None
    ) -> AsyncIterator[ClientResponse]:
        """Open one response; what goes wrong until it is closed is translated here."""
        request = self._session.request(
            method, url, headers=headers, data=form, allow_redirects=False, proxy=self._proxy(url)
        )
        try:
            async with request as response:
                yield response
        except TimeoutError:
            raise NoAnswer(f"did not answer within {self._settings.timeout:g} s") from None
        except (ClientError, OSError, asyncio.IncompleteReadError) as error:
            raise NoAnswer(f"did not answer: {_reason(error)}") from error

    def _proxy(self, url: URL) -> str | None:
        if self._settings.proxy:
            return None if self._settings.proxy == DIRECT else self._settings.proxy
        return environment_proxy(url)

    def _redirected(self, url: URL, location: str) -> URL:
        try:
            target = url.join(URL(location, encoded=True))
            allowed = self.allows(target)
        except ValueError:
            allowed = False
        if not allowed:
            raise RegistryError(
                f"redirects from {url.host} to an address that is not asked: {location.partition('?')[0][:100]!r}"
            )
        return target


async def _read(response: ClientResponse, limit: int) -> bytes:
    body = bytearray()
    async for chunk in response.content.iter_chunked(_CHUNK):
        body += chunk
        if len(body) > limit:
            response.close()
            raise RegistryError(f"answers with more than the {limit} bytes allowed")
    return bytes(body)


def _reason(error: Exception) -> str:
    return (str(error) or type(error).__name__).partition("\n")[0][:200]


@cache
def _tls(ca_data: str, client: ClientCertificate | None, *, insecure: bool) -> ssl.SSLContext:
    """Trust the system's authorities and these; loading them takes long enough to do it once."""
    context = ssl.create_default_context()
    if insecure:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    try:
        if ca_data:
            context.load_verify_locations(cadata=ca_data)
        if client is not None:
            context.load_cert_chain(client.certificate, client.key, password="")
    except (OSError, ValueError) as error:  # which ssl.SSLError is
        raise Misconfigured(f"has certificates that cannot be used: {_reason(error)}; mend its files") from None
    return context
