"""The daemon's local API: what it knows, over a Unix socket that its own user alone may open. It changes nothing.

GET /api/v1/applications/<namespace>/<name>     an application's images with their decisions, and its problems
"""

import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Protocol
from urllib.parse import quote

import msgspec
import structlog
from aiohttp import web

from updater.domain.application import ApplicationName

log = structlog.get_logger()

_encode = msgspec.json.Encoder().encode


class Reports(Protocol):
    """Knows what there is to say."""

    async def application(self, name: ApplicationName) -> dict[str, object] | None: ...


def application_path(name: ApplicationName) -> str:
    return f"/api/v1/applications/{quote(name.namespace, safe='')}/{quote(name.name, safe='')}"


@asynccontextmanager
async def serve_api(socket: Path, reports: Reports) -> AsyncIterator[None]:
    """Answer questions for as long as the context lasts; a socket that cannot be had stops nothing but that."""

    async def application(request: web.Request) -> web.Response:
        name = ApplicationName(request.match_info["namespace"], request.match_info["name"])
        report = await reports.application(name)
        if report is None:
            return _answer({"error": f"application {name} is not known: is it annotated, and watched?"}, 404)
        return _answer(report)

    app = web.Application()
    app.router.add_get("/api/v1/applications/{namespace}/{name}", application)
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


def _answer(content: object, status: int = 200) -> web.Response:
    return web.Response(body=_encode(content), status=status, content_type="application/json")
