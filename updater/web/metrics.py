"""`/metrics`, for Prometheus."""

from collections.abc import Callable

from aiohttp import web


def metrics_routes(exposition: Callable[[], tuple[bytes, str]]) -> list[web.RouteDef]:
    async def metrics(_: web.Request) -> web.Response:
        body, content_type = exposition()
        return web.Response(body=body, headers={"Content-Type": content_type})

    return [web.get("/metrics", metrics)]
