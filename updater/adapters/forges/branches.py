"""Commits that the forge makes, and signs, behind the same port as those that we push.

Reading, and moving branches of our own with a lease, stays Git's business: the forges' APIs know no lease. So a commit
of such a branch is made on a branch of a moment, and ours is moved to it; on the base, the API compares and swaps.
"""

import hashlib
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import datetime

import structlog

from updater.adapters.forges.client import ForgeClient
from updater.adapters.forges.making import CommitMaker, NewCommit, NewFile
from updater.adapters.git.client import GitClient, RemoteBranch
from updater.domain.errors import GitError, Misconfigured
from updater.domain.target import Branch
from updater.formats.commit import BRANCH_TRAILER
from updater.ports.git import Author, GitBranch, Sign, Tip

log = structlog.get_logger()

_MOMENT = "image-updater-moment"


class ForgeGit:
    """Implements `GitServer`; a repository on a forge that makes no commits is pushed to, which is said once."""

    def __init__(self, git: GitClient, forges: ForgeClient, author: Author) -> None:
        self._git = git
        self.forges = forges
        self.author = author
        self.made: set[str] = set()
        """The commits that were made for us since the start."""
        self._said: set[str] = set()

    def branch(self, branch: Branch) -> GitBranch:
        return ForgeBranch(self, branch, self._git.branch(branch))

    async def maker(self, branch: Branch) -> CommitMaker | None:
        """Return who makes commits for a repository; None when nobody does."""
        try:
            return await self.forges.maker(branch)
        except Misconfigured as error:
            if branch.url not in self._said:
                self._said.add(branch.url)
                log.warning("git.api_unavailable", repository=branch.url, reason=str(error))
            return None


@dataclass
class ForgeBranch:
    """Implements `GitBranch`."""

    server: ForgeGit
    target: Branch
    git: RemoteBranch
    _built: dict[str, NewCommit] = field(default_factory=dict)
    """By the hash that the commit would have if it were pushed."""

    @property
    def name(self) -> str:
        return self.git.name

    async def head(self) -> str:
        return await self.git.head()

    async def read(self, head: str, paths: Sequence[str]) -> Mapping[str, bytes | None]:
        return await self.git.read(head, paths)

    async def tip(self, name: str) -> Tip | None:
        """Look at a branch; what the forge committed for us counts as ours, whoever it names as the committer."""
        tip = await self.git.tip(name)
        if tip is None:
            return None
        ours = tip.commit in self.server.made
        if not ours and tip.committer != self.server.author.email and _is_marked(tip, name):
            maker = await self.server.maker(self.target)
            ours = maker is not None and tip.committer in await maker.committers()
        return replace(tip, committer=self.server.author.email) if ours else tip

    async def commit(
        self,
        head: str,
        files: Mapping[str, bytes],
        message: str,
        author: Author,
        at: datetime,
        sign: Sign | None = None,
    ) -> str:
        built = await self.git.commit(head, files, message, author, at, sign)
        news = tuple(NewFile(path, data, *self.git.present(head, path)) for path, data in files.items())
        self._built[built] = NewCommit(head, message, author, news)
        return built

    async def push(self, old: str, commit: str, name: str = "") -> str:
        maker = await self.server.maker(self.target) if commit in self._built else None
        if maker is None:
            return await self.git.push(old, commit, name)
        wanted = self._built[commit]
        if not name:
            made = await maker.commit(self.name, wanted)
        else:
            moment = f"{_MOMENT}-{hashlib.sha256(name.encode()).hexdigest()[:12]}"
            made = await self._by_way_of(moment, maker, wanted, old, name)
        self.server.made.add(made)
        log.info("git.committed_by_forge", repository=self.target.url, branch=name or self.name, commit=made)
        return made

    async def _by_way_of(self, moment: str, maker: CommitMaker, wanted: NewCommit, old: str, name: str) -> str:
        """Make a commit on a branch of a moment, and move ours to it; whatever happens, the other one goes.

        One that an earlier run could not take away is gone on with.
        """
        left = await self.git.tip(moment)
        await self.git.push(left.commit if left else "", wanted.head, moment)
        try:
            return await self.git.push(old, await maker.commit(moment, wanted), name)
        finally:
            with suppress(GitError):
                left = await self.git.tip(moment)
                await self.git.push(left.commit if left else "", "", moment)


def _is_marked(tip: Tip, name: str) -> bool:
    return f"{BRANCH_TRAILER}: {name}" in tip.message.splitlines()
