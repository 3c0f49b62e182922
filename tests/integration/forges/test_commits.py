"""Commits that GitHub and GitLab make (`git.commit_method: api`), on the base and on branches of our own."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest
from aiohttp import web
from structlog.testing import capture_logs

from tests.adapters.git.test_git_client import NOWHERE, Secrets
from tests.fakes.cluster import helm_application
from tests.fakes.forges import REPOSITORY, ForgeServer, said
from tests.fakes.forges.gitea import GiteaServer
from tests.fakes.forges.github import WEB_FLOW, GitHubServer
from tests.fakes.forges.gitlab import OWNER, GitLabServer
from tests.fakes.house import House, now
from updater.adapters.argocd_trust import ArgoTrust
from updater.adapters.forges import client
from updater.adapters.forges.branches import ForgeGit
from updater.adapters.forges.client import ForgeClient
from updater.adapters.git.client import GitClient
from updater.adapters.git.reach import Reach
from updater.demo.gitserver import commit_files, create_repository
from updater.domain.errors import ForgeError, ForgeThrottled, PushRefused, PushStale
from updater.domain.pull_requests import PullRequestSettings
from updater.domain.target import Branch
from updater.ports.git import Author, GitBranch
from updater.stages.keyed import Pace

pytestmark = pytest.mark.integration

PASSWORD = "forge-p4ssword"
IMAGE = "registry.example.com/team/app"
VALUES = "apps/one/values.yaml"
FILES = {"apps/one/Chart.yaml": "name: one\n", VALUES: "image:\n  tag: v1.0\n", "run.sh": "old\n"}
AUTHOR = Author("argocd-image-updater", "noreply@argoproj.io")
COMMITTERS = {GitHubServer: WEB_FLOW, GitLabServer: OWNER}


@dataclass
class Place:
    server: ForgeServer
    reach: Reach

    def __post_init__(self) -> None:
        git = GitClient(self.reach, max_pack_bytes=2**26, cache_bytes=2**25, max_file_bytes=2**20)
        self.forges = ForgeClient(self.reach)
        self.git = ForgeGit(git, self.forges, AUTHOR)

    @property
    def branch(self) -> Branch:
        url = self.server.url(f"{REPOSITORY}.git")
        return Branch(url, "main", "secret:argocd/git-creds", "", PullRequestSettings(self.server.kind))

    def open(self) -> GitBranch:
        return self.git.branch(self.branch)

    async def built(self, remote: GitBranch, files: dict[str, bytes], message: str = "subject\n\nbody\n") -> str:
        head = await remote.head()
        await remote.read(head, list(files))
        return await remote.commit(head, files, message, AUTHOR, now())

    def commit(self, path: str, branch: str = "main") -> None:
        commit_files(self.server.directory, {path: "theirs\n"}, "theirs", branch=branch)

    @asynccontextmanager
    async def house(self) -> AsyncIterator[House]:
        house = House()
        house.git, house.forge = self.git, self.forges  # type: ignore[assignment]
        house.registry.push(IMAGE, "v1.0", "v2.0")
        annotations = {"pull-request": str(self.server.kind)}
        method, url = "git:secret:argocd/git-creds", self.branch.url
        house.cluster.put(helm_application("one", IMAGE, annotations, method=method, url=url))
        async with house.running():
            yield house


@asynccontextmanager
async def served(root: Path, kind: type[ForgeServer]) -> AsyncIterator[Place]:
    (root / "team").mkdir(parents=True)
    repository = await asyncio.to_thread(create_repository, root / "team", "gitops.git", FILES)
    secrets = Secrets({"username": b"bot", "password": PASSWORD.encode()})
    trust = ArgoTrust(secrets, "argocd", tls_directory=NOWHERE, known_hosts_file=NOWHERE / "known_hosts")
    reach = Reach(secrets, trust, argocd_namespace="argocd", timeout=10, environ={})
    async with kind(root, password=PASSWORD) as server:
        assert server.directory == repository
        yield Place(server, reach)
        await reach.close()


@pytest.fixture(params=[GitHubServer, GitLabServer], ids=lambda server: str(server.kind))
async def place(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Place]:
    async with served(tmp_path / "served", request.param) as made:
        yield made


async def test_forge_makes_the_commit_on_the_base(place: Place) -> None:
    remote = place.open()
    built = await place.built(remote, {VALUES: b"image:\n  tag: v2.0\n", "new/file.yaml": b"n: 1\n"})
    made = await remote.push(await remote.head(), built)
    assert place.server.git("rev-parse", "main") == made != built
    assert place.server.git("show", f"main:{VALUES}") == "image:\n  tag: v2.0"
    assert place.server.git("show", "main:new/file.yaml") == "n: 1"
    assert place.server.git("log", "-1", "--format=%ce %B", "main") == f"{committer(place)} subject\n\nbody"
    place.server.git("fsck", "--strict")


async def test_executable_file_stays_one(place: Place) -> None:
    blob = place.server.git("rev-parse", "main:run.sh")
    place.server.git("read-tree", "main")
    place.server.git("update-index", "--cacheinfo", f"100755,{blob},run.sh")
    tree = place.server.git("write-tree")
    made = place.server.git("-c", "user.name=a", "-c", "user.email=a@b", "commit-tree", tree, "-p", "main", "-m", "x")
    place.server.git("update-ref", "refs/heads/main", made)
    remote = place.open()
    await remote.push(await remote.head(), await place.built(remote, {"run.sh": b"new\n"}))
    assert place.server.git("show", "main:run.sh") == "new"
    assert place.server.git("ls-tree", "main", "run.sh").startswith("100755")


async def test_somebody_was_faster(place: Place) -> None:
    remote = place.open()
    head = await remote.head()
    built = await place.built(remote, {VALUES: b"image:\n  tag: v2.0\n"})
    await asyncio.to_thread(place.commit, VALUES)
    with pytest.raises(PushStale):
        await remote.push(head, built)
    assert place.server.git("show", f"main:{VALUES}") == "theirs"


async def test_refusal_is_one(place: Place) -> None:
    remote = place.open()
    built = await place.built(remote, {VALUES: b"image:\n  tag: v2.0\n"})
    head = await remote.head()
    place.server.fault = lambda request, body: (
        said(403, {"message": "protected branch"}) if body and request.path.startswith("/api/") else None
    )
    with pytest.raises(PushRefused, match="protected branch"):
        await remote.push(head, built)
    assert place.server.git("rev-parse", "main") == head


async def test_branch_of_our_own_is_made_and_made_anew_with_a_lease(place: Place) -> None:
    remote = place.open()
    head = await remote.head()
    first = await remote.push("", await place.built(remote, {VALUES: b"one\n"}), "ours")
    second = await remote.push(first, await place.built(remote, {VALUES: b"two\n"}), "ours")
    assert place.server.git("rev-parse", "ours", "ours~") == f"{second}\n{head}"
    third = await place.built(remote, {VALUES: b"three\n"})
    await asyncio.to_thread(place.commit, "theirs", "ours")
    with pytest.raises(PushStale):
        await remote.push(second, third, "ours")
    assert place.server.git("show", "ours:theirs") == "theirs"
    assert place.server.branches() == ["main", "ours"]


async def test_pull_request_lives_with_such_commits_also_after_a_restart(place: Place) -> None:
    async with place.house() as house:
        first = await house.hear("image.proposed")
        (there,) = place.server.open_ones()
        assert place.server.git("log", "-1", "--format=%ce", there.head) == committer(place)
        assert place.server.git("rev-parse", there.head) == first["commit"]
    again = Place(place.server, place.reach)
    async with again.house() as house:
        await house.hear("image.proposed")
        house.registry.push(IMAGE, "v3.0")
        await house.hear("image.proposed", count=2)
        assert "`v3.0`" in there.body
        assert place.server.open_ones() == [there]
        assert place.server.branches() == sorted(["main", there.head])


async def test_requests_of_a_commit_do_not_grow_with_the_applications(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(client, "forge_by_name", lambda url: place.server.kind)
    names = [f"app{number}" for number in range(12)]
    files = {f"apps/{name}/Chart.yaml": f"name: {name}\n" for name in names}
    files |= {f"apps/{name}/values.yaml": "image:\n  tag: v1.0\n" for name in names}
    await asyncio.to_thread(commit_files, place.server.directory, files, "more", branch="main")
    house = House(pace=Pace(linger=60, longest_linger=60, largest_batch=len(names)))
    house.git, house.forge = place.git, place.forges  # type: ignore[assignment]
    house.registry.push(IMAGE, "v1.0")
    method, said = "git:secret:argocd/git-creds", {"write-back-target": "helmvalues"}
    for name in names:
        house.cluster.put(helm_application(name, IMAGE, said, method=method, url=place.branch.url))
    async with house.running():
        await house.hear("round.finished", count=2)
        place.server.requests.clear()
        place.server.asked.clear()
        house.registry.push(IMAGE, "v2.0")
        await house.hear("image.updated", count=len(names))
    assert place.server.git("rev-list", "--count", "main") == "3"
    asked = Counter(asked.method for asked in place.server.asked)
    assert asked == {"POST": 1}
    assert len(place.server.requests) <= 7, (
        "a greeting, the branch, a commit, three levels of directories, and the files"
    )
    for name in names:
        assert "v2.0" in place.server.git("show", f"main:apps/{name}/values.yaml")


async def test_branch_of_a_moment_that_was_left_behind_is_gone_on_with(place: Place) -> None:
    remote = place.open()
    built = await place.built(remote, {VALUES: b"one\n"})
    api_asked: list[bool] = []

    def after_the_first_push(request: web.Request, body: bytes) -> web.StreamResponse | None:
        api_asked.extend([True] if request.path.startswith("/api/") else [])
        return web.Response(status=502) if api_asked else None

    place.server.fault = after_the_first_push
    with pytest.raises(ForgeError):
        await remote.push("", built, "ours")
    (moment,) = set(place.server.branches()) - {"main"}
    assert "moment" in moment
    place.server.fault = lambda request, body: None
    await remote.push("", await place.built(remote, {VALUES: b"two\n"}), "ours")
    assert place.server.branches() == ["main", "ours"]


@pytest.mark.parametrize("place", [GitHubServer], indirect=True, ids=["github"])
async def test_limit_that_comes_with_a_success_is_one(place: Place) -> None:
    """GraphQL says 200 when it wants fewer requests."""
    remote = place.open()
    head, built = await remote.head(), await place.built(remote, {VALUES: b"image:\n  tag: v2.0\n"})
    errors = [{"type": "RATE_LIMITED", "message": "API rate limit exceeded for user ID 7."}]
    place.server.fault = lambda request, body: (
        said(200, {"data": None, "errors": errors}) if request.path == "/api/graphql" else None
    )
    for _ in range(2):
        with pytest.raises(ForgeThrottled, match="fewer requests"):
            await remote.push(head, built)
    assert len(place.server.asked) == 1


async def test_forge_that_nobody_names_is_pushed_to_and_that_is_said(place: Place) -> None:
    remote = place.git.branch(place.branch._replace(pull_request=None))
    with capture_logs() as events:
        await remote.push(await remote.head(), await place.built(remote, {VALUES: b"image:\n  tag: v2.0\n"}))
    (reason,) = [each["reason"] for each in events if each["event"] == "git.api_unavailable"]
    assert "the name of 127.0.0.1 tells no forge, so it is pushed to by Git" in reason
    assert place.server.git("log", "-1", "--format=%ce", "main") == AUTHOR.email


async def test_forge_without_such_an_api_is_pushed_to(tmp_path: Path) -> None:
    async with served(tmp_path, GiteaServer) as place, place.house() as house:
        assert "is pushed to" in (await house.hear("git.api_unavailable"))["reason"]
        await house.hear("image.proposed")
        (there,) = place.server.open_ones()
        assert place.server.git("log", "-1", "--format=%ce", there.head) == AUTHOR.email


def committer(place: Place) -> str:
    return COMMITTERS[type(place.server)]
