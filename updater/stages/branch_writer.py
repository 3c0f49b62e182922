"""Write to one branch: one look, one commit, one push for all that wait for it, again on the new head when beaten."""

import asyncio
import random
from collections.abc import Awaitable, Callable, Collection, Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import NamedTuple

import structlog

from updater.domain.application import Application, ApplicationName
from updater.domain.decision import Decision, Hold, UpToDate
from updater.domain.errors import (
    ClusterError,
    ForgeError,
    ForgeRefused,
    GitError,
    LeadershipLost,
    Misconfigured,
    PushStale,
    UpdaterError,
)
from updater.domain.measurements import BatchPushed, Measure, unmeasured
from updater.domain.messages import ImageIdentity, UpdateDecided
from updater.domain.target import Branch, BranchKey, GitTarget, repository_key
from updater.ports.cluster import Leadership
from updater.ports.git import GitBranch, GitServer, Tip
from updater.ports.memory import PendingWrite, WriteMemory
from updater.ports.tracing import UNTRACED, Tracing
from updater.stages.batch import Plan, Planned, plan
from updater.stages.batch_files import read_batch
from updater.stages.board import Board
from updater.stages.carried import carried
from updater.stages.commits import Commits
from updater.stages.parting import by_branch, by_spelling
from updater.stages.proposals import BranchNotOurs, Proposals, carries, check_ours
from updater.stages.pull_requests import PullRequests, Review
from updater.stages.refreshes import Refreshes
from updater.stages.unhurried import unhurried

log = structlog.get_logger()

Waiting = Mapping[Hashable, UpdateDecided]
_NAMED = 20
"""Applications, in a trace."""


@dataclass
class BranchWriter:
    """Handles the batches of Git branches."""

    git: GitServer
    refreshes: Refreshes
    memory: WriteMemory
    board: Board
    commits: Commits
    push_tries: int
    now: Callable[[], datetime]
    leadership: Leadership
    pull_requests: PullRequests
    dry_run: bool = False
    measure: Measure = unmeasured
    tracing: Tracing = UNTRACED
    _heads: dict[str, str] = field(default_factory=dict)
    """By repository: the branch that its HEAD was seen to stand for."""
    proposals: Proposals = field(default_factory=Proposals)

    def key(self, branch: Branch) -> BranchKey:
        """Tell which queue a branch's changes wait in: one for all spellings, and all credentials."""
        repository = repository_key(branch.url)
        return BranchKey(repository, branch.branch or self._heads.get(repository, ""))

    async def write(self, key: BranchKey, batch: Waiting) -> Waiting:  # noqa: ARG002 - each change knows its branch
        """Bring a branch to what the batch wants; return what has to be tried again.

        What is written with different credentials becomes a commit for each of them, one after the other: none is
        pushed by somebody who was not told to, and none fails for the credentials of another.
        """
        again: dict[Hashable, UpdateDecided] = {}
        for branch, group in by_branch(batch).items():
            causes = [decided.trace for decided in group.values()]
            with self.tracing.span(
                "write_back.batch", causes, repository=branch.url, branch=branch.branch, changes=len(group)
            ):
                again |= await self._try(branch, group)
        return again

    def forget(self, identity: ImageIdentity) -> list[ImageIdentity]:
        """Put a change that is not wanted any more on no branch again; return what is on a branch with it."""
        return self.proposals.forget(identity)

    async def _try(self, branch: Branch, batch: Waiting) -> Waiting:
        try:
            return await self._write(branch, batch)
        except LeadershipLost:
            log.info("write_back.left_to_another", repository=branch.url, branch=branch.branch, changes=len(batch))
            raise
        except UpdaterError as error:
            spelled = by_spelling(batch)
            if len(spelled) > 1:
                return await self._try_each(spelled)
            await self._report_failed(batch.values(), str(error))
        except Exception as error:
            log.exception("write_back.crashed", repository=branch.url, branch=branch.branch)
            await self._report_failed(batch.values(), f"unexpected {type(error).__name__}")
        return batch

    async def _try_each(self, spelled: Mapping[Branch, Waiting]) -> Waiting:
        """Write by each spelling of a URL alone, so that one that the server does not know stops no other."""
        again: dict[Hashable, UpdateDecided] = {}
        for branch, group in spelled.items():
            again |= await self._try(branch, group)
        return again

    async def _write(self, branch: Branch, batch: Waiting) -> Waiting:
        remote = self.git.branch(branch)
        stale = ""
        for attempt in range(1, self.push_tries + 1):
            head = await remote.head()
            if not branch.branch:
                self._heads[repository_key(branch.url)] = remote.name
            made = await self._plan(remote, head, list(batch.values()))
            if self.dry_run or not (made.files or branch.pull_request):
                return await self._settle(made)
            try:
                proposes = branch.target or branch.pull_request
                await (self._propose if proposes else self._push)(branch, remote, head, made)
            except PushStale as error:
                stale = str(error)
                log.info("write_back.stale", repository=branch.url, branch=branch.branch, head=head, attempt=attempt)
                await asyncio.sleep(random.uniform(0.05, 0.2) * attempt)  # noqa: S311 - jitter, not a secret
                continue
            return await self._settle(made)
        raise GitError(f"{stale} ({self.push_tries} tries in a row)")

    async def _plan(self, remote: GitBranch, head: str, batch: list[UpdateDecided]) -> Plan:
        with self.tracing.span("git.read", head=head):
            files, unreadable = await read_batch(remote, head, batch)
        readable = [decided for decided in batch if decided.identity not in unreadable]
        memories = {
            decided.identity: await self.memory.memory(decided.tracked.name, decided.image.alias, decided.image.target)
            for decided in readable
        }
        made = await asyncio.to_thread(plan, readable, files, memories, self.now())
        made.planned = await self.commits.labelled(made.planned)
        made.failed += unreadable.values()
        return made

    async def _push(self, branch: Branch, remote: GitBranch, head: str, made: Plan) -> None:
        changes = [planned.change for planned in made.planned]
        commit = await self.commits.build(remote, head, made.files, changes, self.now())
        await self._note_pending(made, commit)
        if not self.leadership.holds():
            raise LeadershipLost
        commit = await self._measured(remote.push(head, commit), made)
        _log_pushed(branch, branch.branch, commit, made)
        # From here the commit is a fact: it is written down even when the task is being cancelled.
        await asyncio.shield(self._record(made.planned, commit))
        await self.refreshes.ask({each.decided.tracked.name: each.decided.tracked.application for each in made.planned})

    async def _propose(self, branch: Branch, remote: GitBranch, head: str, made: Plan) -> None:
        """Put what is planned on the branches that its templates name; what fails for one fails there alone."""
        for decided, _ in made.settled:
            self.proposals.forget(decided.identity)
        try:
            review = await self.pull_requests.review(branch) if branch.pull_request else None
        except (GitError, ForgeError, ClusterError, Misconfigured) as error:
            made.failed += [(each.decided, str(error)) for each in made.planned]
            return
        for name, planned in (await asyncio.to_thread(self.proposals.by_name, made)).items():
            try:
                if review is None:
                    built = await self._propose_on(branch, remote, head, name, planned)
                else:
                    built = await self._request_on(branch, remote, head, name, planned, review)
                made.settled += built.settled
                made.failed += built.failed
            except PushStale:
                raise
            except (GitError, ForgeError, Misconfigured) as error:
                made.failed += [(each.decided, str(error)) for each in planned]
        if review is not None:
            await review.close_outdated(made.settled, remote)

    async def _propose_on(
        self, branch: Branch, remote: GitBranch, head: str, name: str, planned: Sequence[Planned]
    ) -> Plan:
        there = await self._there(branch, remote, name, planned)
        built = await self._build_anew(branch, remote, head, name, there, there.wanted)
        self._say_proposed(planned, name, built)
        return built.made

    async def _request_on(
        self,
        branch: Branch,
        remote: GitBranch,
        head: str,
        name: str,
        planned: Sequence[Planned],
        review: Review,
    ) -> Plan:
        """Put on a branch what nobody declined, and have its pull request say so."""
        standing = review.standing(name, planned)
        name = standing.open.head if standing.open else name
        there = await self._there(branch, remote, name, planned)
        wanted, held = await review.sort_out(there.wanted, planned)
        if not wanted:
            return Plan(settled=held)
        try:
            built = await self._build_anew(branch, remote, head, name, there, wanted, review.merged(name))
        except BranchNotOurs as error:
            await review.leave_alone(standing.open, error.commit)
            raise
        built.made.settled += held
        if not built.made.planned:
            return built.made
        if not self.leadership.holds():
            raise LeadershipLost
        words = review.words(built.made.planned)
        try:
            request = standing.open or await review.open(name, remote.name, words)
        except ForgeRefused:
            if built.is_new:
                await remote.push(built.commit, "", name)
            raise
        await review.keep(request, remote.name, words, built.commit)
        await review.close_superseded(standing, remote, request.url)
        self._say_proposed(planned, name, built, request.url)
        return built.made

    async def _there(self, branch: Branch, remote: GitBranch, name: str, planned: Sequence[Planned]) -> "_There":
        """Look at a branch of ours; tell what is to be on it: what is planned, and what was put there before."""
        if name == remote.name:
            raise Misconfigured(f"annotation git-branch gives the name of the base, {name}: name another branch")
        wanted = self.proposals.wanted(branch, name, planned)
        tip = await remote.tip(name)
        known = {decided.identity for decided in wanted}
        along = carried(tip, branch, self.board, known, self.now())
        return _There(tip, [*wanted, *along], frozenset(decided.identity for decided in along))

    async def _build_anew(
        self,
        branch: Branch,
        remote: GitBranch,
        head: str,
        name: str,
        there: "_There",
        wanted: list[UpdateDecided],
        merged: Collection[str] = (),
    ) -> "_Built":
        """Make a branch one commit on the base, if it is ours."""
        tip = there.tip
        made = await self._plan(remote, head, wanted)
        if not made.planned:  # what was planned a moment ago has to wait after all
            return _Built(made, "", is_new=False)
        if tip is not None:
            check_ours(tip, name, self.commits.author.email, merged)
        elif await remote.head() != head:  # it may be gone because it was merged since the base was read
            raise PushStale(f"{branch.url} moved while branch {name} was looked for")
        old = tip.commit if tip is not None else ""
        if carries(tip, head, made.planned):
            commit = old
        else:
            commit = await self._push_anew(branch, remote, head, name, made, old)
        # What is carried along is not known to be wanted: the next time, its commit is asked again.
        known = [each for each in made.planned if each.decided.identity not in there.along]
        self.proposals.remember(branch, name, known)
        return _Built(made, commit, is_new=not old)

    async def _push_anew(self, branch: Branch, remote: GitBranch, head: str, name: str, made: Plan, old: str) -> str:
        changes = [each.change for each in made.planned]
        commit = await self.commits.build(remote, head, made.files, changes, self.now(), name)
        await self._note_pending(made, commit)
        if not self.leadership.holds():
            raise LeadershipLost
        pushed = await self._measured(remote.push(old, commit, name), made)
        _log_pushed(branch, name, pushed, made)
        if pushed != commit:
            await self._note_pending(made, pushed)
        return pushed

    def _say_proposed(self, planned: Iterable[Planned], name: str, built: "_Built", url: str = "") -> None:
        """Say what was planned and is on the branch now; what was there before has been said."""
        fresh = {each.decided.identity for each in planned}
        for each in built.made.planned:
            if each.decided.identity in fresh:
                tracked, alias = each.decided.tracked.name, each.decided.image.alias
                self.board.proposed(tracked, alias, each.current.version, each.update, name, built.commit, url)

    async def _measured(self, push: Awaitable[str], made: Plan) -> str:
        loop = asyncio.get_running_loop()
        begun = loop.time()
        with self.tracing.span("git.push", applications=_applications(made)) as span:
            commit = await push
            span.note(commit=commit)
        self.measure(BatchPushed(len(made.planned), loop.time() - begun))
        return commit

    async def _note_pending(self, made: Plan, commit: str) -> None:
        for each in made.planned:
            image = each.decided.image
            if each.update.released:
                await self.memory.rejected(each.decided.tracked.name, image.alias, image.target, each.update.released)
        await self.memory.begin(_writes(made.planned, commit))

    async def _record(self, planned: Sequence[Planned], commit: str) -> None:
        await self.memory.finish(_writes(planned, commit), self.now())
        async for each in unhurried(planned):
            tracked, alias = each.decided.tracked.name, each.decided.image.alias
            self.board.updated(tracked, alias, each.current.version, each.update, commit)

    async def _settle(self, made: Plan) -> Waiting:
        """Report what needed no write, or could not be written; the latter is tried again."""
        if self.dry_run:
            for each in made.planned:
                name, alias = each.decided.tracked.name, each.decided.image.alias
                self.board.would_update(name, alias, each.current.version, each.update)
        await self._remember(made.settled)
        async for decided, decision in unhurried(made.settled):
            self.proposals.forget(decided.identity)
            self.board.write_settled(decided.tracked.name, decided.image.alias)
            self.board.decided(decided.tracked.name, decided.image.alias, decision, decided.election, decided.current)
        async for decided, reason in unhurried(made.failed):
            self.board.write_failed(decided.tracked.name, decided.image.alias, reason)
        return {decided.identity: decided for decided, _ in made.failed}

    async def _remember(self, settled: Iterable[tuple[UpdateDecided, Decision]]) -> None:
        """Remember what the targets were seen to hold: a rollback of it by a person is one all the same."""
        seen: dict[ApplicationName, list[PendingWrite]] = {}
        arrived: dict[ApplicationName, Application] = {}
        for decided, decision in settled:
            name, image = decided.tracked.name, decided.image
            if isinstance(decision, Hold) and decision.rejected:
                await self.memory.rejected(name, image.alias, image.target, decision.rejected, decision.declined_in)
            if not isinstance(decision, UpToDate) or not decision.version:
                continue
            pending = await self.memory.pending(name, image.alias, image.target)
            recovered = pending is not None and pending.version == decision.version
            commit = pending.commit if pending is not None and recovered else ""
            seen.setdefault(name, []).append(PendingWrite(image.target, image.alias, decision.version, commit))
            if recovered:
                keys = {"application": str(name), "alias": image.alias, "to": str(decision.version), "commit": commit}
                log.info("write_back.merged" if _has_own_branch(decided) else "write_back.recovered", **keys)
                arrived[name] = decided.tracked.application
        await self.memory.finish(seen, self.now())
        await self.refreshes.ask(arrived)

    async def _report_failed(self, batch: Iterable[UpdateDecided], reason: str) -> None:
        async for decided in unhurried(batch):
            self.board.write_failed(decided.tracked.name, decided.image.alias, reason)


class _There(NamedTuple):
    """A branch of ours as it is, and what is to be on it."""

    tip: Tip | None
    wanted: list[UpdateDecided]
    along: frozenset[ImageIdentity]
    """Of these, what is on it already and is not known to be wanted still."""


class _Built(NamedTuple):
    """What became of a branch of ours."""

    made: Plan
    commit: str
    is_new: bool
    """There was no such branch before."""


def _log_pushed(branch: Branch, name: str, commit: str, made: Plan) -> None:
    log.info(
        "write_back.pushed",
        repository=branch.url,
        branch=name,
        commit=commit,
        files=len(made.files),
        changes=len(made.planned),
    )


def _applications(made: Plan) -> str:
    names = sorted({str(each.decided.tracked.name) for each in made.planned})
    return ", ".join(names[:_NAMED]) + (f" and {len(names) - _NAMED} more" if len(names) > _NAMED else "")


def _writes(planned: Iterable[Planned], commit: str) -> dict[ApplicationName, list[PendingWrite]]:
    """Say what a commit writes, in the store's words."""
    writes: dict[ApplicationName, list[PendingWrite]] = {}
    for each in planned:
        image = each.decided.image
        write = PendingWrite(image.target, image.alias, each.update.version, commit)
        writes.setdefault(each.decided.tracked.name, []).append(write)
    return writes


def _has_own_branch(decided: UpdateDecided) -> bool:
    target = decided.image.target
    return isinstance(target, GitTarget) and bool(target.branch.target or target.branch.pull_request)
