"""GitHub, GitLab and Gitea as their documentation has them, with real Git: the same life on each, and their faults."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest
from aiohttp import web

from tests.adapters.git.test_git_client import NOWHERE, Secrets
from tests.fakes.cluster import helm_application
from tests.fakes.forges import ForgeServer, said
from tests.fakes.forges.azure import AzureServer
from tests.fakes.forges.bitbucket import BitbucketServer
from tests.fakes.forges.gitea import GiteaServer
from tests.fakes.forges.github import GitHubServer
from tests.fakes.forges.gitlab import GitLabServer
from tests.fakes.house import House, eventually
from updater.adapters.argocd_trust import ArgoTrust
from updater.adapters.forges.client import ForgeClient
from updater.adapters.git.client import GitClient
from updater.adapters.git.reach import Reach
from updater.demo.gitserver import commit_files, create_repository
from updater.domain.errors import ForgeError, ForgeRefused, ForgeThrottled
from updater.domain.pull_requests import PullRequest, PullRequestSettings, State
from updater.domain.target import Branch
from updater.ports.forges import Forge, NewPullRequest

pytestmark = pytest.mark.integration

PASSWORD = "forge-p4ssword"
IMAGE = "registry.example.com/team/app"
FILES = {"apps/one/Chart.yaml": "name: one\n", "apps/one/values.yaml": "image:\n  tag: v1.0\n"}
SERVERS = (GitHubServer, GitLabServer, GiteaServer, BitbucketServer, AzureServer)
Fault = Callable[[web.Request, bytes], web.StreamResponse | None]


@dataclass
class Place:
    """A forge with one repository, and what speaks to it."""

    server: ForgeServer
    reach: Reach
    forges: ForgeClient

    @property
    def branch(self) -> Branch:
        settings = PullRequestSettings(self.server.kind)
        url = self.server.url(self.server.git_path)
        return Branch(url, "main", "secret:argocd/git-creds", "", settings)

    async def forge(self) -> Forge:
        return await self.forges.forge(self.branch)

    def commit(self, branch: str) -> None:
        """Put a commit on a new branch of main."""
        self.server.git("branch", branch, "main")
        commit_files(self.server.directory, {"file": branch}, "a commit", branch=branch)

    async def open(self, head: str, *, draft: bool = False) -> PullRequest:
        await asyncio.to_thread(self.commit, head)
        return await (await self.forge()).open(NewPullRequest(head, "main", "a title", "a body", draft))

    @asynccontextmanager
    async def house(self, **annotations: str) -> AsyncIterator[House]:
        """Run the whole pipeline with real Git and the real client of the forge."""
        house = House()
        client = GitClient(self.reach, max_pack_bytes=2**26, cache_bytes=2**25, max_file_bytes=2**20)
        house.git, house.forge = client, self.forges  # type: ignore[assignment]
        house.registry.push(IMAGE, "v1.0", "v2.0")
        said = {"pull-request": str(self.server.kind), **annotations}
        method, url = "git:secret:argocd/git-creds", self.branch.url
        house.cluster.put(helm_application("one", IMAGE, said, method=method, url=url))
        async with house.running():
            yield house


def named(server: type[ForgeServer]) -> str:
    return str(server.kind)


@pytest.fixture(params=SERVERS, ids=named)
async def place(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Place]:
    (tmp_path / "team").mkdir()
    await asyncio.to_thread(create_repository, tmp_path / "team", "gitops.git", FILES)
    secrets = Secrets({"username": b"bot", "password": PASSWORD.encode()})
    trust = ArgoTrust(secrets, "argocd", tls_directory=NOWHERE, known_hosts_file=NOWHERE / "known_hosts")
    reach = Reach(secrets, trust, argocd_namespace="argocd", timeout=5, environ={})
    async with request.param(tmp_path, password=PASSWORD) as server:
        yield Place(server, reach, ForgeClient(reach))
        await reach.close()


async def test_pull_request_is_told_as_it_was_opened(place: Place) -> None:
    made = await place.open("topic")
    forge = await place.forge()
    (told,) = await forge.pull_requests()
    assert told == made
    assert (told.number, told.head, told.base, told.state) == (1, "topic", "main", State.OPEN)
    assert (told.title, told.body) == ("a title", "a body")
    assert told.commit
    assert place.server.git("rev-parse", "topic").startswith(told.commit)


async def test_text_base_and_end_of_a_pull_request_are_changed(place: Place) -> None:
    made = await place.open("topic")
    forge = await place.forge()
    await asyncio.to_thread(place.server.git, "branch", "other", "main")
    await forge.edit(made, "another title", "another body", "other")
    there = place.server.requests_made[0]
    assert (there.title, there.body, there.base) == ("another title", "another body", "other")
    await forge.close(made.number, "closed")
    assert (there.state, there.body) == ("closed", "closed")
    assert await forge.pull_requests() == ()


async def test_draft_stays_one_when_its_title_changes_and_none_when_a_person_said_so(place: Place) -> None:
    made = await place.open("topic", draft=True)
    forge = await place.forge()
    assert made.title == "a title"
    await forge.edit(made, "another", "", "main")
    assert place.server.requests_made[0].title == f"{made.draft_mark}another"
    place.server.requests_made[0].title = "ready"
    place.server.touch(place.server.requests_made[0])
    (told,) = await forge.pull_requests()
    await forge.edit(told, "still ready", "", "main")
    assert place.server.requests_made[0].title == "still ready"


async def test_second_pull_request_of_a_branch_is_the_first(place: Place) -> None:
    await place.open("another")
    made = await place.open("topic/a&b=#1")
    again = await (await place.forge()).open(NewPullRequest(made.head, "main", "again", "", draft=False))
    assert again.number == made.number == 2
    assert place.server.already_there in {asked.status for asked in place.server.asked}


async def test_comments_labels_and_reviewers_arrive(place: Place) -> None:
    made = await place.open("topic")
    forge = await place.forge()
    labels = ["deps", "image"] if place.server.has_labels else []
    await forge.decorate(made.number, labels, (place.server.reviewer,))
    await forge.comment(made.number, "a word <!-- marked -->")
    there = place.server.requests_made[0]
    assert (there.labels, there.reviewers) == (labels, [place.server.reviewer])
    assert there.comments == ["a word <!-- marked -->"]
    await forge.edit(made, "another", "body", "main")
    assert there.reviewers == [place.server.reviewer]
    assert await forge.has_comment(made.number, "<!-- marked -->")
    assert not await forge.has_comment(made.number, "<!-- other -->")


def is_automerge(request: web.Request, body: bytes) -> bool:
    return request.path.endswith("/merge") or b"enablePullRequestAutoMerge" in body or b"autoCompleteSetBy" in body


@pytest.mark.parametrize("place", [each for each in SERVERS if each is not BitbucketServer], indirect=True, ids=named)
async def test_pull_request_that_may_not_merge_itself_yet_stays_open_with_its_branch(place: Place) -> None:
    place.server.fault = lambda request, body: (
        said(405, {"message": "405 Method Not Allowed"}) if is_automerge(request, body) else None
    )
    async with place.house(**{"pull-request.automerge": "squash"}) as house:
        assert "Method Not Allowed" in (await house.hear("image.write_failed"))["reason"]
        place.server.fault = lambda request, body: None
        await house.hear("image.proposed")
    (there,) = place.server.requests_made
    assert (there.state, there.automerge) == ("open", "squash")


@pytest.mark.parametrize("place", [each for each in SERVERS if each is not BitbucketServer], indirect=True, ids=named)
async def test_automerge_is_the_forges_own_and_bound_to_the_commit(place: Place) -> None:
    made = await place.open("topic")
    forge = await place.forge()
    with pytest.raises(ForgeError):
        await forge.automerge(made, "0" * 40, "squash")
    await forge.automerge(made, place.server.git("rev-parse", "topic"), "squash")
    assert place.server.requests_made[0].automerge == "squash"


async def test_unchanged_listing_costs_one_empty_answer(place: Place) -> None:
    await place.open("topic")
    forge = await place.forge()
    first = await forge.pull_requests()
    place.server.asked.clear()
    assert await forge.pull_requests() == first
    assert [asked.status for asked in place.server.asked] == [304 if place.server.has_etags else 200]


@pytest.mark.parametrize("place", [each for each in SERVERS if each is not AzureServer], indirect=True, ids=named)
async def test_pages_are_read_once_and_then_only_what_is_new(place: Place) -> None:
    for number in range(place.server.page_size * 2 + 1):
        place.server.put(f"old-{number}", from_fork=True)
    await place.open("topic")
    for number in range(place.server.page_size * 2):
        place.server.put(f"new-{number}", from_fork=True)
    forge = await place.forge()
    (told,) = await forge.pull_requests()
    assert told.head == "topic"
    assert len([asked for asked in place.server.asked if asked.method == "GET"]) == 5
    place.server.asked.clear()
    place.server.close(told.number)
    place.server.put("one-more", from_fork=True)
    assert await forge.pull_requests() == ()
    assert [asked.status for asked in place.server.asked] == [200]


@pytest.mark.parametrize("place", [AzureServer], indirect=True, ids=named)
async def test_look_at_azure_reads_what_is_open_and_what_became_of_ours(place: Place) -> None:
    marked = f"<!-- updater proposes\nargocd/one app v2.0 in 12345678\n-->\n\n{'long ' * 500}"
    for number in range(place.server.page_size):
        place.server.put(f"old-{number}", state="closed")
    place.server.put("a-branch", body="a word", state="open").from_fork = True
    await asyncio.to_thread(place.commit, "topic")
    forge = await place.forge()
    made = await forge.open(NewPullRequest("topic", "main", "a title", marked, draft=False))
    place.server.asked.clear()
    (told,) = await forge.pull_requests()
    assert (told.body, len(told.proposes)) == (marked, 1)
    assert len(place.server.asked) == 3, "two pages, and ours in whole"
    place.server.asked.clear()
    assert await forge.pull_requests() == (told,)
    assert len(place.server.asked) == 1, "what is open"
    place.server.asked.clear()
    place.server.close(made.number)
    (ended,) = await forge.pull_requests()
    assert (ended.state, ended.body) == (State.CLOSED, marked)
    assert len(place.server.asked) == 2, "what is open, and ours by itself"


@pytest.mark.parametrize("place", [AzureServer], indirect=True, ids=named)
async def test_looks_at_azure_that_come_together_do_not_mix(place: Place) -> None:
    made = await place.open("topic")
    forge = await place.forge()
    assert len(await forge.pull_requests()) == 1
    place.server.close(made.number)
    assert await asyncio.gather(*(forge.pull_requests() for _ in range(4))) == [()] * 4


@pytest.mark.parametrize("place", [GiteaServer], indirect=True, ids=named)
async def test_labels_of_gitea_are_found_on_any_page(place: Place) -> None:
    made = await place.open("topic")
    assert isinstance(place.server, GiteaServer)
    place.server.label_names = [f"label-{number}" for number in range(120)]
    await (await place.forge()).decorate(made.number, ["label-0", "label-119"], ())
    assert place.server.requests_made[0].labels == ["label-0", "label-119"]


@pytest.mark.parametrize("place", [BitbucketServer], indirect=True, ids=named)
async def test_what_bitbucket_does_not_decline_keeps_what_it_proposes(place: Place) -> None:
    made = await place.open("topic")
    forge = await place.forge()
    place.server.fault = lambda request, body: (
        said(500, {"error": {"message": "oops"}}) if request.path.endswith("/decline") else None
    )
    with pytest.raises(ForgeError, match="oops"):
        await forge.close(made.number, "closed")
    assert (place.server.requests_made[0].state, place.server.requests_made[0].body) == ("open", made.body)


@pytest.mark.parametrize("place", [BitbucketServer], indirect=True, ids=named)
async def test_labels_that_bitbucket_does_not_know_spoil_nothing(place: Place) -> None:
    async with place.house(**{"pull-request.labels": "deps"}) as house:
        assert "knows no labels" in (await house.hear("pull_request.not_decorated"))["reason"]
        await house.hear("image.proposed")


async def test_pull_request_of_a_stranger_is_never_ours(place: Place) -> None:
    place.server.put("image-updater-12345678", from_fork=True, body="<!-- updater proposes -->")
    assert await (await place.forge()).pull_requests() == ()


async def test_life_from_the_first_proposal_to_the_merge(place: Place) -> None:
    async with place.house() as house:
        await house.hear("image.proposed")
        (there,) = place.server.open_ones()
        assert "`v2.0`" in there.body
        house.registry.push(IMAGE, "v3.0")
        await house.hear("image.proposed", count=2)
        assert "`v3.0`" in there.body
        assert [asked.method for asked in place.server.writes()] in (["POST", "PATCH"], ["POST", "PUT"])
        looked = ("GET", 304 if place.server.has_etags else 200)
        await eventually(lambda: place.server.asked[-1][::2] == looked, lambda: "a look that costs nothing")
        assert place.server.git("rev-parse", f"{there.head}~") == place.server.git("rev-parse", "main")
        place.server.git("update-ref", "refs/heads/main", f"refs/heads/{there.head}")
        place.server.git("update-ref", "-d", f"refs/heads/{there.head}")
        await house.hear("write_back.merged")
        await house.hear("round.finished", count=len(house.said("round.finished")) + 3)
    assert [each.state for each in place.server.requests_made] == ["merged"]
    assert place.server.branches() == ["main"]
    place.server.git("fsck", "--strict")


async def test_closed_by_a_person_is_declined(place: Place) -> None:
    async with place.house() as house:
        await house.hear("image.proposed")
        place.server.close(1)
        held = await house.hear("image.held")
    assert "was closed without being merged" in held["message"]
    assert len(place.server.requests_made) == 1


async def test_superseded_is_closed_with_a_word_and_its_branch_deleted(place: Place) -> None:
    async with place.house(**{"git-branch": "main:update/{{ (index .Images 0).NewTag }}"}) as house:
        await house.hear("image.proposed")
        house.registry.push(IMAGE, "v3.0")
        await house.hear("pull_request.closed")
        await eventually(lambda: place.server.branches() == ["main", "update/v3.0"], lambda: "the branch to go")
    first, second = place.server.requests_made
    assert (first.state, second.state) == ("closed", "open")
    assert "Superseded by" in first.comments[0]


def on_api(answer: Callable[[], web.Response], method: str = "") -> Fault:
    def fault(request: web.Request, body: bytes) -> web.StreamResponse | None:
        is_api = "/_apis/" in request.path or request.path.startswith("/api/")
        return answer() if is_api and method in ("", request.method) else None

    return fault


FAULTS = {
    "401": (
        lambda: said(401, {"message": "Bad credentials"}),
        "does not take the credentials of Secret argocd/",
    ),
    "403": (lambda: said(403, {"message": "Resource not accessible by integration"}), "give the token the rights"),
    "404": (lambda: said(404, {"message": "Not Found"}), "it is not there, or"),
    "409": (lambda: said(409, {"message": "conflict"}), "conflict"),
    "422": (lambda: said(422, {"message": "Validation Failed"}), "Validation Failed"),
    "500": (lambda: said(500, {"message": "oops"}), "is the forge well?"),
    "no json": (lambda: web.Response(status=200, text="<html>"), "cannot be understood"),
    "moved": (lambda: web.Response(status=301, headers={"Location": "https://else.example.com/"}), "it has moved to"),
}


@pytest.mark.parametrize("method", ["GET", "POST"])
@pytest.mark.parametrize("fault", FAULTS)
async def test_fault_leaves_its_reason_and_nothing_half_made(place: Place, fault: str, method: str) -> None:
    answer, reason = FAULTS[fault]
    place.server.fault = on_api(answer, method)
    async with place.house() as house:
        failed = await house.hear("image.write_failed")
        assert reason in failed["reason"]
        assert PASSWORD not in failed["reason"]
        certain = not (fault in ("500", "no json") and method == "POST")
        if certain:
            await eventually(lambda: place.server.branches() == ["main"], lambda: "no branch to be left")
        place.server.fault = lambda request, body: None
        await house.hear("image.proposed")
    assert len(place.server.open_ones()) == 1


@pytest.mark.parametrize(
    ("status", "headers"),
    [
        (403, {"Retry-After": "60"}),
        (403, {"X-RateLimit-Remaining": "0", "X-RateLimit-Reset": "99999999999"}),
        (429, {"Retry-After": "60"}),
        (429, {}),
    ],
)
async def test_forge_that_asks_for_fewer_requests_gets_none(place: Place, status: int, headers: dict[str, str]) -> None:
    def refuse() -> web.Response:
        answer = said(status, {"message": "You have exceeded a secondary rate limit"})
        answer.headers.update(headers)
        return answer

    place.server.fault = on_api(refuse)
    async with place.house() as house:
        failed = await house.hear("image.write_failed")
        assert "fewer requests" in failed["reason"]
        await house.hear("round.finished", count=3)
        assert len(house.said("forge.throttled")) == 1
    assert len(place.server.asked) == 1
    with pytest.raises(ForgeThrottled):
        await (await place.forge()).pull_requests()
    assert len(place.server.asked) == 1


async def test_forge_that_does_not_answer_is_given_up(place: Place) -> None:
    place.reach.timeout = 0.2
    held = asyncio.Event()

    async def hold(request: web.Request) -> web.StreamResponse:
        await held.wait()
        return web.Response()

    server = web.AppRunner(web.Application())
    server.app.router.add_route("*", "/{path:.*}", hold)
    await server.setup()
    site = web.TCPSite(server, "127.0.0.1", 0)
    await site.start()
    url = f"http://127.0.0.1:{server.addresses[0][1]}/{place.server.git_path}"
    try:
        with pytest.raises(ForgeError, match="no answer within"):
            await (await place.forges.forge(place.branch._replace(url=url))).pull_requests()
    finally:
        held.set()
        await server.cleanup()


async def test_answer_without_end_is_cut(place: Place) -> None:
    place.server.fault = on_api(lambda: web.Response(status=200, body=b" " * (17 * 2**20)))
    with pytest.raises(ForgeError, match="more than"):
        await (await place.forge()).pull_requests()


async def test_reviewer_that_is_not_there_spoils_nothing(place: Place) -> None:
    place.server.fault = lambda request, body: (
        said(422, {"message": "no such reviewer"})
        if b"reviewers" in body or request.path.endswith("/users") or "/reviewers/" in request.path
        else None
    )
    async with place.house(**{"pull-request.reviewers": place.server.reviewer}) as house:
        assert "no such reviewer" in (await house.hear("pull_request.not_decorated"))["reason"]
        await house.hear("image.proposed")
    assert len(place.server.open_ones()) == 1


async def test_refused_credentials_are_named_and_not_shown(place: Place) -> None:
    place.server.refuse_all()
    with pytest.raises(ForgeRefused, match="Secret argocd/git-creds") as caught:
        await (await place.forge()).pull_requests()
    assert PASSWORD not in str(caught.value)
