"""Forges that can be told to be in trouble, and the troubles that there are, beside those of any Git server."""

import asyncio
import json
from collections.abc import Mapping
from typing import Any

from aiohttp import web

from tests.fakes.forges import FakeRequest, ForgeServer
from tests.fakes.forges.gitea import GiteaServer
from tests.fakes.forges.github import GitHubServer
from tests.fakes.forges.gitlab import GitLabServer
from tests.soak.troubles import GIT_TROUBLES, GitTrouble, Real, TroubledGit

_OPEN = "open"


class TroubledForge(TroubledGit, ForgeServer):
    """Has one fault for all requests for as long as it lasts; knows what was asked of it."""

    def __init__(self, *arguments: Any, **keywords: Any) -> None:
        super().__init__(*arguments, **keywords)
        self.stale: dict[str, web.Response] = {}
        """Answers that are given again, by path and query."""
        self.opened_twice: list[str] = []

    def begin(self, trouble: GitTrouble) -> None:
        self.stale.clear()
        super().begin(trouble)

    async def _serve(self, request: web.Request) -> web.StreamResponse:  # type: ignore[override]
        self.asked.clear()
        return await super()._serve(request)

    def own(self, state: str = _OPEN) -> list[FakeRequest]:
        """List the pull requests from branches of this repository; `lock` is held."""
        self._follow()
        return [each for each in self.requests_made if each.state == state and not each.from_fork]

    def opened(self, head: str, base: str, title: str, body: str) -> FakeRequest | None:
        made = super().opened(head, base, title, body)
        there = [each.number for each in self.own() if each.head == head]
        if len(there) > 1:
            self.opened_twice.append(f"{self.kind} has open pull requests {there} for the branch {head}")
        return made


class TroubledGitHub(TroubledForge, GitHubServer):
    pass


class TroubledGitLab(TroubledForge, GitLabServer):
    pass


class TroubledGitea(TroubledForge, GiteaServer):
    pass


FORGES: tuple[type[TroubledForge], ...] = (TroubledGitHub, TroubledGitLab, TroubledGitea)


def _of_api(trouble: GitTrouble, *, after: bool = False) -> GitTrouble:
    """Leave Git alone; with `after`, have the API do what it is asked first, and only what changes something fail."""

    async def only(git: TroubledGit, request: web.Request, real: Real) -> web.StreamResponse:
        assert isinstance(git, TroubledForge)
        if not git.is_api(request.path) or (after and request.method in ("GET", "HEAD")):
            return await real()
        if after:
            await real()
        return await trouble(git, request, real)

    return only


def _status(code: int, message: str, **headers: str) -> GitTrouble:
    async def trouble(git: TroubledGit, request: web.Request, real: Real) -> web.StreamResponse:
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        return web.Response(status=code, body=json.dumps({"message": message}), headers=named)

    return trouble


def _body(content: bytes, kind: str) -> GitTrouble:
    async def trouble(git: TroubledGit, request: web.Request, real: Real) -> web.StreamResponse:
        return web.Response(body=content, content_type=kind)

    return trouble


async def _stalls(git: TroubledGit, request: web.Request, real: Real) -> web.StreamResponse:
    await git.stall()
    return web.Response(status=500)


async def _resets(git: TroubledGit, request: web.Request, real: Real) -> web.StreamResponse:
    assert isinstance(request.transport, asyncio.WriteTransport)
    request.transport.abort()
    return web.Response(status=500)


async def _cuts(git: TroubledGit, request: web.Request, real: Real) -> web.StreamResponse:
    answer = await real()
    assert isinstance(answer, web.Response)
    content = answer.body if isinstance(answer.body, bytes) else b""
    return web.Response(status=answer.status, body=content[: len(content) // 2], content_type=answer.content_type)


async def _lags(git: TroubledGit, request: web.Request, real: Real) -> web.StreamResponse:
    """List what was there when the trouble began, as a replica that is behind would."""
    assert isinstance(git, TroubledForge)
    if request.method != "GET":
        return await real()
    answer = git.stale.get(request.path_qs)
    if answer is None:
        given = await real()
        assert isinstance(given, web.Response)
        if given.status != 200:
            return given
        answer = git.stale[request.path_qs] = given
    headers = {name: answer.headers[name] for name in ("ETag", "Link") if name in answer.headers}
    return web.Response(body=answer.body, content_type=answer.content_type, headers=headers)


FORGE_TROUBLES: Mapping[str, GitTrouble] = {
    **GIT_TROUBLES,
    "fails": _of_api(_status(502, "Bad Gateway")),
    "does it, and fails": _of_api(_status(500, "Oops"), after=True),
    "does it, and stalls": _of_api(_stalls, after=True),
    "does it, and resets": _of_api(_resets, after=True),
    "asks for fewer requests": _of_api(_status(429, "Too many requests", Retry_After="1")),
    "forbids for a second": _of_api(_status(403, "You have exceeded a secondary rate limit", Retry_After="1")),
    "does it, and asks for fewer": _of_api(_status(429, "Too many requests", Retry_After="2"), after=True),
    "stalls its API": _of_api(_stalls),
    "resets its API": _of_api(_resets),
    "knows no token": _of_api(_status(401, "Bad credentials")),
    "hides its pull requests": _of_api(_status(404, "Not Found")),
    "cuts answers of its API": _of_api(_cuts),
    "says null": _of_api(_body(b"null", "application/json")),
    "is being maintained": _of_api(_body(b"<html>back soon</html>", "text/html")),
    "lags": _of_api(_lags),
}
"""By name; each in force for some seconds."""
