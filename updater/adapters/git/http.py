"""Git's smart HTTP: requests to one repository, their answers bounded and their failures told apart."""

import asyncio
import ssl
from collections.abc import Mapping
from dataclasses import dataclass

import aiohttp

from updater import __version__
from updater.adapters.git.credentials import GitLogin
from updater.domain.errors import GitAuthError, GitError
from updater.redaction import register_secret

_LONGEST_ERROR = 300
_OK = 200
_UNAUTHORISED = (401, 403)
_NOT_FOUND = 404
_REDIRECTS = range(300, 400)


class AnswerLost(GitError):
    """The request was sent, or may have been, and its answer did not come."""


@dataclass(frozen=True, slots=True)
class GitHttp:
    """One repository, as one user."""

    session: aiohttp.ClientSession
    url: str
    """Without credentials, and without a slash at its end."""
    login: GitLogin
    credentials: str
    """What the credentials are called, for errors."""
    trust: ssl.SSLContext
    timeout: float
    largest: int
    """Bytes of an answer, at most."""

    async def get(self, path: str) -> bytes:
        return await self._request("GET", path, None, {})

    async def post(self, service: str, body: bytes) -> bytes:
        kind = f"application/x-{service}"
        headers = {"Content-Type": f"{kind}-request", "Accept": f"{kind}-result"}
        return await self._request("POST", f"/{service}", body, headers)

    async def _request(self, method: str, path: str, body: bytes | None, headers: Mapping[str, str]) -> bytes:
        register_secret(self.login.password)
        sent = {"Git-Protocol": "version=2", "User-Agent": f"git/2.45 updater/{__version__}", **headers}
        if self.login.password:
            sent["Authorization"] = aiohttp.encode_basic_auth(self.login.username, self.login.password)
        try:
            async with self.session.request(
                method,
                f"{self.url}{path}",
                data=body,
                headers=sent,
                allow_redirects=False,
                ssl=False if self.login.insecure else self.trust,
                timeout=aiohttp.ClientTimeout(total=self.timeout),
            ) as answer:
                await self._check(answer)
                return await self._read(answer)
        except TimeoutError:
            raise AnswerLost(f"{self.url} did not answer within {self.timeout:g} s: is the server well?") from None
        except aiohttp.ClientConnectorCertificateError:
            raise GitError(
                f"{self.url} has a certificate that is not trusted: add its authority to git.ca_file",
            ) from None
        except (aiohttp.ClientError, OSError, asyncio.IncompleteReadError) as error:
            raise AnswerLost(f"{self.url} cannot be reached: {type(error).__name__} {error}") from None

    async def _check(self, answer: aiohttp.ClientResponse) -> None:
        if answer.status == _OK:
            return
        if answer.status in _UNAUTHORISED:
            raise GitAuthError(f"{self.url} refused the credentials of {self.credentials} ({answer.status})")
        if answer.status in _REDIRECTS:
            target = answer.headers.get("Location", "").partition("/info/refs")[0]
            raise GitError(f"{self.url} has moved to {target}: write that URL in the Application")
        words = (await answer.content.read(_LONGEST_ERROR)).decode("utf-8", "replace").strip()
        if answer.status == _NOT_FOUND:
            raise GitError(f"{self.url} is not there, or not for {self.credentials}: check the URL and the credentials")
        raise GitError(f"{self.url} answered {answer.status} {' '.join(words.split())}")

    async def _read(self, answer: aiohttp.ClientResponse) -> bytes:
        data = bytearray()
        async for piece in answer.content.iter_any():
            data += piece
            if len(data) > self.largest:
                raise GitError(f"{self.url} sent more than the {self.largest} bytes that git.max_pack allows")
        return bytes(data)
