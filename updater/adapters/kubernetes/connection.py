"""Requests to one API server, through kubernetes_asyncio's `ApiClient`.

The library brings configuration, authentication and TLS; answers are taken as bytes. Its import takes seconds, so it
happens when a connection is opened.
"""

from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal
from urllib.parse import quote

import aiohttp
import msgspec

from updater.adapters.kubernetes.configuration import load_configuration
from updater.domain.errors import ClusterError

if TYPE_CHECKING:
    from kubernetes_asyncio.client import ApiClient

Query = Sequence[tuple[str, str]]
PatchType = Literal["application/json-patch+json", "application/merge-patch+json"]

_CONNECT_SECONDS = 10.0
_TIMEOUT = aiohttp.ClientTimeout(total=60, sock_connect=_CONNECT_SECONDS)
_LARGEST_ANSWER = 256 * 2**20
_LARGEST_STATUS = 64 * 2**10
_LONGEST_MESSAGE = 300
_LONGEST_RETRY_AFTER = 300.0
_UNAUTHORIZED = 401
_FORBIDDEN = 403
_NOT_FOUND = 404
_SUCCESS = range(200, 300)


@dataclass(frozen=True, slots=True)
class Resource:
    """A kind of object, and where the API server keeps it."""

    api: str
    plural: str
    name: str
    """As RBAC spells it: `<plural>.<group>`."""
    subresource: str = ""

    @property
    def plural_with_part(self) -> str:
        return f"{self.plural}/{self.subresource}" if self.subresource else self.plural

    def path(self, namespace: str, name: str = "") -> str:
        """Return the path of an object, of all in a namespace, or of all there are when `namespace` is empty."""
        parts = ["namespaces", namespace] if namespace else []
        parts += [self.plural, *filter(None, [name, self.subresource])]
        return "/".join([self.api, *(quote(part, safe="") for part in parts)])


APPLICATIONS = Resource("/apis/argoproj.io/v1alpha1", "applications", "applications.argoproj.io")
IMAGE_UPDATERS = Resource(
    "/apis/argocd-image-updater.argoproj.io/v1alpha1", "imageupdaters", "imageupdaters.argocd-image-updater.argoproj.io"
)
APPLICATION_SETS = Resource("/apis/argoproj.io/v1alpha1", "applicationsets", "applicationsets.argoproj.io")
CONFIG_MAPS = Resource("/api/v1", "configmaps", "configmaps")
EVENTS = Resource("/api/v1", "events", "events")
SECRETS = Resource("/api/v1", "secrets", "secrets")
SERVICE_ACCOUNTS = Resource("/api/v1", "serviceaccounts", "serviceaccounts")
LEASES = Resource("/apis/coordination.k8s.io/v1", "leases", "leases.coordination.k8s.io")

_VERBS = {
    APPLICATIONS: "get, list, watch, patch",
    APPLICATION_SETS: "get",
    IMAGE_UPDATERS: "get, list, watch",
    EVENTS: "create",
    SECRETS: "get, list",
    SERVICE_ACCOUNTS: "get",
    CONFIG_MAPS: "get, create, update",
    LEASES: "get, create, update",
}
"""What the updater's service account needs."""


class ApiError(ClusterError):
    """The API server answered with an error, or not at all (`status` is 0 then)."""

    def __init__(self, message: str, status: int = 0, retry_after: float = 0) -> None:
        super().__init__(message)
        self.status = status
        self.retry_after = retry_after
        """Seconds to wait, as the server asked."""


class _Status(msgspec.Struct):
    message: str | None = None


_decode_status = msgspec.json.Decoder(_Status).decode


class Connection:
    """An API server as one identity; credentials that are refused are read again once for each request."""

    def __init__(self, client: "ApiClient", reload: Callable[[], Awaitable[None]]) -> None:
        self._client = client
        self._reload = reload

    @classmethod
    async def open(cls, kubeconfig: Path | None, context: str) -> "Connection":
        """Connect as kubectl would, or as the pod's service account.

        Raises:
            Misconfigured: there is no configuration, or it cannot be used.
        """
        from kubernetes_asyncio.client import ApiClient  # noqa: PLC0415 - its import costs seconds

        configuration, reload = await load_configuration(kubeconfig, context)
        return cls(ApiClient(configuration), reload)

    async def close(self) -> None:
        await self._client.close()

    async def get(self, resource: Resource, namespace: str, name: str = "", query: Query = ()) -> bytes:
        """Read an object, or a list.

        Raises:
            ApiError
        """
        request = _Request("GET", "get" if name else "list", resource, namespace, name, query)
        return await _read(request, await self._send(request, _TIMEOUT))

    async def patch(self, resource: Resource, namespace: str, name: str, kind: PatchType, body: object) -> bytes:
        """Change an object, and return it as it is then.

        Raises:
            ApiError
        """
        request = _Request("PATCH", "patch", resource, namespace, name, content_type=kind, body=body)
        return await _read(request, await self._send(request, _TIMEOUT))

    async def patch_status(self, resource: Resource, namespace: str, name: str, status: object) -> bytes:
        """Replace parts of an object's status, and return the object as it is then.

        Raises:
            ApiError
        """
        status_of = Resource(resource.api, resource.plural, resource.name, "status")
        patch = "application/merge-patch+json"
        request = _Request("PATCH", "patch", status_of, namespace, name, content_type=patch, body={"status": status})
        return await _read(request, await self._send(request, _TIMEOUT))

    async def create(self, resource: Resource, namespace: str, body: object) -> bytes:
        """Create an object, and return it as it is then.

        Raises:
            ApiError: with status 409 when there is one of this name.
        """
        request = _Request("POST", "create", resource, namespace, body=body)
        return await _read(request, await self._send(request, _TIMEOUT))

    async def replace(self, resource: Resource, namespace: str, name: str, body: object) -> bytes:
        """Replace an object that still has the body's resourceVersion, and return it as it is then.

        Raises:
            ApiError: with status 409 when somebody was faster.
        """
        request = _Request("PUT", "update", resource, namespace, name, body=body)
        return await _read(request, await self._send(request, _TIMEOUT))

    @asynccontextmanager
    async def watch(
        self, resource: Resource, namespace: str, query: Query, idle: float
    ) -> AsyncIterator[AsyncIterator[bytes]]:
        """Open a stream of events, given as it comes in.

        Raises:
            ApiError: it was refused, or broke.
            TimeoutError: nothing came for `idle` seconds.
        """
        request = _Request("GET", "watch", resource, namespace, query=[("watch", "true"), *query])
        timeout = aiohttp.ClientTimeout(total=None, sock_connect=_CONNECT_SECONDS, sock_read=idle)
        async with await self._send(request, timeout) as response:
            yield _chunks(request, response)

    async def _send(self, request: "_Request", timeout: aiohttp.ClientTimeout) -> aiohttp.ClientResponse:  # noqa: ASYNC109 - aiohttp's own
        with _translated(request):
            response = await self._try(request, timeout)
            if response.status == _UNAUTHORIZED:
                response.close()
                await self._reload()
                response = await self._try(request, timeout)
            if response.status in _SUCCESS:
                return response
            async with response:
                raise _refusal(request, response, await response.content.read(_LARGEST_STATUS))

    async def _try(self, request: "_Request", timeout: aiohttp.ClientTimeout) -> aiohttp.ClientResponse:  # noqa: ASYNC109
        response: aiohttp.ClientResponse = await self._client.call_api(
            request.resource.path(request.namespace, request.name),
            request.method,
            query_params=list(request.query),
            header_params={"Content-Type": request.content_type, "Accept": "application/json"},
            body=request.body,
            auth_settings=["BearerToken"],
            _preload_content=False,
            _request_timeout=timeout,
        )
        return response


@dataclass(frozen=True, slots=True)
class _Request:
    method: str
    verb: str
    """As RBAC spells it."""
    resource: Resource
    namespace: str
    name: str = ""
    query: Query = ()
    content_type: str = "application/json"
    body: object = None

    def __str__(self) -> str:
        place = f" in namespace {self.namespace}" if self.namespace else ""
        return f"{self.verb} {self.resource.name}{f' {self.name}' if self.name else ''}{place}"


async def _read(request: _Request, response: aiohttp.ClientResponse) -> bytes:
    with _translated(request):
        async with response:
            body = bytearray()
            async for chunk in response.content.iter_any():
                body += chunk
                if len(body) > _LARGEST_ANSWER:
                    raise ApiError(f"{request}: the answer is larger than {_LARGEST_ANSWER >> 20} MiB")
            return bytes(body)


async def _chunks(request: _Request, response: aiohttp.ClientResponse) -> AsyncIterator[bytes]:
    try:
        async for chunk in response.content.iter_any():
            yield chunk
    except TimeoutError:
        raise
    except (aiohttp.ClientError, OSError) as error:
        raise ApiError(f"{request}: {str(error) or type(error).__name__}") from error


def _refusal(request: _Request, response: aiohttp.ClientResponse, body: bytes) -> ApiError:
    try:
        message = (_decode_status(body).message or "")[:_LONGEST_MESSAGE]
    except (msgspec.DecodeError, UnicodeDecodeError):
        message = response.reason or ""
    remedy = _remedy(request, response.status)
    text = f"{request}: {response.status}{f' {message}' if message else ''}{f'; {remedy}' if remedy else ''}"
    return ApiError(text, response.status, _retry_after(response))


def _remedy(request: _Request, status: int) -> str:
    if status == _UNAUTHORIZED:
        return "the credentials are refused: renew the kubeconfig's, or the service account's token"
    if status == _FORBIDDEN:
        group = request.resource.name.partition(".")[2]
        scope = f"a Role in namespace {request.namespace}" if request.namespace else "a ClusterRole"
        return (
            f'give the updater\'s service account {scope} with apiGroups ["{group}"], '
            f'resources ["{request.resource.plural_with_part}"], verbs [{_VERBS.get(request.resource, request.verb)}]'
        )
    if status == _NOT_FOUND and not request.name:
        what = "config/kubernetes/crd" if request.resource is IMAGE_UPDATERS else "Argo CD"
        return f"the API server knows no {request.resource.name}: install {what} in this cluster"
    return ""


def _retry_after(response: aiohttp.ClientResponse) -> float:
    text = response.headers.get("Retry-After", "")
    return min(float(text), _LONGEST_RETRY_AFTER) if text.isdecimal() and text.isascii() else 0.0


@contextmanager
def _translated(request: _Request) -> Iterator[None]:
    try:
        yield
    except TimeoutError as error:
        raise ApiError(f"{request}: no answer in time") from error
    except (aiohttp.ClientError, OSError, ValueError) as error:
        raise ApiError(f"{request}: {str(error) or type(error).__name__}") from error
