"""GitHub and GitHub Enterprise: pull requests by REST, auto-merge by GraphQL, for REST has none.

https://docs.github.com/en/rest/pulls/pulls, https://docs.github.com/en/graphql/reference/mutations
"""

from collections.abc import Sequence
from dataclasses import dataclass
from urllib.parse import quote

import msgspec

from updater.adapters.forges.api import Api
from updater.adapters.forges.listing import Listings, Read, among, linked_pages, open_or_find
from updater.domain.errors import ForgeError
from updater.domain.pull_requests import PullRequest, State
from updater.formats.pull_request import proposals_in
from updater.ports.forges import NewPullRequest

_AUTOMERGE = """
mutation($id: ID!, $method: PullRequestMergeMethod!, $head: GitObjectID!) {
  enablePullRequestAutoMerge(input: {pullRequestId: $id, mergeMethod: $method, expectedHeadOid: $head}) {
    clientMutationId
  }
}
"""


class _Repository(msgspec.Struct):
    full_name: str


class _Side(msgspec.Struct):
    ref: str
    sha: str
    repo: _Repository | None = None
    """None when the repository was deleted."""


class _PullRequest(msgspec.Struct):
    number: int
    html_url: str
    state: str
    title: str
    head: _Side
    base: _Side
    node_id: str = ""
    body: str | None = None
    merged_at: str | None = None
    updated_at: str = ""

    @property
    def updated(self) -> str:
        return self.updated_at

    @property
    def is_own(self) -> bool:
        home, base = self.head.repo, self.base.repo
        return home is not None and base is not None and home.full_name == base.full_name

    def told(self) -> PullRequest:
        state = State.OPEN if self.state == "open" else State.MERGED if self.merged_at else State.CLOSED
        return PullRequest(
            number=self.number,
            url=self.html_url,
            head=self.head.ref,
            base=self.base.ref,
            state=state,
            title=self.title,
            body=self.body or "",
            commit=self.head.sha,
            id=self.node_id,
            proposes=proposals_in(self.body or ""),
        )


class _Comment(msgspec.Struct):
    body: str | None = None


class _GraphqlError(msgspec.Struct):
    message: str


class _GraphqlAnswer(msgspec.Struct):
    errors: list[_GraphqlError] = []


@dataclass(frozen=True, slots=True)
class GitHub:
    """Implements `Forge`."""

    api: Api
    listings: Listings
    repository: str
    """`<owner>/<name>`."""
    graphql: str
    """Address of the GraphQL API."""

    async def pull_requests(self) -> Sequence[PullRequest]:
        path = f"{self._path}?state=all&sort=updated&direction=desc&per_page=100"
        return await self.listings.refresh(self.api, path, self._page)

    async def open(self, wanted: NewPullRequest) -> PullRequest:
        body = {
            "title": wanted.title,
            "head": wanted.head,
            "base": wanted.base,
            "body": wanted.body,
            "draft": wanted.draft,
        }
        return await open_or_find(self.api, self._path, body, _PullRequest, lambda: self._of(wanted.head))

    async def _of(self, head: str) -> PullRequest | None:
        owner = self.repository.partition("/")[0]
        answer = await self.api.get(f"{self._path}?state=open&head={owner}:{quote(head, safe='')}")
        return among(self._page(answer), head)

    async def decorate(self, number: int, labels: Sequence[str], reviewers: Sequence[str]) -> None:
        if labels:
            await self.api.send("POST", f"{self._issue(number)}/labels", {"labels": list(labels)})
        if reviewers:
            teams = [each.partition("/")[2] for each in reviewers if "/" in each]
            users = [each for each in reviewers if "/" not in each]
            body = {"reviewers": users, "team_reviewers": teams}
            await self.api.send("POST", f"{self._path}/{number}/requested_reviewers", body)

    async def edit(self, pull_request: PullRequest, title: str, body: str, base: str) -> None:
        await self._change(pull_request.number, {"title": title, "body": body, "base": base})

    async def close(self, number: int, body: str) -> None:
        await self._change(number, {"state": "closed", "body": body})

    async def comment(self, number: int, text: str) -> None:
        await self.api.send("POST", f"{self._issue(number)}/comments", {"body": text})

    async def has_comment(self, number: int, text: str) -> bool:
        answer = await self.api.get(f"{self._issue(number)}/comments?per_page=100")
        return any(text in (each.body or "") for each in answer.decode(list[_Comment]))

    async def automerge(self, pull_request: PullRequest, commit: str, method: str) -> None:
        variables = {"id": pull_request.id, "method": method.upper(), "head": commit}
        answer = await self.api.graphql(self.graphql, _AUTOMERGE, variables)
        errors = answer.decode(_GraphqlAnswer).errors
        if errors:
            raise ForgeError(f"{pull_request.url} cannot be merged automatically: {errors[0].message}")

    async def _change(self, number: int, body: dict[str, str]) -> None:
        await self.api.send("PATCH", f"{self._path}/{number}", body)

    @property
    def _page(self) -> Read:
        return linked_pages(_PullRequest, self.api.base)

    @property
    def _path(self) -> str:
        return f"/repos/{self.repository}/pulls"

    def _issue(self, number: int) -> str:
        return f"/repos/{self.repository}/issues/{number}"
