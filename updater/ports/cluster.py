"""Where Applications and ImageUpdaters live: who tells of them, and who changes them."""

from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Protocol

from updater.domain.application import Application, ApplicationName
from updater.domain.application_sets import ApplicationSetRules
from updater.domain.change import Edit
from updater.domain.resources import ImageUpdater, ResourceName
from updater.domain.target import ApplicationTarget


class Listed:
    """Every Application that exists has been told; what comes now are changes."""


@dataclass(frozen=True, slots=True)
class Seen:
    application: Application


@dataclass(frozen=True, slots=True)
class Gone:
    name: ApplicationName


@dataclass(frozen=True, slots=True)
class Unreadable:
    """A manifest that is there but cannot be understood."""

    name: str
    """Of the Application where it can be told, else the file."""
    message: str


@dataclass(frozen=True, slots=True)
class Readable:
    """What was told as `Unreadable` is so no more."""

    name: str


@dataclass(frozen=True, slots=True)
class ResourceSeen:
    resource: ImageUpdater


@dataclass(frozen=True, slots=True)
class ResourceGone:
    name: ResourceName


ClusterEvent = Listed | Seen | Gone | Unreadable | Readable | ResourceSeen | ResourceGone


class ApplicationSource(Protocol):
    """Tells which Applications and ImageUpdaters there are."""

    def events(self) -> AsyncIterator[ClusterEvent]:
        """Tell all that exist, then `Listed`, then changes, for ever; reconnect and tell all again as needed.

        The ImageUpdaters of a namespace are told before its Applications: without them these cannot be understood.
        After a relist, what is gone is told as `Gone` or `ResourceGone` before `Listed`.
        """
        ...


@dataclass(frozen=True, slots=True)
class ApplicationEvent:
    """An Event of Kubernetes."""

    application: ApplicationName
    reason: str
    message: str
    warning: bool
    at: datetime
    annotations: Mapping[str, str] = field(default_factory=dict)


Still = Callable[[Application], bool]


def always(application: Application) -> bool:  # noqa: ARG001 - whatever it is
    return True


class ApplicationWriter(Protocol):
    """Changes Applications, narrowly."""

    async def set_images(self, target: ApplicationTarget, edits: Sequence[Edit], still: Still = always) -> bool:
        """Make the target's parameters hold the edits, and nothing else; False when they did already.

        Args:
            target: the parameters of a source.
            edits: what they are to hold.
            still: asked of the Application as it is now whether it is what the edits were decided for.

        Raises:
            Misconfigured: the source cannot take them.
            ApplicationConflict: somebody else was faster: it is not that any more, or changed also on a second try.
            ClusterError: refused or unreachable.
        """
        ...

    async def holds(self, target: ApplicationTarget, edits: Sequence[Edit]) -> bool:
        """Tell whether the target's parameters hold the edits now.

        Raises:
            Misconfigured, ClusterError: as `set_images`.
        """
        ...

    async def application_set(self, namespace: str, name: str) -> ApplicationSetRules:
        """Return what an ApplicationSet says of changes to the Applications that it generates.

        Raises:
            ClusterError: it is not there, or could not be read now.
        """
        ...

    async def refresh(self, name: ApplicationName, *, hydrate: bool = False) -> None:
        """Ask Argo CD to look at its Git repository now; `hydrate`: and to render what it finds there.

        By the annotations `argocd.argoproj.io/refresh` and `argocd.argoproj.io/hydrate`.
        """
        ...


class LeaseReader(Protocol):
    """Looks at the Leases of others."""

    async def renewal(self, namespace: str, name: str) -> str:
        """Return when a Lease was last renewed, in its holder's words; an empty text when nobody holds it.

        Raises:
            ClusterError: it could not be read.
        """
        ...


class ResourceStatuses(Protocol):
    """Tells those who wrote an ImageUpdater what became of it."""

    async def write_status(self, name: ResourceName, status: Mapping[str, object]) -> None:
        """Replace a resource's status; one that is gone needs none.

        Raises:
            ClusterError: refused or unreachable.
        """
        ...


class ApplicationEvents(Protocol):
    """Tells those who look at an Application what was done to it."""

    async def record_event(self, event: ApplicationEvent) -> None:
        """Attach an Event to an Application.

        Raises:
            ClusterError: refused or unreachable.
        """
        ...


class Leadership(Protocol):
    """Tells whether it is this process that writes, where several could."""

    def holds(self) -> bool:
        """Tell whether we may write at this moment; to be asked right before each write."""
        ...

    async def held(self) -> bool:
        """Wait until we may write; False when that is not to be expected any more."""
        ...

    def stop_waiting(self) -> None:
        """Let those who wait go: the process is about to end."""
        ...
