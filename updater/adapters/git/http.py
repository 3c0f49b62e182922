"""Git's smart HTTP: requests to one repository, their answers bounded and their failures told apart."""

import asyncio
import random
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from urllib.parse import urljoin, urlsplit, urlunsplit

import aiohttp

from updater import __version__
from updater.adapters.git.login import Login
from updater.adapters.git.transport import AnswerLost, Conversation, Lines, Service
from updater.domain.errors import GitAuthError, GitError

_LONGEST_ERROR = 300
_MOST_REDIRECTS = 5
_OK = 200
_UNAUTHORISED = (401, 403)
_PROXY_UNAUTHORISED = 407
_NOT_FOUND = 404
_REDIRECTS = frozenset({301, 302, 303, 307, 308})
_PASSING = frozenset({429, 500, 502, 503, 504})
_PAUSES = (0.1, 0.5)
"""Seconds before a server that fails for a moment is asked again."""
_LONGEST_PAUSE = 5
_DEFAULT_PORTS = {"http": 80, "https": 443}


@dataclass(slots=True)
class HttpTransport:
    """One repository, as one user."""

    session: aiohttp.ClientSession
    place: str
    """The repository's URL, without credentials and without a slash at its end."""
    login: Login
    trust: ssl.SSLContext | bool
    """False: any certificate will do."""
    timeout: float
    largest: int
    """Bytes of an answer, at most."""
    moved: str = ""
    """Where the server said that the repository is."""

    @property
    def host(self) -> str:
        parts = urlsplit(self.place)
        return f"{parts.scheme}://{parts.netloc}"

    @asynccontextmanager
    async def open(self, service: Service) -> AsyncIterator[Conversation]:
        yield HttpConversation(self, service)

    @asynccontextmanager
    async def request(self, path: str, body: bytes | None, kind: str, most: int) -> AsyncIterator[Lines]:
        """Send a request, once more wherever its repository has moved to, and pass on the lines of its answer.

        A server that fails for a moment is asked again soon. That may be a push: should it have arrived all the same,
        the branch is not where the second one says, and the server refuses it as one that came too late.
        """
        failures = redirects = 0
        while redirects < _MOST_REDIRECTS:
            async with self._translated(), await self._begin(path, body, kind) as answer:
                pause = _pause(answer, failures)
                if answer.status in _REDIRECTS:
                    redirects += 1
                    self.moved = self._target(answer, path)
                elif pause is None:
                    await self._check(answer, kind)
                    yield Lines(answer.content.readany, most, self.place)
                    return
                else:
                    failures += 1
            await asyncio.sleep(pause or 0)
        raise GitError(
            f"{self.place} redirects more than {_MOST_REDIRECTS} times: write its own URL in the Application"
        )

    async def _begin(self, path: str, body: bytes | None, kind: str) -> aiohttp.ClientResponse:
        """Send a request; once more when the kept connection turns out to be dead, unless it is a push."""
        try:
            return await self._send(path, body, kind)
        except aiohttp.ClientConnectorError:
            raise
        except (aiohttp.ServerDisconnectedError, aiohttp.ClientOSError):
            if path == "/git-receive-pack":
                raise
            return await self._send(path, body, kind)

    def _send(self, path: str, body: bytes | None, kind: str) -> "aiohttp.client._RequestContextManager":
        url = f"{self.moved or self.place}{path}"
        headers = {"Git-Protocol": "version=2", "User-Agent": f"git/2.45 updater/{__version__}", "Accept": kind}
        headers["Accept-Encoding"] = "identity"
        if body is not None:
            headers["Content-Type"] = kind.replace("-result", "-request")
        if self.login.authorization:
            headers["Authorization"] = self.login.authorization
        proxy, proxy_headers = self.login.proxy_for(url)
        if url.startswith("http://"):  # no tunnel: the proxy reads this very request
            headers |= proxy_headers or {}
        return self.session.request(
            "GET" if body is None else "POST",
            url,
            data=body,
            headers=headers,
            allow_redirects=False,
            ssl=self.trust,
            proxy=proxy,
            proxy_headers=proxy_headers,
            timeout=aiohttp.ClientTimeout(total=self.timeout),
        )

    @asynccontextmanager
    async def _translated(self) -> AsyncIterator[None]:
        try:
            yield
        except TimeoutError:
            raise AnswerLost(f"{self.place} did not answer within {self.timeout:g} s: is the server well?") from None
        except aiohttp.ClientConnectorCertificateError as error:
            raise GitError(
                f"{self.place} has a certificate that is not trusted ({error.certificate_error}): add its authority to "
                "git.ca_file, or in Argo CD's settings under certificates",
            ) from None
        except aiohttp.ClientHttpProxyError as error:
            raise GitError(
                f"{self.place}: the proxy answered {error.status} {error.message}: see its settings"
            ) from None
        except (aiohttp.ClientError, OSError, asyncio.IncompleteReadError) as error:
            raise AnswerLost(f"{self.place} cannot be reached: {type(error).__name__} {error}") from None

    async def _check(self, answer: aiohttp.ClientResponse, kind: str) -> None:
        if answer.status == _OK:
            if answer.content_type != kind:
                raise GitError(f"{self.place} is no Git repository: it answered with {answer.content_type}")
            return
        if answer.status in _UNAUTHORISED:
            self.login.refused()
            raise GitAuthError(f"{self.place} refused {self.login.name} ({answer.status}): see that they are right")
        if answer.status == _PROXY_UNAUTHORISED:
            raise GitError(f"{self.place}: the proxy wants a user name and password: write them in its URL")
        words = (await answer.content.read(_LONGEST_ERROR)).decode("utf-8", "replace").strip()
        if answer.status == _NOT_FOUND:
            raise GitError(
                f"{self.place} is not there, or not for {self.login.name}: check the URL and the credentials"
            )
        raise GitError(f"{self.place} answered {answer.status} {' '.join(words.split())}")

    def _target(self, answer: aiohttp.ClientResponse, path: str) -> str:
        """Return where a repository moved to: on the same server alone, for the credentials go with the request."""
        here = str(answer.url)
        there = urljoin(here, answer.headers.get("Location", ""))
        shown = _without_query(there)
        base = there.removesuffix(path) if "?" in path else shown.removesuffix(path)
        if base == there or not _same_server(here, there):
            raise GitError(
                f"{self.place} redirects to {shown.partition('/info/refs')[0]}, where its credentials are not sent: "
                "write that URL in the Application",
            )
        return base


@dataclass(frozen=True, slots=True)
class HttpConversation:
    """Requests to one service; each stands for itself."""

    transport: HttpTransport
    service: Service
    greets: bool = False

    @asynccontextmanager
    async def greeting(self) -> AsyncIterator[Lines]:
        kind = f"application/x-{self.service}-advertisement"
        path = f"/info/refs?service={self.service}"
        async with self.transport.request(path, None, kind, self.transport.largest) as lines:
            yield lines

    @asynccontextmanager
    async def ask(self, request: bytes, most: int) -> AsyncIterator[Lines]:
        kind = f"application/x-{self.service}-result"
        async with self.transport.request(f"/{self.service}", request, kind, most) as lines:
            yield lines


def _pause(answer: aiohttp.ClientResponse, failures: int) -> float | None:
    """Return the seconds after which to ask again; None: the answer counts."""
    if answer.status not in _PASSING or failures >= len(_PAUSES):
        return None
    said = answer.headers.get("Retry-After", "0")
    wanted = float(said) if said.isdecimal() else _LONGEST_PAUSE + 1.0
    jitter = random.uniform(0.5, 1.5)  # noqa: S311 - not a secret
    return max(wanted, _PAUSES[failures] * jitter) if wanted <= _LONGEST_PAUSE else None


def _same_server(here: str, there: str) -> bool:
    """Tell whether credentials may go from one URL to the other: same origin, or the same host over TLS instead."""
    origin, target = urlsplit(here), urlsplit(there)
    if origin.hostname != target.hostname or target.username or target.password:
        return False
    if origin.scheme == target.scheme:
        return _port(here) == _port(there)
    upgraded = origin.scheme == "http" and target.scheme == "https"
    return upgraded and (_port(here), _port(there)) == (_DEFAULT_PORTS["http"], _DEFAULT_PORTS["https"])


def _port(url: str) -> int:
    parts = urlsplit(url)
    return parts.port or _DEFAULT_PORTS.get(parts.scheme, 0)


def _without_query(url: str) -> str:
    parts = urlsplit(url)
    return urlunsplit(parts._replace(query="", fragment="", netloc=parts.netloc.rpartition("@")[2]))
