"""A server that answers as it was told, and keeps what it was asked."""

import asyncio
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Self
from urllib.parse import parse_qsl

from aiohttp import web

SAMPLES = Path(__file__).parents[2] / "samples" / "clouds"


@dataclass(frozen=True, slots=True)
class Asked:
    """A request as it came in."""

    method: str
    path: str
    query: str
    headers: Mapping[str, str]
    body: bytes

    @property
    def form(self) -> Mapping[str, str]:
        return dict(parse_qsl(self.body.decode()))

    @property
    def json(self) -> Mapping[str, object]:
        decoded: dict[str, object] = json.loads(self.body)
        return decoded

    def __str__(self) -> str:
        return f"{self.method} {self.path}"


Answer = Callable[[Asked], tuple[int, str]]


def sample(name: str, **values: object) -> str:
    """Read a recorded answer, and fill in what depends on the time."""
    text = (SAMPLES / name).read_text()
    for key, value in values.items():
        text = text.replace(f"{{{key}}}", str(value))
    return text


def _not_found(_asked: Asked) -> tuple[int, str]:
    return 404, "{}"


@dataclass
class CloudServer:
    """`async with CloudServer() as cloud: cloud.answer("/path", 200, text)`."""

    asked: list[Asked] = field(default_factory=list)
    url: str = ""
    headers: dict[str, str] = field(default_factory=dict)
    """Sent with each answer."""
    silent: bool = False
    """Take requests, and say nothing."""
    _answers: dict[str, Answer] = field(default_factory=dict)
    _stopped: asyncio.Event = field(default_factory=asyncio.Event)

    def answer(self, path: str, status: int, text: str) -> None:
        self._answers[path] = lambda _: (status, text)

    def serve(self, path: str, answer: Answer) -> None:
        self._answers[path] = answer

    @property
    def host(self) -> str:
        return self.url.partition("://")[2]

    def said(self) -> list[str]:
        return [str(asked) for asked in self.asked]

    async def __aenter__(self) -> Self:
        self._runner = web.ServerRunner(web.Server(self._handle))
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", 0).start()
        self.url = f"http://127.0.0.1:{self._runner.addresses[0][1]}"
        return self

    async def __aexit__(self, *_: object) -> None:
        self._stopped.set()
        await self._runner.cleanup()

    async def _handle(self, request: web.BaseRequest) -> web.Response:
        body = await request.read()
        headers = {name.lower(): value for name, value in request.headers.items()}
        asked = Asked(request.method, request.path, request.rel_url.raw_query_string, headers, body)
        self.asked.append(asked)
        if self.silent:
            await self._stopped.wait()
        status, text = self._answers.get(request.path, _not_found)(asked)
        return web.Response(status=status, text=text, content_type="application/json", headers=self.headers)
