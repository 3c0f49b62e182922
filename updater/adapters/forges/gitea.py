"""Gitea and Forgejo: pull requests.

https://docs.gitea.com/api/, https://codeberg.org/api/swagger
"""

from collections.abc import Sequence
from dataclasses import dataclass

import msgspec

from updater.adapters.forges.api import Answer, Api
from updater.adapters.forges.listing import Listed, Listings, with_proposals
from updater.domain.errors import ForgeRefused
from updater.domain.pull_requests import PullRequest, State
from updater.ports.forges import NewPullRequest

_DRAFT = "WIP: "
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
        return await self.listings.refresh(self.api, path, _page)

    async def open(self, wanted: NewPullRequest) -> PullRequest:
        body = {
            "title": f"{_DRAFT if wanted.draft else ''}{wanted.title}",
            "head": wanted.head,
            "base": wanted.base,
            "body": wanted.body,
        }
        try:
            return _told((await self.api.send("POST", f"{self._path}/pulls", body)).decode(_PullRequest))
        except ForgeRefused as refused:
            there = await self._of(wanted.head)
            if there is None:
                raise refused from None
            return there

    async def _of(self, head: str) -> PullRequest | None:
        """Look among the open ones; there is no question for those of one branch alone in all versions."""
        answer = await self.api.get(f"{self._path}/pulls?state=open&sort=recentupdate&limit=50")
        there = (each.pull_request for each in _page(answer))
        return next((each for each in there if each is not None and each.head == head), None)

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
        found = (await self.api.get(f"{self._path}/labels?limit=50")).decode(list[_Label])
        ids = {each.name: each.id for each in found}
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
    def _path(self) -> str:
        return f"/repos/{self.repository}"


def _page(answer: Answer) -> list[Listed]:
    return [
        Listed(each.updated_at, _told(each) if each.head.repo_id == each.base.repo_id else None)
        for each in answer.decode(list[_PullRequest])
    ]


def _told(each: _PullRequest) -> PullRequest:
    mark = _DRAFT if each.title.startswith(_DRAFT) else ""
    state = State.MERGED if each.merged else State.OPEN if each.state == "open" else State.CLOSED
    return with_proposals(
        PullRequest(
            number=each.number,
            url=each.html_url,
            head=each.head.label or each.head.ref,
            base=each.base.ref,
            state=state,
            title=each.title.removeprefix(mark),
            body=each.body or "",
            commit=each.head.sha,
            draft_mark=mark,
        )
    )
