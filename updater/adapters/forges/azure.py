"""Azure DevOps, in the cloud or self-managed: pull requests.

https://learn.microsoft.com/en-us/rest/api/azure/devops/git/pull-requests

Its listing knows no order but that of their numbers, and cuts descriptions. So a first look reads all, and each later
one those that are open, and by itself each that was open and is not any more. What a description proposes stands at
its beginning: what is ours is known by the part that is listed, and only that is read in whole.
"""

import asyncio
import re
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote

import msgspec

from updater.adapters.forges.api import Api
from updater.domain.errors import ForgeError, ForgeRefused
from updater.domain.pull_requests import PullRequest, State, aiu_key
from updater.formats.pull_request import is_marked, proposals_in
from updater.ports.forges import NewPullRequest

_VERSION = "api-version=7.0"
_PAGE = 100
_MOST_PAGES = 20
_MOST_REPOSITORIES = 200
_MOST_KEPT = 5_000
"""Pull requests of one repository that are open, or ours."""
_CUT = 400
"""Characters of a description in a listing."""
_STATES = {"active": State.OPEN, "completed": State.MERGED}
"""All others are of closed ones."""
_STRATEGIES = {"merge": "noFastForward", "squash": "squash", "rebase": "rebase"}
_HEADS = "refs/heads/"
_ID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", re.IGNORECASE)


class _Commit(msgspec.Struct, rename="camel"):
    commit_id: str = ""


class _Identity(msgspec.Struct, frozen=True):
    id: str = ""


class _PullRequest(msgspec.Struct, rename="camel"):
    pull_request_id: int
    status: str
    title: str
    source_ref_name: str
    target_ref_name: str
    description: str = ""
    last_merge_source_commit: _Commit | None = None
    created_by: _Identity = _Identity()
    fork_source: dict[str, Any] | None = None
    """Where it comes from another repository."""


class _PullRequests(msgspec.Struct):
    value: list[_PullRequest]


class _Comment(msgspec.Struct):
    content: str = ""


class _Thread(msgspec.Struct):
    comments: list[_Comment] = []


class _Threads(msgspec.Struct):
    value: list[_Thread]


@dataclass
class _Known:
    listed: dict[int, _PullRequest] = field(default_factory=dict)
    """What is open, or ours, as a listing told it last."""
    told: dict[int, PullRequest] = field(default_factory=dict)
    """The same in whole."""
    complete: bool = False
    """Whether the first look is over."""
    looking: asyncio.Lock = field(default_factory=asyncio.Lock)
    """Held by a look: a round's and a writer's may come together."""

    def forget(self, number: int) -> None:
        self.told.pop(number, None)
        self.listed.pop(number, None)


@dataclass
class Looks:
    """What is known of each repository."""

    _known: OrderedDict[str, _Known] = field(default_factory=OrderedDict)

    def of(self, base: str) -> _Known:
        known = self._known.setdefault(base, _Known())
        self._known.move_to_end(base)
        if len(self._known) > _MOST_REPOSITORIES:
            self._known.popitem(last=False)
        return known


@dataclass(frozen=True, slots=True)
class Azure:
    """Implements `Forge`."""

    api: Api
    looks: Looks
    web: str
    """Address of the repository's pages."""

    async def pull_requests(self) -> Sequence[PullRequest]:
        known = self.looks.of(self.api.base)
        async with known.looking:
            await self._look(known)
            return tuple(known.told.values())

    async def _look(self, known: _Known) -> None:
        found = {each.pull_request_id: each for each in await self._list("active" if known.complete else "all")}
        gone = [number for number, each in known.told.items() if each.state is State.OPEN and number not in found]
        for each in found.values():
            await self._learn(known, each)
        for number in gone:
            await self._see_off(known, number)
        known.complete = True
        while len(known.told) > _MOST_KEPT:
            known.forget(min(known.told))

    async def _see_off(self, known: _Known, number: int) -> None:
        """Learn what became of one that is not open any more, where it matters."""
        before = known.told[number]
        if before.proposes or aiu_key(before.head):
            known.told[number] = self._told(await self._read(number))
        else:
            known.forget(number)

    async def _learn(self, known: _Known, each: _PullRequest) -> None:
        """Take what a listing told; of ours, what it cut off is read when something is not as it was."""
        number = each.pull_request_id
        if each.fork_source is not None or known.listed.get(number) == each:
            return
        ours = is_marked(each.description) or aiu_key(each.source_ref_name.removeprefix(_HEADS))
        if each.status != "active" and not ours:
            known.forget(number)
            return
        whole = await self._read(number) if ours and len(each.description) >= _CUT else each
        known.told[number], known.listed[number] = self._told(whole), each

    async def _list(self, status: str) -> list[_PullRequest]:
        """Read all pages, the greatest number first; of a first look, as many as are allowed."""
        found: list[_PullRequest] = []
        for page in range(_MOST_PAGES):
            path = f"?searchCriteria.status={status}&$top={_PAGE}&$skip={page * _PAGE}&{_VERSION}"
            got = (await self.api.get(path)).decode(_PullRequests).value
            found += got
            if len(got) < _PAGE:
                return found
        if status == "active":
            raise ForgeError(f"{self.web} has more than {_MOST_PAGES * _PAGE} open pull requests")
        return found

    async def _read(self, number: int) -> _PullRequest:
        return (await self.api.get(f"/{number}?{_VERSION}")).decode(_PullRequest)

    async def open(self, wanted: NewPullRequest) -> PullRequest:
        """Open one, and know it from then on: who closes it before the next look is noticed."""
        there = await self._open(wanted)
        self.looks.of(self.api.base).told[there.number] = there
        return there

    async def _open(self, wanted: NewPullRequest) -> PullRequest:
        body = {
            "title": wanted.title,
            "sourceRefName": f"{_HEADS}{wanted.head}",
            "targetRefName": f"{_HEADS}{wanted.base}",
            "description": wanted.body,
            "isDraft": wanted.draft,
        }
        try:
            return self._told((await self.api.send("POST", f"?{_VERSION}", body)).decode(_PullRequest))
        except ForgeRefused as refused:
            there = await self._of(wanted.head)
            if there is None:
                raise refused from None
            return there

    async def _of(self, head: str) -> PullRequest | None:
        source = quote(f"{_HEADS}{head}", safe="")
        path = f"?searchCriteria.status=active&searchCriteria.sourceRefName={source}&{_VERSION}"
        found = (await self.api.get(path)).decode(_PullRequests).value
        own = next((each for each in found if each.fork_source is None), None)
        return self._told(await self._read(own.pull_request_id)) if own else None

    async def decorate(self, number: int, labels: Sequence[str], reviewers: Sequence[str]) -> None:
        for label in labels:
            await self.api.send("POST", f"/{number}/labels?{_VERSION}", {"name": label})
        for each in reviewers:
            if not _ID.fullmatch(each):
                raise ForgeRefused(
                    f"Azure DevOps knows reviewers by their id, and {each} is none: correct the annotation"
                )
            await self.api.send("PUT", f"/{number}/reviewers/{each}?{_VERSION}", {"vote": 0, "isRequired": False})

    async def edit(self, pull_request: PullRequest, title: str, body: str, base: str) -> None:
        change = {"title": title, "description": body}
        if base != pull_request.base:
            change["targetRefName"] = f"{_HEADS}{base}"
        await self._change(pull_request.number, change)

    async def close(self, number: int, body: str) -> None:
        await self._change(number, {"status": "abandoned", "description": body})

    async def comment(self, number: int, text: str) -> None:
        thread = {"comments": [{"parentCommentId": 0, "content": text, "commentType": "text"}], "status": "closed"}
        await self.api.send("POST", f"/{number}/threads?{_VERSION}", thread)

    async def has_comment(self, number: int, text: str) -> bool:
        threads = (await self.api.get(f"/{number}/threads?{_VERSION}")).decode(_Threads).value
        return any(text in each.content for thread in threads for each in thread.comments)

    async def automerge(self, pull_request: PullRequest, commit: str, method: str) -> None:
        """Have it completed once its policies are met; a commit that is added later is completed as well."""
        there = await self._read(pull_request.number)
        now = there.last_merge_source_commit.commit_id if there.last_merge_source_commit else ""
        if now != commit:
            raise ForgeError(
                f"{pull_request.url} is at {now or 'no commit'} and not at {commit}: not completed by itself"
            )
        options = {"mergeStrategy": _STRATEGIES[method], "deleteSourceBranch": True}
        change = {"autoCompleteSetBy": {"id": there.created_by.id}, "completionOptions": options}
        await self._change(pull_request.number, change)

    async def _change(self, number: int, change: Mapping[str, object]) -> None:
        """Change it; what its listing cuts off has to be read again then."""
        self.looks.of(self.api.base).listed.pop(number, None)
        await self.api.send("PATCH", f"/{number}?{_VERSION}", change)

    def _told(self, each: _PullRequest) -> PullRequest:
        return PullRequest(
            number=each.pull_request_id,
            url=f"{self.web}/pullrequest/{each.pull_request_id}",
            head=each.source_ref_name.removeprefix(_HEADS),
            base=each.target_ref_name.removeprefix(_HEADS),
            state=_STATES.get(each.status, State.CLOSED),
            title=each.title,
            body=each.description,
            commit=each.last_merge_source_commit.commit_id if each.last_merge_source_commit else "",
            proposes=proposals_in(each.description),
        )
