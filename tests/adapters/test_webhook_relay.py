"""Two replicas and one webhook: both act on it, once each, and a replica that is away costs nothing."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from aiohttp import ClientSession
from structlog.testing import capture_logs

from tests.fakes.certificates import loopback_certificate
from tests.fakes.docker_registry import free_port, free_ports
from tests.fakes.house import eventually
from updater.adapters.webhook_relay import WebhookRelay
from updater.domain.image import Repository
from updater.formats.webhooks import WebhookType
from updater.settings.units import Listen
from updater.web.server import TlsFiles, WebServer
from updater.web.webhooks import Webhooks

HARBOR = (Path(__file__).parents[1] / "samples/webhooks/harbor.json").read_bytes()
SECRET = "s3cret-word"


class Replica:
    """One replica's server, which passes on to another address."""

    def __init__(self, port: int, peer: int, tls: TlsFiles | None = None) -> None:
        self.nudged: list[str] = []
        self.relay = WebhookRelay(Listen(f"127.0.0.1:{peer}"), tls.certificate if tls else None)
        self.webhooks = Webhooks(self.nudge, {WebhookType.HARBOR: SECRET}, self.secret, relay=self.relay.pass_on)
        self.server = WebServer("webhooks", Listen(f"127.0.0.1:{port}"), self.webhooks.routes(), tls)

    def nudge(self, repository: Repository, tag: str) -> int:
        self.nudged.append(f"{repository}:{tag}")
        return 1

    async def secret(self, spelled: str) -> str:
        return spelled

    async def receive(self) -> None:
        host, port = self.server.addresses[0]
        url = f"{'https' if self.server.tls else 'http'}://{host}:{port}/webhook/harbor"
        headers = {"Authorization": SECRET}
        async with ClientSession() as session, session.post(url, data=HARBOR, headers=headers, ssl=False) as answer:
            assert answer.status == 200


@asynccontextmanager
async def running(*replicas: Replica) -> AsyncIterator[None]:
    tasks = [asyncio.create_task(each.run()) for one in replicas for each in (one.server, one.relay)]
    try:
        await eventually(lambda: all(one.server.addresses for one in replicas), lambda: "the servers to listen")
        yield
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.wait(tasks)


@pytest.fixture(params=["http", "https"])
def tls(request: pytest.FixtureRequest, tmp_path: Path) -> TlsFiles | None:
    if request.param == "http":
        return None
    made = loopback_certificate()
    (tmp_path / "tls.crt").write_text(made.certificate)
    (tmp_path / "tls.key").write_text(made.key)
    files = TlsFiles("webhooks", tmp_path / "tls.crt", tmp_path / "tls.key")
    files.load()
    return files


async def test_other_replica_acts_on_it_too_and_does_not_send_it_back(tls: TlsFiles | None) -> None:
    one, other = free_ports(2)
    first, second = Replica(one, other, tls), Replica(other, one, tls)
    async with running(first, second):
        await first.receive()
        await eventually(lambda: bool(second.nudged), lambda: "the other replica to be told")
    assert first.nudged == second.nudged == ["harbor.example.com/team/app:v2.0"]
    assert second.relay._waiting.empty()


async def test_copy_that_comes_back_to_oneself_is_a_repetition() -> None:
    port = free_port()
    only = Replica(port, port)
    with capture_logs() as logs:
        async with running(only):
            await only.receive()
            await eventually(
                lambda: any(log["event"] == "webhook.repeated" for log in logs), lambda: "the copy to arrive"
            )
    assert len(only.nudged) == 1


async def test_header_that_cannot_be_sent_stops_nothing() -> None:
    one, other = free_ports(2)
    first, second = Replica(one, other), Replica(other, one)
    async with running(first, second):
        first.relay.pass_on("/webhook/harbor", {"x": "\udcff", "y": "a\nb"}, b"")
        await first.receive()
        await eventually(lambda: bool(second.nudged), lambda: "the other replica to be told")


async def test_replica_that_does_not_answer_does_not_hold_up_what_comes_next() -> None:
    """As one does that is frozen, or whose node is gone: each try takes five seconds."""
    held: set[asyncio.StreamWriter] = set()

    async def silent(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        held.add(writer)
        await reader.read()
        held.remove(writer)
        writer.close()

    async with await asyncio.start_server(silent, "127.0.0.1", 0) as server:
        only = Replica(free_port(), server.sockets[0].getsockname()[1])
        async with running(only):
            for number in range(5):
                only.relay.pass_on(f"/webhook/harbor?{number}", {}, b"")
            await eventually(lambda: len(held) == 5, lambda: "all of them to be on their way at once")
        await eventually(lambda: not held, lambda: "the connections to end")


async def test_replica_that_is_away_is_said_once() -> None:
    only = Replica(free_port(), 1)
    with capture_logs() as logs:
        async with running(only):
            await only.receive()
            only.relay.pass_on("/webhook/harbor", {}, b"")
            await eventually(only.relay._waiting.empty, lambda: "both to be tried")
            await eventually(lambda: only.relay._failing, lambda: "the failure to be noticed")
    assert [log["event"] for log in logs if log["log_level"] == "warning"] == ["webhook.not_relayed"]
    assert SECRET not in str(logs)
