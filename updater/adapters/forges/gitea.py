"""Gitea and Forgejo: pull requests.

https://docs.gitea.com/api/, https://codeberg.org/api/swagger
"""

from collections.abc import Sequence
from dataclasses import dataclass

import msgspec

from updater.adapters.forges.api import Api, next_page
from updater.adapters.forges.listing import Listings, Read, among, linked_pages, open_or_find
from updater.domain.errors import ForgeRefused
from updater.domain.pull_requests import PullRequest, State
from updater.formats.pull_request import proposals_in
from updater.ports.forges import NewPullRequest

_DRAFT = "WIP: "
_MOST_LABELS = 2_000
_SCHEDULED_ALREADY = "already scheduled"


class _Side(msgspec.Struct):
    ref: str
    """`refs/pull/<number>/head` once the branch is gone."""
    label: str = ""
    """The branch's name also then."""
    sha: str = ""
    repo_id: int = 0


class _PullRequest(msgspec.Struct):
    number: int
    html_url: str
    state: str
    title: str
    head: _Side
    base: _Side
    body: str | None = None
    merged: bool = False
    updated_at: str = ""

    @property
    def updated(self) -> str:
        return self.updated_at

    @property
    def is_own(self) -> bool:
        return self.head.repo_id == self.base.repo_id

    def told(self) -> PullRequest:
        mark = _DRAFT if self.title.startswith(_DRAFT) else ""
        state = State.MERGED if self.merged else State.OPEN if self.state == "open" else State.CLOSED
        return PullRequest(
            number=self.number,
            url=self.html_url,
            head=self.head.label or self.head.ref,
            base=self.base.ref,
            state=state,
            title=self.title.removeprefix(mark),
            body=self.body or "",
            commit=self.head.sha,
            draft_mark=mark,
            proposes=proposals_in(self.body or ""),
        )


class _Label(msgspec.Struct):
    id: int
    name: str


class _Comment(msgspec.Struct):
    body: str = ""


@dataclass(frozen=True, slots=True)
class Gitea:
    """Implements `Forge`."""

    api: Api
    listings: Listings
    repository: str
    """`<owner>/<name>`."""

    async def pull_requests(self) -> Sequence[PullRequest]:
        path = f"{self._path}/pulls?state=all&sort=recentupdate&limit=50"
        return await self.listings.refresh(self.api, path, self._page)

    async def open(self, wanted: NewPullRequest) -> PullRequest:
        body = {
            "title": f"{_DRAFT if wanted.draft else ''}{wanted.title}",
            "head": wanted.head,
            "base": wanted.base,
            "body": wanted.body,
        }
        return await open_or_find(self.api, f"{self._path}/pulls", body, _PullRequest, lambda: self._of(wanted.head))

    async def _of(self, head: str) -> PullRequest | None:
        """Look among the open ones; there is no question for those of one branch alone in all versions."""
        answer = await self.api.get(f"{self._path}/pulls?state=open&sort=recentupdate&limit=50")
        return among(self._page(answer), head)

    async def decorate(self, number: int, labels: Sequence[str], reviewers: Sequence[str]) -> None:
        if reviewers:
            teams = [each.partition("/")[2] for each in reviewers if "/" in each]
            users = [each for each in reviewers if "/" not in each]
            body = {"reviewers": users, "team_reviewers": teams}
            await self.api.send("POST", f"{self._path}/pulls/{number}/requested_reviewers", body)
        if labels:
            ids = await self._label_ids(labels)
            await self.api.send("POST", f"{self._path}/issues/{number}/labels", {"labels": ids})

    async def _label_ids(self, labels: Sequence[str]) -> list[int]:
        ids: dict[str, int] = {}
        page = f"{self._path}/labels?limit=50"
        while page and not set(labels) <= ids.keys() and len(ids) < _MOST_LABELS:
            answer = await self.api.get(page)
            ids |= {each.name: each.id for each in answer.decode(list[_Label])}
            page = next_page(answer, self.api.base).removeprefix(self.api.base)
        missing = [label for label in labels if label not in ids]
        if missing:
            raise ForgeRefused(f"{self.repository} has no label {missing[0]}: add it in the repository's settings")
        return [ids[label] for label in labels]

    async def edit(self, pull_request: PullRequest, title: str, body: str, base: str) -> None:
        marked = f"{pull_request.draft_mark}{title}"
        change = {"title": marked, "body": body, **({"base": base} if base != pull_request.base else {})}
        await self._change(pull_request.number, change)

    async def close(self, number: int, body: str) -> None:
        await self._change(number, {"state": "closed", "body": body})

    async def comment(self, number: int, text: str) -> None:
        await self.api.send("POST", f"{self._path}/issues/{number}/comments", {"body": text})

    async def has_comment(self, number: int, text: str) -> bool:
        comments = (await self.api.get(f"{self._path}/issues/{number}/comments")).decode(list[_Comment])
        return any(text in each.body for each in comments)

    async def automerge(self, pull_request: PullRequest, commit: str, method: str) -> None:
        body = {"Do": method, "merge_when_checks_succeed": True, "head_commit_id": commit}
        try:
            await self.api.send("POST", f"{self._path}/pulls/{pull_request.number}/merge", body)
        except ForgeRefused as refused:
            if _SCHEDULED_ALREADY not in str(refused):
                raise

    async def _change(self, number: int, body: dict[str, str]) -> None:
        await self.api.send("PATCH", f"{self._path}/pulls/{number}", body)

    @property
    def _page(self) -> Read:
        return linked_pages(_PullRequest, self.api.base)

    @property
    def _path(self) -> str:
        return f"/repos/{self.repository}"
