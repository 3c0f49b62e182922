"""The objects of one kind and namespace as the API server has them: listed once, then watched, for ever.

A watch starts where the list ended, and goes on from the last event or bookmark when it breaks. Only when the server
has forgotten that place, or says something that is not understood, is everything listed again.
"""

import asyncio
import random
import sys
from collections.abc import AsyncIterable, AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any, TypeVar

import msgspec
import structlog

from updater.adapters.argocd import decode_application
from updater.adapters.kubernetes.connection import APPLICATIONS, ApiError, Connection, Resource
from updater.domain.application import ApplicationName
from updater.domain.errors import Misconfigured
from updater.ports.cluster import ClusterEvent, Gone, Listed, Seen, Unreadable

log = structlog.get_logger()

Tell = Callable[[ClusterEvent], Awaitable[None]]

_GONE = 410
_NOT_INSTALLED = 404
_NOT_THERE = frozenset({403, _NOT_INSTALLED})
"""How a list of a kind is answered that is not installed, or that we may not read."""
_MOST_PAGES = 2_000
_LONGEST_LINE = 16 * 2**20
_SHORTEST_WATCH = 1.0
_YIELD_EVERY = 50
"""Objects of a page that are decoded before others get their turn."""
_DEEPEST = 10_000
"""Levels of JSON that Kubernetes reads."""
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Pace:
    """How a reflector asks; the defaults are for production."""

    page: int = 500
    """Objects of one page."""
    watch: float = 300
    """Seconds after which the server is asked to end a watch."""
    idle: float = 90
    """Seconds without any event after which a watch is taken for dead; the server sends bookmarks every minute."""
    first_pause: float = 0.5
    longest_pause: float = 30
    """Seconds to wait after failures, doubled from the first to the longest, each by up to a half less."""
    absent: float = 300
    """Seconds after which a kind that may be missing is looked for again."""


@dataclass(frozen=True, slots=True)
class Kind:
    """What a reflector watches, and how it tells of it."""

    resource: Resource
    decode: Callable[[bytes | msgspec.Raw], Any]
    """Gives a value with a `name`; equal ones mean the same. Raises Misconfigured."""
    seen: Callable[[Any], ClusterEvent]
    gone: Callable[[ApplicationName], ClusterEvent]
    label: str = ""
    """Before the name of one that is unreadable: an Application may have the same."""
    optional: bool = False
    """True: everything works without it."""


APPLICATION = Kind(APPLICATIONS, decode_application, Seen, Gone)


class _Lost(ApiError):
    """A watch cannot go on where it was: everything has to be listed again."""


class _Metadata(msgspec.Struct, rename="camel"):
    name: str = ""
    namespace: str = ""
    resource_version: str = ""


class _Object(msgspec.Struct):
    """What every object has, an undecodable one too."""

    metadata: _Metadata = msgspec.field(default_factory=_Metadata)

    @property
    def name(self) -> ApplicationName:
        return ApplicationName(self.metadata.namespace, self.metadata.name)


class _ListMetadata(msgspec.Struct, rename="camel"):
    resource_version: str = ""
    next_page: str | None = msgspec.field(default=None, name="continue")


class _List(msgspec.Struct):
    metadata: _ListMetadata
    items: list[msgspec.Raw] | None = None


class _Event(msgspec.Struct):
    type: str
    object: msgspec.Raw


class _Status(msgspec.Struct):
    code: int | None = None
    message: str | None = None


def _however_deep(decode: Callable[[bytes | msgspec.Raw], T]) -> Callable[[bytes | msgspec.Raw], T]:
    """Have one object that is nested as deep as the API server takes it keep no other from being read."""

    def decoded(body: bytes | msgspec.Raw) -> T:
        usual = sys.getrecursionlimit()
        sys.setrecursionlimit(usual + _DEEPEST)
        try:
            return decode(body)
        finally:
            sys.setrecursionlimit(usual)

    return decoded


_decode_list = _however_deep(msgspec.json.Decoder(_List).decode)
_decode_event = _however_deep(msgspec.json.Decoder(_Event).decode)
_decode_object = _however_deep(msgspec.json.Decoder(_Object).decode)
_decode_status = msgspec.json.Decoder(_Status).decode


@dataclass
class Reflector:
    """Tells what there is in a namespace, or in all when it is empty, and what becomes of it."""

    connection: Connection
    namespace: str
    tell: Tell
    pace: Pace = field(default_factory=Pace)
    kind: Kind = APPLICATION
    wanted: Callable[[str], bool] = lambda _: True
    """Whether a namespace is told of; what is in others is left out unread."""
    _told: dict[ApplicationName, Any] = field(default_factory=dict)
    """What was last told of each: itself, or why it is unreadable."""
    _version: str = ""
    """Up to which everything was told; empty when all has to be listed."""
    _failures: int = 0
    """Since a watch last gave an event: a list alone proves little, and costs the server much."""
    _unreachable: int | None = None
    """The status of the failure that was last logged; None while all is well."""

    async def run(self) -> None:
        while True:
            try:
                if not self._version:
                    self._version = await self._list()
                await self._watch()
            except TimeoutError:
                log.debug("cluster.watch_silent", namespace=self.namespace, seconds=self.pace.idle)
            except ApiError as error:
                if self.kind.optional and not self._version and error.status in _NOT_THERE:
                    await self._absent(error)
                    continue
                harmless = not self._failures and (bool(self._version) or error.status == _GONE)
                removed = self.kind.optional and error.status == _NOT_INSTALLED
                if isinstance(error, _Lost) or error.status == _GONE or removed:
                    self._version = ""
                await self._failed(error, harmless=harmless)

    async def _list(self) -> str:
        """Tell all there are page by page, then who is gone; return where a watch has to begin."""
        names: set[ApplicationName] = set()
        next_page = ""
        for _ in range(_MOST_PAGES):
            page = await self._page(next_page)
            for number, item in enumerate(page.items or ()):
                names.add(await self._seen(item))
                if number % _YIELD_EVERY == 0:
                    await asyncio.sleep(0)
            next_page = page.metadata.next_page or ""
            if not next_page:
                break
        else:
            raise ApiError(f"list {self.kind.resource.name}: more than {_MOST_PAGES} pages")
        for name in self._told.keys() - names:
            await self._gone(name)
        await self.tell(Listed())
        return page.metadata.resource_version

    async def _page(self, next_page: str) -> _List:
        query = [("limit", str(self.pace.page)), *([("continue", next_page)] if next_page else [])]
        body = await self.connection.get(self.kind.resource, self.namespace, query=query)
        try:
            return _decode_list(body)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
            raise ApiError(f"list {self.kind.resource.name}: the answer is no list: {error}") from error

    async def _watch(self) -> None:
        """Tell what happens after the version reached, until the stream ends.

        Raises:
            ApiError: it ended in error; `_Lost` when everything has to be listed again.
            TimeoutError: nothing came for too long.
        """
        began = asyncio.get_running_loop().time()
        query = [
            ("resourceVersion", self._version),
            ("allowWatchBookmarks", "true"),
            ("timeoutSeconds", str(int(self.pace.watch * random.uniform(1, 1.2)) or 1)),  # noqa: S311 - no secret
        ]
        async with self.connection.watch(self.kind.resource, self.namespace, query, self.pace.idle) as stream:
            async for line in _lines(stream):
                await self._event(line)
                self._worked()
        if asyncio.get_running_loop().time() - began < _SHORTEST_WATCH:
            raise ApiError(f"watch {self.kind.resource.name}: the server ends it at once")

    async def _event(self, line: bytes) -> None:
        try:
            event = _decode_event(line)
            if event.type == "ERROR":
                status = _decode_status(event.object)
                raise _Lost(f"watch {self.kind.resource.name}: {status.message}", status.code or 0)
            known = _decode_object(event.object)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
            raise _Lost(f"watch {self.kind.resource.name}: an event is not understood: {error}") from error
        if event.type == "DELETED":
            await self._gone(known.name)
        elif event.type in ("ADDED", "MODIFIED"):
            await self._seen(event.object)
        self._version = known.metadata.resource_version or self._version

    async def _seen(self, raw: msgspec.Raw) -> ApplicationName:
        """Tell an object, unless it means what it meant when it was told last, or nobody wants its namespace."""
        known = _decode_object(raw).name
        if not self.wanted(known.namespace):
            return known
        try:
            seen = self.kind.decode(raw)
        except Misconfigured as error:
            told = str(error)
            if self._told.get(known) != told:
                self._told[known] = told
                await self.tell(Unreadable(f"{self.kind.label}{known}", told))
            return known
        name = seen.name
        if self._told.get(name) != seen:
            self._told[name] = seen
            await self.tell(self.kind.seen(seen))
        return ApplicationName(*name)

    async def _gone(self, name: ApplicationName) -> None:
        if self._told.pop(name, None) is not None:
            await self.tell(self.kind.gone(name))

    async def _absent(self, error: ApiError) -> None:
        """Do without a kind that is not installed, or not ours to read, until it is looked for again."""
        if self._unreachable != error.status:
            self._unreachable = error.status
            say = log.info if error.status == _NOT_INSTALLED else log.warning
            say("cluster.kind_absent", kind=self.kind.resource.name, namespace=self.namespace or "*", reason=str(error))
        if error.status == _NOT_INSTALLED:
            for name in list(self._told):
                await self._gone(name)
        await self.tell(Listed())
        await asyncio.sleep(self.pace.absent)

    async def _failed(self, error: ApiError, *, harmless: bool) -> None:
        """Wait longer after each failure; log the first of a kind, unless it is what happens to every watch."""
        self._failures += 1
        if not harmless and self._unreachable != error.status:
            self._unreachable = error.status
            log.warning("cluster.unreachable", namespace=self.namespace or "*", reason=str(error))
        doubled = self.pace.first_pause * 2.0 ** min(self._failures - 1, 16)
        pause = max(min(doubled, self.pace.longest_pause), error.retry_after)
        await asyncio.sleep(pause * random.uniform(0.5, 1))  # noqa: S311 - no secret

    def _worked(self) -> None:
        self._failures = 0
        if self._unreachable is not None:
            self._unreachable = None
            log.info("cluster.reachable", namespace=self.namespace or "*")


async def _lines(stream: AsyncIterable[bytes]) -> AsyncIterator[bytes]:
    """Split a stream into lines; a last one without its end is cut off and left out."""
    begun = bytearray()
    async for chunk in stream:
        begun += chunk
        if len(begun) > _LONGEST_LINE:
            raise _Lost(f"watch: an event is longer than {_LONGEST_LINE >> 20} MiB")
        if b"\n" in chunk:
            *lines, rest = begun.split(b"\n")
            begun = rest
            for line in lines:
                if line.strip():
                    yield bytes(line)
