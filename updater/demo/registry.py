"""A small registry in memory: enough of the Distribution API to push, list and pull on one's own machine."""

import re
import secrets
from base64 import b64encode
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from types import TracebackType
from typing import Literal, Self

from aiohttp import web

from updater.demo.images import digest, push_image

__all__ = ["DemoRegistry", "StoredManifest", "StoredRepository", "push_image"]

Handler = Callable[[web.Request, re.Match[str]], Awaitable[web.StreamResponse]]

_LARGEST_UPLOAD = 64 * 2**20
_NAME = r"(?P<name>[a-z0-9._/-]+)"
_TOKEN_SECONDS = 300


@dataclass(frozen=True, slots=True)
class StoredManifest:
    """A manifest as it was pushed."""

    media_type: str
    body: bytes


@dataclass(slots=True)
class StoredRepository:
    """What was pushed under one name."""

    tags: dict[str, str] = field(default_factory=dict)
    """Digests by tags."""
    manifests: dict[str, StoredManifest] = field(default_factory=dict)
    """By digests."""


class DemoRegistry:
    """Serves on loopback, to one user; pages of tag lists hold at most `page_size`."""

    def __init__(
        self,
        *,
        username: str,
        password: str,
        port: int = 0,
        auth: Literal["basic", "token"] = "basic",
        page_size: int = 1000,
    ) -> None:
        self.repositories: dict[str, StoredRepository] = {}
        self.blobs: dict[str, bytes] = {}
        self.page_size = page_size
        self.whole_lists = False
        """Whether who asks for no page size gets all tags in one answer, as from distribution."""
        self.tokens: set[str] = set()
        """That were issued and are still good."""
        self._auth = auth
        self._port = port
        self._basic = f"Basic {b64encode(f'{username}:{password}'.encode()).decode()}"
        self._uploads: dict[str, bytearray] = {}
        self._runner: web.AppRunner | None = None
        self._routes: tuple[tuple[str, re.Pattern[str], Handler], ...] = (
            ("GET", re.compile(r"/v2/"), self._ping),
            ("GET", re.compile(rf"/v2/{_NAME}/tags/list"), self._list),
            ("GET|HEAD", re.compile(rf"/v2/{_NAME}/manifests/(?P<reference>[^/]+)"), self._pull_manifest),
            ("PUT", re.compile(rf"/v2/{_NAME}/manifests/(?P<reference>[^/]+)"), self._push_manifest),
            ("GET|HEAD", re.compile(rf"/v2/{_NAME}/blobs/(?P<digest>sha256:[0-9a-f]+)"), self._pull_blob),
            ("POST", re.compile(rf"/v2/{_NAME}/blobs/uploads/"), self._begin_upload),
            ("PATCH|PUT", re.compile(rf"/v2/{_NAME}/blobs/uploads/(?P<upload>[^/]+)"), self._upload),
        )

    @property
    def host(self) -> str:
        """Address and port, as images name it."""
        return f"127.0.0.1:{self._port}"

    @property
    def url(self) -> str:
        return f"http://{self.host}"

    async def start(self) -> None:
        application = web.Application(client_max_size=_LARGEST_UPLOAD)
        application.router.add_route("*", "/{path:.*}", self.answer)
        self._runner = web.AppRunner(application, access_log=None, shutdown_timeout=1)
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", self._port)
        await site.start()
        self._port = int(self._runner.addresses[0][1])

    async def stop(self) -> None:
        if self._runner is not None:
            await self._runner.cleanup()
            self._runner = None

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self.stop()

    async def answer(self, request: web.Request) -> web.StreamResponse:
        """Answer one request, after looking who asks."""
        if self._auth == "token" and request.path == "/token":
            return self._token(request)
        if not self._admits(request):
            return self._unauthorized()
        for methods, path, handler in self._routes:
            match = path.fullmatch(request.path)
            if match and request.method in methods.split("|"):
                return await handler(request, match)
        return web.Response(status=404, text="404 page not found")

    def _admits(self, request: web.Request) -> bool:
        authorization = request.headers.get("Authorization", "")
        return authorization == self._basic or authorization.removeprefix("Bearer ") in self.tokens

    def _unauthorized(self) -> web.Response:
        challenge = 'Basic realm="demo"'
        if self._auth == "token":
            challenge = f'Bearer realm="{self.url}/token",service="demo"'
        return _error(401, "UNAUTHORIZED", {"WWW-Authenticate": challenge})

    def _token(self, request: web.Request) -> web.Response:
        if request.headers.get("Authorization") != self._basic:
            return _error(401, "UNAUTHORIZED")
        token = secrets.token_urlsafe()
        self.tokens.add(token)
        return web.json_response({"token": token, "expires_in": _TOKEN_SECONDS})

    async def _ping(self, _request: web.Request, _match: re.Match[str]) -> web.Response:
        return web.json_response({})

    async def _list(self, request: web.Request, match: re.Match[str]) -> web.Response:
        name = match["name"]
        if name not in self.repositories:
            return _error(404, "NAME_UNKNOWN")
        size = min(int(request.query.get("n", self.page_size)), self.page_size)
        if self.whole_lists and "n" not in request.query:
            size = len(self.repositories[name].tags)
        after = request.query.get("last", "")
        left = [tag for tag in sorted(self.repositories[name].tags) if tag > after]
        page, more = left[:size], len(left) > size
        link = {"Link": f'</v2/{name}/tags/list?last={page[-1]}&n={size}>; rel="next"'} if more else {}
        return web.json_response({"name": name, "tags": page}, headers=link)

    async def _pull_manifest(self, request: web.Request, match: re.Match[str]) -> web.Response:
        repository = self.repositories.get(match["name"])
        if repository is None:
            return _error(404, "NAME_UNKNOWN")
        wanted = repository.tags.get(match["reference"], match["reference"])
        stored = repository.manifests.get(wanted)
        if stored is None or stored.media_type not in request.headers.get("Accept", stored.media_type):
            return _error(404, "MANIFEST_UNKNOWN")
        headers = {"Docker-Content-Digest": wanted, "Etag": f'"{wanted}"', "Content-Type": stored.media_type}
        if request.headers.get("If-None-Match") == f'"{wanted}"':
            return web.Response(status=304, headers=headers)
        return web.Response(body=stored.body, headers=headers)

    async def _push_manifest(self, request: web.Request, match: re.Match[str]) -> web.Response:
        pushed = self.store_manifest(match["name"], match["reference"], request.content_type, await request.read())
        return web.Response(status=201, headers={"Docker-Content-Digest": pushed})

    def store_manifest(self, name: str, reference: str, media_type: str, body: bytes) -> str:
        """Keep a manifest under its digest, and under a tag unless the reference is a digest; return the digest."""
        repository = self.repositories.setdefault(name, StoredRepository())
        pushed = digest(body)
        repository.manifests[pushed] = StoredManifest(media_type, body)
        if reference != pushed:
            repository.tags[reference] = pushed
        return pushed

    async def _pull_blob(self, _request: web.Request, match: re.Match[str]) -> web.Response:
        blob = self.blobs.get(match["digest"])
        if blob is None:
            return _error(404, "BLOB_UNKNOWN")
        return web.Response(body=blob, headers={"Docker-Content-Digest": match["digest"]})

    async def _begin_upload(self, _request: web.Request, match: re.Match[str]) -> web.Response:
        upload = secrets.token_hex()
        self._uploads[upload] = bytearray()
        return web.Response(status=202, headers={"Location": f"/v2/{match['name']}/blobs/uploads/{upload}"})

    async def _upload(self, request: web.Request, match: re.Match[str]) -> web.Response:
        if match["upload"] not in self._uploads:
            return _error(404, "BLOB_UPLOAD_UNKNOWN")
        content = self._uploads[match["upload"]]
        content += await request.read()
        if request.method == "PATCH":
            return web.Response(status=202, headers={"Location": request.path})
        del self._uploads[match["upload"]]
        uploaded = digest(bytes(content))
        if request.query.get("digest") != uploaded:
            return _error(400, "DIGEST_INVALID")
        self.blobs[uploaded] = bytes(content)
        return web.Response(status=201, headers={"Docker-Content-Digest": uploaded})


def _error(status: int, code: str, headers: dict[str, str] | None = None) -> web.Response:
    return web.json_response({"errors": [{"code": code, "message": code.lower()}]}, status=status, headers=headers)
