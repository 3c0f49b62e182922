"""A registry's own list of one repository: read to its end at first and now and then, else only as far as it is new.

Where the list cannot be had, the Distribution API has to do; that is said once, and tried again an hour later.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

import structlog

from updater.adapters.registry.breaker import NoAnswer
from updater.adapters.registry.pages import Pages, Refused
from updater.adapters.registry.vendors import Vendor
from updater.domain.errors import RegistryAuthError, RegistryError
from updater.domain.image import Repository
from updater.domain.rhythm import is_over
from updater.formats.vendor_tags import ListedTag, Page

log = structlog.get_logger()

_FULL_EVERY = timedelta(hours=1)
_TRIED_AGAIN_AFTER = timedelta(hours=1)
_MOST_PAGES = 1000


@dataclass(frozen=True, slots=True)
class Catalogue:
    """A complete list, with what the registry tells of each tag."""

    tags: Mapping[str, ListedTag]
    names: tuple[str, ...] = ()
    tells_moves: bool = True
    """No tag points elsewhere by now; else that has to be looked at."""


@dataclass(slots=True)
class CatalogueReader:
    """Reads the list of one repository again and again."""

    vendor: Vendor
    pages: Pages
    repository: Repository
    registry: str
    """What messages call it."""
    now: Callable[[], datetime]
    _last: Catalogue | None = None
    _first_page: bytes = b""
    """Fingerprint of the page with which the last list began; empty when that says nothing of the others."""
    _goes_on: bool = False
    """There were more pages than that."""
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
        if not is_over(self._refused_at, _TRIED_AGAIN_AFTER, self.now()):
            return None
        try:
            catalogue = await self._read()
        except (Refused, RegistryAuthError) as error:
            self._refuse(error)
            return None
        except NoAnswer as error:
            if times or not self.vendor.is_elsewhere:
                raise
            self._refuse(error)
            return None
        self._refused_at = None
        return catalogue

    def _refuse(self, error: RegistryError) -> None:
        if self._refused_at is None:
            log.warning(
                "registry.list_unavailable",
                registry=self.registry,
                image=str(self.repository),
                api=self.vendor.name,
                reason=f"{error}; tags are read by the Distribution API instead, without times of push",
            )
        self._refused_at = self.now()
        self._last = None

    async def _read(self) -> Catalogue:
        last = self._last
        raw = await self.pages.get("")
        is_due = is_over(self._full_at, _FULL_EVERY, self.now())
        goes_on = self._goes_on and (is_due or not self.vendor.newest_first)
        if last is not None and raw.fingerprint and raw.fingerprint == self._first_page and not goes_on:
            return last
        first = raw.decode()
        known = last.tags if last is not None and self.vendor.newest_first and not is_due else {}
        news = await self._news(first, known) if known else {}
        if known and self._is_whole(known, news, first):
            merged = {**known, **news}
        else:
            merged = await self._all(first)
            self._full_at = self.now()
        self._first_page, self._goes_on = raw.fingerprint, bool(first.more)
        if last is None or merged != last.tags:
            self._last = Catalogue(merged, tuple(sorted(merged)), self.vendor.tells_moves)
        return self._last or Catalogue({})

    async def _all(self, first: Page) -> dict[str, ListedTag]:
        """Read the whole list, and once more from its beginning when a tag is missing.

        What is deleted while a list is read moves the tags behind it to pages that were read before; twice the same one
        is not missed. A tag that was deleted in between is found to be gone by the next look.
        """
        tags = await self._news(first, {})
        if not self._misses(first, tags):
            return tags
        first = (await self.pages.get("")).decode()
        again = await self._news(first, {})
        if first.total is not None:
            self._uncounted = first.total - len(again)
        return {**tags, **again} if first.more else again

    def _misses(self, first: Page, tags: Mapping[str, ListedTag]) -> bool:
        """Say whether there are fewer tags than the registry counts, or than there were."""
        if first.total is not None and first.total - len(tags) != self._uncounted:
            return True
        return bool(first.more and self._last and self._last.tags.keys() - tags.keys())

    def _is_whole(self, known: Mapping[str, ListedTag], news: Mapping[str, ListedTag], first: Page) -> bool:
        """Check that nothing was deleted: by the registry's count, and by what should have been among the new."""
        if first.total is not None and first.total - self._uncounted != len(known.keys() | news.keys()):
            return False
        oldest = min((tag.pushed for tag in news.values() if tag.pushed), default=None)
        return oldest is None or not any(
            tag.pushed and tag.pushed > oldest for name, tag in known.items() if name not in news
        )

    async def _news(self, first: Page, known: Mapping[str, ListedTag]) -> dict[str, ListedTag]:
        """Read on from a first page, up to one that ends with what is known."""
        page = first
        news = {tag.name: tag for tag in reversed(page.tags)}
        for _ in range(_MOST_PAGES):
            if not page.more or (page.tags and known.get(page.tags[-1].name) == page.tags[-1]):
                return news
            page = (await self.pages.get(page.more)).decode()
            if page.tags and page.more and news.keys() >= {tag.name for tag in page.tags}:
                raise RegistryError("repeats itself in its tag list, which would never end")
            news |= {tag.name: tag for tag in reversed(page.tags) if tag.name not in news}
        raise RegistryError(f"lists more than {_MOST_PAGES} pages of tags: that is not read")
