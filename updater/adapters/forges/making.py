"""Commits through the APIs of forges: who signs them is the forge's business, and what they hold is ours.

https://docs.github.com/en/graphql/reference/mutations#createcommitonbranch, https://docs.github.com/en/rest/git,
https://docs.gitlab.com/api/commits/#create-a-commit-with-multiple-files-and-actions
"""

import base64
from collections.abc import Collection
from dataclasses import dataclass
from typing import Protocol
from urllib.parse import quote

import msgspec

from updater.adapters.forges.api import Api
from updater.domain.errors import ForgeError, ForgeRefused, ForgeThrottled, PushRefused, PushStale
from updater.ports.git import Author

_COMMIT = """
mutation($input: CreateCommitOnBranchInput!) {
  createCommitOnBranch(input: $input) { commit { oid } }
}
"""
_STALE = ("expected branch to point to", "pull and try again", "not a fast forward")
_CHANGED = ("has changed since you started editing", "already exists", "doesn't exist")
_WEB_FLOW = "noreply@github.com"
_EXECUTABLE = "100755"


@dataclass(frozen=True, slots=True)
class NewFile:
    """A file with its whole new content."""

    path: str
    data: bytes
    exists: bool
    executable: bool

    @property
    def encoded(self) -> str:
        return base64.b64encode(self.data).decode()


@dataclass(frozen=True, slots=True)
class NewCommit:
    """A commit to be made."""

    head: str
    """What it is built on."""
    message: str
    author: Author
    files: tuple[NewFile, ...]


class CommitMaker(Protocol):
    """Makes commits on the branches of one repository."""

    async def commit(self, branch: str, wanted: NewCommit) -> str:
        """Put a commit on a branch that is at `wanted.head`; return its hash.

        Raises:
            PushStale: the branch is not there any more; nothing was done.
            PushRefused: the forge said no.
            ForgeError: it is unknown whether it was done.
        """
        ...

    async def committers(self) -> Collection[str]:
        """Give the addresses that such commits have as their committer's."""
        ...


class _Oid(msgspec.Struct):
    oid: str


class _Made(msgspec.Struct):
    commit: _Oid


class _Data(msgspec.Struct, rename="camel"):
    create_commit_on_branch: _Made | None = None


class _Error(msgspec.Struct):
    message: str
    type: str = ""


class _Answer(msgspec.Struct):
    data: _Data | None = None
    errors: list[_Error] = []


class _Sha(msgspec.Struct):
    sha: str


class _Id(msgspec.Struct):
    id: str


class _User(msgspec.Struct):
    email: str | None = None
    commit_email: str | None = None


@dataclass(frozen=True, slots=True)
class GitHubCommits:
    """Implements `CommitMaker`: one GraphQL call, which signs; for executable files the trees API, which keeps that."""

    api: Api
    repository: str
    graphql: str

    async def commit(self, branch: str, wanted: NewCommit) -> str:
        try:
            if any(file.executable for file in wanted.files):
                return await self._by_trees(branch, wanted)
            return await self._on_branch(branch, wanted)
        except ForgeRefused as refused:
            raise _translated(refused, _STALE) from None

    async def committers(self) -> Collection[str]:
        return (_WEB_FLOW,)

    async def _on_branch(self, branch: str, wanted: NewCommit) -> str:
        headline, _, body = wanted.message.partition("\n")
        given = {
            "branch": {"repositoryNameWithOwner": self.repository, "branchName": branch},
            "message": {"headline": headline, "body": body.strip("\n")},
            "expectedHeadOid": wanted.head,
            "fileChanges": {"additions": [{"path": file.path, "contents": file.encoded} for file in wanted.files]},
        }
        answer = await self.api.graphql(self.graphql, _COMMIT, {"input": given})
        told = answer.decode(_Answer)
        if told.errors:
            raise ForgeRefused(f"{self.repository}: the commit was not made: {told.errors[0].message}")
        if told.data is None or told.data.create_commit_on_branch is None:
            raise ForgeError(f"{answer.place} did not say what became of the commit")
        return told.data.create_commit_on_branch.commit.oid

    async def _by_trees(self, branch: str, wanted: NewCommit) -> str:
        """Make blobs, tree and commit, and move the branch; only the last step changes anything that shows."""
        entries = []
        for file in wanted.files:
            blob = await self._sha("blobs", {"content": file.encoded, "encoding": "base64"})
            mode = _EXECUTABLE if file.executable else "100644"
            entries.append({"path": file.path, "mode": mode, "type": "blob", "sha": blob})
        tree = await self._sha("trees", {"base_tree": wanted.head, "tree": entries})
        commit = await self._sha("commits", {"message": wanted.message, "tree": tree, "parents": [wanted.head]})
        path = f"/repos/{self.repository}/git/refs/heads/{quote(branch)}"
        await self.api.send("PATCH", path, {"sha": commit, "force": False})
        return commit

    async def _sha(self, kind: str, body: dict[str, object]) -> str:
        return (await self.api.send("POST", f"/repos/{self.repository}/git/{kind}", body)).decode(_Sha).sha


@dataclass(frozen=True, slots=True)
class GitLabCommits:
    """Implements `CommitMaker`: what changed meanwhile in the same files is refused, what changed elsewhere is not.

    Any commit will do for `last_commit_id`: GitLab looks which one changed the file last as of that one
    (https://gitlab.com/gitlab-org/gitlab/-/blob/master/app/services/files/base_service.rb).
    """

    api: Api
    project: str

    async def commit(self, branch: str, wanted: NewCommit) -> str:
        try:
            body = {
                "branch": branch,
                "commit_message": wanted.message,
                "author_name": wanted.author.name,
                "author_email": wanted.author.email,
                "actions": [_action(file, wanted.head) for file in wanted.files],
            }
            return (await self.api.send("POST", f"{self._path}/commits", body)).decode(_Id).id
        except ForgeRefused as refused:
            raise _translated(refused, _CHANGED) from None

    async def committers(self) -> Collection[str]:
        """Ask whose the token is: GitLab has its owner for the committer."""
        user = (await self.api.get("/user")).decode(_User)
        return tuple(filter(None, (user.email, user.commit_email)))

    @property
    def _path(self) -> str:
        return f"/projects/{quote(self.project, safe='')}/repository"


def _action(file: NewFile, head: str) -> dict[str, object]:
    action: dict[str, object] = {"file_path": file.path, "content": file.encoded, "encoding": "base64"}
    return {"action": "update", **action, "last_commit_id": head} if file.exists else {"action": "create", **action}


def _translated(refused: ForgeRefused, stale: Collection[str]) -> Exception:
    """Say what a refusal means for a push."""
    text = str(refused).lower()
    if isinstance(refused, ForgeThrottled):
        return refused
    return PushStale(str(refused)) if any(words in text for words in stale) else PushRefused(str(refused))
