"""The tags of ECR, with digests and times of push: its own API lists them by the thousand, in no order."""

import asyncio
import threading
from datetime import datetime
from typing import TYPE_CHECKING, Any

from updater.adapters.registry.clouds.aws import account_of, open_client, translated
from updater.domain.errors import RegistryError
from updater.formats.vendor_tags import Page, page_of

if TYPE_CHECKING:
    from botocore.client import BaseClient

_PAGE_SIZE = 1000
"""The most that ECR gives at once."""


class EcrTags:
    """Lists tags of the repositories of one account and region."""

    def __init__(self, host: str) -> None:
        self._host = host
        self._opened: BaseClient | None = None
        self._opening = threading.Lock()

    async def page(self, name: str, place: str) -> Page:
        """Return the page of a repository that a token stands for, the first without one.

        Raises:
            Misconfigured: the library, or an identity, is missing.
            RegistryAuthError: ECR refuses.
            RegistryError: it does not answer.
        """
        answer = await asyncio.to_thread(self._describe, name, place)
        try:
            images = [_image(each) for each in answer["imageDetails"]]
        except (KeyError, TypeError):
            raise RegistryError("ECR gives a list of images that is not understood") from None
        return page_of(images, more=answer.get("nextToken", ""))

    def _describe(self, name: str, place: str) -> Any:  # noqa: ANN401 - botocore has no types of its own
        more = {"nextToken": place} if place else {}
        with translated():
            return self._client().describe_images(
                registryId=account_of(self._host),
                repositoryName=name,
                filter={"tagStatus": "TAGGED"},
                maxResults=_PAGE_SIZE,
                **more,
            )

    def _client(self) -> "BaseClient":
        """Open a client once: that takes longer than what it is asked."""
        with self._opening:
            if self._opened is None:
                self._opened = open_client(self._host)
        return self._opened


def _image(detail: Any) -> tuple[str, list[str], datetime | None]:  # noqa: ANN401
    return detail["imageDigest"], detail.get("imageTags", []), detail.get("imagePushedAt")
