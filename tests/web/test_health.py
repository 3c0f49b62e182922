"""The probes, and the server that carries them."""

import asyncio
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from aiohttp import ClientSession, TCPConnector
from aiohttp.test_utils import TestClient, TestServer
from aiohttp.web import Application
from structlog.testing import capture_logs

from tests.fakes.certificates import loopback_certificate
from tests.fakes.house import eventually
from updater.domain.errors import Misconfigured, StoreError
from updater.settings.units import Listen
from updater.web.health import Health
from updater.web.server import TlsFiles, WebServer


async def well() -> None:
    pass


async def broken() -> None:
    raise StoreError("database /x: disk full")


async def asked(health: Health, path: str) -> tuple[int, str]:
    app = Application()
    app.add_routes(health.routes())
    async with TestClient(TestServer(app, host="127.0.0.1")) as client, client.get(path) as answer:
        return answer.status, await answer.text()


async def test_alive_is_answered_as_by_image_updater() -> None:
    assert await asked(Health({"store": broken}), "/healthz") == (200, "OK")


async def test_ready_when_every_dependency_is() -> None:
    assert await asked(Health({"cluster": well, "store": well}), "/readyz") == (200, "cluster: ok\nstore: ok\n")


async def test_dependency_that_fails_is_named_with_its_reason() -> None:
    expected = (503, "cluster: ok\nstore: database /x: disk full\n")
    assert await asked(Health({"cluster": well, "store": broken}), "/readyz") == expected


async def test_dependency_that_is_left_out_is_not_asked() -> None:
    health = Health({"cluster": well, "store": broken})
    assert await asked(health, "/readyz?exclude=store&exclude=other") == (200, "cluster: ok\n")


async def test_dependency_that_hangs_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("updater.web.health._PATIENCE", 0.01)
    status, text = await asked(Health({"store": asyncio.Event().wait}), "/readyz")  # type: ignore[dict-item]
    assert (status, text) == (503, "store: no answer within 0.01 s\n")


@asynccontextmanager
async def serving(server: WebServer) -> AsyncIterator[str]:
    task = asyncio.create_task(server.run())
    try:
        await eventually(lambda: bool(server.addresses), lambda: "the server to listen")
        host, port = server.addresses[0]
        yield f"{'https' if server.tls else 'http'}://{host}:{port}"
    finally:
        task.cancel()
        await asyncio.wait({task})


def written(directory: Path) -> TlsFiles:
    made = loopback_certificate.__wrapped__()
    (directory / "tls.crt").write_text(made.certificate)
    (directory / "tls.key").write_text(made.key)
    return TlsFiles("web", directory / "tls.crt", directory / "tls.key")


async def presented(url: str) -> bytes:
    """Return the certificate that a new connection gets."""
    _, _, address = url.partition("://")
    host, _, port = address.partition(":")
    reader, writer = await asyncio.open_connection(host, int(port), ssl=ssl._create_unverified_context())
    certificate: bytes = writer.get_extra_info("ssl_object").getpeercert(binary_form=True)
    writer.close()
    await writer.wait_closed()
    assert reader is not None
    return certificate


async def test_new_certificate_is_used_without_a_restart(tmp_path: Path) -> None:
    files = written(tmp_path)
    files.load()
    routes = Health({"store": well}).routes()
    async with serving(WebServer("web", Listen("127.0.0.1:0"), routes, files)) as url:
        before = await presented(url)
        written(tmp_path)
        files.reload_if_changed()
        assert await presented(url) != before
        async with ClientSession(connector=TCPConnector(ssl=False)) as session, session.get(f"{url}/healthz") as answer:
            assert answer.status == 200


async def test_certificate_that_does_not_fit_its_key_changes_nothing(tmp_path: Path) -> None:
    files = written(tmp_path)
    files.load()
    async with serving(WebServer("web", Listen("127.0.0.1:0"), (), files)) as url:
        before = await presented(url)
        (tmp_path / "tls.crt").write_text(loopback_certificate.__wrapped__().certificate)
        with capture_logs() as logs:
            files.reload_if_changed()
        assert [log["event"] for log in logs] == ["web.certificate_kept"]
        assert await presented(url) == before


def test_certificate_that_is_missing_at_the_start_stops_it(tmp_path: Path) -> None:
    with pytest.raises(Misconfigured, match=r"web\.tls_cert"):
        TlsFiles("web", tmp_path / "no.crt", tmp_path / "no.key").load()


async def test_address_that_is_taken_is_said_and_tried_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("updater.web.server._BETWEEN_TRIES", 0.01)
    first = WebServer("web", Listen("127.0.0.1:0"), ())
    async with serving(first):
        port = first.addresses[0][1]
        second = WebServer("web", Listen(f"127.0.0.1:{port}"), ())
        with capture_logs() as logs:
            task = asyncio.create_task(second.run())
            await eventually(lambda: bool(logs), lambda: "the failure to be said")
    assert (logs[0]["event"], logs[0]["log_level"]) == ("web.unavailable", "error")
    await eventually(lambda: bool(second.addresses), lambda: "the second server to listen")
    task.cancel()
    await asyncio.wait({task})


async def test_connections_that_say_nothing_make_room() -> None:
    """Else whoever opens enough of them keeps the daemon from reaching registries and Git servers."""
    routes = Health({"store": well}).routes()
    silent: list[tuple[asyncio.StreamReader, asyncio.StreamWriter]] = []
    async with serving(WebServer("web", Listen("127.0.0.1:0"), routes)) as url:
        host, _, port = url.rpartition("/")[2].partition(":")
        try:
            for _ in range(110):
                silent.append(await asyncio.open_connection(host, int(port)))
                async with ClientSession() as session, session.get(f"{url}/healthz") as answer:
                    assert answer.status == 200
            ended = [reader for reader, _ in silent if reader.at_eof()]
            assert ended == [reader for reader, _ in silent[: len(ended)]]
            assert len(silent) - len(ended) <= 100
        finally:
            for _, writer in silent:
                writer.close()
