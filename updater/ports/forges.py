"""Forges, where changes are proposed."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from updater.domain.pull_requests import PullRequest
from updater.domain.target import Branch


class Forge(Protocol):
    """One repository's pull requests, as one user. Every method may raise `ForgeError`."""

    async def pull_requests(self) -> Sequence[PullRequest]:
        """Return those that come from the repository itself: all open ones, and others as far back as we looked."""
        ...

    async def open(self, wanted: "NewPullRequest") -> PullRequest:
        """Open a pull request, or return the one that is open for the branch already."""
        ...

    async def decorate(self, number: int, labels: Sequence[str], reviewers: Sequence[str]) -> None:
        """Add labels and ask for reviews."""
        ...

    async def edit(self, pull_request: PullRequest, title: str, body: str, base: str) -> None: ...

    async def close(self, number: int, body: str) -> None:
        """Close it without merging, with another text."""
        ...

    async def comment(self, number: int, text: str) -> None: ...

    async def has_comment(self, number: int, text: str) -> bool:
        """Tell whether somebody commented with a text."""
        ...

    async def automerge(self, pull_request: PullRequest, commit: str, method: str) -> None:
        """Let the forge merge it by itself as soon as it may, if its branch is at `commit` then."""
        ...


@dataclass(frozen=True, slots=True)
class NewPullRequest:
    """A pull request to be opened."""

    head: str
    base: str
    title: str
    body: str
    draft: bool = False


class Forges(Protocol):
    """Opens forges; connections, and what they told, are shared behind it."""

    async def forge(self, branch: Branch) -> Forge:
        """Log in to the forge that has a branch's repository.

        Raises:
            Misconfigured, ClusterError, GitError, ForgeError: there are no credentials for it.
        """
        ...
