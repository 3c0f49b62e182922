"""A cluster seen as if it had one Application, which nobody may change: for a look that writes nothing."""

from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from updater.domain.application import ApplicationName
from updater.domain.application_sets import ApplicationSetRules
from updater.domain.change import Edit
from updater.domain.resources import ResourceName
from updater.domain.target import ApplicationTarget
from updater.ports.cluster import (
    ApplicationEvent,
    ApplicationSource,
    ApplicationWriter,
    ClusterEvent,
    Gone,
    Seen,
    Still,
    always,
)


class _Cluster(ApplicationSource, ApplicationWriter, Protocol):
    """All Applications."""


@dataclass(frozen=True, slots=True)
class OneApplication:
    """Implements `ApplicationSource` and `ApplicationWriter`."""

    cluster: _Cluster
    name: ApplicationName

    async def events(self) -> AsyncIterator[ClusterEvent]:
        async for event in self.cluster.events():
            match event:
                case Seen(application) if application.name != self.name:
                    pass
                case Gone(name) if name != self.name:
                    pass
                case _:
                    yield event

    async def set_images(
        self,
        target: ApplicationTarget,  # noqa: ARG002 - the port's
        edits: Sequence[Edit],  # noqa: ARG002 - the port's
        still: Still = always,  # noqa: ARG002 - the port's
    ) -> bool:
        return False

    async def holds(self, target: ApplicationTarget, edits: Sequence[Edit]) -> bool:
        return await self.cluster.holds(target, edits)

    async def application_set(self, namespace: str, name: str) -> ApplicationSetRules:
        return await self.cluster.application_set(namespace, name)

    async def renewal(self, namespace: str, name: str) -> str:  # noqa: ARG002 - the port's
        return ""

    async def write_status(self, name: ResourceName, status: Mapping[str, object]) -> None:
        pass

    async def record_event(self, event: ApplicationEvent) -> None:
        pass

    async def refresh(self, name: ApplicationName, *, hydrate: bool = False) -> None:
        pass
