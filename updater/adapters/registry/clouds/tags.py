"""Tag lists of clouds' registries, asked for as the identity that the cloud gives to the daemon."""

import os
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Protocol

from updater.adapters.registry.breaker import NoAnswer
from updater.adapters.registry.clouds import alibaba, aws
from updater.adapters.registry.clouds.alibaba_tags import AlibabaTags
from updater.adapters.registry.clouds.ecr_tags import EcrTags
from updater.adapters.registry.clouds.http import CloudHttp
from updater.adapters.registry.clouds.place import Place
from updater.adapters.registry.pages import RawPage
from updater.domain.errors import RegistryAuthError, RegistryError
from updater.domain.secrets import SecretKind
from updater.formats.vendor_tags import Page


class CloudTags(Protocol):
    """Lists the tags of a registry's repositories."""

    async def page(self, name: str, place: str) -> Page:
        """Return the page of a repository at a place; that of the first is empty."""
        ...


class CloudLists:
    """All clouds' lists: what repositories of one registry have in common, a client or a key, is kept here."""

    def __init__(self, environment: Mapping[str, str] = os.environ) -> None:
        self._environment = environment
        self._lists: dict[str, CloudTags] = {}

    def of(self, cloud: SecretKind, place: Place) -> CloudTags | None:
        """Return the list of a registry; None when it is none of the cloud's, or of a kind without such a list."""
        serves = aws.serves if cloud is SecretKind.AWS else alibaba.is_enterprise
        host = next(filter(serves, place.hosts), None)
        if host is None:
            return None
        if host not in self._lists:
            self._lists[host] = self._open(cloud, host)
        return self._lists[host]

    def _open(self, cloud: SecretKind, host: str) -> CloudTags:
        if cloud is SecretKind.AWS:
            return EcrTags(host)
        return AlibabaTags(CloudHttp(), self._environment, host)


@dataclass(frozen=True, slots=True)
class CloudPages:
    """The list of one repository, at the registry's pace."""

    tags: CloudTags
    name: str
    turn: Callable[[], Awaitable[None]]
    """Waits until the registry may be asked once more."""

    async def get(self, place: str) -> RawPage:
        await self.turn()
        try:
            page = await self.tags.page(self.name, place)
        except RegistryAuthError:
            raise
        except RegistryError as error:
            raise NoAnswer(str(error)) from error
        return RawPage(lambda: page)
