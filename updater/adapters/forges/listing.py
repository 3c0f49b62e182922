"""One listing of a repository's pull requests for a round: the first page, unless more has happened than it holds."""

from collections import OrderedDict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace

from updater.adapters.forges.api import Answer, Api, next_page
from updater.domain.errors import ForgeError
from updater.domain.pull_requests import PullRequest, State, aiu_key
from updater.formats.pull_request import proposals_in

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


Read = Callable[[Answer], Sequence[Listed]]
"""Reads a page."""


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
        found += page
        where = next_page(answer, api.base)
        if not page or not where or (since and page[-1].updated < since):
            return found
        answer = await api.get(where.removeprefix(api.base))
    if since:
        raise ForgeError(f"{answer.place}: more has happened since the last look than {_MOST_PAGES} pages hold")
    return found


def with_proposals(there: PullRequest) -> PullRequest:
    """Read in its text what it proposes."""
    return replace(there, proposes=proposals_in(there.body))
