"""The tags of Alibaba Cloud's enterprise registries, with digests and times of push."""

from collections.abc import Mapping

import msgspec

from updater.adapters.registry.clouds.alibaba import Api, instance_of, open_api
from updater.adapters.registry.clouds.http import CloudHttp
from updater.adapters.registry.shared import Shared
from updater.domain.errors import RegistryAuthError
from updater.formats.vendor_tags import Page, milliseconds, page_of

_VERSION = "2018-12-01"
_PAGE_SIZE = 100
"""The most that is given at once."""
_KEY_KEPT = 1800.0
"""Seconds; the key of a role is good for an hour."""


class _Repository(msgspec.Struct, rename="pascal"):
    is_success: bool = True
    code: str = ""
    repo_id: str = ""


class _Image(msgspec.Struct, rename="pascal"):
    tag: str = ""
    digest: str = ""
    """Without its algorithm."""
    image_update: str = ""
    """Milliseconds since 1970."""


class _Images(msgspec.Struct, rename="pascal"):
    is_success: bool = True
    code: str = ""
    images: list[_Image] = []
    total_count: str | int = ""


class AlibabaTags:
    """Lists tags of the repositories of one instance."""

    def __init__(self, http: CloudHttp, environment: Mapping[str, str], host: str) -> None:
        self._http = http
        self._environment = environment
        self._host = host
        self._forget()

    def _forget(self) -> None:
        self._opened: Shared[tuple[Api, str]] = Shared()
        """With the id of the instance."""
        self._repositories: dict[str, str] = {}
        """Their ids."""

    async def page(self, name: str, place: str) -> Page:
        """Return a page of a repository by its number; the first without one.

        Raises:
            Misconfigured: there is no identity, or no such instance to be seen.
            RegistryAuthError: it is refused.
            RegistryError: there was no answer.
        """
        number = int(place or 1)
        try:
            api, instance = await self._opened.get(self._open)
            images = await self._images(api, instance, name, number)
        except RegistryAuthError:
            self._forget()  # a repository that was made anew has another id, and a key may have come to its end
            raise
        tags = ((f"sha256:{each.digest}", [each.tag], milliseconds(each.image_update)) for each in images.images)
        total = int(images.total_count or 0)
        return page_of(tags, more=str(number + 1) if number * _PAGE_SIZE < total else "", total=total)

    async def _open(self) -> tuple[tuple[Api, str], float]:
        api = await open_api(self._http, self._environment, self._host)
        return (api, await instance_of(api, self._environment, self._host)), _KEY_KEPT

    async def _images(self, api: Api, instance: str, name: str, number: int) -> _Images:
        repository = self._repositories.get(name)
        if repository is None:
            repository = self._repositories[name] = await self._find(api, instance, name)
        query = {"InstanceId": instance, "RepoId": repository, "PageNo": str(number), "PageSize": str(_PAGE_SIZE)}
        images = await api.call("ListRepoTag", _VERSION, _Images, query)
        if not images.is_success:
            raise _refused("ListRepoTag", name, images.code)
        return images

    async def _find(self, api: Api, instance: str, name: str) -> str:
        namespace, _, repository = name.partition("/")
        query = {"InstanceId": instance, "RepoNamespaceName": namespace, "RepoName": repository}
        found = await api.call("GetRepository", _VERSION, _Repository, query)
        if not found.is_success or not found.repo_id:
            raise _refused("GetRepository", name, found.code)
        return found.repo_id


def _refused(action: str, name: str, code: str) -> RegistryAuthError:
    return RegistryAuthError(f"Alibaba Cloud's {action} knows no repository {name} ({code[:100]})")
