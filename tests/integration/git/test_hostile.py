"""Servers that stall, hang up, lie and flood: bounded time and memory, a clear error, and nothing left over."""

import asyncio
import hashlib
import zlib
from collections.abc import AsyncIterator, Callable
from datetime import UTC, datetime
from pathlib import Path

import pytest
from aiohttp import web

from tests.adapters.git.test_git_client import AUTHOR, FILES, PASSWORD, Place, Secrets, client_of
from tests.fakes.git_http import FaultyGitServer
from updater.demo.gitserver import create_repository
from updater.domain.errors import GitError, PushStale
from updater.formats.packs import BLOB, COMMIT, GitObject, Sent, write_pack

pytestmark = pytest.mark.integration

RESULT = "application/x-git-upload-pack-result"
PUSHED = "application/x-git-receive-pack-result"


@pytest.fixture
async def place(tmp_path: Path) -> AsyncIterator[Place]:
    repository = create_repository(tmp_path, "gitops.git", FILES)
    client = client_of(Secrets({"username": b"bot", "password": PASSWORD.encode()}), timeout=2)
    async with FaultyGitServer(tmp_path, username="bot", password=PASSWORD) as server:
        yield Place(server, repository, client)
        await client.close()


@pytest.fixture(autouse=True)
async def nothing_is_left(place: Place) -> AsyncIterator[None]:
    """See that neither tasks of ours nor the password outlive a failure."""
    before = asyncio.all_tasks()
    yield
    await place.client.close()
    ours = [task for task in asyncio.all_tasks() - before if "updater/adapters" in repr(task.get_coro())]
    assert ours == []


def line(data: bytes) -> bytes:
    return b"%04x" % (len(data) + 4) + data


def banded(data: bytes) -> bytes:
    pieces = [data[start : start + 60_000] for start in range(0, len(data), 60_000)]
    return line(b"packfile\n") + b"".join(line(b"\1" + piece) for piece in pieces) + b"0000"


def answer_fetches(place: Place, body: object) -> None:
    """Answer every fetch with a body, whole or in pieces."""

    def fault(request: web.Request, asked: bytes) -> web.StreamResponse | None:
        if b"command=fetch" not in asked:
            return None
        return web.Response(body=body(place) if callable(body) else body, content_type=RESULT)

    place.server.fault = fault


async def read(place: Place) -> None:
    remote = place.branch()
    head = await remote.head()
    await remote.read(head, ["README.md"])


def sealed(count: int, entries: bytes) -> bytes:
    pack = b"PACK\0\0\0\2" + count.to_bytes(4, "big") + entries
    return pack + hashlib.sha1(pack).digest()


GOOD = write_pack([Sent(GitObject(BLOB, b"x" * 5_000))])
WRONG_COMMIT = write_pack([Sent(GitObject(COMMIT, b"tree " + b"0" * 40 + b"\n\nanother"))])
BOMB = sealed(1, bytes([0xBF, 0xFF, 0xFF, 0x7F]) + zlib.compress(b"\0" * 10**8))


@pytest.mark.parametrize(
    ("answer", "error"),
    [
        pytest.param(banded(WRONG_COMMIT), "did not send 1 of 1 objects", id="another object"),
        pytest.param(banded(GOOD[:-1] + b"x"), "damaged", id="wrong trailer"),
        pytest.param(banded(GOOD)[:-30], "ends", id="half a pack"),
        pytest.param(banded(GOOD[:40]), "damaged", id="half a pack, ended well"),
        pytest.param(banded(BOMB), "larger than it says|allowed", id="inflation bomb"),
        pytest.param(banded(b"<html>" * 20), "no pack", id="something else in a pack's place"),
        pytest.param(b"<html>no git here</html>", "not Git's protocol", id="html"),
        pytest.param(b"fffg", "not Git's protocol", id="no length"),
        pytest.param(line(b"packfile\n") + line(b"\3out of memory"), "out of memory", id="fatal error"),
        pytest.param(b"", "ends", id="nothing"),
    ],
)
async def test_lies_about_objects_are_noticed(place: Place, answer: bytes, error: str) -> None:
    answer_fetches(place, answer)
    with pytest.raises(GitError, match=error) as caught:
        await read(place)
    assert PASSWORD not in str(caught.value)


async def stall(place: Place) -> AsyncIterator[bytes]:
    yield line(b"packfile\n")
    await place.server.over.wait()


async def talk(place: Place) -> AsyncIterator[bytes]:
    """Report progress for ever."""
    while not place.server.over.is_set():
        yield line(b"\2" + b"Counting objects\r" * 1_000)
        await asyncio.sleep(0)


async def send(place: Place) -> AsyncIterator[bytes]:
    """Send a pack that never ends."""
    yield line(b"packfile\n")
    while not place.server.over.is_set():
        yield line(b"\1" + b"P" * 60_000)


@pytest.mark.parametrize(
    ("body", "error"),
    [(stall, "did not answer within 2 s"), (talk, "max_pack"), (send, "max_pack")],
)
async def test_answer_without_end_ends(place: Place, body: Callable[[Place], object], error: str) -> None:
    place.client.max_pack_bytes = 2**20
    answer_fetches(place, body)
    with pytest.raises(GitError, match=error):
        await read(place)


async def test_connection_that_is_reset_is_said(place: Place) -> None:
    def fault(request: web.Request, asked: bytes) -> web.StreamResponse | None:
        assert request.transport is not None
        request.transport.abort()
        return None

    place.server.fault = fault
    with pytest.raises(GitError, match="cannot be reached"):
        await read(place)


async def test_page_for_people_is_no_repository(place: Place) -> None:
    place.server.fault = lambda request, asked: web.Response(text="<html>log in</html>", content_type="text/html")
    with pytest.raises(GitError, match="no Git repository: it answered with text/html"):
        await read(place)


async def test_long_error_is_cut(place: Place) -> None:
    place.server.fault = lambda request, asked: web.Response(status=500, text="oops " * 10**6)
    with pytest.raises(GitError, match="answered 500 oops") as caught:
        await read(place)
    assert len(str(caught.value)) < 1_000


async def test_list_of_branches_without_end_ends(place: Place) -> None:
    async def refs() -> AsyncIterator[bytes]:
        while not place.server.over.is_set():
            yield 1_000 * line(b"%040d refs/heads/x\n" % 1)

    def fault(request: web.Request, asked: bytes) -> web.StreamResponse | None:
        return web.Response(body=refs(), content_type=RESULT) if b"ls-refs" in asked else None

    place.client.max_pack_bytes = 2**20
    place.server.fault = fault
    with pytest.raises(GitError, match="max_pack"):
        await read(place)


async def test_report_that_stalls_is_looked_up(place: Place) -> None:
    """The push arrives, its report does not: the branch tells."""

    def fault(request: web.Request, asked: bytes) -> web.StreamResponse | None:
        if b"report-status" not in asked:
            return None
        return web.Response(body=stall(place), content_type=PUSHED)

    place.server.fault = fault
    with pytest.raises(GitError, match="did not arrive"):
        await place.write({"README.md": b"new\n"})


async def test_cancelled_fetch_leaves_nothing(place: Place) -> None:
    started = asyncio.Event()

    async def body(place: Place) -> AsyncIterator[bytes]:
        started.set()
        yield line(b"packfile\n")
        await place.server.over.wait()

    answer_fetches(place, body)
    task = asyncio.create_task(read(place))
    await started.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    place.server.fault = lambda request, asked: None
    await read(place)


async def test_server_that_fails_every_second_request_is_written_to_all_the_same(place: Place) -> None:
    asked = []

    def fault(request: web.Request, body: bytes) -> web.StreamResponse | None:
        asked.append(request.path)
        return web.Response(status=500, text="try again") if len(asked) % 2 == 0 else None

    place.server.fault = fault
    first = await place.write({"README.md": b"one\n"})
    second = await place.write({"README.md": b"two\n"})
    assert place.git("log", "-2", "--format=%H", "main").split() == [second, first]


async def test_push_that_arrived_with_an_error_for_an_answer_is_not_made_twice(place: Place) -> None:
    """A gateway gave up before the server was done; the second push finds the branch moved, by the first."""
    remote = place.branch()
    head = await remote.head()
    await remote.read(head, ["README.md"])
    commit = await remote.commit(head, {"README.md": b"one\n"}, "change\n", AUTHOR, datetime.now(UTC))
    place.server.fail_pushes = 1
    with pytest.raises(PushStale):
        await remote.push(head, commit)
    assert place.git("rev-parse", "main") == commit


async def test_answer_that_breaks_off_once_does_not_make_fetches_dear(place: Place) -> None:
    broken: list[bytes] = []

    def fault(request: web.Request, body: bytes) -> web.StreamResponse | None:
        if b"command=fetch" not in body or broken:
            return None
        broken.append(body)
        return web.Response(body=line(b"packfile\n"), content_type=RESULT)

    place.server.fault = fault
    await read(place)
    assert broken
    fetched = [body for body in place.server.bodies if b"command=fetch" in body]
    assert all(b"filter " in body for body in fetched)


@pytest.mark.parametrize("said", ["60", "Wed, 21 Oct 2026 07:28:00 GMT"])
async def test_server_that_wants_to_be_left_alone_is(place: Place, said: str) -> None:
    asked = []

    def fault(request: web.Request, body: bytes) -> web.StreamResponse | None:
        asked.append(request.path)
        return web.Response(status=429, headers={"Retry-After": said}, text="slow down")

    place.server.fault = fault
    with pytest.raises(GitError, match="429 slow down"):
        await read(place)
    assert len(asked) == 1


async def test_kept_connection_that_died_is_opened_again(place: Place) -> None:
    await read(place)
    dropped: list[str] = []

    def fault(request: web.Request, body: bytes) -> web.StreamResponse | None:
        if not dropped:
            dropped.append(request.path)
            assert request.transport is not None
            request.transport.close()
        return None

    place.server.fault = fault
    await read(place)
    assert dropped
