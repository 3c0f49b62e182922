"""A Kubernetes API server for tests: Applications and Secrets over HTTP, with the rules of list and watch.

It serves a real port on loopback from the test's own loop, to the adapter in the same process or to a daemon beside it.
"""

import asyncio
import base64
import json
import re
import ssl
import tempfile
from collections.abc import Awaitable, Callable, Mapping
from copy import deepcopy
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple, Self

from aiohttp import web

from tests.fakes.certificates import loopback_certificate
from tests.fakes.json_patch import PatchFailed, apply_json_patch, apply_merge_patch

Manifest = dict[str, Any]

_GROUPS = {
    "applications": "argoproj.io/v1alpha1",
    "applicationsets": "argoproj.io/v1alpha1",
    "configmaps": "v1",
    "events": "v1",
    "imageupdaters": "argocd-image-updater.argoproj.io/v1alpha1",
    "leases": "coordination.k8s.io/v1",
    "secrets": "v1",
    "serviceaccounts": "v1",
}
_KINDS = {
    "applications": "Application",
    "applicationsets": "ApplicationSet",
    "configmaps": "ConfigMap",
    "events": "Event",
    "imageupdaters": "ImageUpdater",
    "leases": "Lease",
    "secrets": "Secret",
    "serviceaccounts": "ServiceAccount",
}
_PLURALS = {kind: plural for plural, kind in _KINDS.items()}
_WRITES = {"POST": "create", "PUT": "update", "PATCH": "patch"}
_SELECTOR = re.compile(r"([^ =,!]+)\s+in\s+\(([^)]*)\)|([^ =,!]+)=([^,]*)")
_APIS = ("argoproj.io/v1alpha1", "argocd-image-updater.argoproj.io/v1alpha1", "coordination.k8s.io/v1")
_PATH = rf"/{{api:{'|'.join(f'apis/{re.escape(api)}' for api in _APIS)}|api/v1}}"


class Key(NamedTuple):
    plural: str
    namespace: str
    name: str


class _Event(NamedTuple):
    version: int
    kind: str
    key: Key
    object: Manifest


class Fault(NamedTuple):
    """An answer to be given instead of the right one."""

    status: int
    body: str = ""
    headers: Mapping[str, str] = {}
    path: str = ""
    """Given only for requests whose method and path with query contain it."""


@dataclass
class ApiServer:
    """`async with ApiServer() as server: …`; all methods are for use on the loop it serves from."""

    token: str = "test-token"
    tls: bool = False
    bookmark_every: float = 0.05
    """Seconds between two bookmarks of a watch."""
    gone_by_status: bool = False
    """Tell an expired watch by HTTP 410 instead of an event."""
    silent: bool = False
    """Watches send nothing any more, and stay open."""
    forbidden: set[tuple[str, str]] = field(default_factory=set)
    """Pairs of verb and plural that RBAC denies."""
    prune: Callable[[Manifest], None] = lambda manifest: None
    """Changes what is stored, as a schema or an admission webhook may."""
    before_patch: Callable[[], None] = lambda: None
    """Called once a patch has been read: a moment for somebody else to write."""
    missing: set[str] = field(default_factory=set)
    """Plurals of kinds that are not installed."""
    requests: list[str] = field(default_factory=list)
    """Method and path with query of each, in order."""
    url: str = ""
    _version: int = 1000
    _oldest: int = 1000
    _objects: dict[Key, Manifest] = field(default_factory=dict)
    _history: list[_Event] = field(default_factory=list)
    _pages: dict[str, tuple[int, list[Manifest]]] = field(default_factory=dict)
    _faults: list[Fault] = field(default_factory=list)
    _watches: set[web.StreamResponse] = field(default_factory=set)
    _transports: dict[int, asyncio.BaseTransport] = field(default_factory=dict)
    _changed: asyncio.Event = field(default_factory=asyncio.Event)
    _stopping: bool = False

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.stop()

    async def start(self, port: int = 0) -> None:
        app = web.Application(middlewares=[self._middleware])
        app.router.add_get(f"{_PATH}/{{plural}}", self._list_or_watch)
        app.router.add_get(f"{_PATH}/namespaces/{{namespace}}/{{plural}}", self._list_or_watch)
        app.router.add_get(f"{_PATH}/namespaces/{{namespace}}/{{plural}}/{{name}}", self._get)
        app.router.add_post(f"{_PATH}/namespaces/{{namespace}}/{{plural}}", self._create)
        app.router.add_put(f"{_PATH}/namespaces/{{namespace}}/{{plural}}/{{name}}", self._replace)
        app.router.add_patch(f"{_PATH}/namespaces/{{namespace}}/{{plural}}/{{name}}", self._patch)
        app.router.add_patch(f"{_PATH}/namespaces/{{namespace}}/{{plural}}/{{name}}/status", self._patch_status)
        self._runner = web.AppRunner(app, shutdown_timeout=0)
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", port, ssl_context=_server_context() if self.tls else None)
        await site.start()
        self._stopping = False
        self._changed = asyncio.Event()
        self.url = f"http{'s' if self.tls else ''}://127.0.0.1:{self._runner.addresses[0][1]}"

    async def stop(self) -> None:
        self._stopping = True
        self._changed.set()
        self.drop_watches()
        await self._runner.cleanup()

    @property
    def port(self) -> int:
        return int(self.url.rpartition(":")[2])

    def kubeconfig(self, path: Path) -> Path:
        """Write a kubeconfig for this server."""
        cluster: dict[str, object] = {"server": self.url}
        if self.tls:
            authority = loopback_certificate().certificate.encode()
            cluster["certificate-authority-data"] = base64.b64encode(authority).decode()
        config = {
            "apiVersion": "v1",
            "kind": "Config",
            "clusters": [{"name": "test", "cluster": cluster}],
            "users": [{"name": "test", "user": {"token": self.token}}],
            "contexts": [{"name": "test", "context": {"cluster": "test", "user": "test"}}],
            "current-context": "test",
        }
        path.write_text(json.dumps(config))
        return path

    def put(self, manifest: Mapping[str, Any]) -> None:
        """Create or replace an object; one without a namespace goes to `argocd`."""
        stored = deepcopy(dict(manifest))
        metadata = stored.setdefault("metadata", {})
        metadata.setdefault("namespace", "argocd")
        key = Key(_PLURALS[stored["kind"]], metadata["namespace"], metadata["name"])
        if "stringData" in stored:
            encoded = {
                name: base64.b64encode(text.encode()).decode() for name, text in stored.pop("stringData").items()
            }
            stored["data"] = {**stored.get("data", {}), **encoded}
        self.prune(stored)
        self._store("MODIFIED" if key in self._objects else "ADDED", key, stored)

    def delete(self, namespace: str, name: str, kind: str = "Application") -> None:
        key = Key(_PLURALS[kind], namespace, name)
        self._store("DELETED", key, self._objects.pop(key))

    def get(self, namespace: str, name: str, kind: str = "Application") -> Manifest:
        return deepcopy(self._objects[Key(_PLURALS[kind], namespace, name)])

    def objects(self) -> dict[Key, Manifest]:
        """Give everything that there is."""
        return deepcopy(self._objects)

    def drop_watches(self) -> None:
        """Cut the connections of all watches, in the middle of whatever they send."""
        for transport in list(self._transports.values()):
            if isinstance(transport, asyncio.WriteTransport):
                transport.abort()

    def expire(self) -> None:
        """Forget the past: older resourceVersions and pages under way are gone."""
        self._version += 1
        self._oldest = self._version
        self._history.clear()
        self._pages.clear()

    def end_watches(self, error: Mapping[str, Any]) -> None:
        """Send an ERROR event to all watches."""
        self._append(_Event(self._next_version(), "ERROR", Key("", "", ""), dict(error)))

    def fail(self, *faults: Fault) -> None:
        """Answer the next requests that a fault is for with it, one each."""
        self._faults.extend(faults)

    def recover(self) -> None:
        """Have none of the faults that have not happened yet."""
        self._faults.clear()

    @property
    def watching(self) -> int:
        """Count the open watches."""
        return len(self._transports)

    def _store(self, kind: str, key: Key, manifest: Manifest) -> None:
        version = self._next_version()
        api_version = {"apiVersion": _GROUPS[key.plural], "kind": _KINDS[key.plural]}
        metadata = {**manifest["metadata"], "resourceVersion": str(version)}
        stored = {**manifest, **api_version, "metadata": metadata}
        if kind != "DELETED":
            self._objects[key] = stored
        self._append(_Event(version, kind, key, stored))

    def _append(self, event: _Event) -> None:
        self._history.append(event)
        self._changed.set()
        self._changed = asyncio.Event()

    def _next_version(self) -> int:
        self._version += 1
        return self._version

    @web.middleware
    async def _middleware(
        self, request: web.Request, handler: Callable[[web.Request], Awaitable[web.StreamResponse]]
    ) -> web.StreamResponse:
        line = f"{request.method} {request.path_qs}"
        self.requests.append(line)
        for fault in self._faults:
            if fault.path in line:
                self._faults.remove(fault)
                return web.Response(status=fault.status, text=fault.body, headers=fault.headers)
        if request.headers.get("Authorization") != f"Bearer {self.token}":
            return _status(401, "Unauthorized", "Unauthorized")
        plural = request.match_info.get("plural", "")
        verb = _verb(request)
        if (verb, plural) in self.forbidden:
            return _status(403, "Forbidden", f'{plural} is forbidden: User "test" cannot {verb} resource "{plural}"')
        if plural not in _KINDS or plural in self.missing:
            return _status(404, "NotFound", "the server could not find the requested resource")
        return await handler(request)

    async def _get(self, request: web.Request) -> web.Response:
        found = self._objects.get(_key(request))
        return web.json_response(found) if found else _not_found(request)

    async def _create(self, request: web.Request) -> web.Response:
        manifest = json.loads(await request.read())
        key = Key(request.match_info["plural"], request.match_info["namespace"], manifest["metadata"]["name"])
        if key in self._objects:
            return _status(409, "AlreadyExists", f'{key.plural} "{key.name}" already exists')
        manifest["metadata"]["namespace"] = key.namespace
        self._store("ADDED", key, manifest)
        return web.json_response(self._objects[key], status=201)

    async def _replace(self, request: web.Request) -> web.Response:
        manifest, key = json.loads(await request.read()), _key(request)
        found = self._objects.get(key)
        if found is None:
            return _not_found(request)
        version = manifest["metadata"].get("resourceVersion")
        if not version:
            return _status(422, "Invalid", "metadata.resourceVersion: Invalid value: must be specified for an update")
        if version != found["metadata"]["resourceVersion"]:
            return _status(409, "Conflict", "the object has been modified; please apply your changes")
        self._store("MODIFIED", key, manifest)
        return web.json_response(self._objects[key])

    async def _patch(self, request: web.Request) -> web.Response:
        patch, key = json.loads(await request.read()), _key(request)
        self.before_patch()
        found = self._objects.get(key)
        if found is None:
            return _not_found(request)
        try:
            if request.content_type == "application/json-patch+json":
                patched = apply_json_patch(found, patch)
            elif request.content_type == "application/merge-patch+json":
                expected = patch.get("metadata", {}).get("resourceVersion", found["metadata"]["resourceVersion"])
                if expected != found["metadata"]["resourceVersion"]:
                    return _status(409, "Conflict", "the object has been modified; please apply your changes")
                patched = apply_merge_patch(found, patch)
            else:
                return _status(415, "UnsupportedMediaType", "the body of the request was in an unknown format")
        except PatchFailed as error:
            return _status(422, "Invalid", f"the server rejected our request due to an error in our request: {error}")
        self.prune(patched)
        if patched != found:
            self._store("MODIFIED", key, patched)
        return web.json_response(self._objects[key])

    async def _patch_status(self, request: web.Request) -> web.Response:
        """Change the status of a kind that has the subresource, and nothing else of the object."""
        patch, key = json.loads(await request.read()), _key(request)
        found = self._objects.get(key)
        if key.plural != "imageupdaters" or found is None:
            return _not_found(request)
        self._store("MODIFIED", key, apply_merge_patch(found, {"status": patch["status"]}))
        return web.json_response(self._objects[key])

    async def _list_or_watch(self, request: web.Request) -> web.StreamResponse:
        return await (self._watch(request) if _verb(request) == "watch" else self._list(request))

    async def _list(self, request: web.Request) -> web.Response:
        """Give one page; all pages are of the moment of the first one, and have its resourceVersion."""
        token, limit = request.query.get("continue", ""), int(request.query.get("limit", "0"))
        if token and token not in self._pages:
            return _status(410, "Expired", "The provided continue parameter is too old")
        version, items = self._pages.pop(token) if token else (self._version, self._selected(request))
        page, rest = (items[:limit], items[limit:]) if limit else (items, [])
        metadata: dict[str, object] = {"resourceVersion": str(version)}
        if rest:
            metadata |= {"continue": f"{version}-{len(rest)}-{len(self.requests)}", "remainingItemCount": len(rest)}
            self._pages[str(metadata["continue"])] = (version, rest)
        bare = [{key: value for key, value in item.items() if key not in ("kind", "apiVersion")} for item in page]
        plural = request.match_info["plural"]
        answer = {"apiVersion": _GROUPS[plural], "kind": f"{_KINDS[plural]}List", "metadata": metadata}
        return web.json_response({**answer, "items": bare or None})

    def _selected(self, request: web.Request) -> list[Manifest]:
        namespace, plural = request.match_info.get("namespace"), request.match_info["plural"]
        return [
            manifest
            for key, manifest in sorted(self._objects.items())
            if key.plural == plural
            and namespace in (None, key.namespace)
            and _matches(request.query.get("labelSelector", ""), manifest["metadata"].get("labels") or {})
        ]

    async def _watch(self, request: web.Request) -> web.StreamResponse:
        since = int(request.query.get("resourceVersion") or self._version)
        if since < self._oldest and self.gone_by_status:
            return _status(410, "Expired", "too old resource version")
        response = web.StreamResponse(headers={"Content-Type": "application/json"})
        response.enable_chunked_encoding()
        await response.prepare(request)
        assert request.transport is not None
        self._transports[id(response)] = request.transport
        try:
            async with asyncio.timeout(float(request.query.get("timeoutSeconds", "300"))):
                await self._stream(request, response, since)
        except (TimeoutError, ConnectionError):
            return response
        finally:
            del self._transports[id(response)]
        return response

    async def _stream(self, request: web.Request, response: web.StreamResponse, since: int) -> None:
        namespace, plural = request.match_info.get("namespace"), request.match_info["plural"]
        while not self._stopping:
            changed = self._changed
            if since < self._oldest:
                await _send(response, "ERROR", _status_body(410, "Expired", "too old resource version"))
                return
            for event in [event for event in self._history if event.version > since]:
                since = event.version
                if self.silent:
                    continue
                if event.kind == "ERROR":
                    await _send(response, "ERROR", event.object)
                    return
                if event.key.plural == plural and namespace in (None, event.key.namespace):
                    await _send(response, event.kind, event.object)
            try:
                async with asyncio.timeout(self.bookmark_every):
                    await changed.wait()
            except TimeoutError:
                if changed.is_set():
                    continue
                if request.query.get("allowWatchBookmarks") == "true" and not self.silent:
                    # What happens while this is sent comes after it.
                    since = self._version
                    bookmark = {"kind": _KINDS[plural], "metadata": {"resourceVersion": str(since)}}
                    await _send(response, "BOOKMARK", bookmark)


async def _send(response: web.StreamResponse, kind: str, manifest: Mapping[str, Any]) -> None:
    await response.write(json.dumps({"type": kind, "object": manifest}).encode() + b"\n")


def _verb(request: web.Request) -> str:
    if request.method in _WRITES:
        return _WRITES[request.method]
    if request.query.get("watch") == "true":
        return "watch"
    return "get" if "name" in request.match_info else "list"


def _key(request: web.Request) -> Key:
    return Key(request.match_info["plural"], request.match_info["namespace"], request.match_info["name"])


def _matches(selector: str, labels: Mapping[str, str]) -> bool:
    for found in _SELECTOR.finditer(selector):
        key, values = (found[1], found[2].split(",")) if found[1] else (found[3], [found[4]])
        if labels.get(key) not in [value.strip() for value in values]:
            return False
    return True


def _status_body(code: int, reason: str, message: str) -> dict[str, object]:
    return {
        "kind": "Status",
        "apiVersion": "v1",
        "status": "Failure",
        "code": code,
        "reason": reason,
        "message": message,
    }


def _status(code: int, reason: str, message: str) -> web.Response:
    return web.json_response(_status_body(code, reason, message), status=code)


def _not_found(request: web.Request) -> web.Response:
    return _status(404, "NotFound", f'{request.match_info["plural"]} "{request.match_info["name"]}" not found')


def _server_context() -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    with tempfile.NamedTemporaryFile("w", suffix=".pem") as file:
        file.write(loopback_certificate().certificate + loopback_certificate().key)
        file.flush()
        context.load_cert_chain(file.name)
    return context
