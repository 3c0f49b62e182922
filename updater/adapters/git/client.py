"""Git without a clone: one listing, the few objects on the way to the wanted files, and a push that compares and swaps.

No working copy, no process, no file. `formats.packs` and `protocol` know the bytes, `objects` the trees; here is the
order of the requests, which is what the speed comes from.
"""

import asyncio
import ssl
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from urllib.parse import urlsplit, urlunsplit

import aiohttp
import structlog

from updater.adapters.git import protocol
from updater.adapters.git.credentials import find_login
from updater.adapters.git.http import AnswerLost, GitHttp
from updater.adapters.git.objects import (
    Entries,
    ObjectCache,
    check_directory,
    check_file,
    commit_object,
    components,
    entries_of,
    listing_of,
    tip_of,
    tree_of,
    with_files,
)
from updater.domain.errors import BranchNotFound, EditError, GitError, PushStale
from updater.domain.target import Branch
from updater.formats.packs import BLOB, GitObject, read_pack, write_pack
from updater.ports import Author, RepositorySecrets, Sign, Tip

log = structlog.get_logger()

_CONNECTIONS_PER_HOST = 4
_LARGE_PACK = 200_000
"""Bytes; unpacking more happens beside the loop."""


class GitClient:
    """Opens branches over HTTP(S); connections and objects are shared by all of them."""

    def __init__(
        self,
        secrets: RepositorySecrets,
        *,
        argocd_namespace: str,
        ca_data: str = "",
        max_pack_bytes: int,
        cache_bytes: int,
        max_file_bytes: int,
        timeout: float,
    ) -> None:
        self.secrets = secrets
        self.argocd_namespace = argocd_namespace
        self.max_pack_bytes = max_pack_bytes
        self.max_file_bytes = max_file_bytes
        self.timeout = timeout
        self.objects = ObjectCache(cache_bytes)
        self.capabilities: dict[str, protocol.Capabilities] = {}
        """By repository."""
        self.trust = ssl.create_default_context()
        if ca_data:
            self.trust.load_verify_locations(cadata=ca_data)
        self._session: aiohttp.ClientSession | None = None

    @property
    def session(self) -> aiohttp.ClientSession:
        if self._session is None:
            connector = aiohttp.TCPConnector(limit_per_host=_CONNECTIONS_PER_HOST)
            self._session = aiohttp.ClientSession(connector=connector, cookie_jar=aiohttp.DummyCookieJar())
        return self._session

    async def close(self) -> None:
        if self._session is not None:
            await self._session.close()

    def branch(self, branch: Branch) -> "HttpBranch":
        return HttpBranch(self, branch, _without_login(branch.url))


@dataclass
class HttpBranch:
    """One branch, during one batch; the credentials are read anew for each."""

    client: GitClient
    target: Branch
    url: str
    _http: GitHttp | None = None
    _ref: str = ""
    _made: dict[str, dict[str, GitObject]] = field(default_factory=dict)
    """New objects by the commit that was built of them."""

    @property
    def name(self) -> str:
        return self._ref.removeprefix("refs/heads/")

    async def head(self) -> str:
        http = await self._connected()
        answer = await http.post("git-upload-pack", protocol.ls_refs_request(self.target.branch))
        self._ref, head = protocol.read_ref(answer, self.url, self.target.branch)
        return head

    async def read(self, head: str, paths: Sequence[str]) -> Mapping[str, bytes | None]:
        found = await self._find(head, paths)
        await self._fetch([key for key, is_file in found.values() if is_file], "blob:none")
        return {path: self._content(path, *found[path]) if path in found else None for path in paths}

    async def tip(self, name: str) -> Tip | None:
        commit = await self._other_head(name)
        if not commit:
            return None
        await self._fetch([commit], "tree:0", deepen=True)
        return tip_of(commit, self.client.objects[commit])

    async def commit(
        self,
        head: str,
        files: Mapping[str, bytes],
        message: str,
        author: Author,
        at: datetime,
        sign: Sign | None = None,
    ) -> str:
        root, made = with_files(tree_of(self.client.objects[head]), files, self.client.objects)
        commit = commit_object(root, head, message, author, at, sign)
        self._made[commit.hash] = {**made, commit.hash: commit}
        return commit.hash

    async def push(self, old: str, commit: str, name: str = "") -> None:
        http = await self._connected()
        made = self._made[commit]
        ref = f"refs/heads/{name}" if name else self._ref
        pack = await asyncio.to_thread(write_pack, list(made.values()))
        request = protocol.push_request(ref, old or protocol.NO_COMMIT, commit, pack)
        try:
            answer = await http.post("git-receive-pack", request)
        except AnswerLost as lost:
            await self._find_out(name, old, commit, lost)
        else:
            protocol.check_push(answer, self.url, ref)
        self.client.objects.add(made)

    async def _find_out(self, name: str, old: str, commit: str, lost: AnswerLost) -> None:
        """Ask where the branch is, when the answer to a push was lost; return when the push has arrived."""
        now = await self._other_head(name) if name else await self.head()
        if now == old:
            raise GitError(f"the push did not arrive: {lost}") from None
        if now != commit:
            raise PushStale(f"{self.url}: somebody else moved {name or self._ref} meanwhile") from None
        log.info("git.answer_lost", repository=self.url, commit=commit)

    async def _other_head(self, name: str) -> str:
        """Return the commit of another branch; empty when there is no such branch."""
        http = await self._connected()
        answer = await http.post("git-upload-pack", protocol.ls_refs_request(name))
        try:
            return protocol.read_ref(answer, self.url, name)[1]
        except BranchNotFound:
            return ""

    async def _connected(self) -> GitHttp:
        """Read the credentials, and learn once per repository what its server can do."""
        if self._http is not None:
            return self._http
        if urlsplit(self.url).scheme not in ("http", "https"):
            raise GitError(f"{self.url} is no URL that can be written to: write https://… in the Application")
        client = self.client
        login = await find_login(client.secrets, self.target, client.argocd_namespace)
        http = GitHttp(
            client.session,
            self.url,
            login,
            self.target.credentials,
            client.trust,
            client.timeout,
            client.max_pack_bytes,
        )
        if self.url not in client.capabilities:
            answer = await http.get("/info/refs?service=git-upload-pack")
            client.capabilities[self.url] = protocol.read_capabilities(answer, self.url)
        if not client.capabilities[self.url].filter:
            raise GitError(
                f"{self.url}: the server offers no partial fetches: set uploadpack.allowFilter to true there",
            )
        self._http = http
        return http

    async def _find(self, head: str, paths: Sequence[str]) -> dict[str, tuple[str, bool]]:
        """Walk to all paths together, one fetch for each level; give what was found: its hash, and whether a file."""
        await self._fetch([head], "tree:0", deepen=True)
        root = tree_of(self.client.objects[head])
        walks = [_Walk(path, components(path), root) for path in paths if path != "/"]
        found: dict[str, tuple[str, bool]] = {"/": (root, False)} if "/" in paths else {}
        while walks:
            await self._fetch([walk.tree for walk in walks], "tree:0")
            trees = {walk.tree: entries_of(self.client.objects[walk.tree]) for walk in walks}
            walks = [after for walk in walks if (after := walk.step(trees[walk.tree], found))]
        directories = [key for key, is_file in found.values() if not is_file]
        await self._fetch(directories, "tree:0")
        return found

    async def _fetch(self, wanted: Sequence[str], filter: str, *, deepen: bool = False) -> None:  # noqa: A002
        """Fetch those objects that are not known yet."""
        client = self.client
        missing = [key for key in dict.fromkeys(wanted) if key not in client.objects]
        if not missing:
            return
        http = await self._connected()
        request = protocol.fetch_request(missing, filter=filter, deepen=deepen)
        pack = protocol.read_fetch(await http.post("git-upload-pack", request))
        if len(pack) > _LARGE_PACK:
            objects = await asyncio.to_thread(read_pack, pack, client.objects, client.max_pack_bytes)
        else:
            objects = read_pack(pack, client.objects, client.max_pack_bytes)
        client.objects.add({key: objects[key] for key in missing if key in objects})
        absent = [key for key in missing if key not in client.objects]
        if absent:
            raise GitError(f"{self.url} did not send {len(absent)} of {len(missing)} objects asked for: {absent[0]}")

    def _content(self, path: str, key: str, is_file: bool) -> bytes:  # noqa: FBT001 - goes with the hash
        found = self.client.objects[key]
        if not is_file:
            return "\n".join(listing_of(found)).encode("utf-8", "surrogateescape")
        if found.kind != BLOB:
            raise GitError(f"{self.url} sent something else for the file {path}")
        if len(found.data) > self.client.max_file_bytes:
            raise EditError(f"{path} has {len(found.data)} bytes, more than git.max_file allows")
        return found.data


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


def _without_login(url: str) -> str:
    parts = urlsplit(url.strip())
    return urlunsplit(parts._replace(netloc=parts.netloc.rpartition("@")[2], path=parts.path.rstrip("/")))
