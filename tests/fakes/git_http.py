"""git's own server with faults that it would not make: refusals, lost answers, no protocol version 2."""

from collections.abc import Callable
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
        self.version_2 = True
        self.seen: list[web.Request] = []

    async def _serve(self, request: web.Request) -> web.StreamResponse:  # type: ignore[override]
        self.seen.append(request)
        body = await request.read()
        answer = self.fault(request, body)
        if answer is not None:
            return answer
        if not self.version_2:
            request = request.clone(headers={k: v for k, v in request.headers.items() if k != "Git-Protocol"})
            request._read_bytes = body
        real = await super()._serve(request)
        if request.path.endswith("/git-receive-pack") and self.lose_pushes:
            self.lose_pushes -= 1
            assert request.transport is not None
            request.transport.close()
        return real
