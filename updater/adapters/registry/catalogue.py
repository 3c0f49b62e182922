"""A registry's own list of one repository: read to its end at first and now and then, else only as far as it is new.

Where the list cannot be had, the Distribution API has to do; that is said once, and tried again an hour later.
"""

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

import structlog
from yarl import URL

from updater.adapters.registry.auth import Access
from updater.adapters.registry.breaker import NoAnswer
from updater.adapters.registry.endpoint import Endpoint
from updater.adapters.registry.http import Answer
from updater.adapters.registry.tags import next_page
from updater.adapters.registry.vendors import Identity, Vendor
from updater.domain.errors import RegistryAuthError, RegistryError
from updater.formats.oci import Malformed
from updater.formats.vendor_tags import ListedTag, Page

log = structlog.get_logger()

_FULL_EVERY = timedelta(hours=1)
_TRIED_AGAIN_AFTER = timedelta(hours=1)
_PAGE_BYTES = 64 * 2**20
_MOST_PAGES = 1000
_OK = 200


@dataclass(frozen=True, slots=True)
class Catalogue:
    """A complete list, with what the registry tells of each tag."""

    tags: Mapping[str, ListedTag]
    names: tuple[str, ...] = ()
    tells_moves: bool = True
    """No tag points elsewhere by now; else that has to be looked at."""


class _Refused(RegistryError):
    """The API cannot be used for this repository."""


@dataclass(slots=True)
class CatalogueReader:
    """Reads the list of one repository again and again."""

    vendor: Vendor
    endpoint: Endpoint
    """Of the API, which may be at another host than the registry."""
    access: Access
    now: Callable[[], datetime]
    _last: Catalogue | None = None
    _first_page: bytes = b""
    """Fingerprint of the page with which the last list began."""
    _full_at: datetime | None = None
    _refused_at: datetime | None = None
    _uncounted: int = 0
    """How many more tags the registry counts than it lists, when that is so each time."""

    async def read(self, *, times: bool) -> Catalogue | None:
        """Return the list, the same object when nothing changed; None when the Distribution API has to do.

        `times`: an order depends on the times of push, so that an API that merely does not answer is waited for.

        Raises:
            RegistryError: it should be there, and could not be read to its end.
        """
        if self._refused_at is not None and self.now() - self._refused_at < _TRIED_AGAIN_AFTER:
            return None
        try:
            catalogue = await self._read()
        except (_Refused, RegistryAuthError) as error:
            self._refuse(error)
            return None
        except NoAnswer as error:
            if times or not self.vendor.base:
                raise
            self._refuse(error)
            return None
        self._refused_at = None
        return catalogue

    def _refuse(self, error: RegistryError) -> None:
        if self._refused_at is None:
            log.warning(
                "registry.list_unavailable",
                registry=self.endpoint.settings.name,
                image=str(self.access.repository),
                api=self.vendor.name,
                reason=f"{error}; tags are read by the Distribution API instead, without times of push",
            )
        self._refused_at = self.now()
        self._last = None

    async def _read(self) -> Catalogue:
        last = self._last
        answer = await self._ask(self.endpoint.url(self.vendor.first(self.access.name)))
        fingerprint = hashlib.sha256(answer.body).digest()
        is_due = self._full_at is None or self.now() - self._full_at >= _FULL_EVERY
        if last is not None and fingerprint == self._first_page and (not is_due or not self._more(answer)):
            return last
        known = last.tags if last is not None and self.vendor.newest_first and not is_due else {}
        news, page = await self._pages(answer, known)
        merged = {**known, **news}
        if known and not self._is_whole(known, news, page):
            known = {}
            merged, page = await self._pages(answer, known)
        if not known:
            merged = await self._counted(answer, merged, page)
            self._full_at = self.now()
        self._first_page = fingerprint
        if last is None or merged != last.tags:
            self._last = Catalogue(merged, tuple(sorted(merged)), self.vendor.tells_moves)
        return self._last or Catalogue({})

    async def _counted(self, answer: Answer, tags: dict[str, ListedTag], page: Page) -> dict[str, ListedTag]:
        """Read a list again that has not as many tags as the registry counts: one may have slipped between pages."""
        if page.total is None or page.total - len(tags) == self._uncounted:
            return tags
        tags, page = await self._pages(answer, {})
        self._uncounted = (page.total or 0) - len(tags)
        return tags

    def _is_whole(self, known: Mapping[str, ListedTag], news: Mapping[str, ListedTag], page: Page) -> bool:
        """Check that nothing was deleted: by the registry's count, and by what should have been among the new."""
        if page.total is not None and page.total - self._uncounted != len(known.keys() | news.keys()):
            return False
        oldest = min((tag.pushed for tag in news.values() if tag.pushed), default=None)
        return oldest is None or not any(
            tag.pushed and tag.pushed > oldest for name, tag in known.items() if name not in news
        )

    async def _pages(self, answer: Answer, known: Mapping[str, ListedTag]) -> tuple[dict[str, ListedTag], Page]:
        """Read on from a first page, up to one that ends with what is known."""
        first = page = self._decode(answer)
        news = {tag.name: tag for tag in reversed(page.tags)}
        for _ in range(_MOST_PAGES):
            url = self._next(answer, page)
            if url is None or (page.tags and known.get(page.tags[-1].name) == page.tags[-1]):
                return news, first
            answer = await self._ask(url)
            page = self._decode(answer)
            if page.tags and news.keys() >= {tag.name for tag in page.tags} and self._next(answer, page) is not None:
                raise RegistryError("repeats itself in its tag list, which would never end")
            news |= {tag.name: tag for tag in reversed(page.tags) if tag.name not in news}
        raise RegistryError(f"lists more than {_MOST_PAGES} pages of tags: that is not read")

    def _more(self, answer: Answer) -> bool:
        return self._next(answer, self._decode(answer)) is not None

    def _next(self, answer: Answer, page: Page) -> URL | None:
        return next_page(answer, page.more)

    async def _ask(self, url: URL) -> Answer:
        limit = _PAGE_BYTES
        match self.vendor.identity:
            case Identity.REGISTRY:
                answer = await self.endpoint.ask("GET", url, self.access, {}, limit)
            case Identity.BASIC:
                answer = await self.endpoint.ask_unasked(url, self.access, limit, login=True)
            case Identity.NOBODY:
                answer = await self.endpoint.ask_unasked(url, self.access, limit, login=False)
        if answer.status >= 500:  # noqa: PLR2004 - the server's fault
            raise RegistryError(f"gives no tag list by its API {self.vendor.name} (status {answer.status})")
        if answer.status != _OK:
            raise _Refused(f"refuses its API {self.vendor.name} (status {answer.status})")
        return answer

    def _decode(self, answer: Answer) -> Page:
        try:
            return self.vendor.decode(answer.body)
        except Malformed as error:
            raise _Refused(f"gives by its API {self.vendor.name} a list that is none: {error}") from None
