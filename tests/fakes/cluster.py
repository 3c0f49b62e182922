"""A cluster in memory: Applications come and go, are patched, and are asked to refresh."""

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from updater.adapters.argocd import check_unchanged
from updater.domain.application import Application, ApplicationName, Parameter, Source
from updater.domain.application_sets import ApplicationSetRules, written_pointer
from updater.domain.change import Edit
from updater.domain.errors import ClusterError
from updater.domain.resources import ImageUpdater, ResourceName
from updater.domain.target import ApplicationTarget, FileKind
from updater.formats.kustomize import merge_images
from updater.formats.overrides import merge_parameters
from updater.ports.cluster import (
    ApplicationEvent,
    ClusterEvent,
    Gone,
    Listed,
    ResourceGone,
    ResourceSeen,
    Seen,
    Still,
    always,
)


@dataclass
class FakeCluster:
    """Implements `ApplicationSource` and `ApplicationWriter`."""

    applications: dict[ApplicationName, Application] = field(default_factory=dict)
    resources: dict[ResourceName, ImageUpdater] = field(default_factory=dict)
    statuses: list[tuple[ResourceName, Mapping[str, object]]] = field(default_factory=list)
    recorded: list[ApplicationEvent] = field(default_factory=list)
    renewing: bool = False
    """Somebody renews the Lease between any two looks at it."""
    renewals: int = 0
    refreshed: list[ApplicationName] = field(default_factory=list)
    rendered: list[ApplicationName] = field(default_factory=list)
    """Those of the refreshed that were to be hydrated as well."""
    patched: list[ApplicationName] = field(default_factory=list)
    application_sets: dict[tuple[str, str], ApplicationSetRules] = field(default_factory=dict)
    """By namespace and name; each takes back at once what it does not spare."""
    error: ClusterError | None = None
    """Raised by every write while it is set."""
    before_write: Callable[[], None] = lambda: None
    """Called before each patch: a moment for somebody else to write."""
    _events: asyncio.Queue[ClusterEvent] = field(default_factory=asyncio.Queue)

    def put(self, *applications: Application) -> None:
        """Create or replace Applications; whoever listens hears of it."""
        for application in applications:
            self.applications[application.name] = application
            self._events.put_nowait(Seen(application))

    def delete(self, name: ApplicationName) -> None:
        del self.applications[name]
        self._events.put_nowait(Gone(name))

    def put_resource(self, resource: ImageUpdater) -> None:
        self.resources[resource.name] = resource
        self._events.put_nowait(ResourceSeen(resource))

    def delete_resource(self, name: ResourceName) -> None:
        del self.resources[name]
        self._events.put_nowait(ResourceGone(name))

    def tell(self, event: ClusterEvent) -> None:
        self._events.put_nowait(event)

    async def events(self) -> AsyncIterator[ClusterEvent]:
        self._events = asyncio.Queue()
        for resource in list(self.resources.values()):
            yield ResourceSeen(resource)
        for application in list(self.applications.values()):
            yield Seen(application)
        yield Listed()
        while True:
            yield await self._events.get()

    async def holds(self, target: ApplicationTarget, edits: Sequence[Edit]) -> bool:
        source = self.applications[target.application].sources[target.source]
        return _merged(source, target.kind, edits) == source

    async def application_set(self, namespace: str, name: str) -> ApplicationSetRules:
        rules = self.application_sets.get((namespace, name))
        if rules is None:
            raise ClusterError(f"get applicationsets.argoproj.io {name} in namespace {namespace}: 404 not found")
        return rules

    async def set_images(self, target: ApplicationTarget, edits: Sequence[Edit], still: Still = always) -> bool:
        self.before_write()
        if self.error:
            raise self.error
        application = self.applications[target.application]
        source = application.sources[target.source]
        changed = _merged(source, target.kind, edits)
        if changed == source:
            return False
        check_unchanged(application, still)
        self.patched.append(application.name)
        sources = (*application.sources[: target.source], changed, *application.sources[target.source + 1 :])
        self.put(replace(application, sources=sources))
        rules = self.application_sets.get((application.name.namespace, application.generated_by))
        if rules and not rules.spare(application.name.name, written_pointer(application, target)):
            self.put(application)
        return True

    async def renewal(self, namespace: str, name: str) -> str:
        self.renewals += self.renewing
        return str(self.renewals) if self.renewals else ""

    async def write_status(self, name: ResourceName, status: Mapping[str, object]) -> None:
        if self.error:
            raise self.error
        self.statuses.append((name, status))

    async def record_event(self, event: ApplicationEvent) -> None:
        if self.error:
            raise self.error
        self.recorded.append(event)

    async def refresh(self, name: ApplicationName, *, hydrate: bool = False) -> None:
        if self.error:
            raise self.error
        self.refreshed.append(name)
        if hydrate:
            self.rendered.append(name)


def _merged(source: Source, kind: FileKind, edits: Sequence[Edit]) -> Source:
    if kind is FileKind.CHART:
        return replace(source, target_revision=str(edits[-1].image.version))
    if kind is FileKind.OVERRIDE_KUSTOMIZE:
        return replace(source, kustomize_images=merge_images(source.kustomize_images, edits))
    return replace(source, helm_parameters=merge_parameters(source.helm_parameters, edits))


def helm_application(
    name: str,
    image: str,
    annotations: Mapping[str, str] | None = None,
    *,
    live: str | None = "v1.0",
    method: str = "git",
    url: str = "https://git.example.com/gitops.git",
    parameters: tuple[Parameter, ...] = (),
) -> Application:
    """Make an Application like the walk-through's: one image under the alias `app`, by `image.tag`."""
    return Application(
        name=ApplicationName("argocd", name),
        annotations={
            "image-list": f"app={image}",
            "app.helm.image-tag": "image.tag",
            "write-back-method": method,
            **(annotations or {}),
        },
        sources=(Source(url, f"apps/{name}", "main", kind="Helm", helm_parameters=parameters),),
        live_images=None if live is None else (f"{image.partition(':')[0]}:{live}",),
    )
