"""A registry client over real sockets, with a clock that a test sets."""

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from tests.fakes.memory import MemoryStore
from tests.fakes.registry import PASSWORD, USERNAME, FaultyRegistry
from updater.adapters.registry.client import RegistryClient
from updater.domain.candidates import Snapshot, TagRecord
from updater.domain.image import Repository
from updater.domain.platform import Platform
from updater.domain.policy import Output, Policy, Strategy
from updater.domain.polling import PollKey, Wants, wants
from updater.domain.secrets import CredentialSource, SecretKind
from updater.settings.registries import Registries, RegistrySettings

AMD64 = Platform("linux", "amd64")
NAME = "team/app"
LOGIN = CredentialSource(SecretKind.SECRET, "registry", "argocd", "login")
OTHER_LOGIN = CredentialSource(SecretKind.SECRET, "registry", "argocd", "other")
"""The same user, from elsewhere."""
SEMVER_DIGEST = Policy(Strategy.SEMVER, output=Output.TAG_DIGEST)
NEWEST_BUILD = Policy(Strategy.NEWEST_BUILD, platforms=(AMD64,))
DIGEST = Policy(Strategy.DIGEST, constraint="latest")


class LoginSecrets:
    """Holds the one login that the test registry admits."""

    async def secret(self, namespace: str, name: str) -> Mapping[str, bytes]:
        assert (namespace, name) == ("argocd", "registry")
        return {"other": f"{USERNAME}:{PASSWORD}".encode(), "login": f"{USERNAME}:{PASSWORD}".encode()}


@dataclass
class Desk:
    """A client, what it remembers, and the time it believes it is."""

    client: RegistryClient
    store: MemoryStore
    host: str
    now: list[datetime] = field(default_factory=lambda: [datetime(2026, 6, 1, tzinfo=UTC)])

    def key(self, name: str = NAME, credentials: CredentialSource | None = None) -> PollKey:
        return PollKey(Repository(self.host, name), credentials)

    async def look(self, *policies: Policy, name: str = NAME, credentials: CredentialSource | None = None) -> Snapshot:
        """Look as the poller does, and remember it."""
        key = self.key(name, credentials)
        return await self.store.record(key, await self.client.observe(key, Wants.union(map(wants, policies))))

    async def glance(self, wanted: Wants) -> Snapshot:
        return await self.client.observe(self.key(), wanted)

    def later(self, **by: float) -> None:
        self.now[0] += timedelta(**by)


@asynccontextmanager
async def desk(*registries: FaultyRegistry, store: MemoryStore | None = None, **settings: Any) -> AsyncIterator[Desk]:
    """Configure registries that run, and open a client to them; its keys are of the first."""
    entries = []
    for registry in registries:
        defaults: dict[str, Any] = {"prefix": registry.host, "credentials": LOGIN, "limit": 0, "timeout": 5.0}
        entries.append(RegistrySettings(f"test {registry.host}", registry.url, **(defaults | settings)))
    clock = [datetime(2026, 6, 1, tzinfo=UTC)]
    store = store or MemoryStore()
    client = RegistryClient(
        Registries(tuple(entries)),
        LoginSecrets(),
        store,
        store,
        own_platform=AMD64,
        now=lambda: clock[0],
    )
    try:
        yield Desk(client, store, settings.get("prefix", registries[0].host), clock)
    finally:
        await client.close()


def digests(snapshot: Snapshot) -> dict[str, str]:
    """Return the digests that a snapshot knows, by tags."""
    return {tag.name: tag.digest for tag in snapshot.tags if tag.digest}


def tag(snapshot: Snapshot, name: str) -> TagRecord:
    return next(record for record in snapshot.tags if record.name == name)
