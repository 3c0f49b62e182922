"""git's own server with faults that it would not make: refusals, lost answers, no protocol version 2."""

import asyncio
from collections.abc import Callable
from types import TracebackType
from typing import Any

from aiohttp import web

from updater.demo.gitserver import GitHttpServer

Fault = Callable[[web.Request, bytes], web.StreamResponse | None]
"""Answers instead of git; None: git answers."""


class FaultyGitServer(GitHttpServer):
    """Serves all repositories below a directory to one user, as it is told."""

    def __init__(self, *arguments: Any, **keywords: Any) -> None:
        super().__init__(*arguments, **keywords)
        self.fault: Fault = lambda request, body: None
        self.lose_pushes = 0
        """So many pushes arrive, and their answers do not."""
        self.fail_pushes = 0
        """So many pushes arrive, and a gateway answers that it waited too long."""
        self.version_2 = True
        self.over = asyncio.Event()
        """Set at the end, for answers that wait until then."""
        self.seen: list[web.Request] = []
        self.bodies: list[bytes] = []

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.over.set()
        await super().__aexit__(kind, error, trace)

    async def _serve(self, request: web.Request) -> web.StreamResponse:  # type: ignore[override]
        self.seen.append(request)
        body = await request.read()
        self.bodies.append(body)
        answer = self.fault(request, body)
        if answer is not None:
            return answer
        real = await super()._serve(request)
        if request.path.endswith("/git-receive-pack") and self.lose_pushes:
            self.lose_pushes -= 1
            assert request.transport is not None
            request.transport.close()
        if request.path.endswith("/git-receive-pack") and self.fail_pushes:
            self.fail_pushes -= 1
            return web.Response(status=504, text="Gateway Timeout")
        return real

    def _environ_of(self, request: web.Request, body: bytes) -> dict[str, str]:
        environ = super()._environ_of(request, body)
        return environ if self.version_2 else {**environ, "GIT_PROTOCOL": ""}
