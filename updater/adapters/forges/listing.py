"""One listing of a repository's pull requests for a round: the first page, unless more has happened than it holds."""

from collections import OrderedDict
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple, Protocol, TypeVar

from updater.adapters.forges.api import Answer, Api, next_page
from updater.domain.errors import ForgeError, ForgeRefused
from updater.domain.pull_requests import PullRequest, State, aiu_key

_MOST_PAGES = 20
"""Of a first look; what has not been touched for longer is found when it would be opened anew."""
_MOST_REPOSITORIES = 200
_MOST_KEPT = 5_000
"""Pull requests of one repository that are open, or ours."""


@dataclass(frozen=True, slots=True)
class Listed:
    """A pull request, and when the forge last saw something happen to it."""

    updated: str
    """In a form that sorts as the times do."""
    pull_request: PullRequest | None
    """None for one from another repository: it is nobody's of ours, whatever it says."""


class Page(NamedTuple):
    listed: Sequence[Listed]
    """The latest change first."""
    next: str = ""
    """Address of the next one; empty: there is none."""


Read = Callable[[Answer], Page]


class Item(Protocol):
    """A pull request in a forge's own words."""

    @property
    def updated(self) -> str:
        """When something last happened to it, in a form that sorts as the times do."""
        ...

    @property
    def is_own(self) -> bool:
        """Tell one of the repository's own branches from one of a fork, which anybody may open."""
        ...

    def told(self) -> PullRequest:
        """Say it in our words."""
        ...


_Item = TypeVar("_Item", bound=Item)


def listed(items: Sequence[Item]) -> list[Listed]:
    return [Listed(each.updated, each.told() if each.is_own else None) for each in items]


def linked_pages(kind: type[_Item], base: str) -> Read:
    """Read pages that are lists, with a link to the next one in their headers."""

    def read(answer: Answer) -> Page:
        return Page(listed(answer.decode(list[kind])), next_page(answer, base))  # type: ignore[valid-type]

    return read


def among(page: Page, head: str) -> PullRequest | None:
    """Find the pull request of a branch."""
    there = (each.pull_request for each in page.listed)
    return next((each for each in there if each is not None and each.head == head), None)


async def open_or_find(
    api: Api, path: str, body: Mapping[str, Any], kind: type[_Item], find: Callable[[], Awaitable[PullRequest | None]]
) -> PullRequest:
    """Open a pull request; where the forge refuses because there is one of that branch, return that.

    Raises:
        ForgeError
    """
    try:
        return (await api.send("POST", path, body)).decode(kind).told()
    except ForgeRefused as refused:
        there = await find()
        if there is None:
            raise refused from None
        return there


@dataclass
class _Known:
    newest: str = ""
    first: Answer | None = None
    by_number: dict[int, PullRequest] = field(default_factory=dict)

    def take(self, found: Sequence[Listed]) -> None:
        """Remember what came, the latest first, as far as it can matter: what is open, or ours."""
        self.newest = max([self.newest, *(each.updated for each in found)])
        for there in (each.pull_request for each in reversed(found)):
            if there is None:
                continue
            self.by_number.pop(there.number, None)
            if there.state is State.OPEN or there.proposes or aiu_key(there.head):
                self.by_number[there.number] = there
        while len(self.by_number) > _MOST_KEPT:
            del self.by_number[next(iter(self.by_number))]


@dataclass
class Listings:
    """What is known of the pull requests of each repository; the latest of them first in what a forge sends."""

    _known: OrderedDict[str, _Known] = field(default_factory=OrderedDict)

    async def refresh(self, api: Api, path: str, read: Read) -> Sequence[PullRequest]:
        """Learn what has happened since the last time.

        Args:
            api: the forge.
            path: of the first page, ordered by the time of the last change, the latest first.
            read: reads a page.

        Raises:
            ForgeError: the listing could not be had in whole; what was known stays.
        """
        known = self._known.setdefault(api.base + path, _Known())
        self._known.move_to_end(api.base + path)
        if len(self._known) > _MOST_REPOSITORIES:
            self._known.popitem(last=False)
        first = await api.get(path)
        if first is not known.first:
            known.take(await _pages(api, first, read, known.newest))
            known.first = first
        return tuple(known.by_number.values())


async def _pages(api: Api, first: Answer, read: Read, since: str) -> list[Listed]:
    """Read pages until one ends before the last look; of a first look, as many as are allowed."""
    found: list[Listed] = []
    answer = first
    for _ in range(_MOST_PAGES):
        page = read(answer)
        found += page.listed
        if not page.listed or not page.next or (since and page.listed[-1].updated < since):
            return found
        answer = await api.get(page.next.removeprefix(api.base))
    if since:
        raise ForgeError(f"{answer.place}: more has happened since the last look than {_MOST_PAGES} pages hold")
    return found
