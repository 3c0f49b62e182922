"""Repositories on forges, where changes are proposed: what people do with pull requests, and what has to hold there."""

import asyncio
import random
import re
import ssl
from collections.abc import Awaitable, Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from subprocess import CalledProcessError

from tests.fakes.forges import REPOSITORY, FakeRequest
from tests.soak import history
from tests.soak.forge_troubles import FORGE_TROUBLES, TroubledForge
from tests.soak.history import OURS, PERSON
from tests.soak.tracked import FORBIDDEN, ONE, OVERRIDE, TWO, VALUES, Allowed, Tracked, first_files
from updater.demo.gitserver import create_repository
from updater.domain.pull_requests import Proposed
from updater.formats.pull_request import proposals_in

Say = Callable[[str], None]

_PEOPLE = "ada@example.com"
_MOST_COPIES = 5
_BY_VERSION = "main:{{.AppName}}-{{range .Images}}{{.NewTag}}{{end}}"


@dataclass
class Reviewed:
    """One repository on one forge, and the Applications whose changes are proposed there."""

    forge: TroubledForge
    allowed: Allowed
    merged: int = 0
    closed: int = 0
    people: int = 0
    """Commits of theirs."""
    declined: list[tuple[int, Proposed]] = field(default_factory=list)
    """What people closed pull requests about, each with the latest number that there was then."""
    copies: list[tuple[FakeRequest, str]] = field(default_factory=list)
    """Pull requests from forks that look like ours, and what they say."""
    wrong: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        kind = str(self.forge.kind)
        self.tracked = (
            _tracked(f"{kind}-alone", ONE),
            _tracked(f"{kind}-left", ONE, {"pull-request.group": "repository"}, VALUES),
            _tracked(f"{kind}-right", TWO, {"pull-request.group": "repository"}),
            _tracked(f"{kind}-named", ONE, {"git-branch": _BY_VERSION}),
        )

    @property
    def kind(self) -> str:
        return str(self.forge.kind)

    @property
    def url(self) -> str:
        return self.forge.url(f"{REPOSITORY}.git")

    def create(self) -> None:
        """Make the repository, in which nothing is ever thrown away."""
        self.forge.directory.parent.mkdir(parents=True)
        create_repository(self.forge.directory.parent, self.forge.directory.name, first_files(self.tracked))
        self.forge.git("config", "gc.auto", "0")

    def behind(self) -> list[str]:
        """Say of which Applications the newest allowed version is neither on the base nor proposed, once."""
        with self.forge.lock:
            own = self.forge.own()
            heads = ["main", *(each.head for each in own)]
            found = history.read(
                self.forge.directory, [f"refs/heads/{head}:{one.path}" for one in self.tracked for head in heads]
            )
        parts = [found[start : start + len(heads)] for start in range(0, len(found), len(heads))]
        standing = {
            one: [one.tag_in(each, self.allowed) for each in part]
            for one, part in zip(self.tracked, parts, strict=True)
        }
        about = {one: [each.number for each in own if _is_about(each, one.name)] for one in self.tracked}
        return [
            f"{one.name} is at {tags[0] or 'nothing'}, with {tags[1:]} on branches of {about[one]}, instead of {wanted}"
            for one, tags in standing.items()
            if (wanted := self.allowed[one.repository][-1]) not in tags or len(about[one]) > 1
        ]

    async def trouble(self, say: Say, chance: random.Random) -> None:
        name, seconds = chance.choice(list(FORGE_TROUBLES)), chance.uniform(0.3, 4)
        say(f"{self.kind} {name.replace('_', ' ')} for {seconds:.1f} s")
        self.forge.begin(FORGE_TROUBLES[name])
        try:
            await asyncio.sleep(seconds)
        finally:
            self.forge.end()

    async def person(self, chance: random.Random, say: Say) -> None:
        """Have somebody do something with a pull request, or commit beside it."""
        deeds: dict[str, Callable[[FakeRequest, random.Random], Awaitable[str]]] = {
            "merges": self._merges,
            "squashes": self._merges,
            "closes": self._closes,
            "deletes the branch of": self._closes,
            "commits to": self._commits_to,
            "copies": self._copies,
        }
        there = await asyncio.to_thread(self._open_ones)
        if chance.random() < 0.2 or not there:
            await asyncio.to_thread(self._commits)
            return
        name, chosen = chance.choice(list(deeds)), chance.choice(there)
        done = await deeds[name](chosen, random.Random(f"{name} {chance.random()}"))
        if done:
            say(f"a person {name} {self.kind}'s pull request {chosen.number} {done}".rstrip())

    def _open_ones(self) -> list[FakeRequest]:
        with self.forge.lock:
            return self.forge.own()

    async def _merges(self, there: FakeRequest, chance: random.Random) -> str:
        return await asyncio.to_thread(self._merge, there, squash=chance.random() < 0.4, clean=chance.random() < 0.5)

    def _merge(self, there: FakeRequest, *, squash: bool, clean: bool) -> str:
        with self.forge.lock:
            if there not in self.forge.own():
                return ""
            heads, git = self.forge.heads(), self.forge.git
            main, head = heads["main"], heads[there.head]
            try:
                tree = git("merge-tree", "--write-tree", main, head)
            except CalledProcessError:
                return ""  # it conflicts: the forge has no button for that
            author = ("-c", "user.name=ada", "-c", f"user.email={_PEOPLE}")
            parents = ("-p", main) if squash else ("-p", main, "-p", head)
            made = git(*author, "commit-tree", tree, *parents, "-m", f"{PERSON}merges {there.number}")
            git("update-ref", "refs/heads/main", made, main)
            there.state, there.commit = "merged", head
            self.forge.touch(there)
            self.merged += 1
            if clean:
                self._delete(there.head, head)
            return f"{'into one commit ' if squash else ''}{'and deletes the branch' if clean else ''}"

    async def _closes(self, there: FakeRequest, chance: random.Random) -> str:
        return await asyncio.to_thread(self._close, there, clean=chance.random() < 0.6)

    def _close(self, there: FakeRequest, *, clean: bool) -> str:
        with self.forge.lock:
            if there not in self.forge.own():
                return ""
            self.forge.close(there.number)
            last = len(self.forge.requests_made)
            self.declined += [(last, each) for each in proposals_in(there.body)]
            self.closed += 1
            if clean:
                self._delete(there.head, self.forge.heads()[there.head])
            return "unmerged, and its branch is gone" if clean else "unmerged"

    def _delete(self, name: str, commit: str) -> None:
        self.forge.git("update-ref", "-d", f"refs/heads/{name}", commit)

    async def _commits_to(self, there: FakeRequest, chance: random.Random) -> str:
        """Commit to a branch of ours, and merge it, or delete it, a while later: nobody may take the commit away."""
        commit = await asyncio.to_thread(self._commit_to, there)
        if not commit:
            return ""
        await asyncio.sleep(chance.uniform(0.5, 4))
        now = (await asyncio.to_thread(self.forge.heads)).get(there.head, "nowhere")
        if now != commit:
            self.wrong.append(f"a person's commit on {there.head} was thrown away for {now}")
        if chance.random() < 0.5 and await self._merges(there, chance):
            return "and merges it"
        await asyncio.to_thread(self._close, there, clean=True)
        return "and closes it"

    def _commit_to(self, there: FakeRequest) -> str:
        with self.forge.lock:
            if there not in self.forge.own():
                return ""
            return self._commit(there.head)

    def _commits(self) -> None:
        with self.forge.lock:
            self._commit("main")

    def _commit(self, branch: str) -> str:
        """Add a file of people's own to a branch; nothing when somebody was faster."""
        before = self.forge.heads()[branch]
        self.people += 1
        files = {f"people/{self.people}.txt": b"by hand\n"}
        made = self.forge.make_commit(before, files, f"{PERSON}{self.people}", _PEOPLE, _PEOPLE)
        try:
            self.forge.git("update-ref", f"refs/heads/{branch}", made, before)
        except CalledProcessError:
            return ""
        return made

    async def _copies(self, there: FakeRequest, chance: random.Random) -> str:
        return await asyncio.to_thread(self._copy, there)

    def _copy(self, there: FakeRequest) -> str:
        with self.forge.lock:
            if len(self.copies) >= _MOST_COPIES:
                return ""
            copy = self.forge.put(there.head, from_fork=True, body=there.body)
            self.copies.append((copy, there.body))
        return "from a fork"

    def addresses(self) -> set[str]:
        """Give the addresses of all pull requests that there ever were."""
        shown = (self.forge.shown(each) for each in self.forge.requests_made)
        return {str(each["web_url" if self.kind == "gitlab" else "html_url"]) for each in shown}

    def commit_names(self) -> set[str]:
        return {each.hash for each in history.all_commits(self.forge.directory)}

    def summary(self) -> str:
        made = len(self.forge.requests_made) - len(self.copies)
        said = f"{made} pull requests of ours, {self.merged} merged and {self.closed} closed by people"
        return f"{self.kind}: {said}, {self.people} commits of theirs, {len(self.copies)} copies from forks"

    def violations(self) -> Iterator[str]:
        """Say what is not as it has to be when all is at rest."""
        for each in (*self.wrong, *self.forge.opened_twice, *self._of_commits(), *self._of_requests()):
            yield f"{self.kind}: {each}"

    def _of_commits(self) -> Iterator[str]:
        repository = self.forge.directory
        yield from history.broken(repository)
        ours = [each for each in history.all_commits(repository) if each.author == OURS]
        yield from history.judged(repository, ours, self.tracked, self.allowed)
        for each in history.history(repository, "--first-parent")[1:]:
            if each.author == OURS or not each.message.startswith(PERSON):
                yield f"{each.hash} came to the base without a person: {each.message}"

    def _of_requests(self) -> Iterator[str]:
        with self.forge.lock:
            open_ones, made = self.forge.own(), self.forge.requests_made
            heads = self.forge.heads()
        for one in self.tracked:
            used = {each.head for each in made if _is_about(each, one.name) and not each.from_fork}
            if "git-branch" not in one.annotations and len(used) > 1:
                yield f"{one.name} was proposed on {used}"
        for each in made:
            if found := re.search(FORBIDDEN, f"{each.title}\n{each.body}"):
                yield f"pull request {each.number} speaks of {found[0]}, which may never be chosen"
        for each in open_ones:
            ahead = self.forge.git("rev-list", "--count", f"main..{heads[each.head]}")
            if ahead != "1":
                yield f"the branch {each.head} has {ahead} commits instead of one"
        yield from self._of_others(made)

    def _of_others(self, made: Sequence[FakeRequest]) -> Iterator[str]:
        """Find what people did and was not respected."""
        for last, declined in self.declined:
            again = [each.number for each in made[last:] if declined in proposals_in(each.body) and not each.from_fork]
            if again:
                yield f"{declined.application} {declined.version} was declined, and is in {again} again"
        for copy, body in self.copies:
            if (copy.title, copy.body, copy.state, copy.comments, copy.labels) != ("theirs", body, "open", [], []):
                yield f"pull request {copy.number}, which is from a fork, was touched"


def reviewed(kind: type[TroubledForge], root: Path, password: str, trust: ssl.SSLContext, allowed: Allowed) -> Reviewed:
    return Reviewed(kind(root / str(kind.kind), password=password, ssl_context=trust), allowed)


def _tracked(name: str, repository: str, more: dict[str, str] | None = None, text: str = OVERRIDE) -> Tracked:
    path = f"apps/{name}/values.yaml" if text is VALUES else f"apps/{name}/.argocd-source-{name}.yaml"
    return Tracked(name, repository, path, text, more or {})


def _is_about(there: FakeRequest, name: str) -> bool:
    return any(each.application == f"argocd/{name}" for each in proposals_in(there.body))
