"""Bitbucket Cloud: pull requests. It has no labels, and nothing that merges by itself.

https://developer.atlassian.com/cloud/bitbucket/rest/api-group-pullrequests/
"""

from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from urllib.parse import quote

import msgspec

from updater.adapters.forges.api import Answer, Api, on_same_server
from updater.adapters.forges.listing import Listings, Page, among, listed, open_or_find
from updater.domain.errors import ForgeError, ForgeRefused
from updater.domain.pull_requests import PullRequest, State
from updater.formats.pull_request import proposals_in
from updater.ports.forges import NewPullRequest

_STATES = {"OPEN": State.OPEN, "MERGED": State.MERGED}
"""All others are of closed ones."""


class _Branch(msgspec.Struct):
    name: str


class _Commit(msgspec.Struct):
    hash: str
    """Its first twelve characters."""


class _Repository(msgspec.Struct):
    full_name: str


class _Side(msgspec.Struct):
    branch: _Branch
    commit: _Commit | None = None
    repository: _Repository | None = None
    """None when it was deleted."""


class _Link(msgspec.Struct):
    href: str


class _Links(msgspec.Struct):
    html: _Link


class _Reviewer(msgspec.Struct):
    uuid: str


class _PullRequest(msgspec.Struct):
    id: int
    title: str
    state: str
    source: _Side
    destination: _Side
    links: _Links
    description: str | None = None
    updated_on: str = ""
    reviewers: list[_Reviewer] = []
    """Only where one pull request is told by itself."""

    @property
    def updated(self) -> str:
        return self.updated_on

    @property
    def is_own(self) -> bool:
        home, base = self.source.repository, self.destination.repository
        return home is not None and base is not None and home.full_name == base.full_name

    def told(self) -> PullRequest:
        return PullRequest(
            number=self.id,
            url=self.links.html.href,
            head=self.source.branch.name,
            base=self.destination.branch.name,
            state=_STATES.get(self.state, State.CLOSED),
            title=self.title,
            body=self.description or "",
            commit=self.source.commit.hash if self.source.commit else "",
            proposes=proposals_in(self.description or ""),
        )


class _PullRequests(msgspec.Struct):
    values: list[_PullRequest]
    next: str = ""


class _Content(msgspec.Struct):
    raw: str = ""


class _Comment(msgspec.Struct):
    content: _Content


class _Comments(msgspec.Struct):
    values: list[_Comment]


@dataclass(frozen=True, slots=True)
class Bitbucket:
    """Implements `Forge`."""

    api: Api
    listings: Listings
    repository: str
    """`<workspace>/<name>`."""

    async def pull_requests(self) -> Sequence[PullRequest]:
        states = "&".join(f"state={state}" for state in ("OPEN", "MERGED", "DECLINED", "SUPERSEDED"))
        return await self.listings.refresh(self.api, f"{self._path}?{states}&sort=-updated_on&pagelen=50", self._page)

    async def open(self, wanted: NewPullRequest) -> PullRequest:
        body = {
            "title": wanted.title,
            "source": {"branch": {"name": wanted.head}},
            "destination": {"branch": {"name": wanted.base}},
            "description": wanted.body,
            "close_source_branch": True,
            "draft": wanted.draft,
        }
        return await open_or_find(self.api, self._path, body, _PullRequest, lambda: self._of(wanted.head))

    async def _of(self, head: str) -> PullRequest | None:
        name = head.replace("\\", "\\\\").replace('"', '\\"')
        query = quote(f'source.branch.name = "{name}"', safe="")
        return among(self._page(await self.api.get(f"{self._path}?state=OPEN&q={query}&pagelen=50")), head)

    async def decorate(self, number: int, labels: Sequence[str], reviewers: Sequence[str]) -> None:
        """Ask for reviews; who is asked is named by account id, or by UUID in braces."""
        if reviewers:
            asked = [{"uuid" if each.startswith("{") else "account_id": each} for each in reviewers]
            await self._change(await self._read(number), {"reviewers": asked})
        if labels:
            raise ForgeRefused("Bitbucket knows no labels of pull requests: remove the annotation pull-request.labels")

    async def edit(self, pull_request: PullRequest, title: str, body: str, base: str) -> None:
        change = {"title": title, "description": body, "destination": {"branch": {"name": base}}}
        await self._change(await self._read(pull_request.number), change)

    async def close(self, number: int, body: str) -> None:
        """Decline it; its text is changed before, for what is declined cannot be changed any more.

        Where it is not declined then, it gets its old text again: what it proposes is how it is found.
        """
        there = await self._read(number)
        await self._change(there, {"description": body})
        try:
            await self.api.send("POST", f"{self._path}/{number}/decline", {})
        except ForgeError:
            with suppress(ForgeError):
                await self._change(there, {"description": there.description})
            raise

    async def comment(self, number: int, text: str) -> None:
        await self.api.send("POST", f"{self._path}/{number}/comments", {"content": {"raw": text}})

    async def has_comment(self, number: int, text: str) -> bool:
        answer = await self.api.get(f"{self._path}/{number}/comments?pagelen=100")
        return any(text in each.content.raw for each in answer.decode(_Comments).values)

    async def automerge(self, pull_request: PullRequest, commit: str, method: str) -> None:
        del pull_request, commit, method
        raise ForgeRefused("Bitbucket merges nothing by itself: remove the annotation pull-request.automerge")

    async def _read(self, number: int) -> _PullRequest:
        return (await self.api.get(f"{self._path}/{number}")).decode(_PullRequest)

    async def _change(self, there: _PullRequest, change: Mapping[str, object]) -> None:
        """Change a pull request, and keep its reviewers: a change that does not name them removes them."""
        kept = {"title": there.title, "reviewers": [{"uuid": each.uuid} for each in there.reviewers]}
        await self.api.send("PUT", f"{self._path}/{there.id}", {**kept, **change})

    def _page(self, answer: Answer) -> Page:
        page = answer.decode(_PullRequests)
        return Page(listed(page.values), page.next if on_same_server(page.next, self.api.base) else "")

    @property
    def _path(self) -> str:
        return f"/repositories/{self.repository}/pullrequests"
