"""Registries that speak the Distribution API: the adapter behind the port `Registry`."""

from collections.abc import AsyncIterator, Callable, Collection, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import datetime
from functools import partial
from pathlib import Path

from yarl import URL

from updater.adapters.registry.auth import Access
from updater.adapters.registry.catalogue import CatalogueReader
from updater.adapters.registry.clouds import Place
from updater.adapters.registry.clouds.tags import CloudLists, CloudPages
from updater.adapters.registry.credentials import Credentials, Sources, VariablesOfImages, no_variables
from updater.adapters.registry.endpoint import Endpoint
from updater.adapters.registry.helm_repository import HelmRepository, helm_settings
from updater.adapters.registry.limiter import Paces
from updater.adapters.registry.metadata import Metadata
from updater.adapters.registry.observer import Observer
from updater.adapters.registry.pages import HttpPages, Pages
from updater.adapters.registry.recognition import Recognition
from updater.adapters.registry.remote import RemoteRepository
from updater.adapters.registry.vendors import CloudVendor, HttpVendor, Vendor
from updater.domain.candidates import Labels, Snapshot
from updater.domain.errors import DoubtfulList, Misconfigured, RegistryError, RegistryThrottled
from updater.domain.image import ImageVersion, Repository
from updater.domain.measurements import Measure, unmeasured
from updater.domain.platform import Platform
from updater.domain.polling import PollKey, Wants
from updater.domain.secrets import CredentialSource, variables_read
from updater.ports.registry import ImageMetadata, TagMemory
from updater.ports.secrets import RepositorySecrets, Secrets, ServiceAccounts
from updater.settings.registries import Registries, RegistrySettings


class RegistryClient:
    """Looks into repositories of all registries; what is known of each is kept from look to look."""

    def __init__(
        self,
        registries: Registries,
        secrets: Secrets,
        metadata: ImageMetadata,
        tags: TagMemory,
        *,
        own_platform: Platform,
        now: Callable[[], datetime],
        accounts: ServiceAccounts | None = None,
        repositories: RepositorySecrets | None = None,
        argocd_namespace: str = "argocd",
        script_directories: Sequence[Path] = (),
        measure: Measure = unmeasured,
        secret_variables: Collection[str] = (),
        variables_of_images: VariablesOfImages = no_variables,
    ) -> None:
        """Ask nobody yet; `secret_variables` are those that the settings have read for something else."""
        self._registries = registries
        self._sources = Sources(
            *(secrets, accounts, repositories, argocd_namespace, tuple(script_directories)),
            variables_of_images=variables_of_images,
        )
        self._keep_from_scripts(registries, secret_variables)
        self._metadata = metadata
        self._tags = tags
        self._own_platform = own_platform
        self._now = now
        self._measure = measure
        self._endpoints: dict[RegistrySettings, Endpoint] = {}
        self._paces: dict[tuple[URL, float, int], Paces] = {}
        self._retired: list[Endpoint] = []
        """Not to be asked any more, and open until no look is under way."""
        self._looks = 0
        self._observers: dict[PollKey, Observer] = {}
        self._recognitions: dict[RegistrySettings, Recognition] = {}
        self._readers: dict[tuple[PollKey, RegistrySettings], CatalogueReader] = {}
        self._cloud_lists = CloudLists()
        self._helm_repositories: dict[tuple[RegistrySettings, CredentialSource | None], HelmRepository] = {}

    async def observe(self, key: PollKey, wants: Wants) -> Snapshot:
        """Return a complete snapshot, as deep as wanted; the same object again when nothing changed.

        Raises:
            RegistryError: no complete answer could be had; RegistryThrottled carries when to come again.
            Misconfigured: credentials or configuration have to be mended by somebody.
        """
        settings = self._settings(key)
        try:
            access = self._access(key, awaited=wants.awaited)
            async with self._looking():
                if key.repository.is_helm:
                    return await self._helm(settings, access).observe(key.repository)
                reader = await self._reader(key, settings, access) if wants.metadata or wants.times else None
                return await self._observer(key).observe(self._remote(key, access), wants, reader)
        except RegistryThrottled as error:
            raise RegistryThrottled(_placed(error, key, settings), error.retry_after) from error
        except DoubtfulList as error:
            raise DoubtfulList(_placed(error, key, settings), error.retry_after) from error
        except RegistryError as error:
            raise type(error)(_placed(error, key, settings)) from error
        except Misconfigured as error:
            raise type(error)(f"{key.repository}: {error}") from error

    def remote(self, key: PollKey) -> RemoteRepository:
        """Open a repository, to look for something in it that is waited for."""
        return self._remote(key, self._access(key, awaited=True))

    async def labels(self, key: PollKey, version: ImageVersion, platforms: Sequence[Platform]) -> Labels:
        """Return the labels of the first of a version's images that has any; a chart has none.

        Raises:
            RegistryError, Misconfigured: as `observe` does.
        """
        if key.repository.is_helm:
            return ()
        async with self._looking():
            wanted = platforms or (self._own_platform,)
            return await self._observer(key).metadata.labels(self.remote(key), version, wanted)

    def _remote(self, key: PollKey, access: Access) -> RemoteRepository:
        return RemoteRepository(self._endpoint(self._settings(key)), access)

    def _access(self, key: PollKey, *, awaited: bool) -> Access:
        return self._endpoint(self._settings(key)).access(key.repository, key.credentials, awaited=awaited)

    def forget(self, key: PollKey) -> None:
        self._observers.pop(key, None)
        self._readers = {place: reader for place, reader in self._readers.items() if place[0] != key}

    def credentials(self, key: PollKey) -> CredentialSource | None:
        """Tell where the credentials for a repository come from; None when it is asked as nobody."""
        credentials = Credentials(self._settings(key), self._sources)
        return credentials.choose(key.credentials, key.repository)

    def interval(self, key: PollKey) -> float | None:
        return self._settings(key).interval

    async def ping(self) -> None:
        """Tell whether any of the registries answers; it asks none of them.

        Raises:
            RegistryError: all that were asked fail again and again: it is our way out that is broken.
        """
        asked = [*self._endpoints.values()]
        if asked and not any(endpoint.answers for endpoint in asked):
            names = ", ".join(sorted(endpoint.settings.name for endpoint in asked))
            raise RegistryError(f"none of the registries answers: {names}")

    async def reconfigure(
        self, registries: Registries, script_directories: Sequence[Path], secret_variables: Collection[str] = ()
    ) -> None:
        """Follow another configuration from the next look on; registries that stay as they were keep what they know."""
        changed = tuple(script_directories) != self._sources.script_directories
        self._registries = registries
        self._sources = replace(self._sources, script_directories=tuple(script_directories))
        self._keep_from_scripts(registries, secret_variables)
        self._readers.clear()
        self._recognitions.clear()
        self._helm_repositories.clear()
        for settings in list(self._endpoints):
            if changed or not registries.holds(settings):
                self._retired.append(self._endpoints.pop(settings))
        for settings, endpoint in self._endpoints.items():
            endpoint.paces = self._paces_of(settings)
        paces = [endpoint.paces for endpoint in self._endpoints.values()]
        self._paces = {key: each for key, each in self._paces.items() if each in paces}
        await self._close_retired()

    async def close(self) -> None:
        for endpoint in (*self._endpoints.values(), *self._retired):
            await endpoint.close()
        self._endpoints.clear()

    def _keep_from_scripts(self, registries: Registries, secret_variables: Collection[str]) -> None:
        """Let no script see what others read from the environment; what once was secret stays so."""
        read = (variables_read(entry.credentials) for entry in registries.entries)
        self._sources.secret_variables.update(secret_variables, *read)

    @asynccontextmanager
    async def _looking(self) -> AsyncIterator[None]:
        """Keep open what a look may use, also when it is followed no more."""
        self._looks += 1
        try:
            yield
        finally:
            self._looks -= 1
            await self._close_retired()

    async def _close_retired(self) -> None:
        while self._retired and not self._looks:
            await self._retired.pop().close()

    def _endpoint(self, settings: RegistrySettings) -> Endpoint:
        if settings not in self._endpoints:
            paces = self._paces_of(settings)
            self._endpoints[settings] = Endpoint(settings, self._sources, self._now, self._measure, paces)
        return self._endpoints[settings]

    def _paces_of(self, settings: RegistrySettings) -> Paces:
        """Return what paces all entries that lead to one server: the strictest of their limits."""
        server = URL(settings.api_url).origin()
        alike = [settings, *(each for each in self._registries.entries if URL(each.api_url).origin() == server)]
        limit = min((each.limit for each in alike if each.limit > 0), default=0.0)
        key = (server, limit, min(each.burst for each in alike))
        return self._paces.setdefault(key, Paces(*key[1:]))

    async def _reader(self, key: PollKey, settings: RegistrySettings, access: Access) -> CatalogueReader | None:
        """Return what reads the registry's own list; None where it has none."""
        if settings not in self._recognitions:
            self._recognitions[settings] = Recognition(settings)
        vendor = await self._recognitions[settings].vendor(self._endpoint(settings), access)
        if vendor is None:
            return None
        if (key, settings) not in self._readers:
            pages = self._pages(vendor, settings, access)
            if pages is None:
                return None
            reader = CatalogueReader(vendor, pages, key.repository, settings.name, self._now)
            self._readers[key, settings] = reader
        return self._readers[key, settings]

    def _pages(self, vendor: Vendor, settings: RegistrySettings, access: Access) -> Pages | None:
        """Return the registry's own list of a repository; None for a cloud's, when we are not known to the cloud."""
        if isinstance(vendor, HttpVendor):
            at = replace(settings, name=f"{settings.name} API", api_url=vendor.base) if vendor.base else settings
            return HttpPages(vendor, self._endpoint(at), access)
        if not isinstance(vendor, CloudVendor) or access.source is None or access.source.kind is not vendor.cloud:
            return None
        tags = self._cloud_lists.of(vendor.cloud, Place.of(settings))
        turn = partial(self._endpoint(settings).turn, access)
        return CloudPages(tags, access.name, turn) if tags else None

    def _settings(self, key: PollKey) -> RegistrySettings:
        if key.repository.is_helm:
            return helm_settings(self._registries, key.repository)
        return self._registries.serving(key.repository)

    def _helm(self, settings: RegistrySettings, access: Access) -> HelmRepository:
        """Return what is known of a Helm repository as somebody; its charts share it."""
        as_somebody = (settings, access.source)
        if as_somebody not in self._helm_repositories:
            shared = Access(Repository(access.repository.host, ""), "", access.source)
            self._helm_repositories[as_somebody] = HelmRepository(
                self._endpoint(settings), shared, self._own_platform, self._now
            )
        return self._helm_repositories[as_somebody]

    def _observer(self, key: PollKey) -> Observer:
        if key not in self._observers:
            metadata = Metadata(self._metadata, self._now)
            self._observers[key] = Observer(key.repository, metadata, self._tags, self._own_platform, self._now)
        return self._observers[key]


def _placed(error: RegistryError, key: PollKey, settings: RegistrySettings) -> str:
    return f"{key.repository}: registry {settings.name} ({settings.api_url}) {error}"
