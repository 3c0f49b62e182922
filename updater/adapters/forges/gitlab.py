"""GitLab, hosted or self-managed: merge requests.

https://docs.gitlab.com/api/merge_requests/, https://docs.gitlab.com/api/notes/
"""

from collections.abc import Sequence
from dataclasses import dataclass
from urllib.parse import quote

import msgspec

from updater.adapters.forges.api import Api
from updater.adapters.forges.listing import Listings, Read, among, linked_pages, open_or_find
from updater.domain.errors import ForgeRefused
from updater.domain.pull_requests import PullRequest, State
from updater.formats.pull_request import proposals_in
from updater.ports.forges import NewPullRequest

_DRAFT = "Draft: "
_STATES = {"opened": State.OPEN, "locked": State.OPEN, "merged": State.MERGED, "closed": State.CLOSED}


class _MergeRequest(msgspec.Struct):
    iid: int
    web_url: str
    state: str
    title: str
    source_branch: str
    target_branch: str
    source_project_id: int | None = None
    target_project_id: int | None = None
    description: str | None = None
    sha: str | None = None
    updated_at: str = ""

    @property
    def updated(self) -> str:
        return self.updated_at

    @property
    def is_own(self) -> bool:
        return self.source_project_id == self.target_project_id

    def told(self) -> PullRequest:
        mark = _DRAFT if self.title.startswith(_DRAFT) else ""
        return PullRequest(
            number=self.iid,
            url=self.web_url,
            head=self.source_branch,
            base=self.target_branch,
            state=_STATES.get(self.state, State.CLOSED),
            title=self.title.removeprefix(mark),
            body=self.description or "",
            commit=self.sha or "",
            draft_mark=mark,
            proposes=proposals_in(self.description or ""),
        )


class _Note(msgspec.Struct):
    body: str = ""


class _User(msgspec.Struct):
    id: int
    username: str = ""


@dataclass(frozen=True, slots=True)
class GitLab:
    """Implements `Forge`."""

    api: Api
    listings: Listings
    project: str
    """Path of the project, with its groups."""

    async def pull_requests(self) -> Sequence[PullRequest]:
        path = f"{self._path}?scope=all&state=all&order_by=updated_at&sort=desc&per_page=100"
        return await self.listings.refresh(self.api, path, self._page)

    async def open(self, wanted: NewPullRequest) -> PullRequest:
        body = {
            "title": f"{_DRAFT if wanted.draft else ''}{wanted.title}",
            "source_branch": wanted.head,
            "target_branch": wanted.base,
            "description": wanted.body,
            "remove_source_branch": True,
        }
        return await open_or_find(self.api, self._path, body, _MergeRequest, lambda: self._of(wanted.head))

    async def _of(self, head: str) -> PullRequest | None:
        answer = await self.api.get(f"{self._path}?scope=all&state=opened&source_branch={quote(head, safe='')}")
        return among(self._page(answer), head)

    async def decorate(self, number: int, labels: Sequence[str], reviewers: Sequence[str]) -> None:
        body: dict[str, object] = {"add_labels": ",".join(labels)} if labels else {}
        if reviewers:
            body["reviewer_ids"] = [await self._user(name) for name in reviewers]
        await self.api.send("PUT", f"{self._path}/{number}", body)

    async def _user(self, name: str) -> int:
        found = (await self.api.get(f"/users?username={quote(name, safe='')}")).decode(list[_User])
        if not found:
            raise ForgeRefused(f"{self.api.base} has no user {name}: correct the annotation pull-request.reviewers")
        return found[0].id

    async def edit(self, pull_request: PullRequest, title: str, body: str, base: str) -> None:
        marked = f"{pull_request.draft_mark}{title}"
        await self._change(pull_request.number, {"title": marked, "description": body, "target_branch": base})

    async def close(self, number: int, body: str) -> None:
        await self._change(number, {"state_event": "close", "description": body})

    async def comment(self, number: int, text: str) -> None:
        await self.api.send("POST", f"{self._path}/{number}/notes", {"body": text})

    async def has_comment(self, number: int, text: str) -> bool:
        notes = (await self.api.get(f"{self._path}/{number}/notes?per_page=100")).decode(list[_Note])
        return any(text in each.body for each in notes)

    async def automerge(self, pull_request: PullRequest, commit: str, method: str) -> None:
        """Have it merged once its pipeline succeeds; GitLab's project settings say how, squashing aside."""
        body: dict[str, object] = {
            "sha": commit,
            "squash": method == "squash",
            "auto_merge": True,
            "merge_when_pipeline_succeeds": True,
            "should_remove_source_branch": True,
        }
        await self.api.send("PUT", f"{self._path}/{pull_request.number}/merge", body)

    async def _change(self, number: int, body: dict[str, str]) -> None:
        await self.api.send("PUT", f"{self._path}/{number}", body)

    @property
    def _page(self) -> Read:
        return linked_pages(_MergeRequest, self.api.base)

    @property
    def _path(self) -> str:
        return f"/projects/{quote(self.project, safe='')}/merge_requests"
