"""A forge in memory, beside a Git server in memory: what it is told, and what people do there."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from tests.fakes.git import FakeGit
from updater.domain.errors import ForgeError
from updater.domain.pull_requests import PullRequest, State
from updater.domain.target import Branch, repository_key
from updater.formats.pull_request import proposals_in
from updater.ports.forges import NewPullRequest


@dataclass
class FakeForge:
    """Implements `Forges`, and `Forge` for one repository."""

    git: FakeGit
    url: str
    requests: list[PullRequest] = field(default_factory=list)
    comments: list[tuple[int, str]] = field(default_factory=list)
    decorated: list[tuple[int, tuple[str, ...], tuple[str, ...]]] = field(default_factory=list)
    scheduled: list[tuple[int, str, str]] = field(default_factory=list)
    edits: int = 0
    looks: int = 0
    error: ForgeError | None = None
    """Raised by every request while it is set."""
    open_error: ForgeError | None = None
    """Raised when a pull request is to be opened."""
    lose_answers: int = 0
    """So many pull requests are opened, and nobody is told."""

    async def forge(self, branch: Branch) -> "FakeForge":
        return self

    def now(self, number: int) -> PullRequest:
        """Show a pull request, with its branch where Git has it; one whose branch is on its base is merged."""
        there = self.requests[number - 1]
        commits = self.git.branches.get((repository_key(self.url), there.head))
        if not commits or there.state is not State.OPEN:
            return there
        base = {commit.hash for commit in self.git.log(self.url, there.base)}
        state = State.MERGED if commits[-1].hash in base else there.state
        self.requests[number - 1] = replace(there, commit=commits[-1].hash, state=state)
        return self.requests[number - 1]

    def open_ones(self) -> list[PullRequest]:
        return [there for there in self._all() if there.state is State.OPEN]

    def set(self, number: int, **what: object) -> None:
        """Do what a person does."""
        there = replace(self.requests[number - 1], **what)  # type: ignore[arg-type]
        self.requests[number - 1] = replace(there, proposes=proposals_in(there.body))

    def put(self, head: str, state: State = State.OPEN, title: str = "theirs", body: str = "") -> int:
        """Have somebody else open a pull request."""
        number = len(self.requests) + 1
        url = f"https://git.example.com/gitops/pulls/{number}"
        self.requests.append(PullRequest(number, url, head, "main", state, title, body))
        return number

    async def pull_requests(self) -> Sequence[PullRequest]:
        self._fail()
        self.looks += 1
        return self._all()

    async def open(self, wanted: NewPullRequest) -> PullRequest:
        self._fail()
        if self.open_error:
            raise self.open_error
        assert (repository_key(self.url), wanted.head) in self.git.branches
        found = [there for there in self.open_ones() if there.head == wanted.head]
        if found:
            return found[0]
        number = self.put(wanted.head, title=wanted.title, body=wanted.body)
        self.set(number, base=wanted.base)
        if self.lose_answers:
            self.lose_answers -= 1
            raise ForgeError("the connection was lost")
        return self.now(number)

    async def decorate(self, number: int, labels: Sequence[str], reviewers: Sequence[str]) -> None:
        self._fail()
        self.decorated.append((number, tuple(labels), tuple(reviewers)))

    async def edit(self, pull_request: PullRequest, title: str, body: str, base: str) -> None:
        self._fail()
        self.edits += 1
        self.set(pull_request.number, title=title, body=body, base=base)

    async def close(self, number: int, body: str) -> None:
        self._fail()
        self.set(number, state=State.CLOSED, body=body)

    async def comment(self, number: int, text: str) -> None:
        self._fail()
        self.comments.append((number, text))

    async def has_comment(self, number: int, text: str) -> bool:
        return any(number == where and text in said for where, said in self.comments)

    async def automerge(self, pull_request: PullRequest, commit: str, method: str) -> None:
        self._fail()
        self.scheduled.append((pull_request.number, commit, method))

    def _all(self) -> tuple[PullRequest, ...]:
        return tuple(self.now(number + 1) for number in range(len(self.requests)))

    def _fail(self) -> None:
        if self.error:
            raise self.error
