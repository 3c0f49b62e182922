"""Keep the status of ImageUpdaters true: written when something changed, from the whole state, and no more often.

Whatever is noticed makes all of them due, and what says the same as before is not written. That an unchanged resource
is still looked after is told now and then.
"""

import asyncio
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any

import structlog

from updater.domain.application import ApplicationName
from updater.domain.errors import ClusterError, StoreError
from updater.domain.messages import Happening, Noticed, TrackedApplication
from updater.domain.resources import ImageUpdater, ResourceName
from updater.domain.selection import Selection
from updater.domain.status import Managed, Status, Written, build_status, says_the_same
from updater.ports.cluster import Leadership, ResourceStatuses
from updater.ports.registry import DueTimes
from updater.stages.board import Board

log = structlog.get_logger()

_LINGER = 1.0
"""Seconds in which what happens is told at once."""
_PAUSE = 5.0
"""Seconds between two writes, at least."""
_STILL_HERE = timedelta(minutes=10)
_ROUND = timedelta(minutes=1)
"""Updates that follow each other faster than this are one round."""


@dataclass
class StatusKeeper:
    """Listens to the board, and writes what it means for each resource."""

    statuses: ResourceStatuses
    board: Board
    selection: Selection
    tracked: Mapping[ApplicationName, TrackedApplication]
    due_times: DueTimes
    leadership: Leadership
    now: Callable[[], datetime]
    listed: asyncio.Event
    """Until then only a part of the Applications may be known."""
    linger: float = _LINGER
    pause: float = _PAUSE
    _changed: asyncio.Event = field(default_factory=asyncio.Event)
    _written: dict[ResourceName, Status] = field(default_factory=dict)
    """What we wrote last; what the resource has otherwise."""
    _written_at: dict[ResourceName, datetime] = field(default_factory=dict)
    _updates: dict[ResourceName, list[Written]] = field(default_factory=dict)
    _failures: dict[ResourceName, str] = field(default_factory=dict)

    def notice(self, noticed: Noticed) -> None:
        """Take in what the board tells."""
        if noticed.happening is Happening.UPDATED:
            self._remember(noticed)
        self._changed.set()

    def wake(self) -> None:
        """Look at all resources again: one of them changed."""
        self._changed.set()

    async def run(self) -> None:
        await self.listed.wait()
        while True:
            with suppress(TimeoutError):
                async with asyncio.timeout(_STILL_HERE.total_seconds()):
                    await self._changed.wait()
            await asyncio.sleep(self.linger)
            self._changed.clear()
            if self.leadership.holds():
                await self._keep_all()
            await asyncio.sleep(self.pause)

    def _remember(self, noticed: Noticed) -> None:
        tracked = self.tracked.get(noticed.application)
        at = self.now()
        written = Written(noticed.alias, noticed.image, str(noticed.previous), str(noticed.version), at)
        for claim in tracked.claims if tracked else ():
            if noticed.alias in claim.aliases:
                round_ = self._updates.setdefault(claim.resource, [])
                if round_ and at > round_[-1].at + _ROUND:
                    round_.clear()
                round_.append(written)

    async def _keep_all(self) -> None:
        due = await self._due()
        present = {resource.name: resource for resource in self.selection.resources()}
        remembered: list[dict[ResourceName, Any]] = [self._written, self._written_at, self._updates, self._failures]
        for by_name in remembered:
            for name in by_name.keys() - present.keys():
                del by_name[name]
        for resource in present.values():
            await self._keep(resource, due)

    async def _keep(self, resource: ImageUpdater, due: Mapping[object, datetime]) -> None:
        name, now = resource.name, self.now()
        before = self._written.get(name, resource.status)
        managed = [each for tracked in self.tracked.values() for each in self._managed(tracked, name, due)]
        status = build_status(resource, managed, self._updates.get(name, ()), before, now)
        fresh = name in self._written_at and now < self._written_at[name] + _STILL_HERE
        if says_the_same(status, before) and (fresh or name not in self._written_at):
            self._written_at.setdefault(name, now)
            return
        try:
            await self.statuses.write_status(name, status)
        except ClusterError as error:
            self._failed(name, str(error))
        else:
            self._failures.pop(name, None)
            self._written[name], self._written_at[name] = status, now

    def _managed(
        self, tracked: TrackedApplication, name: ResourceName, due: Mapping[object, datetime]
    ) -> list[Managed]:
        for outcome in tracked.claims:
            if outcome.resource == name:
                views = [
                    replace(view, next_check_at=due.get(view.tracked.poll))
                    for view in self.board.views(tracked.name)
                    if view.tracked.alias in outcome.aliases
                ]
                return [Managed(tracked, outcome, views)]
        return []

    async def _due(self) -> Mapping[object, datetime]:
        try:
            return {key: due.due_at for key, due in (await self.due_times.due_times()).items()}
        except StoreError:
            return {}

    def _failed(self, name: ResourceName, reason: str) -> None:
        """Say once that a status cannot be written; it is tried again with the next change."""
        if self._failures.get(name) != reason:
            self._failures[name] = reason
            log.warning("status.failed", resource=str(name), reason=reason)
