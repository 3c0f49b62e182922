"""Make notices of what the board notices, and give them to those who want to be told; nobody waits for that."""

import uuid
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Protocol

from updater.domain.application import ApplicationName
from updater.domain.messages import Happening, Noticed
from updater.formats.notices import Notice, NoticeKind
from updater.ports.cluster import Leadership

_KINDS: Mapping[Happening, NoticeKind] = {
    Happening.UPDATED: NoticeKind.UPDATED,
    Happening.HELD: NoticeKind.HELD,
    Happening.FAILED: NoticeKind.FAILED,
    Happening.MISCONFIGURED: NoticeKind.FAILED,
}


class Destination(Protocol):
    """Where notices go."""

    def put(self, notice: Notice) -> None:
        """Take a notice, or drop it when too many wait; at once."""
        ...


@dataclass
class Notifier:
    """Listens to the board; only the replica that writes tells."""

    destinations: Sequence[Destination]
    wanted: Collection[NoticeKind]
    leadership: Leadership
    fails: Callable[[ApplicationName, str], bool | None]
    """Tells whether an image, or with an empty alias the application, cannot be kept up to date at present.

    None when it is not tracked any more.
    """
    now: Callable[[], datetime]
    _failed: dict[ApplicationName, dict[str, str]] = field(default_factory=dict)
    """Alias -> image, of what was told to have failed."""

    def notice(self, noticed: Noticed) -> None:
        """Take in what the board tells."""
        kind = _KINDS.get(noticed.happening)
        if kind is NoticeKind.FAILED:
            self._failed.setdefault(noticed.application, {})[noticed.alias] = noticed.image
        self._recovered(noticed.application)
        if kind is not None:
            self._tell(kind, noticed)

    def _recovered(self, name: ApplicationName) -> None:
        failed = self._failed.get(name, {})
        for alias, image in list(failed.items()):
            fails = self.fails(name, alias)
            if not fails:
                del failed[alias]
            if fails is False:
                self._tell(NoticeKind.RECOVERED, Noticed(Happening.CHANGED, name, alias, image))
        if not failed:
            self._failed.pop(name, None)

    def _tell(self, kind: NoticeKind, noticed: Noticed) -> None:
        if kind not in self.wanted or not self.leadership.holds():
            return
        notice = Notice(
            id=str(uuid.uuid4()),
            kind=kind,
            namespace=noticed.application.namespace,
            application=noticed.application.name,
            alias=noticed.alias,
            image=noticed.image,
            previous=str(noticed.previous),
            version=str(noticed.version),
            commit=noticed.commit,
            message=noticed.message,
            at=self.now(),
        )
        for destination in self.destinations:
            destination.put(notice)
