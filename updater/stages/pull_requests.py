"""Propose what is on a branch of ours: open its pull request, renew it, close it, and hear what people said there.

A look at the forge is one listing for a repository. Whatever is done next is done by what that listing says, so that
what is asked of a forge twice, because an answer was lost, is done once.
"""

import asyncio
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import chain
from typing import NamedTuple

import structlog

from updater.domain.decision import Decision, Hold, UpToDate
from updater.domain.errors import ForgeError, GitError, Misconfigured, UpdaterError
from updater.domain.image import ImageVersion
from updater.domain.messages import ImageIdentity, ReviewMoved, UpdateDecided, WriterMessage
from updater.domain.pull_requests import (
    Proposed,
    PullRequest,
    PullRequestSettings,
    Standing,
    State,
    Wanted,
    declined,
    outdated,
    standing,
)
from updater.domain.rollback import taken_back
from updater.domain.target import Branch, GitTarget, repository_key
from updater.formats.branch_name import aiu_keys, aiu_name, target_key
from updater.formats.commit import CommitStyle
from updater.formats.gotemplate import TemplateError
from updater.formats.pull_request import Words, without_proposals, word
from updater.ports.cluster import Leadership
from updater.ports.forges import Forge, Forges, NewPullRequest
from updater.ports.git import GitBranch
from updater.ports.memory import WriteMemory
from updater.stages.batch import Planned, planned_by_application
from updater.stages.board import Board
from updater.stages.commits import Commits
from updater.stages.proposals import BranchNotOurs, Proposals, check_ours
from updater.stages.waiting import wait_for_event

log = structlog.get_logger()

Decided = tuple[UpdateDecided, Decision]
_BETWEEN_NUDGED = 5.0
"""Seconds between two looks that webhooks ask for, however many there are: one merge is told by several."""
_TOLD = 12
"""Characters of a commit's hash."""
_LEFT_ALONE = "<!-- updater: left alone -->"
_NOT_OURS = """\
This branch has a commit that is not ours, so it is left alone from here on: nothing is added to it, and what is written
here is not renewed. Merge it, or delete the branch, and the next update gets a new one."""


class NoForges:
    """Implements `Forges` where there is none."""

    async def forge(self, branch: Branch) -> Forge:
        raise Misconfigured(f"{branch.url} is on no forge that is known here: remove the annotation pull-request")


NO_FORGES = NoForges()


class _Mark(NamedTuple):
    """By which it is seen that a pull request is not what it was."""

    head: str
    number: int
    state: State
    commit: str
    """Its beginning: Bitbucket tells no more."""


def _mark(head: str, number: int, state: State, commit: str) -> _Mark:
    return _Mark(head, number, state, commit[:_TOLD])


@dataclass
class PullRequests:
    """The forges, and what was seen there."""

    forges: Forges
    memory: WriteMemory
    board: Board
    commits: Commits
    _seen: dict[str, frozenset[_Mark]] = field(default_factory=dict)
    """By repository."""
    _done: set[tuple[str, str, str]] = field(default_factory=set)
    """What was asked of a pull request already, at a commit."""

    async def review(self, branch: Branch) -> "Review":
        """Look at the pull requests of a branch's repository.

        Raises:
            Misconfigured, ClusterError, GitError, ForgeError
        """
        assert branch.pull_request is not None  # noqa: S101 - else nobody asks
        forge = await self.forges.forge(branch)
        listing = await forge.pull_requests()
        self._seen[repository_key(branch.url)] = _marks(listing)
        return Review(self, branch, branch.pull_request, forge, list(listing))

    async def moved(self, branch: Branch) -> set[str]:
        """Name the branches of whose pull requests something is not as it was at the last look.

        Raises:
            Misconfigured, ClusterError, GitError, ForgeError
        """
        before = self._seen.get(repository_key(branch.url), frozenset())
        forge = await self.forges.forge(branch)
        now = _marks(await forge.pull_requests())
        return {mark.head for mark in now ^ before}

    def noted(self, branch: Branch, there: PullRequest, commit: str) -> None:
        """Take what we did ourselves for seen."""
        key = repository_key(branch.url)
        others = {mark for mark in self._seen.get(key, ()) if mark.number != there.number}
        self._seen[key] = frozenset({*others, _mark(there.head, there.number, State.OPEN, commit)})

    def once(self, there: PullRequest, what: str, commit: str) -> bool:
        """Tell whether something has not been asked of a pull request yet, as far as is remembered."""
        return (there.url, what, commit) not in self._done

    def did(self, there: PullRequest, what: str, commit: str) -> None:
        self._done.add((there.url, what, commit))


@dataclass
class Review:
    """One look at the pull requests of a repository, and what is done by it."""

    all: PullRequests
    branch: Branch
    settings: PullRequestSettings
    forge: Forge
    listing: list[PullRequest]

    def standing(self, name: str, planned: Sequence[Planned]) -> Standing:
        """Tell which pull request there is for what is planned on a branch."""
        adoptable = frozenset[str]() if self.branch.target else frozenset(chain.from_iterable(map(_keys, planned)))
        return standing(self.listing, Wanted(name, frozenset(map(_planned, planned)), adoptable))

    def merged(self, name: str) -> frozenset[str]:
        """Give the commits, cut short, at which a branch was when its pull requests were merged."""
        there = (each for each in self.listing if each.head == name and each.state is State.MERGED)
        return frozenset(each.commit[:_TOLD] for each in there if each.commit)

    async def sort_out(
        self, wanted: Sequence[UpdateDecided], planned: Sequence[Planned]
    ) -> tuple[list[UpdateDecided], list[Decided]]:
        """Part what may be proposed from what a person declined."""
        elsewhere = _elsewhere(planned)
        kept: list[UpdateDecided] = []
        held: list[Decided] = []
        for decided in wanted:
            hold = await self._declined(decided, elsewhere.get(decided.identity, ()))
            if hold is None:
                kept.append(decided)
            else:
                held.append((decided, hold))
        return kept, held

    async def _declined(self, decided: UpdateDecided, elsewhere: Collection[str]) -> Hold | None:
        name, image, update = decided.tracked.name, decided.image, decided.decision
        if image.policy.rollback_overwrite:
            return None
        each = _proposed(decided, update.version)
        found = (declined(self.listing, each, branch) for branch in ("", *elsewhere))
        there = next(filter(None, found), None)
        if there is None:
            return None
        if update.released:
            memory = await self.all.memory.memory(name, image.alias, image.target)
            if memory.declined_in == there.url:
                return None
        log.info("pull_request.declined", application=each.application, alias=each.alias, url=there.url)
        return taken_back(update.version, update.version, there.url)

    async def keep(self, request: PullRequest, base: str, words: Words, commit: str) -> None:
        """Have a pull request say what is on its branch, and merge itself where that is wanted.

        Raises:
            ForgeError
        """
        if not _says(request, words, base):
            await self.forge.edit(request, words.title, words.body, base)
            log.info("pull_request.updated", url=request.url, title=words.title)
        self.all.noted(self.branch, request, commit)
        if self.settings.automerge and self.all.once(request, "automerge", commit):
            await self.forge.automerge(request, commit, self.settings.automerge)
            self.all.did(request, "automerge", commit)
            log.info("pull_request.automerge_set", url=request.url, method=self.settings.automerge)

    async def open(self, head: str, base: str, words: Words) -> PullRequest:
        """Open a pull request, or find the one that there is; labels and reviewers that cannot be had stop nothing.

        Raises:
            ForgeRefused: there is none, and will be none.
            ForgeError: it is not known whether there is one.
        """
        wanted = NewPullRequest(head, base, words.title, words.body, self.settings.draft)
        request = await self.forge.open(wanted)
        log.info("pull_request.opened", url=request.url, head=head, base=base, title=words.title)
        if self.settings.labels or self.settings.reviewers:
            try:
                await self.forge.decorate(request.number, self.settings.labels, self.settings.reviewers)
            except ForgeError as error:
                log.warning("pull_request.not_decorated", url=request.url, reason=str(error))
        return request

    async def leave_alone(self, there: PullRequest | None, commit: str) -> None:
        """Say once, in the pull request, that it is left alone for somebody's commit."""
        if there is None or not self.all.once(there, "left alone", ""):
            return
        try:
            if not await self.forge.has_comment(there.number, _LEFT_ALONE):
                await self.forge.comment(there.number, f"{_NOT_OURS}\n\n{_LEFT_ALONE}")
                log.info("pull_request.left_alone", url=there.url, commit=commit)
            self.all.did(there, "left alone", "")
        except ForgeError as error:
            log.warning("pull_request.not_commented", url=there.url, reason=str(error))

    async def close_superseded(self, there: Standing, remote: GitBranch, url: str) -> None:
        for each in there.superseded:
            await self._close(each, remote, f"Superseded by {url}.")

    async def close_outdated(self, settled: Sequence[Decided], remote: GitBranch) -> None:
        """Close what the base has left behind."""
        on_base = [
            _proposed(decided, decision.version)
            for decided, decision in settled
            if isinstance(decision, UpToDate) and decision.version
        ]
        for each in outdated(self.listing, on_base):
            await self._close(each, remote, "The base has something else by now, so this is not needed any more.")

    async def _close(self, there: PullRequest, remote: GitBranch, why: str) -> None:
        """Close a pull request of ours with a word, and delete its branch when nobody else committed to it.

        What cannot be done is said, and tried again at the next look: nothing that is wanted waits for it.
        """
        try:
            tip = await remote.tip(there.head)
            if tip is not None:
                check_ours(tip, there.head, self.all.commits.author.email)
            await self.forge.close(there.number, without_proposals(there.body))
            log.info("pull_request.closed", url=there.url, reason=why)
            self.listing.remove(there)
            await self.forge.comment(there.number, why)
            if tip is not None:
                await remote.push(tip.commit, "", there.head)
        except BranchNotOurs as error:
            await self.leave_alone(there, error.commit)
        except (ForgeError, GitError) as error:
            log.warning("pull_request.not_closed", url=there.url, reason=str(error))

    def words(self, planned: Sequence[Planned]) -> Words:
        """Word the pull request of what is planned; a template that does not fit is said, and ours stand in for it."""
        changes = sorted((each.change for each in planned), key=lambda each: (each.application, each.alias))
        pending = self._pending(planned)
        proposes = list(map(_planned, planned))
        try:
            return word(changes, proposes, self.all.commits.style, self.settings, pending)
        except TemplateError as error:
            log.warning("pull_request.template_failed", repository=self.branch.url, reason=str(error))
            plain = PullRequestSettings(self.settings.forge)
            return word(changes, proposes, CommitStyle(), plain, pending)

    def _pending(self, planned: Sequence[Planned]) -> list[str]:
        """Say what else there is to be had for the applications, and is not taken."""
        names = dict.fromkeys(each.decided.tracked.name for each in planned)
        return [
            f"`{view.tracked.image.written}` `{view.decision.candidate}` for `{name}`, held: {view.decision.reason}"
            for name in sorted(names)
            for view in self.all.board.views(name)
            if isinstance(view.decision, Hold) and view.decision.candidate
        ]


@dataclass
class ReviewRounds:
    """Look at the forges from time to time, and have looked at again what people did something with.

    A webhook of a forge makes it look at one repository at once.
    """

    all: PullRequests
    proposals: Proposals
    out: asyncio.Queue[WriterMessage]
    leadership: Leadership
    interval: float
    """Seconds."""
    _said: dict[str, str] = field(default_factory=dict)
    """By repository: why it could not be looked at."""
    _nudged: set[str] = field(default_factory=set)
    """Repositories."""
    _woken: asyncio.Event = field(default_factory=asyncio.Event)

    def nudge(self, urls: Collection[str]) -> int:
        """Have a repository looked at now, whichever of its addresses it is used by; return how many branches wait."""
        keys = set(map(_spelled, urls))
        there = {_spelled(branch.url): names for branch, names in self.proposals.waiting().items()}
        found = keys & there.keys()
        if found:
            self._nudged |= found
            self._woken.set()
        return sum(len(there[key]) for key in found)

    async def run(self) -> None:
        time = asyncio.get_running_loop().time
        looked = time()
        while True:
            woken = await wait_for_event(self._woken, until=looked + self.interval)
            nudged, self._nudged = self._nudged, set()
            self._woken.clear()
            everything = time() >= looked + self.interval
            if everything:
                looked = time()
            await self._look_at(None if everything else nudged)
            if woken:
                await asyncio.sleep(_BETWEEN_NUDGED)

    async def _look_at(self, chosen: Collection[str] | None) -> None:
        """Look at some repositories, or at all; one that answers late keeps none waiting."""
        if not self.leadership.holds():
            return
        async with asyncio.TaskGroup() as tasks:
            for branch, names in self.proposals.waiting().items():
                if chosen is None or _spelled(branch.url) in chosen:
                    tasks.create_task(self._look(branch, names), name=f"look at {branch.url}")

    async def _look(self, branch: Branch, names: Mapping[str, Sequence[ImageIdentity]]) -> None:
        try:
            moved = await self.all.moved(branch)
        except UpdaterError as error:
            if self._said.get(branch.url) != str(error):
                self._said[branch.url] = str(error)
                log.warning("forge.not_looked_at", repository=branch.url, reason=str(error))
            return
        self._said.pop(branch.url, None)
        for name in moved & names.keys():
            await self.out.put(ReviewMoved(tuple(names[name])))


def _spelled(url: str) -> str:
    """Name a repository for comparison with what a forge calls it: people write capitals as they like."""
    return repository_key(url).casefold()


def _marks(listing: Sequence[PullRequest]) -> frozenset[_Mark]:
    return frozenset(_mark(each.head, each.number, each.state, each.commit) for each in listing)


def _says(request: PullRequest, words: Words, base: str) -> bool:
    same_body = request.body.replace("\r\n", "\n").strip() == words.body.strip()
    return same_body and request.title == words.title and request.base == base


def _planned(planned: Planned) -> Proposed:
    return _proposed(planned.decided, planned.update.version)


def _proposed(decided: UpdateDecided, version: ImageVersion) -> Proposed:
    """Tell how a version of an image stands in the text of a pull request."""
    target = decided.image.target
    assert isinstance(target, GitTarget)  # noqa: S101 - only such targets get here
    return Proposed(str(decided.tracked.name), decided.image.alias, str(version), target_key(target))


def _keys(planned: Planned) -> frozenset[str]:
    target = planned.decided.image.target
    return aiu_keys(target) if isinstance(target, GitTarget) else frozenset()


def _elsewhere(planned: Sequence[Planned]) -> dict[ImageIdentity, list[str]]:
    """Name the branches on which Argo CD Image Updater would propose just what is planned for each application."""
    return {
        each.decided.identity: [aiu_name([one.change for one in own], key) for key in _keys(each)]
        for own in planned_by_application(planned)
        for each in own
    }
