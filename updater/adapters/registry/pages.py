"""Where a registry's own list of tags comes from, page by page: whoever reads it to its end knows nothing of HTTP."""

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from yarl import URL

from updater.adapters.registry.auth import Access
from updater.adapters.registry.endpoint import Endpoint
from updater.adapters.registry.http import Answer
from updater.adapters.registry.tags import next_page
from updater.adapters.registry.vendors import HttpVendor, Identity
from updater.domain.errors import RegistryError
from updater.formats.oci import Malformed
from updater.formats.vendor_tags import Page

_PAGE_BYTES = 64 * 2**20
_OK = 200


class Refused(RegistryError):
    """The API cannot be used for this repository."""


@dataclass(frozen=True, slots=True)
class RawPage:
    """A page as it came, decoded only where it is new."""

    decode: Callable[[], Page]
    """Its `more` is the place of the next page, empty after the last; raises `Refused` when there is no list in it."""
    fingerprint: bytes = b""
    """Equal for equal bytes; empty where a page never comes twice the same."""


class Pages(Protocol):
    """A list of one repository."""

    async def get(self, place: str) -> RawPage:
        """Return the page at a place; that of the first is empty.

        Raises:
            Refused, RegistryAuthError: the list cannot be had.
            RegistryError: it should be there.
        """
        ...


@dataclass(frozen=True, slots=True)
class HttpPages:
    """A list that is asked for by plain requests, to the registry's host or another."""

    vendor: HttpVendor
    endpoint: Endpoint
    """Of the API, which may be at another host than the registry."""
    access: Access

    async def get(self, place: str) -> RawPage:
        url = URL(place, encoded=True) if place else self.endpoint.url(self.vendor.first(self.access.name))
        answer = await self._ask(url)
        return RawPage(lambda: self._decode(answer), hashlib.sha256(answer.body).digest())

    async def _ask(self, url: URL) -> Answer:
        match self.vendor.identity:
            case Identity.REGISTRY:
                answer = await self.endpoint.ask("GET", url, self.access, {}, _PAGE_BYTES)
            case Identity.BASIC:
                answer = await self.endpoint.ask_unasked(url, self.access, _PAGE_BYTES, login=True)
            case Identity.NOBODY:
                answer = await self.endpoint.ask_unasked(url, self.access, _PAGE_BYTES, login=False)
        if answer.status >= 500:  # noqa: PLR2004 - the server's fault
            raise RegistryError(f"gives no tag list by its API {self.vendor.name} (status {answer.status})")
        if answer.status != _OK:
            raise Refused(f"refuses its API {self.vendor.name} (status {answer.status})")
        return answer

    def _decode(self, answer: Answer) -> Page:
        try:
            page = self.vendor.decode(answer.body)
        except Malformed as error:
            raise Refused(f"gives by its API {self.vendor.name} a list that is none: {error}") from None
        return Page(page.tags, str(next_page(answer, page.more) or ""), page.total)
