"""Git without a clone: one listing, the few objects on the way to the wanted files, and a push that compares and swaps.

No working copy, no process, no file. `formats.packs` knows the bytes, `objects` the trees, `fetching` and `pushing` the
conversations; here is the order of the requests, which is what the speed comes from.
"""

import asyncio
import stat
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import TypeVar

import structlog

from updater.adapters.git.fetching import UploadPack, open_upload_pack
from updater.adapters.git.knowledge import Knowledge
from updater.adapters.git.objects import (
    Entries,
    Held,
    ObjectCache,
    check_directory,
    check_file,
    commit_object,
    components,
    entries_of,
    listing_of,
    parents_of,
    tip_of,
    tree_of,
    with_files,
)
from updater.adapters.git.pushing import Push
from updater.adapters.git.reach import Reach
from updater.adapters.git.transport import AnswerLost, CutShort, Transport
from updater.domain.errors import BranchNotFound, EditError, GitAuthError, GitError, PushStale
from updater.domain.target import Branch
from updater.formats.packs import BLOB, Sent
from updater.ports.git import Author, Sign, Tip

log = structlog.get_logger()

_MOST_COMMITS = 1_000
_Result = TypeVar("_Result")


class GitClient:
    """Opens branches; connections, objects and what is known of servers are shared by all of them."""

    def __init__(
        self,
        reach: Reach,
        *,
        max_pack_bytes: int,
        cache_bytes: int,
        max_file_bytes: int,
        ask_before_push: bool = False,
    ) -> None:
        self.reach = reach
        self.max_pack_bytes = max_pack_bytes
        self.max_file_bytes = max_file_bytes
        self.ask_before_push = ask_before_push
        self.objects = ObjectCache(cache_bytes)
        self.knowledge = Knowledge()

    async def close(self) -> None:
        await self.reach.close()

    def branch(self, branch: Branch) -> "RemoteBranch":
        return RemoteBranch(self, branch, Held(self.objects))


@dataclass
class RemoteBranch:
    """One branch, during one batch; the credentials are read anew for each."""

    client: GitClient
    target: Branch
    objects: Held
    _transport: Transport | None = None
    _ref: str = ""
    _made: dict[str, dict[str, Sent]] = field(default_factory=dict)
    """What has to be sent, by the commit that was built of it."""

    @property
    def name(self) -> str:
        return self._ref.removeprefix("refs/heads/")

    async def head(self) -> str:
        async def find(upload: UploadPack) -> tuple[str, str]:
            return await upload.find(self.target.branch)

        self._ref, head = await self._ask(find)
        return head

    async def tip(self, name: str) -> Tip | None:
        async def find(upload: UploadPack) -> Tip | None:
            try:
                _, commit = await upload.find(name)
            except BranchNotFound:
                return None
            await upload.need([commit], commit, "tree:0")
            return tip_of(commit, self.objects[commit])

        return await self._ask(find)

    async def read(self, head: str, paths: Sequence[str]) -> Mapping[str, bytes | None]:
        async def find(upload: UploadPack) -> dict[str, tuple[str, bool]]:
            found = await self._find(upload, head, paths)
            await upload.need([key for key, is_file in found.values() if is_file], head, "blob:none")
            return found

        found = await self._ask(find)
        self.client.knowledge.moved((await self._reached()).place, self._ref, head)
        return {path: self._content(path, *found[path]) if path in found else None for path in paths}

    async def commit(
        self,
        head: str,
        files: Mapping[str, bytes],
        message: str,
        author: Author,
        at: datetime,
        sign: Sign | None = None,
    ) -> str:
        root, made = await asyncio.to_thread(with_files, tree_of(self.objects[head]), files, self.objects)
        commit = commit_object(root, head, message, author, at, sign)
        self._made[commit.hash] = {**made, commit.hash: Sent(commit)}
        return commit.hash

    def present(self, head: str, path: str) -> tuple[bool, bool]:
        """Tell whether a file that was read is there, and whether it is executable."""
        tree = tree_of(self.objects[head])
        *above, last = components(path)
        for part in above:
            entry = entries_of(self.objects[tree]).get(part)
            if entry is None:
                return False, False
            tree = entry[1]
        entry = entries_of(self.objects[tree]).get(last)
        return entry is not None, entry is not None and bool(entry[0] & stat.S_IXUSR)

    async def push(self, old: str, commit: str, name: str = "") -> str:
        transport = await self._reached()
        ref = f"refs/heads/{name}" if name else self._ref
        known = self.client.knowledge.of(transport.place, transport.host)
        made = self._made.get(commit, {})
        push = Push(transport, self.client.knowledge, known, ref, old, commit, list(made.values()))
        try:
            await push.send(ask_before=self.client.ask_before_push)
        except AnswerLost as lost:
            await self._find_out(ref, old, commit, lost)
        self.objects.hold({key: sent.whole for key, sent in made.items()})
        self.client.knowledge.moved(transport.place, ref, commit)
        return commit

    async def _find_out(self, ref: str, old: str, commit: str, lost: AnswerLost) -> None:
        """Ask where the branch is, when the answer to a push was lost; return when the push has arrived."""
        place = (await self._reached()).place

        async def find(upload: UploadPack) -> tuple[str, bool]:
            try:
                _, now = await upload.find(ref.removeprefix("refs/heads/"))
            except BranchNotFound:
                return "", False
            return now, now == commit or (bool(commit) and now != old and await _descends(upload, commit, now))

        try:
            now, arrived = await self._ask(find)
        except GitError as error:
            raise GitError(f"{lost}; whether the push arrived cannot be told: {error}") from None
        if now == old:
            raise GitError(f"the push did not arrive: {lost}") from None
        if not arrived:
            raise PushStale(f"{place}: somebody else moved {ref} meanwhile") from None
        log.info("git.answer_lost", repository=place, commit=commit)

    async def _reached(self) -> Transport:
        if self._transport is None:
            self._transport = await self.client.reach.transport(self.target, self.client.max_pack_bytes)
        return self._transport

    async def _ask(self, work: Callable[[UploadPack], Awaitable[_Result]]) -> _Result:
        """Hold a conversation; once more, when what was believed of the server proves wrong."""
        transport, client = await self._reached(), self.client
        for _ in range(2):
            async with open_upload_pack(transport, client.knowledge, self.objects, client.max_pack_bytes) as upload:
                try:
                    return await work(upload)
                except (GitAuthError, BranchNotFound):
                    raise
                except GitError as error:
                    if not upload.believes or (isinstance(error, AnswerLost) and not isinstance(error, CutShort)):
                        raise
                    log.info("git.rediscovered", repository=transport.place, reason=str(error))
            client.knowledge.forget(transport.place, transport.host)
        raise AssertionError  # the second time nothing is believed

    async def _find(self, upload: UploadPack, head: str, paths: Sequence[str]) -> dict[str, tuple[str, bool]]:
        """Walk to all paths together, one fetch for each level; give what was found: its hash, and whether a file."""
        named = {path: components(path) for path in paths if path != "/"}
        old = self.client.knowledge.head(upload.transport.place, self._ref)
        if head not in self.objects and old in self.objects:
            await upload.since(old, head)
        await upload.need([head], head, "tree:0")
        root = tree_of(self.objects[head])
        walks = [_Walk(path, parts, root) for path, parts in named.items()]
        found: dict[str, tuple[str, bool]] = {"/": (root, False)} if "/" in paths else {}
        while walks:
            await upload.need([walk.tree for walk in walks], head, "tree:0")
            trees = await asyncio.to_thread(self._entries, {walk.tree for walk in walks})
            walks = [after for walk in walks if (after := walk.step(trees[walk.tree], found))]
        directories = [key for key, is_file in found.values() if not is_file]
        await upload.need(directories, head, "tree:0")
        return found

    def _entries(self, trees: Iterable[str]) -> dict[str, Entries]:
        return {tree: entries_of(self.objects[tree]) for tree in trees}

    def _content(self, path: str, key: str, is_file: bool) -> bytes:  # noqa: FBT001 - goes with the hash
        found = self.objects[key]
        if not is_file:
            return "\n".join(listing_of(found)).encode("utf-8", "surrogateescape")
        if found.kind != BLOB:
            raise GitError(f"{self.target.url} sent something else for the file {path}")
        if len(found.data) > self.client.max_file_bytes:
            raise EditError(f"{path} has {len(found.data)} bytes, more than git.max_file allows")
        return found.data


async def _descends(upload: UploadPack, commit: str, now: str) -> bool:
    """Tell whether `now` has a commit in its history, as far back as somebody can have pushed since it was sent."""
    parent = upload.objects
    came = await upload.ancestors(commit, now)
    waiting, seen = [now], set(parent)
    while came and waiting and len(seen) < _MOST_COMMITS + len(parent):
        each = waiting.pop()
        if each == commit:
            return True
        if each in came and each not in seen:
            waiting += parents_of(came[each])
        seen.add(each)
    return False


@dataclass(frozen=True, slots=True)
class _Walk:
    """On the way to a path."""

    path: str
    rest: list[str]
    tree: str

    def step(self, entries: Entries, found: dict[str, tuple[str, bool]]) -> "_Walk | None":
        """Go one level down; note what was found at the end of the path. A path that ends early is not there."""
        name, *rest = self.rest
        if name not in entries:
            return None
        mode, key = entries[name]
        if rest or self.path.endswith("/"):
            check_directory(mode, self.path.rsplit("/", len(rest))[0] if rest else self.path)
        else:
            check_file(mode, self.path)
        if rest:
            return _Walk(self.path, rest, key)
        found[self.path] = (key, not self.path.endswith("/"))
        return None
