"""The demonstration's registry with a log of what it was asked, and with faults on demand."""

import asyncio
import json
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Literal

from aiohttp import web
from yarl import URL

from updater.demo.images import Image, build_image, digest
from updater.demo.registry import DemoRegistry

Fault = Callable[["FaultyRegistry", web.Request], Awaitable[web.StreamResponse]]

USERNAME = "alice"
PASSWORD = "s3cret:with-colon"
JANUARY = datetime(2026, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Asked:
    """A request as it came in."""

    method: str
    path: str
    query: str
    authorization: str
    condition: str = ""
    """`If-None-Match`."""

    def __str__(self) -> str:
        return f"{self.method} {self.path}"


@dataclass(slots=True)
class _Planned:
    fault: Fault
    path: str
    times: int
    query: str
    admitted: bool


@dataclass(slots=True)
class _Log:
    asked: list[Asked] = field(default_factory=list)
    planned: list[_Planned] = field(default_factory=list)
    released: asyncio.Event = field(default_factory=asyncio.Event)


class FaultyRegistry(DemoRegistry):
    """Has faults as planned, and works otherwise."""

    def __init__(
        self,
        *,
        username: str = USERNAME,
        password: str = PASSWORD,
        auth: Literal["basic", "token"] = "basic",
        page_size: int = 1000,
    ) -> None:
        super().__init__(username=username, password=password, auth=auth, page_size=page_size)
        self._log = _Log()

    @property
    def asked(self) -> list[Asked]:
        return self._log.asked

    def asked_since(self, start: int) -> list[str]:
        return [str(asked) for asked in self.asked[start:]]

    def plan(
        self, fault: Fault, path: str = "/tags/list", times: int = 1, *, query: str = "", admitted: bool = True
    ) -> None:
        """Have a fault at the next requests whose path contains `path`, and whose query `query`.

        Who was not admitted yet does not see it, unless `admitted` is false.
        """
        self._log.planned.append(_Planned(fault, path, times, query, admitted))

    def heal(self) -> None:
        """Have none of the faults that were planned and did not happen yet."""
        self._log.planned.clear()

    def push(
        self,
        repository: str,
        tag: str,
        created: datetime = JANUARY,
        platforms: Sequence[str] = ("linux/amd64",),
    ) -> str:
        """Store an image without the way over HTTP; return the digest that the tag points to."""
        return self.store(repository, tag, build_image(created, platforms, tag))

    def store(self, repository: str, tag: str, image: Image) -> str:
        for blob in image.blobs:
            self.blobs[digest(blob)] = blob
        for media_type, body in image.manifests[:-1]:
            self.store_manifest(repository, digest(body), media_type, body)
        media_type, body = image.manifests[-1]
        return self.store_manifest(repository, tag, media_type, body)

    async def stop(self) -> None:
        self._log.released.set()
        await super().stop()

    async def released(self) -> None:
        """Wait until the registry is stopped."""
        await self._log.released.wait()

    async def answer(self, request: web.Request) -> web.StreamResponse:
        authorization = request.headers.get("Authorization", "")
        condition = request.headers.get("If-None-Match", "")
        self.asked.append(Asked(request.method, request.path, request.query_string, authorization, condition))
        for planned in self._log.planned:
            fits = planned.path in request.path and planned.query in request.query_string
            if planned.times and fits and (self._admits(request) or not planned.admitted):
                planned.times -= 1
                return await planned.fault(self, request)
        return await self.healthy(request)

    async def healthy(self, request: web.Request) -> web.StreamResponse:
        return await super().answer(request)


async def silence(registry: FaultyRegistry, _request: web.Request) -> web.StreamResponse:
    """Take the request and say nothing."""
    await registry.released()
    return web.Response(status=500)


async def reset_within_page(_registry: FaultyRegistry, request: web.Request) -> web.StreamResponse:
    """Break off in the middle of the body."""
    response = web.StreamResponse(headers={"Content-Length": "1000", "Content-Type": "application/json"})
    await response.prepare(request)
    await response.write(b'{"name": "team/app", "tags": ["v1.0", ')
    assert request.transport is not None
    request.transport.abort()
    return response


def status(code: int, **headers: str) -> Fault:
    """Answer with a status alone; underscores in header names stand for dashes."""

    async def fault(_registry: FaultyRegistry, _request: web.Request) -> web.StreamResponse:
        return web.Response(status=code, headers={name.replace("_", "-"): value for name, value in headers.items()})

    return fault


def body(content: bytes, content_type: str = "application/json", code: int = 200) -> Fault:
    async def fault(_registry: FaultyRegistry, _request: web.Request) -> web.StreamResponse:
        return web.Response(body=content, headers={"Content-Type": content_type}, status=code)

    return fault


def tags(*names: str, link: str = "") -> Fault:
    """Answer with another list, and perhaps a link to a next page."""

    async def fault(_registry: FaultyRegistry, _request: web.Request) -> web.StreamResponse:
        headers = {"Link": f'<{link}>; rel="next"'} if link else {}
        return web.json_response({"name": "team/app", "tags": list(names)}, headers=headers)

    return fault


async def truncated(registry: FaultyRegistry, request: web.Request) -> web.StreamResponse:
    """Answer with the first half of the right body, as if that were all."""
    response = await registry.healthy(request)
    assert isinstance(response, web.Response)
    assert isinstance(response.body, bytes)
    return web.Response(body=response.body[: len(response.body) // 2], content_type="application/json")


async def html_type(registry: FaultyRegistry, request: web.Request) -> web.StreamResponse:
    """Answer rightly, under the wrong content type."""
    response = await registry.healthy(request)
    response.content_type = "text/html"
    return response


async def expired(registry: FaultyRegistry, request: web.Request) -> web.StreamResponse:
    """Forget all tokens before their time."""
    registry.tokens.clear()
    return await registry.healthy(request)


def redirect(to: str) -> Fault:
    """Send elsewhere, with the same path."""

    async def fault(_registry: FaultyRegistry, request: web.Request) -> web.StreamResponse:
        return web.Response(status=307, headers={"Location": str(URL(to).with_path(request.path))})

    return fault


async def flood(_registry: FaultyRegistry, request: web.Request) -> web.StreamResponse:
    """Answer with a gigabyte, or as much of it as is taken."""
    response = web.StreamResponse(headers={"Content-Type": "application/json"})
    await response.prepare(request)
    for _ in range(1024):
        await response.write(b" " * 2**20)
    return response


async def endless(_registry: FaultyRegistry, request: web.Request) -> web.StreamResponse:
    """Answer with a page that was not there before, and a link to the next of them."""
    page = int(request.query.get("page", 0))
    link = f'<{request.path}?page={page + 1}>; rel="next"'
    return web.Response(body=json.dumps({"tags": [f"v{page}"]}), headers={"Link": link})
