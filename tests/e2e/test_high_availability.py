"""Two replicas of the daemon and one Lease: one writes, and the other takes over, however the first one ends."""

import signal

import pytest

from tests.e2e.installation import OVERRIDE, Installation
from updater.demo.gitserver import commit_files

pytestmark = pytest.mark.e2e


async def test_one_of_two_replicas_writes(place: Installation) -> None:
    place.application()
    async with place.daemon(replica="first") as first:
        await first.wait_for("leadership.gained")
        async with place.daemon(replica="second") as second:
            await second.wait_for("image.observed", tags=1)
            await place.push("v2.0")
            await first.wait_for("image.updated", to="v2.0")
            await second.wait_for("image.observed", tags=2)
            await second.wait_for("round.finished", count=len(second.events("round.finished")) + 2)
            assert not second.events("leadership.gained")
            assert not second.events("write_back.pushed")
    assert place.commits() == 2


@pytest.mark.parametrize("end", [signal.SIGTERM, signal.SIGKILL], ids=["SIGTERM", "SIGKILL"])
async def test_standby_takes_over_and_repeats_nothing(place: Installation, end: signal.Signals) -> None:
    place.application()
    await place.push("v2.0")
    async with place.daemon(replica="first") as first:
        await first.wait_for("image.updated", to="v2.0")
        async with place.daemon(replica="second") as second:
            await second.wait_for("image.observed", tags=2)
            await first.end(end)
            await second.wait_for("leadership.gained")
            await second.wait_for("image.up_to_date")
            await place.push("v3.0")
            await second.wait_for("image.updated", to="v3.0")
    assert place.commits() == 3


async def test_frozen_leader_that_wakes_up_late_does_not_write(place: Installation) -> None:
    """It is frozen when it holds the Lease, and a new image comes while it is; the other one writes it."""
    place.application()
    async with place.daemon(replica="first") as first:
        await first.wait_for("leadership.gained")
        await first.wait_for("image.up_to_date")
        async with place.daemon(replica="second") as second:
            await second.wait_for("image.observed", tags=1)
            first.send(signal.SIGSTOP)
            await place.push("v2.0")
            await second.wait_for("image.updated", to="v2.0")
            first.send(signal.SIGCONT)
            await first.wait_for("leadership.lost")
            await place.push("v3.0")
            await second.wait_for("image.updated", to="v3.0")
            await first.wait_for("image.observed", tags=3)
            assert not first.events("write_back.pushed")
    assert place.commits() == 3


async def test_rollback_that_the_leader_held_is_held_by_the_next_one(place: Installation) -> None:
    """The standby never saw what was written nor what was taken back: it is told."""
    place.application()
    async with place.daemon(replica="first") as first:
        await place.push("v2.0")
        await first.wait_for("image.updated", to="v2.0")
        commit_files(place.repository, {OVERRIDE: place.file().replace("v2.0", "v1.0")}, "take it back")
        rolled_back = place.stored()
        rolled_back["status"] = {"summary": {"images": [f"{place.image}:v1.0"]}}
        place.put(rolled_back)
        await first.wait_for("image.held", reason="rolled-back")
        async with place.daemon(replica="second") as second:
            await second.wait_for("image.observed", tags=2)
            await first.end(signal.SIGTERM)
            await second.wait_for("image.held", reason="rolled-back")
            await place.push("v3.0")
            await second.wait_for("image.updated", to="v3.0")
    assert place.commits() == 4
