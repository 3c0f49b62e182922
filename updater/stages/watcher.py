"""Watch Applications and ImageUpdaters, read what they say, and pass on what is new about each Application."""

import asyncio
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field

import structlog

from updater.domain.application import Application, ApplicationName
from updater.domain.errors import ClusterError
from updater.domain.governing import govern
from updater.domain.messages import ApplicationGone, ApplicationSeen, TrackedApplication
from updater.domain.places import Places
from updater.domain.secrets import SecretAccess
from updater.domain.selection import Selection
from updater.ports.cluster import (
    ApplicationSource,
    ClusterEvent,
    Gone,
    Listed,
    Readable,
    ResourceGone,
    ResourceSeen,
    Seen,
    Unreadable,
)
from updater.stages.board import Board
from updater.stages.proposals import with_sound_branches

log = structlog.get_logger()


@dataclass
class Watcher:
    """The first stage: Applications in, tracked applications out.

    It keeps what it last passed on, so that a change of something else in an Application wakes nobody.
    """

    source: ApplicationSource
    board: Board
    out: asyncio.Queue[ApplicationSeen | ApplicationGone]
    argocd_namespace: str
    defaults: Mapping[str, str] = field(default_factory=dict)
    """For annotations that an Application does not have."""
    access: SecretAccess | None = None
    """Whose Secrets an application may use; None: those of its own namespace."""
    listed: asyncio.Event = field(default_factory=asyncio.Event)
    """Set once every Application that exists has been passed on."""
    selection: Selection = field(default_factory=Selection)
    _places: Places = field(default_factory=Places)
    _known: dict[ApplicationName, Application] = field(default_factory=dict)
    """All there are: a resource may yet select those that say nothing themselves."""
    told: dict[ApplicationName, TrackedApplication] = field(default_factory=dict)
    """What was last passed on of each application; the status of resources is made from it."""
    on_resource: Callable[[], None] = lambda: None
    """Called when a resource is new, changed or gone."""
    _turn: asyncio.Lock = field(default_factory=asyncio.Lock)
    """Of an event, or of new defaults: what is passed on keeps its order."""

    async def run(self) -> None:
        async for event in self.source.events():
            async with self._turn:
                await self._take(event)

    async def change_defaults(self, defaults: Mapping[str, str]) -> None:
        """Consider every application anew when something else holds where none of them says anything."""
        async with self._turn:
            if defaults != self.defaults:
                self.defaults = defaults
                await self._reconsider(self._known)

    async def _take(self, event: ClusterEvent) -> None:
        match event:
            case Seen(application):
                await self._seen(application)
            case Gone(name):
                await self._gone(name)
            case Unreadable(name, message):
                self.board.unreadable(name, message)
            case Readable(name):
                self.board.readable(name)
            case ResourceSeen(resource):
                self.board.readable(f"ImageUpdater {resource.name}")
                await self._reconsider(self.selection.put_resource(resource))
                self.on_resource()
            case ResourceGone(resource_name):
                self.board.readable(f"ImageUpdater {resource_name}")
                await self._reconsider(self.selection.drop_resource(resource_name))
                self.on_resource()
            case Listed():
                log.info("applications.listed", applications=len(self.told))
                self.listed.set()

    async def ping(self) -> None:
        """Tell whether all Applications have been seen.

        Raises:
            ClusterError: not yet.
        """
        if not self.listed.is_set():
            raise ClusterError("the Applications have not been listed yet")

    async def _seen(self, application: Application) -> None:
        self.board.readable(str(application.name))
        if self._known.get(application.name) == application:
            return
        self._known[application.name] = application
        self.selection.put_application(application.name, application.labels)
        await self._consider(application)

    async def _reconsider(self, names: Iterable[ApplicationName]) -> None:
        for name in sorted(names):
            await self._consider(self._known[name])
            await asyncio.sleep(0)  # a resource may concern thousands

    async def _consider(self, application: Application) -> None:
        """Pass on what is said about an application, if it is anything, and new."""
        claims = self.selection.claims(application.name)
        tracked = govern(application, claims, self.defaults, self.argocd_namespace, self.access)
        tracked = with_sound_branches(tracked) if tracked else None
        if tracked is None:
            await self._untrack(application.name)
        elif self.told.get(application.name) != tracked:
            self.told[application.name] = tracked
            await self._tell(self._places.put(tracked))

    async def _gone(self, name: ApplicationName) -> None:
        self.board.readable(str(name))
        self._known.pop(name, None)
        self.selection.drop_application(name)
        await self._untrack(name)

    async def _untrack(self, name: ApplicationName) -> None:
        if self.told.pop(name, None):
            self.board.application_gone(name)
            await self.out.put(ApplicationGone(name))
            await self._tell(self._places.remove(name))

    async def _tell(self, settled: Iterable[TrackedApplication]) -> None:
        for tracked in settled:
            self.board.application_seen(tracked)
            await self.out.put(ApplicationSeen(tracked))
