"""A Git server in memory, with what a real one can do to a writer: move, refuse, fail, and lose an answer."""

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from updater.domain.errors import BranchNotFound, EditError, GitError, PushStale
from updater.domain.target import Branch
from updater.ports import Author


@dataclass(frozen=True, slots=True)
class FakeCommit:
    """A commit, with its whole tree."""

    hash: str
    files: Mapping[str, bytes]
    message: str


@dataclass
class FakeGit:
    """Implements `GitServer`; branches are keyed by URL and name, whatever the credentials."""

    branches: dict[tuple[str, str], list[FakeCommit]] = field(default_factory=dict)
    error: GitError | None = None
    """Raised by every look at a branch while it is set."""
    push_error: GitError | None = None
    """Raised by every push while it is set; nothing arrives."""
    before_push: Callable[[], None] = lambda: None
    """Called between the check and the push: a moment for somebody else to push."""
    lose_answers: int = 0
    """So many pushes arrive, and say that they did not."""
    broken_paths: set[str] = field(default_factory=set)
    looks: int = 0

    def seed(self, url: str, files: Mapping[str, str], branch: str = "main") -> None:
        """Put a commit on a branch, as anybody may."""
        commits = self.branches.setdefault((url, branch), [])
        tree = {**(commits[-1].files if commits else {}), **{path: text.encode() for path, text in files.items()}}
        commits.append(_commit(commits[-1].hash if commits else "", tree, "seed"))

    def log(self, url: str, branch: str = "main") -> list[FakeCommit]:
        return self.branches[url, branch]

    def file(self, url: str, path: str, branch: str = "main") -> str:
        return self.log(url, branch)[-1].files[path].decode()

    def branch(self, branch: Branch) -> "FakeBranch":
        return FakeBranch(self, (branch.url, branch.branch or "main"))


@dataclass
class FakeBranch:
    """Implements `GitBranch`."""

    server: FakeGit
    key: tuple[str, str]
    built: dict[str, FakeCommit] = field(default_factory=dict)

    async def head(self) -> str:
        self.server.looks += 1
        if self.server.error:
            raise self.server.error
        commits = self.server.branches.get(self.key)
        if not commits:
            raise BranchNotFound(f"{self.key[0]} has no branch {self.key[1]}")
        return commits[-1].hash

    async def read(self, head: str, paths: Sequence[str]) -> Mapping[str, bytes | None]:
        broken = self.server.broken_paths.intersection(paths)
        if broken:
            raise EditError(f"{broken.pop()} is a symlink")
        files = self._at(head).files
        return {path: files.get(path) for path in paths}

    async def commit(self, head: str, files: Mapping[str, bytes], message: str, author: Author, at: datetime) -> str:
        commit = _commit(head, {**self._at(head).files, **files}, message)
        self.built[commit.hash] = commit
        return commit.hash

    async def push(self, head: str, commit: str) -> None:
        self.server.before_push()
        if self.server.push_error:
            raise self.server.push_error
        commits = self.server.branches[self.key]
        if commits[-1].hash != head:
            raise PushStale(f"{self.key[1]} is not at {head} any more")
        commits.append(self.built[commit])
        if self.server.lose_answers:
            self.server.lose_answers -= 1
            raise GitError("the connection was lost after the push was sent")

    def _at(self, head: str) -> FakeCommit:
        return next(commit for commit in self.server.branches[self.key] if commit.hash == head)


def _commit(parent: str, files: Mapping[str, bytes], message: str) -> FakeCommit:
    content = repr((parent, sorted(files.items()), message)).encode()
    return FakeCommit(hashlib.sha1(content).hexdigest(), dict(files), message)
