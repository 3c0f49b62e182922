"""How a registry is reached: through proxies, and with a certificate of our own."""

import ssl
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path

import pytest
from aiohttp import web
from yarl import URL

from tests.fakes.certificates import loopback_certificate
from updater.adapters.registry.breaker import NoAnswer
from updater.adapters.registry.http import Transport
from updater.domain.errors import Misconfigured
from updater.settings.registries import DIRECT, ClientCertificate, RegistrySettings

SETTINGS = RegistrySettings("Test", "http://registry.example.com")


@asynccontextmanager
async def server(asked: list[str], tls: ssl.SSLContext | None = None) -> AsyncIterator[str]:
    """Answer everything, and note the targets of the requests as they were written."""

    async def answer(request: web.BaseRequest) -> web.Response:
        asked.append(request.raw_path)
        return web.Response(text="here")

    runner = web.ServerRunner(web.Server(answer))
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0, ssl_context=tls).start()
    try:
        yield f"{'https' if tls else 'http'}://127.0.0.1:{runner.addresses[0][1]}"
    finally:
        await runner.cleanup()


async def get(settings: RegistrySettings, url: str) -> int:
    transport = Transport(settings)
    try:
        return (await transport.send("GET", URL(url), {}, 100)).status
    finally:
        await transport.close()


async def test_a_configured_proxy_is_asked_for_everything() -> None:
    asked: list[str] = []
    async with server(asked) as proxy:
        await get(replace(SETTINGS, proxy=proxy), "http://registry.example.com/v2/")
        await get(replace(SETTINGS, proxy=proxy), "http://tokens.example.com/token")
    assert asked == ["http://registry.example.com/v2/", "http://tokens.example.com/token"]


@pytest.mark.parametrize(
    ("no_proxy", "configured", "through"), [("", "", 1), ("registry.example.com", "", 0), ("", DIRECT, 0)]
)
async def test_the_environments_proxy_is_asked_unless_it_or_the_configuration_says_otherwise(
    monkeypatch: pytest.MonkeyPatch, no_proxy: str, configured: str, through: int
) -> None:
    asked: list[str] = []
    settings = replace(SETTINGS, api_url="http://registry.invalid", proxy=configured)
    async with server(asked) as proxy:
        monkeypatch.setenv("HTTP_PROXY", proxy)
        monkeypatch.setenv("NO_PROXY", no_proxy.replace("example.com", "invalid"))
        if through:
            await get(settings, "http://registry.invalid/v2/")
        else:
            with pytest.raises(NoAnswer):
                await get(settings, "http://registry.invalid/v2/")
    assert len(asked) == through


@pytest.fixture
def files(tmp_path: Path) -> Mapping[str, Path]:
    certificate, key = loopback_certificate()
    written = {"certificate": tmp_path / "tls.crt", "key": tmp_path / "tls.key"}
    written["certificate"].write_text(certificate)
    written["key"].write_text(key)
    return written


async def test_a_registry_that_wants_a_certificate_of_its_clients_gets_it(files: Mapping[str, Path]) -> None:
    tls = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH, cafile=files["certificate"])
    tls.load_cert_chain(files["certificate"], files["key"])
    tls.verify_mode = ssl.CERT_REQUIRED
    asked: list[str] = []
    async with server(asked, tls) as url:
        settings = RegistrySettings("Test", url, ca_data=files["certificate"].read_text())
        with pytest.raises(NoAnswer):
            await get(settings, f"{url}/without")
        await get(
            replace(settings, client_certificate=ClientCertificate(files["certificate"], files["key"])), f"{url}/with"
        )
    assert asked == ["/with"]


async def test_argo_cds_certificates_that_are_none_stop_their_registry() -> None:
    with pytest.raises(Misconfigured, match="certificates that cannot be used"):
        Transport(replace(SETTINGS, ca_data="nonsense"))
