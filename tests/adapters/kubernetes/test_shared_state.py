"""What replicas tell each other through ConfigMaps: all of it or nothing, whatever happens in between."""

import asyncio
import os
from collections.abc import AsyncIterator
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from tests.fakes.apiserver import ApiServer, Fault
from tests.fakes.leadership import FakeLeadership
from updater.adapters.kubernetes.connection import Connection
from updater.adapters.kubernetes.replicas import state_name
from updater.adapters.kubernetes.shared_state import SharedState
from updater.domain.errors import StoreError


@dataclass
class Memory:
    """Implements `SharedMemory`."""

    knows: bytes = b""
    handover_version: int = 0
    learned: list[bytes] = field(default_factory=list)
    refuses: bool = False

    def remember(self, something: bytes) -> None:
        self.knows = something
        self.handover_version += 1

    async def hand_over(self) -> bytes:
        return self.knows

    async def take_over(self, handed: bytes) -> None:
        if self.refuses:
            raise StoreError("it is of version 2")
        self.learned.append(handed)


@dataclass
class Replica:
    """A replica that leads from the beginning on, unless a test says otherwise."""

    connection: Connection
    memory: Memory = field(default_factory=Memory)
    election: FakeLeadership = field(default_factory=lambda: FakeLeadership(leader=True))
    state: SharedState = field(init=False)

    def __post_init__(self) -> None:
        self.state = SharedState(self.connection, "argocd", "updater-state", self.memory, self.election, 0.01)

    async def publish(self, something: bytes) -> None:
        """Lead, publish something, and end."""
        assert await self.state.held()
        self.memory.remember(something)
        task = asyncio.create_task(self.state.run())
        await asyncio.sleep(0)
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task


@pytest.fixture
async def connection(server: ApiServer, tmp_path: Path) -> AsyncIterator[Connection]:
    connection = await Connection.open(server.kubeconfig(tmp_path / "kubeconfig"), "")
    yield connection
    await connection.close()


async def test_another_replica_learns_what_was_published(connection: Connection) -> None:
    await Replica(connection).publish(b"what we know")
    other = Replica(connection)
    assert await other.state.learn()
    assert other.memory.learned == [b"what we know"]


async def test_what_is_too_large_for_one_object_is_spread(server: ApiServer, connection: Connection) -> None:
    much = os.urandom(2_000_000)
    await Replica(connection).publish(much)
    other = Replica(connection)
    await other.state.learn()
    assert other.memory.learned == [much]
    assert server.get("argocd", "updater-state-2", "ConfigMap")


async def test_nothing_published_is_nothing_to_learn(connection: Connection) -> None:
    replica = Replica(connection)
    assert await replica.state.learn()
    assert not replica.memory.learned


async def test_leadership_begins_when_everything_is_learned(server: ApiServer, connection: Connection) -> None:
    await Replica(connection).publish(b"what we know")
    server.fail(*[Fault(503, path="updater-state")] * 2)
    replica = Replica(connection)
    assert not replica.state.holds()
    assert await replica.state.held()
    assert replica.state.holds()
    assert replica.memory.learned == [b"what we know"]


async def test_lease_lost_and_won_again_is_a_reason_to_learn_again(connection: Connection) -> None:
    replica = Replica(connection)
    assert await replica.state.held()
    replica.election.lose()
    assert not replica.state.holds()
    await Replica(connection).publish(b"news")
    replica.election.gain()
    assert await replica.state.held()
    assert replica.memory.learned == [b"news"]


async def test_standby_publishes_nothing(server: ApiServer, connection: Connection) -> None:
    standby = Replica(connection, election=FakeLeadership(leader=False))
    standby.memory.remember(b"old")
    task = asyncio.create_task(standby.state.run())
    await asyncio.sleep(0.05)
    task.cancel()
    with suppress(asyncio.CancelledError):
        await task
    assert not server.requests


async def test_nothing_new_costs_nothing(server: ApiServer, connection: Connection) -> None:
    replica = Replica(connection)
    await replica.publish(b"what we know")
    before = len(server.requests)
    task = asyncio.create_task(replica.state.run())
    await asyncio.sleep(0.05)
    task.cancel()
    with suppress(asyncio.CancelledError):
        await task
    assert len(server.requests) == before


async def test_half_of_a_change_is_not_learned(server: ApiServer, connection: Connection) -> None:
    await Replica(connection).publish(os.urandom(1_000_000))
    part = server.get("argocd", "updater-state-1", "ConfigMap")
    part["binaryData"]["state"] = "AAAA"
    server.put(part)
    other = Replica(connection)
    assert not await other.state.learn()
    assert not other.memory.learned


async def test_missing_permission_is_said_and_does_not_stop_the_leader(
    server: ApiServer, connection: Connection
) -> None:
    server.forbidden.add(("get", "configmaps"))
    replica = Replica(connection)
    with capture_logs() as logs:
        assert await replica.state.held()
    assert [entry["event"] for entry in logs] == ["replicas.not_told"]
    assert "verbs [get, create, update]" in logs[0]["reason"]


async def test_state_of_another_version_is_said_and_passed_over(connection: Connection) -> None:
    await Replica(connection).publish(b"what we know")
    replica = Replica(connection, Memory(refuses=True))
    with capture_logs() as logs:
        assert await replica.state.held()
    assert logs[0]["reason"] == "it is of version 2"


async def test_one_who_ends_while_waiting_gets_no_leadership(connection: Connection) -> None:
    replica = Replica(connection, election=FakeLeadership(leader=False))
    waiting = asyncio.create_task(replica.state.held())
    await asyncio.sleep(0)
    replica.state.stop_waiting()
    assert not await waiting


def test_those_who_stand_for_another_lease_share_another_state() -> None:
    assert state_name("c21b75f2.argoproj.io") == "updater-state"
    assert state_name("team-a") == "updater-state.team-a"
