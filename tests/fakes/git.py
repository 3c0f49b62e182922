"""A Git server in memory, with what a real one can do to a writer: move, refuse, fail, and lose an answer."""

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime

from updater.domain.errors import BranchNotFound, EditError, GitAuthError, GitError, PushStale
from updater.domain.target import Branch, repository_key
from updater.ports.git import Author, Sign, Tip


@dataclass(frozen=True, slots=True)
class FakeCommit:
    """A commit, with its whole tree."""

    hash: str
    files: Mapping[str, bytes]
    message: str
    parents: tuple[str, ...] = ()
    committer: str = ""
    signature: str = ""


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
    before_tip: Callable[[], None] = lambda: None
    """Called before each look at another branch than the base."""
    after_commit: Callable[[], None] = lambda: None
    """Called when a commit was built, and not pushed yet."""
    lose_answers: int = 0
    """So many pushes arrive, and say that they did not."""
    refused_logins: set[str] = field(default_factory=set)
    """Credentials that the server does not take."""
    unknown_urls: set[str] = field(default_factory=set)
    """Spellings of a repository's URL that the server does not know."""
    broken_paths: set[str] = field(default_factory=set)
    looks: int = 0
    reads: int = 0
    pushes: int = 0
    """That arrived."""
    logins: list[str] = field(default_factory=list)
    """The credentials of each branch opened."""

    def seed(self, url: str, files: Mapping[str, str], branch: str = "main") -> None:
        """Put a commit on a branch, as anybody may."""
        commits = self.branches.setdefault((repository_key(url), branch), [])
        tree = {**(commits[-1].files if commits else {}), **{path: text.encode() for path, text in files.items()}}
        commits.append(_commit(commits[-1].hash if commits else "", tree, "seed"))

    def log(self, url: str, branch: str = "main") -> list[FakeCommit]:
        return self.branches[repository_key(url), branch]

    def names(self, url: str) -> list[str]:
        """List the branches of a repository."""
        return sorted(name for repository, name in self.branches if repository == repository_key(url))

    def merge(self, url: str, name: str, into: str) -> None:
        """Move a branch to where another is, as a fast-forward does."""
        self.branches[repository_key(url), into] = list(self.log(url, name))

    def delete(self, url: str, name: str) -> None:
        del self.branches[repository_key(url), name]

    def file(self, url: str, path: str, branch: str = "main") -> str:
        return self.log(url, branch)[-1].files[path].decode()

    def branch(self, branch: Branch) -> "FakeBranch":
        self.logins.append(branch.credentials)
        return FakeBranch(self, (repository_key(branch.url), branch.branch or "main"), branch.credentials, branch.url)


@dataclass
class FakeBranch:
    """Implements `GitBranch`."""

    server: FakeGit
    key: tuple[str, str]
    login: str = ""
    url: str = ""
    built: dict[str, FakeCommit] = field(default_factory=dict)

    @property
    def name(self) -> str:
        return self.key[1]

    async def head(self) -> str:
        self.server.looks += 1
        if self.server.error:
            raise self.server.error
        if self.url in self.server.unknown_urls:
            raise GitError(f"{self.url} is not there")
        if self.login in self.server.refused_logins:
            raise GitAuthError(f"the server refused the credentials of {self.login}")
        commits = self.server.branches.get(self.key)
        if not commits:
            raise BranchNotFound(f"{self.key[0]} has no branch {self.key[1]}")
        return commits[-1].hash

    async def read(self, head: str, paths: Sequence[str]) -> Mapping[str, bytes | None]:
        self.server.reads += 1
        broken = self.server.broken_paths.intersection(paths)
        if broken:
            raise EditError(f"{broken.pop()} is a symlink")
        files = self._at(head).files
        return {path: _listing(path, files) if path.endswith("/") else files.get(path) for path in paths}

    async def tip(self, name: str) -> Tip | None:
        self.server.before_tip()
        commits = self.server.branches.get((self.key[0], name))
        if not commits:
            return None
        return Tip(commits[-1].hash, commits[-1].parents, commits[-1].committer, commits[-1].message)

    async def commit(
        self,
        head: str,
        files: Mapping[str, bytes],
        message: str,
        author: Author,
        at: datetime,
        sign: Sign | None = None,
    ) -> str:
        commit = _commit(head, {**self._at(head).files, **files}, message, author.email)
        if sign is not None:
            commit = replace(commit, signature=sign(message.encode()))
        self.built[commit.hash] = commit
        self.server.after_commit()
        return commit.hash

    async def push(self, old: str, commit: str, name: str = "") -> str:
        self.server.before_push()
        if self.server.push_error:
            raise self.server.push_error
        key = (self.key[0], name or self.key[1])
        commits = self.server.branches.setdefault(key, [])
        if (commits[-1].hash if commits else "") != old:
            raise PushStale(f"{key[1]} is not at {old} any more")
        if not commit:
            del self.server.branches[key]
            return commit
        base = self.server.branches[self.key]
        self.server.branches[key] = [*(base if name else commits), self.built[commit]]
        self.server.pushes += 1
        if self.server.lose_answers:
            self.server.lose_answers -= 1
            raise GitError("the connection was lost after the push was sent")
        return commit

    def _at(self, head: str) -> FakeCommit:
        return next(commit for commit in self.server.branches[self.key] if commit.hash == head)


def _listing(directory: str, files: Mapping[str, bytes]) -> bytes | None:
    inside = [path.removeprefix(directory.lstrip("/")) for path in files if path.startswith(directory.lstrip("/"))]
    names = {f"{name}{slash}" for path in inside for name, slash, _ in [path.partition("/")]}
    return "\n".join(sorted(names)).encode() if names else None


def _commit(parent: str, files: Mapping[str, bytes], message: str, committer: str = "") -> FakeCommit:
    content = repr((parent, sorted(files.items()), message, committer)).encode()
    parents = (parent,) if parent else ()
    return FakeCommit(hashlib.sha1(content).hexdigest(), dict(files), message, parents, committer)
