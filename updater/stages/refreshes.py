"""Ask Argo CD to look at Git now, for what was just written there."""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass

import structlog

from updater.domain.application import Application, ApplicationName
from updater.domain.errors import UpdaterError
from updater.ports.cluster import ApplicationWriter

log = structlog.get_logger()

_AT_ONCE = 10


@dataclass(frozen=True, slots=True)
class Refreshes:
    """Asks for a few Applications at a time; one that cannot be refreshed is looked at by Argo CD's own time."""

    applications: ApplicationWriter

    async def ask(self, applications: Mapping[ApplicationName, Application]) -> None:
        slots = asyncio.Semaphore(_AT_ONCE)

        async def refresh(application: Application) -> None:
            async with slots:
                await self._refresh(application)

        await asyncio.gather(*map(refresh, applications.values()))

    async def _refresh(self, application: Application) -> None:
        name = str(application.name)
        try:
            await self.applications.refresh(application.name, hydrate=application.hydrated)
            log.info("application.refreshed", application=name)
        except UpdaterError as error:
            log.warning("application.refresh_failed", application=name, reason=str(error))
