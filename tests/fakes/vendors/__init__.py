"""Registries with their vendors' APIs in front: the shapes are those in `tests/samples/vendors`."""

import json
from copy import deepcopy
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import unquote

from aiohttp import web

from tests.fakes.registry import JANUARY, FaultyRegistry

SAMPLES = Path(__file__).parents[2] / "samples" / "vendors"


def sample(vendor: str) -> Any:
    return json.loads((SAMPLES / f"{vendor}.json").read_text())


class VendorRegistry(FaultyRegistry):
    """Has a list of its own, newest first, in pages of `listed` at most."""

    vendor = ""
    listed = 100

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self.pushed: dict[str, datetime] = {}
        self.refusal = 0
        """Status with which the list is refused; 0: it is not."""

    def release(self, repository: str, tag: str, day: int, **options: Any) -> str:
        """Push a tag at a day of the year."""
        self.pushed[tag] = JANUARY + timedelta(days=day)
        return self.push(repository, tag, JANUARY + timedelta(days=day), **options)

    def delete(self, repository: str, tag: str) -> None:
        del self.repositories[repository].tags[tag]
        del self.pushed[tag]

    def newest_first(self, repository: str) -> list[tuple[str, str, datetime]]:
        tags = self.repositories[repository].tags
        found = [(tag, digest, self.pushed[tag]) for tag, digest in tags.items()]
        return sorted(found, key=lambda each: each[2], reverse=True)

    async def healthy(self, request: web.Request) -> web.StreamResponse:
        if not self.serves(request):
            return await super().healthy(request)
        if self.refusal:
            return web.Response(status=self.refusal)
        if self.protected() and not self._admits(request):
            return self._unauthorized()
        return self.listing(request)

    def serves(self, request: web.Request) -> bool:
        raise NotImplementedError

    def protected(self) -> bool:
        return True

    def listing(self, request: web.Request) -> web.Response:
        raise NotImplementedError

    def part(self, request: web.Request, repository: str) -> tuple[list[tuple[str, str, datetime]], int, bool]:
        """Return one page by its number, that number, and whether there are more."""
        number = int(request.query.get("page", 1))
        tags = self.newest_first(repository)
        return tags[(number - 1) * self.listed : number * self.listed], number, len(tags) > number * self.listed


def _iso(moment: datetime) -> str:
    return moment.astimezone(UTC).isoformat().replace("+00:00", "Z")


class DockerHub(VendorRegistry):
    """Docker Hub's API, which in truth is at another host."""

    vendor = "docker-hub"

    def serves(self, request: web.Request) -> bool:
        return request.path.startswith("/v2/namespaces/")

    def protected(self) -> bool:
        return False

    def listing(self, request: web.Request) -> web.Response:
        _, _, _, namespace, _, name, _ = request.path.split("/")
        tags, number, more = self.part(request, f"{namespace}/{name}")
        page = sample(self.vendor)
        entry = page["results"][0]
        page["count"] = len(self.repositories[f"{namespace}/{name}"].tags)
        page["next"] = (
            f"http://{request.host}{request.path}?page_size=100&ordering=last_updated&page={number + 1}"
            if more
            else None
        )
        page["results"] = [
            entry | {"name": tag, "digest": digest, "last_updated": _iso(at), "tag_last_pushed": _iso(at)}
            for tag, digest, at in tags
        ]
        return web.json_response(page)


class Quay(VendorRegistry):
    vendor = "quay"

    def serves(self, request: web.Request) -> bool:
        return request.path.startswith("/api/v1/repository/")

    def protected(self) -> bool:
        return False

    def listing(self, request: web.Request) -> web.Response:
        name = request.path.removeprefix("/api/v1/repository/").removesuffix("/tag/")
        tags, number, more = self.part(request, name)
        page = sample(self.vendor)
        entry = page["tags"][0]
        page |= {"page": number, "has_additional": more}
        page["tags"] = [
            entry | {"name": tag, "manifest_digest": digest, "start_ts": int(at.timestamp())}
            for tag, digest, at in tags
        ]
        return web.json_response(page)


class Harbor(VendorRegistry):
    vendor = "harbor"

    def serves(self, request: web.Request) -> bool:
        return request.path.startswith("/api/v2.0/")

    def protected(self) -> bool:
        return False

    def listing(self, request: web.Request) -> web.Response:
        if request.path == "/api/v2.0/ping":
            return web.Response(text="Pong")
        if request.headers.get("Authorization") != self._basic:
            return web.json_response({"errors": [{"code": "UNAUTHORIZED"}]}, status=401)
        _, _, _, _, project, _, name, _ = request.raw_path.partition("?")[0].split("/")
        repository = f"{project}/{unquote(unquote(name))}"
        tags, number, more = self.part(request, repository)
        [entry] = sample(self.vendor)
        artifacts = []
        for tag, digest, at in tags:
            artifact = deepcopy(entry) | {"digest": digest, "push_time": _iso(at)}
            artifact["extra_attrs"]["created"] = _iso(at)
            artifact["tags"] = [entry["tags"][0] | {"name": tag, "push_time": _iso(at)}]
            artifacts.append(artifact)
        query = f"with_tag=true&q=tags%3D*&sort=-push_time&page_size=100&page={number + 1}"
        path = request.raw_path.partition("?")[0]
        return web.json_response(artifacts, headers={"Link": f'<{path}?{query}>; rel="next"'} if more else {})


class GitLab(VendorRegistry):
    vendor = "gitlab"

    def serves(self, request: web.Request) -> bool:
        return request.path.startswith("/gitlab/v1/")

    async def answer(self, request: web.Request) -> web.StreamResponse:
        if request.path == "/jwt/auth":
            return self._token(request)
        return await super().answer(request)

    def _unauthorized(self) -> web.Response:
        """Send to GitLab for a token."""
        refused = super()._unauthorized()
        refused.headers["WWW-Authenticate"] = f'Bearer realm="{self.url}/jwt/auth",service="container_registry"'
        return refused

    def listing(self, request: web.Request) -> web.Response:
        name = request.path.removeprefix("/gitlab/v1/repositories/").removesuffix("/tags/list/")
        tags, number, more = self.part(request, name)
        [entry] = sample(self.vendor)
        link = f'<{self.url}{request.path}?n=1000&sort=-published_at&page={number + 1}>; rel="next"'
        found = [entry | {"name": tag, "digest": digest, "published_at": at.isoformat()} for tag, digest, at in tags]
        return web.json_response(found, headers={"Link": link} if more else {})


class Azure(VendorRegistry):
    vendor = "azure"

    def serves(self, request: web.Request) -> bool:
        return request.path.startswith("/acr/v1/")

    def listing(self, request: web.Request) -> web.Response:
        name = request.path.removeprefix("/acr/v1/").removesuffix("/_tags")
        tags, number, more = self.part(request, name)
        page = sample(self.vendor)
        entry = page["tags"][0]
        page["tags"] = [
            entry | {"name": tag, "digest": digest, "lastUpdateTime": at.strftime("%Y-%m-%dT%H:%M:%S.0000000Z")}
            for tag, digest, at in tags
        ]
        link = f'<{request.path}?orderby=timedesc&n=100&page={number + 1}>; rel="next"'
        return web.json_response(page, headers={"Link": link} if more else {})


class Google(VendorRegistry):
    vendor = "google"

    def serves(self, request: web.Request) -> bool:
        return request.path.endswith("/tags/list")

    def listing(self, request: web.Request) -> web.Response:
        name = request.path.removeprefix("/v2/").removesuffix("/tags/list")
        page = sample(self.vendor)
        entry = next(iter(page["manifest"].values()))
        tags = self.newest_first(name)
        by_digest: dict[str, dict[str, Any]] = {}
        for tag, digest, at in tags:
            manifest = by_digest.setdefault(digest, entry | {"tag": []})
            manifest["tag"].append(tag)
            manifest["timeUploadedMs"] = str(int(at.timestamp() * 1000))
        page |= {"manifest": by_digest, "tags": sorted(tag for tag, *_ in tags), "name": name}
        return web.json_response(page)


VENDORS: dict[str, type[VendorRegistry]] = {
    each.vendor: each for each in (DockerHub, Quay, Harbor, GitLab, Azure, Google)
}
