"""Attach Events to Applications, for people who see these and no log of ours.

What happens to one Application within a moment becomes one Event of each kind, and of one kind there are only so many
in a while: the rest is counted into the next. Events are worth little and cost the API server much, so what cannot be
written is dropped.
"""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime

import structlog

from updater.domain.application import ApplicationName
from updater.domain.errors import ClusterError
from updater.domain.messages import Happening, Noticed
from updater.ports.cluster import ApplicationEvent, ApplicationEvents, Leadership

log = structlog.get_logger()

REASONS: Mapping[Happening, str] = {
    Happening.UPDATED: "ImagesUpdated",
    Happening.HELD: "ImagesHeld",
    Happening.MISCONFIGURED: "ImagesMisconfigured",
    Happening.FAILED: "ImageUpdateFailed",
}
"""The first is Argo CD Image Updater's."""
_LINGER = 2.0
"""Seconds in which what happens becomes one Event."""
_PAUSE = 300.0
"""Seconds between two Events of one kind about one Application, but for updates."""
_MOST_NAMED = 10
_LONGEST_MESSAGE = 1000
_MOST_WAITING = 10_000
_PREFIX = "argocd-image-updater.image-"

_Key = tuple[ApplicationName, Happening]


@dataclass
class EventRecorder:
    """Listens to the board, and writes Events."""

    events: ApplicationEvents
    leadership: Leadership
    now: Callable[[], datetime]
    linger: float = _LINGER
    pause: float = _PAUSE
    _waiting: dict[_Key, list[Noticed]] = field(default_factory=dict)
    _quiet_until: dict[_Key, float] = field(default_factory=dict)
    """Loop time."""
    _new: asyncio.Event = field(default_factory=asyncio.Event)
    _failure: str = ""

    def notice(self, noticed: Noticed) -> None:
        """Take in what the board tells."""
        if noticed.happening in REASONS and len(self._waiting) < _MOST_WAITING:
            self._waiting.setdefault((noticed.application, noticed.happening), []).append(noticed)
            self._new.set()

    async def run(self) -> None:
        while True:
            await self._new.wait()
            await asyncio.sleep(self.linger)
            self._new.clear()
            if not self.leadership.holds():
                self._waiting.clear()
                continue
            await self._write_due()

    async def _write_due(self) -> None:
        time = asyncio.get_running_loop().time()
        self._quiet_until = {key: until for key, until in self._quiet_until.items() if until > time}
        for key in [key for key in self._waiting if key not in self._quiet_until]:
            application, happening = key
            noticed = self._waiting.pop(key)
            if happening is not Happening.UPDATED:
                self._quiet_until[key] = time + self.pause
            await self._write(make_event(application, happening, noticed, self.now()))
        if self._waiting:
            asyncio.get_running_loop().call_later(self._next(time), self._new.set)

    def _next(self, time: float) -> float:
        """Tell in how many seconds something is due; what came while others were written is due at once."""
        return min(self._quiet_until.get(key, time) for key in self._waiting) - time

    async def _write(self, event: ApplicationEvent) -> None:
        try:
            await self.events.record_event(event)
        except ClusterError as error:
            if self._failure != str(error):
                self._failure = str(error)
                log.warning("events.failed", application=str(event.application), reason=str(error))
        else:
            self._failure = ""


def make_event(
    application: ApplicationName, happening: Happening, noticed: Sequence[Noticed], at: datetime
) -> ApplicationEvent:
    """Put what happened into one Event; the last word about an image counts."""
    last = {each.alias: each for each in noticed}
    if happening is Happening.UPDATED:
        message = f"Successfully updated application '{application.name}'"
        return ApplicationEvent(
            application, REASONS[happening], message, warning=False, at=at, annotations=_changes(last)
        )
    lines = [f"{each.alias}: {each.message}" if each.alias else each.message for each in last.values()]
    more = f"; and {len(lines) - _MOST_NAMED} more" if len(lines) > _MOST_NAMED else ""
    message = "; ".join(lines[:_MOST_NAMED])[:_LONGEST_MESSAGE] + more
    warning = happening is not Happening.HELD
    return ApplicationEvent(application, REASONS[happening], message, warning=warning, at=at)


def _changes(last: Mapping[str, Noticed]) -> dict[str, str]:
    """Tell of each image as Argo CD Image Updater's annotations do."""
    annotations: dict[str, str] = {}
    for number, each in enumerate(last.values()):
        told = {
            "full-image-name": f"{each.image}:{each.version}",
            "image-name": each.image,
            "old-tag": str(each.previous),
            "new-tag": str(each.version),
        }
        annotations |= {f"{_PREFIX}{number}/{key}": value for key, value in told.items()}
    return annotations
