"""Servers that can be told to be in trouble, and the troubles that there are."""

import asyncio
import json
import random
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any

from aiohttp import web

from tests.fakes import registry as faults
from tests.fakes.git_http import FaultyGitServer
from tests.fakes.registry import FaultyRegistry

_LISTS = "/tags/list"
_PUSH = "/git-receive-pack"

Real = Callable[[], Awaitable[web.StreamResponse]]
GitTrouble = Callable[["TroubledGit", web.Request, Real], Awaitable[web.StreamResponse]]


class TroubledRegistry(FaultyRegistry):
    """Has one fault for all requests of some kind for as long as it lasts."""

    def __init__(self, username: str, password: str) -> None:
        super().__init__(username=username, password=password, auth="token", page_size=7)
        self._fault: faults.Fault | None = None
        self._path = ""
        self._over = asyncio.Event()
        self.issued: set[str] = set()
        """All tokens that there ever were."""

    def begin(self, fault: faults.Fault, path: str) -> None:
        self._fault, self._path = fault, path
        self._over = asyncio.Event()

    def end(self) -> None:
        self._fault = None
        self._over.set()

    async def released(self) -> None:
        await self._over.wait()

    async def stop(self) -> None:
        self._over.set()
        await super().stop()

    async def answer(self, request: web.Request) -> web.StreamResponse:
        self._log.asked.clear()
        self.issued |= self.tokens
        if self._fault and self._path in request.path and request.method in ("GET", "HEAD"):
            return await self._fault(self, request)
        return await self.healthy(request)


def registry_troubles(chance: random.Random) -> Mapping[str, tuple[faults.Fault, str]]:
    """Give each trouble's name, what it does, and to which requests."""
    seed = chance.random()
    return {
        "stalls": (faults.silence, ""),
        "breaks off": (faults.reset_within_page, ""),
        "throttles": (faults.status(429, Retry_After="1"), ""),
        "throttles without a word": (faults.status(429), ""),
        "is down": (faults.status(503), ""),
        "refuses everybody": (faults.status(401, WWW_Authenticate='Basic realm="x"'), ""),
        "forgets tokens": (faults.expired, ""),
        "lists half as if all": (_halved(seed), _LISTS),
        "lists nothing": (faults.tags(), _LISTS),
        "lists what is old": (_oldest, _LISTS),
        "lists another repository": (_another, _LISTS),
        "cuts the list": (faults.truncated, _LISTS),
        "cuts manifests": (faults.truncated, "/manifests/"),
        "has no manifests": (faults.status(404), "/manifests/"),
        "swaps manifests": (_swapped, "/manifests/"),
        "lists null": (faults.body(b'{"name": "x", "tags": null}'), _LISTS),
        "answers with a page for people": (faults.body(b"<html>maintenance</html>", "text/html"), ""),
    }


def _edited(edit: Callable[[list[str]], Sequence[str]]) -> faults.Fault:
    async def fault(registry: FaultyRegistry, request: web.Request) -> web.StreamResponse:
        right = await registry.healthy(request)
        if right.status != 200:
            return right
        assert isinstance(right, web.Response)
        assert right.text is not None
        answer = json.loads(right.text)
        return web.json_response({**answer, "tags": list(edit(answer["tags"]))})

    return fault


def _halved(seed: float) -> faults.Fault:
    chance = random.Random(seed)
    return _edited(lambda tags: [tag for tag in tags if chance.random() < 0.5])


_oldest = _edited(lambda tags: tags[:1])


async def _another(registry: FaultyRegistry, request: web.Request) -> web.StreamResponse:
    """Give the list of a repository that nobody asked for, under its own name."""
    return web.json_response({"name": "team/other", "tags": ["v1.999999.0", "build-999999"]})


async def _swapped(registry: FaultyRegistry, request: web.Request) -> web.StreamResponse:
    """Give another manifest than the digest, or the tag, stands for."""
    name = request.path.removeprefix("/v2/").partition("/manifests/")[0]
    repository = registry.repositories.get(name)
    if repository is None:
        return web.Response(status=404)
    stored = next(iter(repository.manifests.values()))
    return web.Response(body=stored.body, headers={"Content-Type": stored.media_type})


class TroubledGit(FaultyGitServer):
    """Has one fault for all requests for as long as it lasts."""

    def __init__(self, *arguments: Any, **keywords: Any) -> None:
        super().__init__(*arguments, **keywords)
        self.trouble: GitTrouble | None = None
        self._over = asyncio.Event()

    def begin(self, trouble: GitTrouble) -> None:
        self.trouble = trouble
        self._over = asyncio.Event()

    def end(self) -> None:
        self.trouble = None
        self._over.set()

    async def stall(self) -> None:
        await self._over.wait()

    async def _serve(self, request: web.Request) -> web.StreamResponse:  # type: ignore[override]
        self.seen.clear()
        self.bodies.clear()
        self.requests.clear()
        if self.trouble is None:
            return await super()._serve(request)
        await request.read()
        return await self.trouble(self, request, lambda: super(TroubledGit, self)._serve(request))


async def _stalls(git: TroubledGit, request: web.Request, real: Real) -> web.StreamResponse:
    await git.stall()
    return web.Response(status=500)


async def _stalls_after_the_push(git: TroubledGit, request: web.Request, real: Real) -> web.StreamResponse:
    answer = await real()
    if request.path.endswith(_PUSH):
        await git.stall()
    return answer


async def _resets(git: TroubledGit, request: web.Request, real: Real) -> web.StreamResponse:
    assert request.transport is not None
    request.transport.close()
    return web.Response(status=500)


async def _loses_the_answer(git: TroubledGit, request: web.Request, real: Real) -> web.StreamResponse:
    answer = await real()
    if request.path.endswith(_PUSH):
        assert request.transport is not None
        request.transport.close()
    return answer


async def _gateway_gives_up(git: TroubledGit, request: web.Request, real: Real) -> web.StreamResponse:
    answer = await real()
    return web.Response(status=504) if request.path.endswith(_PUSH) else answer


async def _refuses_pushes(git: TroubledGit, request: web.Request, real: Real) -> web.StreamResponse:
    return web.Response(status=403, text="read-only") if _PUSH in request.path_qs else await real()


async def _refuses_everybody(git: TroubledGit, request: web.Request, real: Real) -> web.StreamResponse:
    return web.Response(status=401, headers={"WWW-Authenticate": 'Basic realm="git"'})


async def _cuts_answers(git: TroubledGit, request: web.Request, real: Real) -> web.StreamResponse:
    answer = await real()
    assert isinstance(answer, web.Response)
    if not isinstance(answer.body, bytes):
        return answer  # not modified
    return web.Response(body=answer.body[: len(answer.body) // 2], content_type=answer.content_type)


async def _flips_a_byte(git: TroubledGit, request: web.Request, real: Real) -> web.StreamResponse:
    answer = await real()
    assert isinstance(answer, web.Response)
    if not isinstance(answer.body, bytes):
        return answer  # not modified
    middle = len(answer.body) // 2
    changed = answer.body[:middle] + bytes(byte ^ 1 for byte in answer.body[middle : middle + 1])
    return web.Response(body=changed + answer.body[middle + 1 :], content_type=answer.content_type)


async def _throttles(git: TroubledGit, request: web.Request, real: Real) -> web.StreamResponse:
    return web.Response(status=429, headers={"Retry-After": "1"})


GIT_TROUBLES: Mapping[str, GitTrouble] = {
    trouble.__name__.replace("_", " ").strip(): trouble
    for trouble in (
        *(_stalls, _stalls_after_the_push, _resets, _loses_the_answer, _gateway_gives_up),
        *(_refuses_pushes, _refuses_everybody, _cuts_answers, _flips_a_byte, _throttles),
    )
}
"""By name; `real` is git's own answer, and happens only when it is asked for."""
