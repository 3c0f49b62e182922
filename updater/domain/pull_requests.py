"""The life of a pull request: what there is for one branch of ours, and what that means for what is wanted.

A pull request is ours by the branch that it comes from, and what it proposes stands in its text. One that a person
closed without merging is a word about what it proposed; one that we close loses that part of its text first.
"""

import re
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from enum import StrEnum
from typing import NamedTuple


class ForgeKind(StrEnum):
    """Whose API a forge speaks."""

    GITHUB = "github"
    GITLAB = "gitlab"
    GITEA = "gitea"
    """Forgejo too."""
    BITBUCKET = "bitbucket"
    """Bitbucket Cloud; Bitbucket Data Center speaks another language."""
    AZURE = "azure"
    """Azure DevOps."""


class Grouping(StrEnum):
    """What shares a pull request."""

    TARGET = "target"
    """What is written to the same file of the same branch, as in Argo CD Image Updater."""
    REPOSITORY = "repository"
    APPLICATION = "application"
    IMAGE = "image"


@dataclass(frozen=True, slots=True)
class PullRequestSettings:
    """What an application says of its pull requests."""

    forge: ForgeKind
    group: Grouping = Grouping.TARGET
    title: str = ""
    """A template; empty: the first line of the commit message."""
    body: str = ""
    """A template; empty: the rest of the commit message, or a table where its template is the built-in one."""
    labels: tuple[str, ...] = ()
    reviewers: tuple[str, ...] = ()
    """Users, and teams as `<organisation>/<team>`."""
    draft: bool = False
    automerge: str = ""
    """`merge`, `squash` or `rebase`, as soon as the forge's own conditions allow; empty: a person merges."""


class Proposed(NamedTuple):
    """A version of an image that a pull request proposes."""

    application: str
    """`<namespace>/<name>`."""
    alias: str
    version: str
    target: str
    """The key of where it is written: clusters that share a repository may have applications of one name."""

    @property
    def image(self) -> tuple[str, str, str]:
        return self.application, self.alias, self.target


class State(StrEnum):
    OPEN = "open"
    CLOSED = "closed"
    """Without having been merged."""
    MERGED = "merged"


@dataclass(frozen=True, slots=True)
class PullRequest:
    """What a forge tells of a pull request; those that come from other repositories are never told."""

    number: int
    url: str
    head: str
    """The branch that it comes from."""
    base: str
    state: State
    title: str
    body: str
    commit: str = ""
    """Where the branch was when the forge was asked."""
    draft_mark: str = ""
    """What stands before the title while it is a draft, where a forge has it there."""
    id: str = ""
    """By which some requests of a forge know it, where that is not the number."""
    proposes: frozenset[Proposed] = frozenset()
    """As its text says; empty for those of others."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """The pull request that should be there."""

    branch: str
    proposes: frozenset[Proposed]
    adoptable: frozenset[str] = frozenset()
    """`<key>`s of Argo CD Image Updater's branches `image-updater-<key>-<digest>` for the same target."""


@dataclass(frozen=True, slots=True)
class Standing:
    """What there is for a wanted pull request."""

    open: PullRequest | None
    """To be updated; None: there is none."""
    superseded: tuple[PullRequest, ...]
    """To be closed."""


_AIU_BRANCH = re.compile(r"image-updater-([0-9a-f]{8})-[0-9a-f]{64}")


def aiu_key(branch: str) -> str:
    """Give the target key in the name of a branch of Argo CD Image Updater's; empty for any other branch."""
    found = _AIU_BRANCH.fullmatch(branch)
    return found[1] if found else ""


def standing(listing: Iterable[PullRequest], wanted: Wanted) -> Standing:
    """Find the pull request to go on with, and those that it makes superfluous.

    Superfluous are: another one of Argo CD Image Updater's for the same target, and one of ours for other versions of
    the same images, or of some of them.
    """
    there = [each for each in listing if each.state is State.OPEN]
    own = [each for each in there if each.head == wanted.branch]
    adopted = [each for each in there if aiu_key(each.head) in wanted.adoptable]
    images = _images(wanted.proposes)
    others = [each for each in there if each.proposes and _images(each.proposes) <= images]
    chosen = max(own or adopted, key=lambda each: each.number, default=None)
    kept = {wanted.branch, chosen.head} if chosen else {wanted.branch}
    superseded = {each.number: each for each in (*adopted, *others) if each.head not in kept}
    return Standing(chosen, tuple(superseded[number] for number in sorted(superseded)))


def declined(listing: Iterable[PullRequest], each: Proposed, aiu_branch: str = "") -> PullRequest | None:
    """Return the pull request with this very proposal that a person closed without merging.

    None when there is no such, or a later one proposes the same: somebody wanted it again.
    """
    about = [one for one in listing if each in one.proposes or (aiu_branch and one.head == aiu_branch)]
    last = max(about, key=lambda one: one.number, default=None)
    return last if last is not None and last.state is State.CLOSED else None


def outdated(listing: Iterable[PullRequest], there: Collection[Proposed]) -> list[PullRequest]:
    """List the open pull requests of which nothing is wanted any more: the base has something else for each image.

    One whose versions the base has is not among them: it is being merged, and the forge will find out.
    """
    versions = {each.image: each.version for each in there}
    return [
        each
        for each in listing
        if each.state is State.OPEN
        and each.proposes
        and all(versions.get(one.image, one.version) != one.version for one in each.proposes)
    ]


def _images(proposed: Iterable[Proposed]) -> set[tuple[str, str, str]]:
    return {each.image for each in proposed}
