"""The registry client against Debian's docker-registry: how it authenticates there, and what it finds."""

from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from tests.fakes.certificates import loopback_certificate
from tests.fakes.docker_registry import DockerRegistry
from tests.fakes.memory import MemoryStore
from tests.fakes.stored_images import store_image
from tests.fakes.token_issuer import TokenIssuer
from updater.adapters.registry.client import RegistryClient
from updater.domain.candidates import Snapshot
from updater.domain.errors import RegistryAuthError, RegistryError
from updater.domain.image import Repository
from updater.domain.platform import Platform
from updater.domain.policy import Output, Policy, Strategy
from updater.domain.polling import PollKey, wants
from updater.domain.secrets import CredentialSource, SecretKind
from updater.settings.registries import Registries, RegistrySettings

pytestmark = pytest.mark.integration

NAME = "team/app"
USER, PASSWORD = "alice", "s3cret:with-colon"
BEGIN = datetime(2026, 1, 1, tzinfo=UTC)
POLICIES = {
    "semver": Policy(),
    "semver with a digest": Policy(output=Output.TAG_DIGEST),
    "newest-build": Policy(Strategy.NEWEST_BUILD),
    "digest": Policy(Strategy.DIGEST, constraint="v1.2.0"),
}


class _Secrets:
    def __init__(self, password: str) -> None:
        self.password = password

    async def secret(self, namespace: str, name: str) -> Mapping[str, bytes]:
        return {"login": f"{USER}:{self.password}".encode()}


@asynccontextmanager
async def served(root: Path, *, tls: bool = False, issuer: TokenIssuer | None = None) -> AsyncIterator[DockerRegistry]:
    """Run a registry with twelve versions."""
    for number in range(12):
        store_image(root, NAME, f"v1.{number}.0", BEGIN + timedelta(days=number))
    async with DockerRegistry(root, USER, PASSWORD, loopback_certificate() if tls else None, issuer) as registry:
        yield registry


@asynccontextmanager
async def client(registry: DockerRegistry, password: str = PASSWORD, **settings: Any) -> AsyncIterator[RegistryClient]:
    login = CredentialSource(SecretKind.SECRET, "registry", "argocd", "login")
    entry = RegistrySettings("debian", registry.url, prefix=registry.host, credentials=login, **settings)
    store = MemoryStore()
    opened = RegistryClient(
        Registries((entry,)),
        _Secrets(password),
        store,
        store,
        own_platform=Platform("linux", "amd64"),
        now=lambda: datetime.now(UTC),
    )
    try:
        yield opened
    finally:
        await opened.close()


async def look(opened: RegistryClient, registry: DockerRegistry, policy: Policy) -> Snapshot:
    return await opened.observe(PollKey(Repository(registry.host, NAME)), wants(policy))


@pytest.mark.parametrize("policy", POLICIES.values(), ids=POLICIES)
@pytest.mark.parametrize("auth", ["htpasswd", "token", "tls"])
async def test_every_depth_is_read_by_every_way_to_authenticate(tmp_path: Path, auth: str, policy: Policy) -> None:
    async with AsyncExitStack() as stack:
        issuer = await stack.enter_async_context(TokenIssuer(USER, PASSWORD)) if auth == "token" else None
        registry = await stack.enter_async_context(served(tmp_path, tls=auth == "tls", issuer=issuer))
        trusted = loopback_certificate().certificate if auth == "tls" else ""
        opened = await stack.enter_async_context(client(registry, ca_data=trusted))
        snapshot = await look(opened, registry, policy)
        assert await look(opened, registry, policy) is snapshot
    newest = next(tag for tag in snapshot.tags if tag.name in (policy.constraint, "v1.11.0"))
    if policy.strategy is Strategy.DIGEST:
        assert [tag.name for tag in snapshot.tags] == ["v1.2.0"]
    else:
        assert len(snapshot.tags) == 12
    assert bool(newest.digest) is (policy != Policy())
    if policy.strategy is Strategy.NEWEST_BUILD:
        assert [build.created for build in newest.builds or ()] == [BEGIN + timedelta(days=11)]


async def test_one_token_serves_many_looks(tmp_path: Path) -> None:
    async with (
        TokenIssuer(USER, PASSWORD) as issuer,
        served(tmp_path, issuer=issuer) as registry,
        client(registry) as opened,
    ):
        for policy in POLICIES.values():
            await look(opened, registry, policy)
        assert issuer.scopes == [f"repository:{NAME}:pull"]


async def test_token_that_has_expired_is_renewed_once(tmp_path: Path) -> None:
    async with (
        TokenIssuer(USER, PASSWORD) as issuer,
        served(tmp_path, issuer=issuer) as registry,
        client(registry) as opened,
    ):
        issuer.lifetime = -120  # the registry grants a minute, and we believe no lifetime below one
        with pytest.raises(RegistryAuthError):
            await look(opened, registry, Policy())
        issuer.lifetime = 300
        assert len((await look(opened, registry, Policy())).tags) == 12
        assert len(issuer.scopes) == 3


@pytest.mark.parametrize("with_issuer", [False, True])
async def test_wrong_password_is_told_without_it(tmp_path: Path, with_issuer: bool) -> None:  # noqa: FBT001
    async with AsyncExitStack() as stack:
        issuer = await stack.enter_async_context(TokenIssuer(USER, PASSWORD)) if with_issuer else None
        registry = await stack.enter_async_context(served(tmp_path, issuer=issuer))
        opened = await stack.enter_async_context(client(registry, password="wr0ng-one"))
        with pytest.raises(RegistryAuthError, match="check user and password") as refused:
            await look(opened, registry, Policy())
    assert "wr0ng-one" not in str(refused.value)


async def test_authority_that_is_not_trusted_is_said(tmp_path: Path) -> None:
    async with served(tmp_path, tls=True) as registry, client(registry) as opened:
        with pytest.raises(RegistryError, match="certificate verify failed"):
            await look(opened, registry, Policy())


async def test_moved_tag_is_seen_with_a_conditional_head(tmp_path: Path) -> None:
    policy = POLICIES["digest"]
    async with served(tmp_path) as registry, client(registry) as opened:
        first = await look(opened, registry, policy)
        moved = store_image(tmp_path, NAME, "v1.2.0", BEGIN + timedelta(days=99))
        second = await look(opened, registry, policy)
    assert [tag.digest for tag in second.tags] == [moved]
    assert second != first


async def test_5000_tags_are_read_in_one_page(tmp_path: Path) -> None:
    """It knows no pages."""
    for number in range(5000):
        place = tmp_path / f"data/docker/registry/v2/repositories/{NAME}/_manifests/tags/b{number}/current"
        place.mkdir(parents=True)
        (place / "link").write_text("sha256:" + "0" * 64)
    async with served(tmp_path) as registry, client(registry) as opened:
        assert len((await look(opened, registry, Policy())).tags) == 5012
