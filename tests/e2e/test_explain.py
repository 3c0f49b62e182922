"""`updater explain` beside a running daemon, and without one."""

import json
import sys
from asyncio import create_subprocess_exec
from asyncio.subprocess import PIPE
from typing import Any

import pytest

from tests.e2e.installation import OVERRIDE, Installation

pytestmark = pytest.mark.e2e


async def explain(place: Installation, *arguments: str) -> tuple[int, str, str]:
    config = str(place.root / "updater.yaml")
    command = (sys.executable, "-m", "updater", "explain", "--config", config, *arguments)
    process = await create_subprocess_exec(*command, stdout=PIPE, stderr=PIPE)
    said, complained = await process.communicate()
    return process.returncode or 0, said.decode(), complained.decode()


async def record(place: Installation, *arguments: str) -> dict[str, Any]:
    code, said, complained = await explain(place, *arguments, "-o", "json")
    assert code == 0, complained
    found: dict[str, Any] = json.loads(said)
    return found


async def test_running_daemon_is_asked(place: Installation) -> None:
    await place.push("v2.0", "edge")
    place.application(annotations={"echoserver.pause": "true"})
    async with place.daemon() as daemon:
        await daemon.wait_for("image.held")
        found = await record(place, "gitops-demo", "--image", "echoserver")
        code, text, complained = await explain(place, "argocd/gitops-demo")
    assert (found["decision"], found["tag"], found["reason"]) == ("hold", "v2.0", "paused")
    assert found["credentials"] == "secret:argocd/acr#acr"
    assert found["next_check_at"]
    assert {verdict["tag"]: verdict["reason"] for verdict in found["verdicts"]} == {
        "v2.0": "kept",
        "v1.0": "kept",
        "edge": "allow-tags",
    }
    assert (code, complained) == (0, "")
    assert "hold v2.0 (paused)" in text
    assert "\x1b" not in text
    assert max(len(line) for line in text.splitlines() if place.image not in line and "//" not in line) <= 80


async def test_without_a_daemon_all_is_looked_at_anew_and_nothing_written(place: Installation) -> None:
    await place.push("v2.0")
    place.application()
    place.configure()
    found = await record(place, "gitops-demo", "--image", "echoserver")
    assert (found["decision"], found["tag"], found["reason"]) == ("update", "v2.0", "newer")
    assert found["target"].endswith(f"gitops.git@main:{OVERRIDE}")
    assert found["next_check_at"] is None
    assert place.commits() == 1
    assert not (place.root / "state" / "state.db").exists()
    assert "argocd.argoproj.io/refresh" not in place.stored()["metadata"]["annotations"]


async def test_without_a_daemon_the_target_itself_is_read(place: Installation) -> None:
    await place.push("v2.0")
    place.application()
    async with place.daemon("--once") as daemon:
        assert await daemon.ended() == 0
    found = await record(place, "gitops-demo", "--image", "echoserver")
    assert (found["decision"], found["tag"]) == ("up-to-date", "v2.0")
    assert found["current"] == {"version": "v2.0", "read_from": "target"}


async def test_application_that_does_not_exist_is_said(place: Installation) -> None:
    place.application()
    place.configure()
    code, said, complained = await explain(place, "team/nothing")
    assert (code, said) == (1, "")
    assert "there is no application team/nothing" in complained


async def test_image_that_does_not_exist_is_said_with_those_that_do(place: Installation) -> None:
    place.application()
    place.configure()
    code, _, complained = await explain(place, "gitops-demo", "--image", "web")
    assert code == 1
    assert "its images are echoserver" in complained


async def test_problem_of_the_annotations_is_shown(place: Installation) -> None:
    place.application(annotations={"echoserver.update-strategy": "newest"})
    place.configure()
    code, said, _ = await explain(place, "gitops-demo")
    assert code == 0
    assert "misconfigured" in said
    assert "write one of semver" in said
