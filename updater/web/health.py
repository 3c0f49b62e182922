"""Is the daemon alive, and can it work: `/healthz` and `/readyz`, for the kubelet and for people.

Health only iterates: each dependency knows how it is pinged. A standby is ready as the leader is: its caches are warm.
"""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass

from aiohttp import web

from updater.domain.errors import UpdaterError

Ping = Callable[[], Awaitable[None]]
"""Returns when a dependency can be used.

Raises:
    UpdaterError: it cannot; the text says why.
"""
_PATIENCE = 4.0
"""Seconds for all pings together: the kubelet is told to wait five."""


@dataclass(frozen=True, slots=True)
class Health:
    """Answers the probes."""

    pings: Mapping[str, Ping]

    def routes(self) -> list[web.RouteDef]:
        return [web.get("/healthz", self.alive), web.get("/readyz", self.ready)]

    async def alive(self, _: web.Request) -> web.Response:
        """Answer at all: a stage that crashes ends the process, and a loop that is stuck does not come here."""
        return web.Response(text="OK")

    async def ready(self, request: web.Request) -> web.Response:
        """Ping all but what is to be left out (`?exclude=registries`, as the API server of Kubernetes has it)."""
        excluded = request.query.getall("exclude", [])
        pings = {name: ping for name, ping in self.pings.items() if name not in excluded}
        found = await asyncio.gather(*map(self._state, pings.values()))
        lines = [f"{name}: {state or 'ok'}" for name, state in zip(pings, found, strict=True)]
        return web.Response(status=503 if any(found) else 200, text="".join(f"{line}\n" for line in lines))

    async def _state(self, ping: Ping) -> str:
        """Return why a dependency cannot be used; empty when it can."""
        try:
            async with asyncio.timeout(_PATIENCE):
                await ping()
        except TimeoutError:
            return f"no answer within {_PATIENCE:g} s"
        except UpdaterError as error:
            return str(error).replace("\n", " ")
        return ""
