"""The local API and its client, over a real Unix socket."""

import asyncio
import stat
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from updater.domain.application import ApplicationName
from updater.domain.errors import UpdaterError
from updater.web.api import serve_api
from updater.web.client import NobodyAnswers, ask_application

DEMO = ApplicationName("argocd", "demo")


class Reports:
    async def application(self, name: ApplicationName) -> dict[str, object] | None:
        return {"application": str(name), "images": []} if name == DEMO else None

    async def items(self, collection: str) -> list[dict[str, object]]:
        return []


@pytest.fixture
def socket(tmp_path: Path) -> Path:
    return tmp_path / "api.sock"


async def test_known_application_is_answered(socket: Path) -> None:
    async with serve_api(socket, Reports(), Reports()):
        assert await ask_application(socket, DEMO) == {"application": "argocd/demo", "images": []}


async def test_unknown_application_is_none(socket: Path) -> None:
    async with serve_api(socket, Reports(), Reports()):
        assert await ask_application(socket, ApplicationName("argocd", "other")) is None


async def test_socket_is_its_owners_alone_and_gone_at_the_end(socket: Path) -> None:
    async with serve_api(socket, Reports(), Reports()):
        assert stat.S_IMODE(socket.stat().st_mode) == 0o600
    assert not socket.exists()


async def test_socket_that_a_killed_daemon_left_is_taken_over(socket: Path) -> None:
    dead = await asyncio.start_unix_server(lambda _, writer: writer.close(), socket)
    dead.close()
    await dead.wait_closed()
    async with serve_api(socket, Reports(), Reports()):
        assert await ask_application(socket, DEMO) is not None


async def test_socket_that_cannot_be_had_is_a_warning_and_stops_nothing(tmp_path: Path) -> None:
    with capture_logs() as logs:
        async with serve_api(tmp_path / ("x" * 200) / "api.sock", Reports(), Reports()):
            pass
    assert [(log["event"], log["log_level"]) for log in logs] == [("api.unavailable", "warning")]
    assert "api.socket" in logs[0]["reason"]


async def test_file_in_the_socket_s_place_is_left_alone(socket: Path) -> None:
    socket.write_text("somebody's")
    with capture_logs() as logs:
        async with serve_api(socket, Reports(), Reports()):
            pass
    assert socket.read_text() == "somebody's"
    assert [log["event"] for log in logs] == ["api.unavailable"]


@pytest.mark.parametrize("name", ["demo?x=1", "demo#x", "demo/../demo", "../argocd/demo", "ä b%2F"])
async def test_name_is_asked_for_as_it_is_written(socket: Path, name: str) -> None:
    async with serve_api(socket, Reports(), Reports()):
        assert await ask_application(socket, ApplicationName("argocd", name)) is None


async def test_nobody_answers_where_no_daemon_is(socket: Path) -> None:
    with pytest.raises(NobodyAnswers, match="no daemon answers"):
        await ask_application(socket, DEMO)


async def test_what_is_no_updater_is_named(socket: Path) -> None:
    async def other(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi")
        await writer.drain()
        writer.close()

    server = await asyncio.start_unix_server(other, socket)
    try:
        with pytest.raises(UpdaterError, match="is no updater"):
            await ask_application(socket, DEMO)
    finally:
        server.close()
        await server.wait_closed()
