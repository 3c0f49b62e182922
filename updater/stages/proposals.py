"""What is on the branches of our own: which change goes on which, whose a branch is, and what else it has to keep.

Such a branch is one commit on the base, built anew whenever something is added or the base moved. So it has to be known
what it held before; after a restart the decisions tell it again.
"""

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, field, replace
from typing import NamedTuple

from updater.domain.change import Change
from updater.domain.errors import GitError, Misconfigured
from updater.domain.image import ImageVersion
from updater.domain.messages import ImageIdentity, Problem, TrackedApplication, UpdateDecided
from updater.domain.pull_requests import aiu_key
from updater.domain.target import Branch, GitTarget, repository_key
from updater.formats.branch_name import branch_name, check_branch_template, proposal_name
from updater.formats.commit import BRANCH_TRAILER, trailer, trailers_in
from updater.ports.git import Tip
from updater.stages.batch import Plan, Planned, planned_by_application


class _Place(NamedTuple):
    repository: str
    name: str


@dataclass
class _Proposal:
    base: str
    wanted: dict[ImageIdentity, UpdateDecided] = field(default_factory=dict)


@dataclass
class Proposals:
    """The branches of our own that were written to, or looked at, since the start."""

    _known: dict[_Place, _Proposal] = field(default_factory=dict)

    def by_name(self, made: Plan) -> dict[str, list[Planned]]:
        """Part what is planned by the branch it goes to; what has no legal one is added to what failed."""
        named: dict[str, list[Planned]] = {}
        for planned in planned_by_application(made.planned):
            try:
                for name, each in _named(planned):
                    named.setdefault(name, []).append(each)
            except Misconfigured as error:
                made.failed += [(each.decided, str(error)) for each in planned]
        return named

    def waiting(self) -> dict[Branch, dict[str, list[ImageIdentity]]]:
        """Tell what waits in pull requests, by branch: one of each repository, with all of its branches."""
        found: dict[str, tuple[Branch, dict[str, list[ImageIdentity]]]] = {}
        for place, proposal in self._known.items():
            target = next(iter(proposal.wanted.values())).image.target
            if isinstance(target, GitTarget) and target.branch.pull_request:
                _, names = found.setdefault(place.repository, (target.branch, {}))
                names[place.name] = list(proposal.wanted)
        return dict(found.values())

    def wanted(self, branch: Branch, name: str, planned: Iterable[Planned]) -> list[UpdateDecided]:
        """Give everything that is to be on a branch: what is planned, and what was put there before.

        Raises:
            GitError: the branch is built on another base already.
        """
        known = self._known.get(_place(branch, name))
        if known is not None and known.wanted and known.base != branch.branch:
            raise GitError(
                f"branch {name} is built on {known.base or 'HEAD'} already: name another for {branch.branch or 'HEAD'} "
                "in the annotation git-branch",
            )
        fresh = {each.decided.identity: each.decided for each in planned}
        return list(({**known.wanted, **fresh} if known else fresh).values())

    def remember(self, branch: Branch, name: str, planned: Iterable[Planned]) -> None:
        """Note what is on a branch now; it is on no other any more."""
        wanted = {each.decided.identity: each.decided for each in planned}
        for identity in wanted:
            self.forget(identity)
        self._known.pop(_place(branch, name), None)
        if wanted:
            self._known[_place(branch, name)] = _Proposal(branch.branch, wanted)

    def forget(self, identity: ImageIdentity) -> list[ImageIdentity]:
        """Keep a change on no branch any more: it has arrived on the base, or is not wanted.

        Return what is left on the branches that it was on.
        """
        left: list[ImageIdentity] = []
        for place, proposal in list(self._known.items()):
            if proposal.wanted.pop(identity, None):
                left += proposal.wanted
            if not proposal.wanted:
                del self._known[place]
        return left


def with_sound_branches(tracked: TrackedApplication) -> TrackedApplication:
    """Leave out the images whose branch has a template that cannot be rendered, each with the reason."""
    sample = [
        Change(tracked.name, each.alias, each.image.written, ImageVersion("1.0"), ImageVersion("2.0"))
        for each in tracked.images
    ]
    problems: list[Problem] = []
    for each in tracked.images:
        if isinstance(each.target, GitTarget) and "{{" in each.target.branch.target:
            try:
                check_branch_template(sample, each.target)
            except Misconfigured as error:
                problems.append(Problem(each.alias, str(error)))
    if not problems:
        return tracked
    unsound = {problem.alias for problem in problems}
    images = tuple(each for each in tracked.images if each.alias not in unsound)
    return replace(tracked, images=images, problems=(*tracked.problems, *problems))


class BranchNotOurs(GitError):
    """Somebody else committed to a branch of ours."""

    def __init__(self, message: str, commit: str) -> None:
        super().__init__(message)
        self.commit = commit


def check_ours(tip: Tip, name: str, address: str, merged: Collection[str] = ()) -> None:
    """Refuse to build a branch anew that somebody else committed to.

    Of a branch of Argo CD Image Updater's, its address is enough: it adds no trailer. A commit that was `merged`, by
    the beginning of its hash, is on the base: nothing of it is lost, whoever made it.

    Raises:
        BranchNotOurs: its commit is by somebody else, or was made for another branch.
    """
    marked = bool(aiu_key(name)) or f"{BRANCH_TRAILER}: {name}" in tip.message.splitlines()
    if (tip.committer == address and marked) or tip.commit.startswith(tuple(merged)):
        return
    raise BranchNotOurs(
        f"branch {name} is left alone, for its commit {tip.commit[:12]} by {tip.committer or 'somebody'} is not ours: "
        "merge or delete the branch, or name another in the annotation git-branch",
        tip.commit,
    )


def carries(tip: Tip | None, head: str, planned: Sequence[Planned]) -> bool:
    """Tell whether a branch holds just that already, on the base as it is now."""
    if tip is None or tip.parents != (head,):
        return False
    return trailers_in(tip.message) == {trailer(each.change) for each in planned}


def _named(planned: Sequence[Planned]) -> list[tuple[str, Planned]]:
    """Name the branch of each of an application's changes: by its template, else by what shares a pull request."""
    target = _target(planned[0])
    proposed = target.branch.pull_request
    if target.branch.target or proposed is None:
        name = branch_name([each.change for each in planned], target)
        return [(name, each) for each in planned]
    return [(proposal_name(each.change, _target(each), proposed.group), each) for each in planned]


def _target(planned: Planned) -> GitTarget:
    target = planned.decided.image.target
    assert isinstance(target, GitTarget)  # noqa: S101 - only such targets get here
    return target


def _place(branch: Branch, name: str) -> _Place:
    return _Place(repository_key(branch.url), name)
