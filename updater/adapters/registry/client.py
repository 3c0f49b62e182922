"""Registries that speak the Distribution API: the adapter behind the port `Registry`."""

from collections.abc import Callable, Sequence
from datetime import datetime
from pathlib import Path

from updater.adapters.registry.auth import Access
from updater.adapters.registry.endpoint import Endpoint
from updater.adapters.registry.metadata import Metadata
from updater.adapters.registry.observer import Observer
from updater.adapters.registry.remote import RemoteRepository
from updater.domain.candidates import Snapshot
from updater.domain.errors import ListShrank, Misconfigured, RegistryError, RegistryThrottled
from updater.domain.platform import Platform
from updater.domain.polling import PollKey, Wants
from updater.ports import ImageMetadata, Secrets, TagMemory
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
        script_directories: Sequence[Path] = (),
    ) -> None:
        self._registries = registries
        self._secrets = secrets
        self._metadata = metadata
        self._tags = tags
        self._own_platform = own_platform
        self._now = now
        self._script_directories = tuple(script_directories)
        self._endpoints: dict[RegistrySettings, Endpoint] = {}
        self._observers: dict[PollKey, Observer] = {}

    async def observe(self, key: PollKey, wants: Wants) -> Snapshot:
        """Return a complete snapshot, as deep as wanted; the same object again when nothing changed.

        Raises:
            RegistryError: no complete answer could be had; RegistryThrottled carries when to come again.
            Misconfigured: credentials or configuration have to be mended by somebody.
        """
        settings = self._registries.serving(key.repository)
        source = settings.source(key.credentials, key.repository)
        access = Access(key.repository, settings.api_name(key.repository), source)
        remote = RemoteRepository(self._endpoint(settings), access)
        try:
            return await self._observer(key).observe(remote, wants)
        except RegistryThrottled as error:
            raise RegistryThrottled(_placed(error, key, settings), error.retry_after) from error
        except ListShrank as error:
            raise ListShrank(_placed(error, key, settings), error.retry_after) from error
        except RegistryError as error:
            raise type(error)(_placed(error, key, settings)) from error
        except Misconfigured as error:
            raise type(error)(f"{key.repository}: {error}") from error

    def forget(self, key: PollKey) -> None:
        self._observers.pop(key, None)

    def interval(self, key: PollKey) -> float | None:
        return self._registries.serving(key.repository).interval

    async def close(self) -> None:
        for endpoint in self._endpoints.values():
            await endpoint.close()
        self._endpoints.clear()

    def _endpoint(self, settings: RegistrySettings) -> Endpoint:
        if settings not in self._endpoints:
            self._endpoints[settings] = Endpoint(settings, self._secrets, self._script_directories, self._now)
        return self._endpoints[settings]

    def _observer(self, key: PollKey) -> Observer:
        if key not in self._observers:
            metadata = Metadata(self._metadata, self._now)
            self._observers[key] = Observer(key.repository, metadata, self._tags, self._own_platform, self._now)
        return self._observers[key]


def _placed(error: RegistryError, key: PollKey, settings: RegistrySettings) -> str:
    return f"{key.repository}: registry {settings.name} ({settings.api_url}) {error}"
