"""Servers that offer less: the client takes the next way, and git agrees with what it made."""

import subprocess
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from aiohttp import web
from structlog.testing import capture_logs

from tests.adapters.git.test_git_client import FILES, PASSWORD, Place, Secrets, client_of
from tests.fakes.git_http import FaultyGitServer
from updater.demo.gitserver import commit_files, create_repository
from updater.domain.errors import BranchNotFound, GitError

pytestmark = pytest.mark.integration

CHANGE = {"apps/one/values.yaml": b"tag: v2\n"}


@pytest.fixture
async def place(tmp_path: Path) -> AsyncIterator[Place]:
    repository = create_repository(tmp_path, "gitops.git", FILES)
    for number in range(5):
        commit_files(repository, {"README.md": f"read me {number}\n"}, f"more {number}")
    client = client_of(Secrets({"username": b"bot", "password": PASSWORD.encode()}))
    async with FaultyGitServer(tmp_path, username="bot", password=PASSWORD) as server:
        yield Place(server, repository, client)
        await client.close()


async def check_writes(place: Place) -> None:
    """Write cold, warm, and after somebody else."""
    place.server.bodies.clear()
    await place.write(CHANGE)
    await place.write({"apps/two/values.yaml": b"tag: v2\n"})
    commit_files(place.repository, {"apps/two/values.yaml": "tag: theirs\n"}, "theirs")
    commit = await place.write({"apps/one/values.yaml": b"tag: v3\n"})
    assert place.git("rev-parse", "main") == commit
    assert place.git("show", "main:apps/two/values.yaml") == "tag: theirs"
    assert place.git("rev-list", "--count", "main") == "10"
    place.git("fsck", "--strict")


def said(place: Place, word: bytes) -> list[bytes]:
    return [body for body in place.server.bodies if word in body]


async def test_no_filter(place: Place) -> None:
    place.git("config", "uploadpack.allowFilter", "false")
    await check_writes(place)
    assert said(place, b"deepen 1")
    assert not said(place, b"filter")


async def test_no_version_2(place: Place) -> None:
    place.server.version_2 = False
    await check_writes(place)
    assert said(place, b"multi_ack_detailed side-band-64k")
    assert said(place, b"deepen 1")
    assert not said(place, b"command=")


async def test_no_version_2_with_single_objects(place: Place) -> None:
    place.server.version_2 = False
    place.git("config", "uploadpack.allowAnySHA1InWant", "true")
    await check_writes(place)
    assert said(place, b"filter tree:0")


async def test_no_version_2_and_the_branch_that_head_names(place: Place) -> None:
    place.server.version_2 = False
    await place.write(CHANGE, branch="")
    assert place.git("show", "main:apps/one/values.yaml") == "tag: v2"
    with pytest.raises(BranchNotFound):
        await place.branch("nope").head()


def refuse(word: bytes, place: Place) -> None:
    """Refuse as git does: with an error in its own protocol."""

    def fault(request: web.Request, body: bytes) -> web.StreamResponse | None:
        if word not in body:
            return None
        line = b"ERR upload-pack: not our ref"
        answer = b"%04x" % (len(line) + 4) + line
        return web.Response(body=answer, content_type="application/x-git-upload-pack-result")

    place.server.fault = fault


async def test_shallow_refused(place: Place) -> None:
    place.git("config", "uploadpack.allowFilter", "false")
    refuse(b"deepen", place)
    with capture_logs() as logs:
        await check_writes(place)
    assert [log["way"] for log in logs if log["event"] == "git.way_refused"] == ["shallow"]


async def test_single_object_refused(place: Place) -> None:
    refuse(b"filter", place)
    with capture_logs() as logs:
        await check_writes(place)
    assert [log["way"] for log in logs if log["event"] == "git.way_refused"] == ["partial"]


async def test_every_way_refused_is_said(place: Place) -> None:
    refuse(b"want", place)
    with pytest.raises(GitError, match="not our ref"):
        await place.write(CHANGE)


async def test_server_that_changed_is_asked_again(place: Place) -> None:
    await place.branch().head()
    place.server.version_2 = False
    with capture_logs() as logs:
        await check_writes(place)
    assert [log["event"] for log in logs] == ["git.rediscovered"]


async def test_filter_that_was_switched_off_is_noticed(place: Place) -> None:
    await place.branch().head()
    place.git("config", "uploadpack.allowFilter", "false")
    await check_writes(place)


async def test_repository_of_another_hash_on_a_known_server_is_refused(place: Place, tmp_path: Path) -> None:
    await place.branch().head()
    other = ("git", "-C", str(tmp_path / "sha256.git"), "-c", "user.name=x", "-c", "user.email=x@example.com")
    init = ("git", "init", "--quiet", "--initial-branch=main", "--object-format=sha256", str(tmp_path / "sha256.git"))
    for command in (init, (*other, "commit", "--quiet", "--allow-empty", "-m", "first")):
        subprocess.run(command, check=True)
    with pytest.raises(GitError, match="SHA-1"):
        await place.branch(url=place.server.url("sha256.git")).head()


async def test_server_that_takes_no_deltas_gets_whole_objects(place: Place) -> None:
    files = {f"many/file{number}.yaml": f"n: {number}\n" for number in range(200)}
    commit_files(place.repository, files, "many")
    refused = 0

    def fault(request: web.Request, body: bytes) -> web.StreamResponse | None:
        nonlocal refused
        if not request.path.endswith("/git-receive-pack") or refused:
            return None
        refused += 1
        lines = [b"unpack index-pack abnormal exit\n", b"ng refs/heads/main unpacker error\n"]
        report = b"".join(b"%04x" % (len(line) + 4) + line for line in lines) + b"0000"
        answer = b"%04x" % (len(report) + 5) + b"\1" + report + b"0000"
        return web.Response(body=answer, content_type="application/x-git-receive-pack-result")

    place.server.fault = fault
    with capture_logs() as logs:
        place.server.bodies.clear()
        await place.write({"many/file7.yaml": b"n: new\n"})
        await place.write({"many/file8.yaml": b"n: new\n"})
    assert [log["event"] for log in logs] == ["git.delta_refused"]
    pushes = [body for body in place.server.bodies if b"report-status" in body]
    assert len(pushes[0]) < 1_000
    assert min(map(len, pushes[1:])) > 4_000
    place.git("fsck", "--strict")


async def test_whole_repository_larger_than_allowed_is_refused(place: Place) -> None:
    place.git("config", "uploadpack.allowFilter", "false")
    place.client.max_pack_bytes = 100
    with pytest.raises(GitError, match="max_pack"):
        await place.write(CHANGE)


async def test_advertisement_is_asked_before_each_push_when_wanted(place: Place) -> None:
    place.client.ask_before_push = True
    for text in (b"tag: v2\n", b"tag: v3\n"):
        await place.write({"apps/one/values.yaml": text})
    asked = [request for request in place.server.seen if request.query_string == "service=git-receive-pack"]
    assert len(asked) == 2
