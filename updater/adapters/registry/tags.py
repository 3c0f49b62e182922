"""Read a repository's tag list to its end, or say why that cannot be done: half a list is never returned."""

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass

from yarl import URL

from updater.adapters.registry.http import Answer
from updater.adapters.registry.remote import RemoteRepository, unexpected
from updater.domain.errors import RegistryError, RepositoryNotFound
from updater.formats.http_headers import next_link
from updater.formats.oci import Malformed, decode_tags, error_codes

_PAGE_SIZES = (1000, 100, 0)
"""To be tried in turn when a registry refuses one; 0 leaves the size to the registry."""
_REFUSED_SIZE = (400, 405, 416, 422)
_PAGE_BYTES = 32 * 2**20
_MOST_PAGES = 1000
_MOST_TAGS = 500_000
_MOST_RESTARTS = 2
_OK = 200
_NOT_FOUND = 404


@dataclass(frozen=True, slots=True)
class Page:
    """A part of a list, recognised by its bytes when it comes again."""

    fingerprint: bytes
    names: tuple[str, ...]
    repository: str = ""
    """Whose list it says that it is."""


@dataclass(frozen=True, slots=True)
class TagList:
    """A complete list, in the registry's order."""

    pages: tuple[Page, ...]
    names: tuple[str, ...]
    whole: bool = False
    """Whether the registry was seen to give all pages in one answer when no page size is asked for."""

    @property
    def repository(self) -> str:
        """Whose list it says that it is; empty when it does not."""
        return self.pages[0].repository


class _PlaceLost(Exception):
    """The tag at which a page was to begin is gone."""


async def read_tags(remote: RemoteRepository, before: TagList | None) -> TagList:
    """Read all pages; return the list of before when not a byte has changed.

    Raises:
        RepositoryNotFound: the registry does not know the repository.
        RegistryError: there is no complete list to be had.
    """
    known = {page.fingerprint: page for page in before.pages} if before else {}
    whole = await _read_whole(remote, known) if before and before.whole else None
    if before and whole:
        return before if before.pages == (whole,) else TagList((whole,), whole.names, whole=True)
    for _ in range(_MOST_RESTARTS + 1):
        try:
            pages = await _read_pages(remote, known)
        except _PlaceLost:
            continue
        if before is not None and tuple(pages) == before.pages:
            return before
        names = tuple(dict.fromkeys(name for page in pages for name in page.names))
        if before is None and len(pages) > 1:
            whole = await _read_whole(remote, known)
            if whole and set(whole.names) == set(names):
                return TagList((whole,), whole.names, whole=True)
        return TagList(tuple(pages), names)
    raise RegistryError(f"lost its place in the tag list {_MOST_RESTARTS + 1} times while it was read")


async def _read_whole(remote: RemoteRepository, known: dict[bytes, Page]) -> Page | None:
    """Read a list in one answer; None when the registry divides it all the same, or refuses."""
    answer = await remote.get(remote.endpoint.url(f"v2/{remote.name}/tags/list"), _PAGE_BYTES)
    if answer.status in _REFUSED_SIZE or next_page(answer) is not None:
        return None
    _check_known(answer)
    return _page(answer, known)


async def _read_pages(remote: RemoteRepository, known: dict[bytes, Page]) -> list[Page]:
    answer = await _first_page(remote)
    pages = [_page(answer, known)]
    names = set(pages[0].names)
    asked: set[URL] = set()
    while (url := next_page(answer)) is not None:
        if len(pages) == _MOST_PAGES or len(names) > _MOST_TAGS:
            raise RegistryError(f"lists more than {_MOST_PAGES} pages or {_MOST_TAGS} tags: that is not read")
        answer = await remote.get(url, _PAGE_BYTES)
        if answer.status == _NOT_FOUND:
            raise _PlaceLost
        page = _page(answer, known)
        if url in asked or (page.names and names.issuperset(page.names)):
            raise RegistryError("repeats itself in its tag list, which would never end")
        if page.repository and pages[0].repository not in ("", page.repository):
            raise RegistryError(f"mixes the tag lists of {pages[0].repository} and {page.repository}")
        asked.add(url)
        pages.append(page)
        names.update(page.names)
    return pages


async def _first_page(remote: RemoteRepository) -> Answer:
    for size in _page_sizes(remote.endpoint.page_size):
        size_query = f"?n={size}" if size else ""
        url = remote.endpoint.url(f"v2/{remote.name}/tags/list{size_query}")
        answer = await remote.get(url, _PAGE_BYTES)
        if answer.status not in _REFUSED_SIZE:
            break
    if answer.status == _OK:
        remote.endpoint.page_size = size
    _check_known(answer)
    return answer


def _check_known(answer: Answer) -> None:
    if answer.status == _NOT_FOUND and "NOT_FOUND" in error_codes(answer.body):  # Harbor's word for it
        raise RepositoryNotFound("knows no such repository: check the image's name")


def _page_sizes(accepted: int | None) -> Iterator[int]:
    """Begin with the size that was accepted before."""
    yield from (size for size in _PAGE_SIZES if accepted is None or size <= accepted)


def _page(answer: Answer, known: dict[bytes, Page]) -> Page:
    if answer.status != _OK:
        raise unexpected(answer, "tag list")
    fingerprint = hashlib.sha256(answer.body).digest()
    if fingerprint in known:
        return known[fingerprint]
    if "html" in answer.headers.get("Content-Type", ""):
        raise RegistryError("answers with a page of HTML where its tag list should be: check api_url")
    try:
        told = decode_tags(answer.body)
    except Malformed as error:
        raise RegistryError(f"gives a tag list that is none: {error}") from None
    return Page(fingerprint, told.names, told.repository)


def next_page(answer: Answer, said: str = "") -> URL | None:
    """Resolve the link to the next page, or what the body said it is; None after the last one.

    A proxy may make a registry forget its scheme or port: the same host means the same origin. Another host is never
    followed.
    """
    link = said or next_link(answer.headers.getall("Link", []))
    if not link:
        return None
    try:
        target = answer.url.join(URL(link, encoded=True))
    except ValueError:
        raise RegistryError(f"names a next page of tags that is no address: {link[:100]!r}") from None
    if target.host != answer.url.host:
        raise RegistryError(f"names a next page of tags at another host, {target.host}, which is not asked")
    return URL(f"{answer.url.origin()}{target.raw_path_qs}", encoded=True)
