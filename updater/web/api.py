"""What the daemon knows, as JSON that changes nothing: over a Unix socket that its own user alone may open.

Over the network it is there for those who present the token `web.api_token`.
`/api/v1/openapi.json` describes it.
"""

import asyncio
import hmac
import os
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Protocol
from urllib.parse import quote

import msgspec
import structlog
from aiohttp import web

from updater.domain.application import ApplicationName
from updater.domain.errors import UpdaterError
from updater.web.openapi import COLLECTIONS, LARGEST_PAGE, describe

log = structlog.get_logger()

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]
ReadToken = Callable[[], Awaitable[str]]

_encode = msgspec.json.Encoder().encode


class Reports(Protocol):
    """Knows what there is to say of one application."""

    async def application(self, name: ApplicationName) -> dict[str, object] | None: ...


class Lists(Protocol):
    """Knows what there is to say of all."""

    async def items(self, collection: str) -> Sequence[Mapping[str, object]]: ...


def application_path(name: ApplicationName) -> str:
    return f"/api/v1/applications/{quote(name.namespace, safe='')}/{quote(name.name, safe='')}"


def api_routes(reports: Reports, lists: Lists, token: ReadToken | None = None) -> list[web.RouteDef]:
    """Return the API's routes; with a token, for those who present it, and for nobody while it is empty."""

    async def application(request: web.Request) -> web.Response:
        name = ApplicationName(request.match_info["namespace"], request.match_info["name"])
        report = await reports.application(name)
        if report is None:
            return _answer({"error": f"application {name} is not known: is it annotated, and watched?"}, 404)
        return await _encoded(report)

    async def collection(request: web.Request) -> web.Response:
        limit = _number(request, "limit", LARGEST_PAGE, 1, LARGEST_PAGE)
        offset = _number(request, "offset", 0, 0, 2**31 - 1)
        if limit is None or offset is None:
            return _answer({"error": f"limit is a number from 1 to {LARGEST_PAGE}, and offset one from 0"}, 400)
        items = await lists.items(request.path.rpartition("/")[2])
        return await _encoded({"items": items[offset : offset + limit], "total": len(items)})

    async def description(_: web.Request) -> web.Response:
        return _answer(describe())

    def guarded(handler: Handler) -> Handler:
        return _answering(handler if token is None else _guarded(handler, token))

    return [
        web.get("/api/v1/openapi.json", guarded(description)),
        web.get("/api/v1/applications/{namespace}/{name}", guarded(application)),
        *(web.get(f"/api/v1/{name}", guarded(collection)) for name in COLLECTIONS),
    ]


@asynccontextmanager
async def serve_api(socket: Path, reports: Reports, lists: Lists) -> AsyncIterator[None]:
    """Answer questions for as long as the context lasts; a socket that cannot be had stops nothing but that."""
    app = web.Application()
    app.add_routes(api_routes(reports, lists))
    runner = web.AppRunner(app, access_log=None, handle_signals=False)
    await runner.setup()
    try:
        listening = await _listen(runner, socket)
        yield
    finally:
        await runner.cleanup()
    if listening:
        with suppress(FileNotFoundError):
            os.unlink(socket)  # noqa: PTH108 - a single call of the system, at once


async def _listen(runner: web.AppRunner, socket: Path) -> bool:
    """Open the socket; what is there and is none is left alone."""
    try:
        await web.UnixSite(runner, socket).start()
        os.chmod(socket, 0o600)  # noqa: PTH101 - likewise
    except OSError as error:
        log.warning("api.unavailable", socket=str(socket), reason=f"{error}: set api.socket to another path")
        return False
    return True


def _answering(handler: Handler) -> Handler:
    async def answering(request: web.Request) -> web.StreamResponse:
        try:
            return await handler(request)
        except UpdaterError as error:
            log.warning("api.failed", path=request.path, reason=str(error))
            return _answer({"error": "what is asked for cannot be read now: the log has the reason"}, 503)

    return answering


def _guarded(handler: Handler, token: ReadToken) -> Handler:
    async def guarded(request: web.Request) -> web.StreamResponse:
        scheme, _, given = request.headers.get("Authorization", "").partition(" ")
        expected = await token()
        if not expected:
            raise web.HTTPNotFound
        if scheme.lower() != "bearer" or not hmac.compare_digest(
            given.strip().encode("utf-8", "surrogateescape"), expected.encode()
        ):
            answer = _answer({"error": "present web.api_token as a bearer token"}, 401)
            answer.headers["WWW-Authenticate"] = "Bearer"
            return answer
        return await handler(request)

    return guarded


def _number(request: web.Request, name: str, default: int, least: int, most: int) -> int | None:
    """Read a number of the query; None when it is none that is allowed."""
    text = request.query.get(name)
    if text is None:
        return default
    if not (text.isascii() and text.isdecimal() and len(text) <= len(str(most))):
        return None
    return int(text) if least <= int(text) <= most else None


async def _encoded(content: object) -> web.Response:
    """Answer with what may be large: it is encoded beside the loop."""
    body = await asyncio.to_thread(_encode, content)
    return web.Response(body=body, content_type="application/json")


def _answer(content: object, status: int = 200) -> web.Response:
    return web.Response(body=_encode(content), status=status, content_type="application/json")
