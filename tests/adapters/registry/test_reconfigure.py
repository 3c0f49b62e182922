"""Another configuration while the daemon runs: followed from the next look on, without harm to looks under way."""

import asyncio
from collections.abc import AsyncIterator, Mapping
from dataclasses import replace
from pathlib import Path

import pytest

from tests.fakes.house import eventually, now
from tests.fakes.memory import MemoryStore
from tests.fakes.registry import PASSWORD, USERNAME, FaultyRegistry
from updater.adapters.registry.client import RegistryClient
from updater.domain.errors import RegistryAuthError
from updater.domain.image import Repository
from updater.domain.platform import Platform
from updater.domain.polling import PollKey, Wants
from updater.domain.secrets import parse_credential_source
from updater.settings.registries import Registries, RegistrySettings

APP = PollKey(Repository("registry.example.com", "team/app"))
NAMES = Wants(names=True)


class Secrets:
    login = f"{USERNAME}:{PASSWORD}"

    async def secret(self, namespace: str, name: str) -> Mapping[str, bytes]:
        return {"login": self.login.encode()}


@pytest.fixture
async def registry() -> AsyncIterator[FaultyRegistry]:
    async with FaultyRegistry() as registry:
        registry.push("team/app", "v1.0")
        registry.push("hub/team/app", "v2.0")
        yield registry


@pytest.fixture
def settings(registry: FaultyRegistry) -> RegistrySettings:
    source = parse_credential_source("secret:argocd/registry#login")
    return RegistrySettings("Test", registry.url, "registry.example.com", source)


@pytest.fixture
async def client(settings: RegistrySettings) -> AsyncIterator[RegistryClient]:
    store = MemoryStore()
    client = RegistryClient(
        Registries((replace(settings, credentials=None),)),
        Secrets(),
        store,
        store,
        own_platform=Platform("linux", "amd64"),
        now=now,
    )
    yield client
    await client.close()


async def test_new_credentials_are_used_from_the_next_look_on(
    client: RegistryClient, settings: RegistrySettings
) -> None:
    with pytest.raises(RegistryAuthError, match="configure credentials for it"):
        await client.observe(APP, NAMES)
    await client.reconfigure(Registries((settings,)), ())
    assert [tag.name for tag in (await client.observe(APP, NAMES)).tags] == ["v1.0"]


async def test_a_service_account_without_a_login_is_nobody(client: RegistryClient, registry: FaultyRegistry) -> None:
    key = PollKey(APP.repository, parse_credential_source("serviceaccount:argocd/default"))
    with pytest.raises(RegistryAuthError, match=r"refuses a request without credentials .* configure credentials for"):
        await client.observe(key, NAMES)
    assert [asked.authorization for asked in registry.asked] == [""]


async def test_a_look_under_way_is_finished(
    client: RegistryClient, registry: FaultyRegistry, settings: RegistrySettings
) -> None:
    await client.reconfigure(Registries((settings,)), ())
    looking = asyncio.create_task(client.observe(APP, NAMES))
    await eventually(lambda: bool(registry.asked), lambda: "the look to begin")
    await client.reconfigure(Registries((replace(settings, timeout=5),)), (Path("/scripts"),))
    assert [tag.name for tag in (await looking).tags] == ["v1.0"]


async def test_a_registry_that_stays_as_it_was_is_asked_as_before(
    client: RegistryClient, registry: FaultyRegistry, settings: RegistrySettings
) -> None:
    other = RegistrySettings("Other", "https://other.example.com", "other.example.com")
    await client.reconfigure(Registries((settings,)), ())
    await client.observe(APP, NAMES)
    start = len(registry.asked)
    await client.reconfigure(Registries((settings, other)), ())
    await client.observe(APP, NAMES)
    assert registry.asked_since(start) == ["GET /v2/team/app/tags/list"]


async def test_a_mirror_is_asked_under_its_own_name_with_its_own_credentials(
    client: RegistryClient, registry: FaultyRegistry, settings: RegistrySettings
) -> None:
    mirror = replace(settings, prefix="mirror.example.com/hub", mirror_of="registry.example.com")
    await client.reconfigure(Registries((mirror,)), ())
    snapshot = await client.observe(APP, NAMES)
    assert snapshot.repository == APP.repository
    assert [tag.name for tag in snapshot.tags] == ["v2.0"]


async def test_the_interval_of_a_registry_is_told(client: RegistryClient, settings: RegistrySettings) -> None:
    assert client.interval(APP) is None
    await client.reconfigure(Registries((replace(settings, interval=900),)), ())
    assert client.interval(APP) == 900
