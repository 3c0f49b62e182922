"""Helm repositories: what is asked of them, and what is believed."""

from base64 import b64encode
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

import pytest
from aiohttp import web

from tests.fakes.memory import MemoryStore
from updater.adapters.registry.client import RegistryClient
from updater.domain.errors import RegistryAuthError, RegistryError, RepositoryNotFound, SecretNotFound
from updater.domain.platform import Platform
from updater.domain.polling import PollKey, Wants
from updater.domain.references import parse_entry
from updater.domain.secrets import parse_credential_source
from updater.settings.registries import Registries, RegistrySettings

WANTS = Wants(names=True)
NOW = datetime(2026, 1, 1, tzinfo=UTC)


class NoSecrets:
    async def secret(self, namespace: str, name: str) -> dict[str, bytes]:
        raise SecretNotFound(f"{namespace}/{name}")


@dataclass
class HelmServer:
    """Serves an index, with an ETag unless told otherwise, and notes what it was asked."""

    index: str = ""
    etags: bool = True
    login: str = ""
    status: int = 200
    answers: list[int] = field(default_factory=list)
    host: str = ""

    def publish(self, *versions: str, chart: str = "shop") -> None:
        entries = "".join(f"  - name: {chart}\n    version: {each}\n" for each in versions)
        self.index += ("" if self.index else "apiVersion: v1\nentries:\n") + f"  {chart}:\n{entries}"

    async def answer(self, request: web.BaseRequest) -> web.Response:
        response = self._answer(request)
        self.answers.append(response.status)
        return response

    def _answer(self, request: web.BaseRequest) -> web.Response:
        if self.login and request.headers.get("Authorization") != f"Basic {b64encode(self.login.encode()).decode()}":
            return web.Response(status=401, headers={"WWW-Authenticate": 'Basic realm="charts"'})
        if request.path != "/stable/index.yaml" or self.status != 200:
            return web.Response(status=404 if self.status == 200 else self.status)
        etag = f'"{hash(self.index)}"'
        if self.etags and request.headers.get("If-None-Match") == etag:
            return web.Response(status=304)
        return web.Response(text=self.index, headers={"ETag": etag} if self.etags else {})


@pytest.fixture
async def server() -> AsyncIterator[HelmServer]:
    served = HelmServer()
    runner = web.ServerRunner(web.Server(served.answer))
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    served.host = f"127.0.0.1:{runner.addresses[0][1]}"
    yield served
    await runner.cleanup()


@dataclass
class Clock:
    now: datetime = NOW

    def __call__(self) -> datetime:
        return self.now


@dataclass
class Asking:
    """A client, and how its answers look."""

    server: HelmServer
    client: RegistryClient
    clock: Clock

    def key(self, chart: str = "shop", credentials: str = "") -> PollKey:
        repository = parse_entry(f"http://{self.server.host}/stable/{chart}").reference.repository
        return PollKey(repository, parse_credential_source(credentials) if credentials else None)

    async def versions(self, chart: str = "shop", credentials: str = "") -> list[str]:
        snapshot = await self.client.observe(self.key(chart, credentials), WANTS)
        return [tag.name for tag in snapshot.tags]


@asynccontextmanager
async def asking_with(server: HelmServer, *entries: RegistrySettings) -> AsyncIterator[Asking]:
    clock, store = Clock(), MemoryStore()
    client = RegistryClient(
        Registries(entries), NoSecrets(), store, store, own_platform=Platform("linux", "amd64"), now=clock
    )
    try:
        yield Asking(server, client, clock)
    finally:
        await client.close()


@pytest.fixture
async def asking(server: HelmServer) -> AsyncIterator[Asking]:
    async with asking_with(server) as made:
        yield made


async def test_versions_of_a_chart_are_listed(asking: Asking) -> None:
    asking.server.publish("1.2.0", "1.1.0")
    assert await asking.versions() == ["1.2.0", "1.1.0"]


async def test_unchanged_index_costs_one_conditional_request(asking: Asking) -> None:
    asking.server.publish("1.2.0")
    first = await asking.client.observe(asking.key(), WANTS)
    assert await asking.client.observe(asking.key(), WANTS) is first
    assert asking.server.answers == [200, 304]


async def test_unchanged_index_without_an_etag_changes_nothing(asking: Asking) -> None:
    asking.server.etags = False
    asking.server.publish("1.2.0")
    first = await asking.client.observe(asking.key(), WANTS)
    assert await asking.client.observe(asking.key(), WANTS) is first


async def test_charts_of_one_repository_share_its_index(asking: Asking) -> None:
    asking.server.publish("1.2.0")
    asking.server.publish("0.1.0", chart="till")
    assert [await asking.versions(), await asking.versions("till")] == [["1.2.0"], ["0.1.0"]]
    assert asking.server.answers == [200, 304]


async def test_new_version_is_found(asking: Asking) -> None:
    asking.server.publish("1.2.0")
    await asking.versions()
    asking.server.index = ""
    asking.server.publish("1.3.0", "1.2.0")
    assert await asking.versions() == ["1.3.0", "1.2.0"]


async def test_unknown_chart_is_told_with_its_repository(asking: Asking) -> None:
    asking.server.publish("1.2.0")
    with pytest.raises(RepositoryNotFound, match=r"/stable/till: .* has no chart till: check the image-list"):
        await asking.versions("till")


@pytest.mark.parametrize(("status", "index", "said"), [(404, "", "no index.yaml"), (200, "<html>", "not understood")])
async def test_what_is_no_index_is_no_answer(asking: Asking, status: int, index: str, said: str) -> None:
    asking.server.status, asking.server.index = status, index
    with pytest.raises(RegistryError, match=said):
        await asking.versions()


async def test_index_that_lost_half_of_a_chart_is_believed_after_a_second_look(asking: Asking) -> None:
    asking.server.publish("1.3.0", "1.2.0")
    await asking.versions()
    asking.server.index = ""
    asking.server.publish("1.2.0")
    with pytest.raises(RegistryError, match="the list shrank"):
        await asking.versions()
    asking.clock.now += timedelta(seconds=61)
    assert await asking.versions() == ["1.2.0"]


async def test_credentials_of_the_chart_are_sent_when_asked_for(
    asking: Asking, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CHARTS", "alice:secret")
    asking.server.login = "alice:secret"
    asking.server.publish("1.2.0")
    assert await asking.versions(credentials="env:CHARTS") == ["1.2.0"]
    with pytest.raises(RegistryAuthError):
        await asking.versions()


async def test_credentials_of_a_registry_at_the_same_address_count(
    server: HelmServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CHARTS", "alice:secret")
    server.login = "alice:secret"
    server.publish("1.2.0")
    source = parse_credential_source("env:CHARTS")
    async with asking_with(server, RegistrySettings("Charts", f"http://{server.host}", server.host, source)) as asking:
        assert await asking.versions() == ["1.2.0"]


async def test_credentials_of_the_registry_of_all_other_images_stay_at_home(
    server: HelmServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OTHERS", "alice:secret")
    server.login = "alice:secret"
    source = parse_credential_source("env:OTHERS")
    async with asking_with(server, RegistrySettings("Others", "https://others.invalid", "", source)) as asking:
        with pytest.raises(RegistryAuthError):
            await asking.versions()
