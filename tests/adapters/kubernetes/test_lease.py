"""The Lease: one writer at a time, whatever happens to the others, the API server or the clock."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from structlog.testing import capture_logs

from tests.fakes.apiserver import ApiServer, Fault
from updater.adapters.kubernetes.connection import Connection
from updater.adapters.kubernetes.lease import LeaseElection, LeasePace

_PACE = LeasePace(duration=15, counted_on=10, retry=0.01)
_QUIET = LeasePace(duration=600, counted_on=500, retry=3600)
"""Stands once, and then only sleeps."""


@dataclass
class Clock:
    """Stands still until it is moved."""

    now: float = 1000.0

    def __call__(self) -> float:
        return self.now


@dataclass
class Office:
    """A Lease on an API server, and the clock of those who stand for it."""

    server: ApiServer
    connection: Connection
    clock: Clock = field(default_factory=Clock)

    def candidate(self, name: str, pace: LeasePace = _PACE) -> LeaseElection:
        return LeaseElection(self.connection, "argocd", "updater", name, pace, self.clock)

    @property
    def spec(self) -> dict[str, Any]:
        spec: dict[str, Any] = self.server.get("argocd", "updater", "Lease")["spec"]
        return spec


@pytest.fixture
async def office(server: ApiServer, tmp_path: Path) -> AsyncIterator[Office]:
    connection = await Connection.open(server.kubeconfig(tmp_path / "kubeconfig"), "")
    yield Office(server, connection)
    await connection.close()


async def test_first_one_creates_the_lease(office: Office) -> None:
    first = office.candidate("first")
    await first.stand()
    assert first.holds()
    assert (office.spec["holderIdentity"], office.spec["leaseDurationSeconds"]) == ("first", 15)


async def test_times_are_of_utc_and_have_microseconds(office: Office) -> None:
    await office.candidate("first").stand()
    renewed = datetime.strptime(office.spec["renewTime"], "%Y-%m-%dT%H:%M:%S.%fZ").replace(tzinfo=UTC)
    assert abs(datetime.now(UTC) - renewed) < timedelta(minutes=1)


async def test_second_one_waits_as_long_as_the_first_renews(office: Office) -> None:
    first, second = office.candidate("first"), office.candidate("second")
    for _ in range(10):
        office.clock.now += 5
        await first.stand()
        await second.stand()
        assert first.holds()
        assert not second.holds()


async def test_renewal_costs_one_request(office: Office) -> None:
    first = office.candidate("first")
    await first.stand()
    before = len(office.server.requests)
    await first.stand()
    assert [line.partition(" ")[0] for line in office.server.requests[before:]] == ["PUT"]


async def test_lease_of_a_killed_one_is_taken_once_it_has_run_out(office: Office) -> None:
    killed, second = office.candidate("killed"), office.candidate("second")
    await killed.stand()
    await second.stand()
    office.clock.now += 14.9
    await second.stand()
    assert not second.holds()
    office.clock.now += 0.2
    await second.stand()
    assert second.holds()
    assert office.spec["leaseTransitions"] == 1


async def test_frozen_leader_stops_before_anybody_else_may_begin(office: Office) -> None:
    """It does nothing meanwhile, as SIGSTOP has it, and afterwards first asks whether it may write."""
    frozen, second = office.candidate("frozen"), office.candidate("second")
    await frozen.stand()
    await second.stand()
    office.clock.now += 10
    assert not frozen.holds()
    await second.stand()
    assert not second.holds()
    office.clock.now += 6
    await second.stand()
    assert second.holds()
    await frozen.stand()
    assert not frozen.holds()
    assert second.holds()


async def test_of_two_who_are_equally_fast_one_gets_it(office: Office) -> None:
    candidates = [office.candidate(name) for name in ("first", "second", "third")]
    await asyncio.gather(*(candidate.stand() for candidate in candidates))
    assert sum(candidate.holds() for candidate in candidates) == 1


async def test_outage_shorter_than_the_lease_changes_nothing(office: Office) -> None:
    first = office.candidate("first")
    await first.stand()
    office.server.fail(Fault(503, path="leases"))
    office.clock.now += 5
    await first.stand()
    assert first.holds()
    await first.stand()
    office.clock.now += 9
    assert first.holds()


async def test_outage_is_said_once_and_ends_the_leadership(office: Office) -> None:
    first = office.candidate("first")
    await first.stand()
    await office.server.stop()
    with capture_logs() as logs:
        for _ in range(3):
            office.clock.now += 4
            await first.stand()
    assert not first.holds()
    assert [entry["event"] for entry in logs] == ["leadership.failed"]


async def test_answer_that_was_lost_does_not_lose_the_lease(office: Office) -> None:
    """The renewal arrived, and its answer did not: the next one meets a conflict with ourselves."""
    first = office.candidate("first")
    await first.stand()
    stored = office.server.get("argocd", "updater", "Lease")
    stored["spec"]["renewTime"] = "2026-01-01T00:00:00.000000Z"
    office.server.put(stored)
    await first.stand()
    assert first.holds()
    assert office.spec["leaseTransitions"] == 0


async def test_deleted_lease_is_made_again(office: Office) -> None:
    first = office.candidate("first")
    await first.stand()
    office.server.delete("argocd", "updater", "Lease")
    await first.stand()
    assert first.holds()


async def test_shutdown_gives_the_lease_back_at_once(office: Office) -> None:
    first, second = office.candidate("first", _QUIET), office.candidate("second")
    async with leading(first):
        pass
    assert not first.holds()
    await second.stand()
    assert second.holds()


async def test_shutdown_in_the_middle_of_a_renewal_gives_the_lease_back_as_well(office: Office) -> None:
    """The renewal arrived, and nobody was there any more to take its answer."""
    first, second = office.candidate("first", _QUIET), office.candidate("second")
    async with leading(first):
        stored = office.server.get("argocd", "updater", "Lease")
        stored["spec"]["renewTime"] = "2026-01-01T00:00:00.000000Z"
        office.server.put(stored)
    await second.stand()
    assert second.holds()


async def test_shutdown_leaves_the_lease_of_another_one_alone(office: Office) -> None:
    async with leading(office.candidate("first", _QUIET)):
        stored = office.server.get("argocd", "updater", "Lease")
        stored["spec"]["holderIdentity"] = "second"
        office.server.put(stored)
    assert office.spec["holderIdentity"] == "second"


@asynccontextmanager
async def leading(candidate: LeaseElection) -> AsyncIterator[None]:
    """Have it lead, and then shut it down."""
    task = asyncio.create_task(candidate.run())
    async with asyncio.timeout(60):
        await candidate.held()
    try:
        yield
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task


async def test_one_who_waits_is_woken_when_it_may_write(office: Office) -> None:
    first, second = office.candidate("first"), office.candidate("second")
    await first.stand()
    await second.stand()
    running = asyncio.create_task(second.run())
    waiting = asyncio.create_task(second.held())
    await asyncio.sleep(0.05)
    assert not waiting.done()
    office.clock.now += 16
    async with asyncio.timeout(60):
        await waiting
    running.cancel()
    with suppress(asyncio.CancelledError):
        await running


async def test_missing_permission_names_the_role(office: Office) -> None:
    office.server.forbidden.add(("get", "leases"))
    with capture_logs() as logs:
        await office.candidate("first").stand()
    assert 'apiGroups ["coordination.k8s.io"], resources ["leases"], verbs [get, create, update]' in logs[0]["reason"]
