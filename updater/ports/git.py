"""Git servers, and who signs commits."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from updater.domain.target import Branch


@dataclass(frozen=True, slots=True)
class Author:
    """Who a commit is by."""

    name: str
    email: str


Sign = Callable[[bytes], str]
"""Returns the armoured signature of a commit, given all of its other bytes."""


class CommitSigner(Protocol):
    """Knows the key that commits are signed with."""

    async def signer(self) -> Sign | None:
        """Return what signs with the key as it is now; None when commits are not to be signed.

        Raises:
            Misconfigured: there is no such key, or it cannot sign.
            ClusterError: it could not be read now.
        """
        ...


@dataclass(frozen=True, slots=True)
class Tip:
    """The commit that a branch points to."""

    commit: str
    parents: tuple[str, ...]
    committer: str
    """The address alone."""
    message: str


class GitBranch(Protocol):
    """One branch of one Git repository on a server, and what is built on it."""

    @property
    def name(self) -> str:
        """The branch's own name, also where HEAD stands for it; known once `head` has answered."""
        ...

    async def head(self) -> str:
        """Return the commit the branch points to now, as 40 hex digits.

        Raises:
            BranchNotFound, GitAuthError, GitError
        """
        ...

    async def tip(self, name: str) -> Tip | None:
        """Return what another branch of the repository points to; None when there is no such branch.

        Raises:
            GitAuthError, GitError
        """
        ...

    async def read(self, head: str, paths: Sequence[str]) -> Mapping[str, bytes | None]:
        """Return the content of files at `head`; None for one that does not exist.

        A path ending in `/` asks for a directory (`/` alone for the root): its value is the newline-joined names of its
        files and, with a `/` behind, of its directories.

        Raises:
            EditError: a path leads through a symlink or submodule, or a file is larger than allowed.
            GitError: it could not be read.
        """
        ...

    async def commit(
        self,
        head: str,
        files: Mapping[str, bytes],
        message: str,
        author: Author,
        at: datetime,
        sign: Sign | None = None,
    ) -> str:
        """Build a commit on `head` with whole new contents of `files`; return its hash. Nothing is sent yet."""
        ...

    async def push(self, old: str, commit: str, name: str = "") -> str:
        """Move the branch, or the one called `name`, from `old` to `commit`, or raise and leave it as it is.

        Return the commit it is at then: of the same content, but another one where the forge makes and signs it.

        Another branch need not have `old` in the history of `commit`; an empty `old` creates it, an empty `commit`
        deletes it.

        Raises:
            PushStale: the branch is not at `old` any more.
            PushRefused: a hook or a rule of the server declined.
            GitAuthError: the credentials may not push.
            GitError: it is unknown whether it arrived.
        """
        ...


class GitServer(Protocol):
    """Opens branches; connections and objects are shared behind it."""

    def branch(self, branch: Branch) -> GitBranch: ...
