"""What a commit of 500 files costs in a repository of 20,000: requests and bytes, counted by the server."""

from collections.abc import AsyncIterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from tests.adapters.git.test_git_client import AUTHOR, PASSWORD, Place, Secrets, client_of
from tests.fakes.git_http import FaultyGitServer
from tests.fakes.git_repositories import large_repository, values_file
from updater.demo.gitserver import commit_files

pytestmark = pytest.mark.integration

PATHS = [f"apps/t{number % 40}/a{number}/values.yaml" for number in range(20_000)]
CHANGED = PATHS[::40]


@pytest.fixture
async def place(tmp_path: Path) -> AsyncIterator[Place]:
    files = {path: values_file(number) for number, path in enumerate(PATHS)}
    repository = large_repository(tmp_path, "gitops.git", files, commits=50)
    client = client_of(Secrets({"username": b"bot", "password": PASSWORD.encode()}))
    async with FaultyGitServer(tmp_path, username="bot", password=PASSWORD) as server:
        yield Place(server, repository, client)
        await client.close()


async def change(place: Place, tag: str) -> str:
    remote = place.branch()
    head = await remote.head()
    files = await remote.read(head, CHANGED)
    changed = {path: (text or b"").replace(b"tag: v1", b"tag: v" + tag.encode()) for path, text in files.items()}
    commit = await remote.commit(head, changed, "change\n", AUTHOR, datetime.now(UTC))
    await remote.push(head, commit)
    return commit


def cost(place: Place) -> tuple[int, int]:
    """Return the number of requests since the last look, and the bytes of their bodies both ways."""
    requests = list(place.server.requests)
    place.server.requests.clear()
    return len(requests), sum(request.sent + request.received for request in requests)


async def test_500_files_cost_ten_requests_cold_and_four_warm(place: Place) -> None:
    """Cold, then warm on a branch that did not move, then warm on one that did."""
    commit = await change(place, "1.2")
    requests, moved = cost(place)
    assert requests <= 10
    assert moved <= 600_000
    assert place.git("diff", "--name-only", f"{commit}^", commit).count("\n") == len(CHANGED) - 1

    await change(place, "1.3")
    requests, moved = cost(place)
    assert requests <= 2
    assert moved <= 200_000

    commit_files(place.repository, {CHANGED[0]: "tag: theirs\n", "new.txt": "x\n"}, "theirs")
    commit = await change(place, "1.4")
    requests, moved = cost(place)
    assert requests <= 4
    assert moved <= 200_000
    assert place.git("rev-parse", "main") == commit
    place.git("fsck", "--strict")


async def test_branch_that_did_not_move_costs_one_listing_and_no_object(place: Place) -> None:
    await change(place, "1.2")
    cost(place)
    remote = place.branch()
    assert (await remote.read(await remote.head(), CHANGED))[CHANGED[0]]
    requests, moved = cost(place)
    assert requests == 1
    assert moved < 1_000
