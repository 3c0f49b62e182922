"""Watch Applications, read their annotations, and pass on what is new about them."""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, field

import structlog

from updater.domain.annotations import track
from updater.domain.application import Application, ApplicationName
from updater.domain.messages import ApplicationGone, ApplicationSeen
from updater.ports import ApplicationSource, Gone, Listed, Readable, Seen, Unreadable
from updater.stages.board import Board

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
    listed: asyncio.Event = field(default_factory=asyncio.Event)
    """Set once every Application that exists has been passed on."""
    _known: dict[ApplicationName, Application] = field(default_factory=dict)

    async def run(self) -> None:
        async for event in self.source.events():
            match event:
                case Seen(application):
                    await self._seen(application)
                case Gone(name):
                    await self._gone(name)
                case Unreadable(name, message):
                    self.board.unreadable(name, message)
                case Readable(name):
                    self.board.readable(name)
                case Listed():
                    log.info("applications.listed", applications=len(self._known))
                    self.listed.set()

    async def _seen(self, application: Application) -> None:
        self.board.readable(str(application.name))
        if self._known.get(application.name) == application:
            return
        tracked = track(application, self.argocd_namespace, self.defaults)
        if tracked is None:
            await self._gone(application.name)
            return
        self._known[application.name] = application
        self.board.application_seen(tracked)
        await self.out.put(ApplicationSeen(tracked))

    async def _gone(self, name: ApplicationName) -> None:
        self.board.readable(str(name))
        if self._known.pop(name, None):
            self.board.application_gone(name)
            await self.out.put(ApplicationGone(name))
