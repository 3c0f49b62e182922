"""Forges on loopback: real Git repositories by git http-backend, and beside them the API, as its documentation says.

What a pull request is follows from the branches: one whose branch has come to its base is merged, one whose branch is
gone is closed. A test does with `git` what people do with it.
"""

import asyncio
import hashlib
import json
import os
import re
import subprocess
import threading
from abc import abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

from aiohttp import web

from tests.fakes.git_http import FaultyGitServer
from updater.domain.pull_requests import ForgeKind

SAMPLES = Path(__file__).parents[2] / "samples" / "forges"
REPOSITORY = "team/gitops"
USER = "bot"
Body = dict[str, Any]
Route = Callable[..., "web.Response"]


@dataclass
class FakeRequest:
    """A pull request, whatever the forge calls it."""

    number: int
    head: str
    base: str
    title: str
    body: str
    state: str = "open"
    """`open`, `closed` or `merged`."""
    commit: str = ""
    updated: int = 0
    """Seconds."""
    from_fork: bool = False
    labels: list[str] = field(default_factory=list)
    reviewers: list[str] = field(default_factory=list)
    comments: list[str] = field(default_factory=list)
    automerge: str = ""
    """The method, once it is scheduled."""

    @property
    def time(self) -> str:
        return f"2026-01-01T{self.updated // 3600:02}:{self.updated // 60 % 60:02}:{self.updated % 60:02}Z"


class Asked(NamedTuple):
    """A request to the API."""

    method: str
    path: str
    status: int


class ForgeServer(FaultyGitServer):
    """Serves one repository, to one user, by Git and by the API of a forge."""

    kind: ForgeKind
    already_there: int
    """The status that says so."""
    page_size = 100
    git_path = f"{REPOSITORY}.git"
    has_labels = True
    has_etags = True
    reviewer = "ada"
    """One that there is."""

    def __init__(self, root: Path, *, password: str, **more: Any) -> None:
        super().__init__(root, username=USER, password=password, **more)
        self.directory = root / f"{REPOSITORY}.git"
        self.requests_made: list[FakeRequest] = []
        self.asked: list[Asked] = []
        self.lock = threading.RLock()
        """Held while something is done to pull requests: the API answers from a thread."""
        self._token = f"Bearer {password}"
        self._clock = 0
        self._known_ahead: dict[tuple[str, str], bool] = {}

    def git(self, *arguments: str) -> str:
        command = ("git", "-C", str(self.directory), *arguments)
        return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()

    def put(self, head: str, *, from_fork: bool = False, body: str = "", state: str = "open") -> FakeRequest:
        """Have somebody open a pull request."""
        number = len(self.requests_made) + 1
        made = FakeRequest(number, head, "main", "theirs", body, state, from_fork=from_fork)
        self.requests_made.append(made)
        self.touch(made)
        return made

    def touch(self, there: FakeRequest) -> None:
        self._clock += 1
        there.updated = self._clock

    def close(self, number: int) -> None:
        """Do what a person does with the button."""
        there = self.requests_made[number - 1]
        there.state = "closed"
        self.touch(there)

    def open_ones(self) -> list[FakeRequest]:
        with self.lock:
            self._follow()
            return [there for there in self.requests_made if there.state == "open"]

    def branches(self) -> list[str]:
        return list(self.heads())

    def heads(self) -> dict[str, str]:
        """Give the commit of each branch, all seen at one moment."""
        lines = self.git("for-each-ref", "--format=%(objectname) %(refname:lstrip=2)", "refs/heads").splitlines()
        return {name: commit for commit, _, name in (line.partition(" ") for line in lines)}

    def writes(self) -> list[Asked]:
        return [asked for asked in self.asked if asked.method != "GET"]

    def make_commit(
        self,
        head: str,
        files: Mapping[str, bytes],
        message: str,
        author: str,
        committer: str,
        modes: Mapping[str, str] | None = None,
    ) -> str:
        """Make a commit without a branch, by git's own plumbing."""
        environ = {**os.environ, "GIT_INDEX_FILE": str(self.directory / f"index-{len(self.asked)}")}
        for who, address in (("AUTHOR", author), ("COMMITTER", committer)):
            environ |= {f"GIT_{who}_NAME": "forge", f"GIT_{who}_EMAIL": address}

        def git(*arguments: str, data: bytes = b"") -> str:
            command = ("git", "-C", str(self.directory), *arguments)
            done = subprocess.run(command, check=True, capture_output=True, input=data, env=environ)
            return done.stdout.decode().strip()

        git("read-tree", head)
        for path, data in files.items():
            blob = git("hash-object", "-w", "--stdin", data=data)
            mode = (modes or {}).get(path, "100644")
            git("update-index", "--add", "--cacheinfo", f"{mode},{blob},{path}")
        tree = git("write-tree")
        return git("commit-tree", tree, "-p", head, "-F", "-", data=message.encode())

    def refuse_all(self) -> None:
        """Take no credentials any more."""
        self._token = self._authorization = "none"

    async def _serve(self, request: web.Request) -> web.StreamResponse:  # type: ignore[override]
        if not self.is_api(request.path):
            return await super()._serve(request)
        body = await request.read()
        answer = self.fault(request, body)
        if answer is None:
            answer = await asyncio.to_thread(self._answer, request, body)
        path = request.raw_path.partition("?")[0]
        self.asked.append(Asked(request.method, path, answer.status))
        return answer

    def _answer(self, request: web.Request, body: bytes) -> web.Response:
        if request.headers.get("Authorization") not in (self._token, self._authorization):
            return said(401, {"message": "Bad credentials"})
        path = request.raw_path.partition("?")[0]
        for method, pattern, route in self.routes():
            found = re.fullmatch(pattern, path)
            if found and method == ("GET" if request.method == "HEAD" else request.method):
                given = json.loads(body) if body else dict(request.query)
                with self.lock:
                    self._follow()
                    return self._conditional(request, route(given, *found.groups()))
        return said(404, {"message": "Not Found"})

    def is_api(self, path: str) -> bool:
        return path.startswith("/api/")

    @abstractmethod
    def routes(self) -> list[tuple[str, str, Route]]:
        """Give method, pattern of the path, and who answers."""

    @abstractmethod
    def shown(self, there: FakeRequest) -> Body:
        """Show a pull request as the API does."""

    def listed(self, query: Body, state: str, *, head: str = "") -> web.Response:
        """Answer a listing, with a link to its next page."""
        found, following = self.selected(query, state, head=head)
        answer = said(200, [self.shown(each) for each in found])
        if following:
            answer.headers["Link"] = f'<{following}>; rel="next"'
        return answer

    def selected(self, query: Body, state: str, *, head: str = "") -> tuple[list[FakeRequest], str]:
        """Give a page of a listing, the latest change first, and the address of the next one."""
        states = {"all": ("open", "closed", "merged"), "open": ("open",), "opened": ("open",)}[state]
        found = [each for each in self.requests_made if each.state in states and head in ("", each.head)]
        found.sort(key=lambda each: each.updated, reverse=True)
        wanted = query.get("per_page") or query.get("limit") or query.get("pagelen") or 30
        size = min(int(wanted), self.page_size)
        page = int(query.get("page", 1))
        part = found[(page - 1) * size : page * size]
        if page * size >= len(found):
            return part, ""
        parameters = "&".join(f"{key}={value}" for key, value in {**query, "page": str(page + 1)}.items())
        return part, f"{self.url(self.listing.lstrip('/'))}?{parameters}"

    listing: str
    """Path of the listing."""

    def opened(self, head: str, base: str, title: str, body: str) -> FakeRequest | None:
        """Open a pull request; None when there is one. KeyError: no such branch, or nothing to be merged."""
        if any(each.head == head and each.state == "open" and not each.from_fork for each in self.requests_made):
            return None
        heads = self.heads()
        if head not in heads or base not in heads or not self._ahead(heads[head], heads[base]):
            raise KeyError(head)
        made = FakeRequest(len(self.requests_made) + 1, head, base, title, body)
        self.requests_made.append(made)
        self.touch(made)
        self._follow()
        return made

    def numbered(self, number: str) -> FakeRequest:
        return self.requests_made[int(number) - 1]

    def _follow(self) -> None:
        """Let pull requests follow their branches."""
        heads = self.heads()
        for there in self.requests_made:
            if there.state != "open" or there.from_fork:
                continue
            commit = heads.get(there.head, "")
            known = commit or there.commit
            if known and not self._ahead(known, heads[there.base]):
                there.state, there.commit = "merged", known
                self.touch(there)
            elif not commit:
                there.state = "closed"
                self.touch(there)
            elif commit != there.commit:
                there.commit, there.automerge = commit, ""
                self.touch(there)

    def _ahead(self, head: str, base: str) -> bool:
        """Tell whether a commit has something that another does not."""
        if (head, base) not in self._known_ahead:
            self._known_ahead[head, base] = self.git("rev-list", "--count", f"{base}..{head}") != "0"
        return self._known_ahead[head, base]

    def _conditional(self, request: web.Request, answer: web.Response) -> web.Response:
        if request.method != "GET" or answer.status != 200 or not self.has_etags:
            return answer
        assert isinstance(answer.body, bytes)
        etag = f'W/"{hashlib.sha256(answer.body).hexdigest()[:20]}"'
        if request.headers.get("If-None-Match") == etag:
            return web.Response(status=304, headers={"ETag": etag})
        answer.headers["ETag"] = etag
        return answer


def said(status: int, body: object) -> web.Response:
    return web.Response(status=status, body=json.dumps(body).encode(), content_type="application/json")


def sample(name: str) -> Body:
    loaded: Body = json.loads((SAMPLES / name).read_text())
    return loaded
