"""Read credentials from where their references say, keep them for a while, and leave alone whoever gives none.

Secrets are read again every minute and as soon as what was in one is refused; there is no watch on them, because that
would need the right to list and a standing connection for each.
"""

import math
import os
from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple
from urllib.parse import urlsplit

import structlog

from updater.adapters.argocd_repositories import chart_login
from updater.adapters.registry.clouds import CloudIdentities, Place
from updater.adapters.registry.scripts import run_script
from updater.adapters.registry.shared import Shared
from updater.domain.docker_hub import canonical_host
from updater.domain.errors import ClusterError, Misconfigured, RegistryAuthError, RegistryError, SecretNotFound
from updater.domain.image import Repository
from updater.domain.secrets import CLOUDS, CredentialSource, SecretKind
from updater.formats.docker_config import Login, find_login
from updater.ports.secrets import RepositorySecrets, Secrets, ServiceAccounts
from updater.redaction import register_secret
from updater.settings.registries import RegistrySettings

log = structlog.get_logger()

_SECRETS_KEPT = 60.0
"""Seconds after which a Secret is read again though nobody refused what was in it."""
_RETRIED = 60.0
"""Seconds after which a source that failed is asked again while what it gave before is still good."""
_PAUSE = 10.0
"""Seconds in which scripts and clouds are left alone after a failure, at first."""
_PART_OF_LIFETIME = 0.8
_OF_OTHERS = ("_WEBHOOK_SECRET", "_OTLP_HEADERS", "_OTLP_TRACES_HEADERS")
"""Ends of the names of variables that hold secrets of senders and of the receiver of traces."""
_PULL_SECRET_KEY = ".dockerconfigjson"  # noqa: S105 - a key of Kubernetes
_LEGACY_KEY = ".dockercfg"
_FALLBACKS = frozenset({SecretKind.SERVICE_ACCOUNT, SecretKind.ARGOCD})
_BY_NAME = _FALLBACKS | {SecretKind.PULL_SECRET}
_CLUSTER = _BY_NAME | {SecretKind.SECRET}


VariablesOfImages = Callable[[], Awaitable[Collection[str]]]
"""Tells which variables images have read, once all images are known."""


async def no_variables() -> Collection[str]:
    return ()


@dataclass(frozen=True, slots=True)
class Sources:
    """From where credentials are read."""

    secrets: Secrets
    accounts: ServiceAccounts | None = None
    repositories: RepositorySecrets | None = None
    """Argo CD's own; None: they are not asked."""
    argocd_namespace: str = "argocd"
    script_directories: Sequence[Path] = ()
    environment: Mapping[str, str] = field(default_factory=lambda: os.environ)
    clouds: CloudIdentities | None = None
    """None: those that the environment offers."""
    secret_variables: set[str] = field(default_factory=set)
    """Variables that settings have read, for whatever; scripts do not get them, nor those of images."""
    variables_of_images: VariablesOfImages = no_variables

    def identities(self) -> CloudIdentities:
        return self.clouds or CloudIdentities(self.environment)


class _Known(NamedTuple):
    """What a source gave; no login when it has none for the registry and need not have one."""

    login: Login | None


class Credentials:
    """Reads the credentials of one registry's repositories."""

    def __init__(self, settings: RegistrySettings, sources: Sources) -> None:
        self._settings = settings
        self._secrets = sources.secrets
        self._accounts = sources.accounts
        self._repositories = sources.repositories
        self._argocd_namespace = sources.argocd_namespace
        self._script_directories = sources.script_directories
        self._environment = sources.environment
        self._secret_variables = sources.secret_variables
        self._variables_of_images = sources.variables_of_images
        self._clouds = sources.identities()
        self._place = Place.of(settings)
        self._kept: dict[tuple[CredentialSource, str], Shared[_Known]] = {}

    def choose(self, asked: CredentialSource | None, repository: Repository) -> CredentialSource | None:
        """Choose between the credentials of an image, of the registry, of a cloud, and of a ServiceAccount.

        Those of an image are for the registry that it names, and are kept from a mirror.
        """
        if self._settings.mirrors(repository):
            asked = None
        fallback = asked if asked is not None and asked.kind in _FALLBACKS else None
        own = asked if fallback is None else None
        chosen = own or self._settings.credentials or self._clouds.offered(self._place) or fallback
        return None if chosen is None or chosen.kind is SecretKind.NONE else chosen

    async def read(
        self, source: CredentialSource, repository: Repository, refused: Login | None = None
    ) -> Login | None:
        """Return the login; read it again when it is the one that was refused, or it is old.

        None: the source has none for this registry, and nobody said that it must.

        Raises:
            Misconfigured: the reference leads to no user and password.
            RegistryError: it could not be read now.
        """
        names = self._names(repository)
        pause = 0 if source.kind in _CLUSTER or source.kind is SecretKind.ENVIRONMENT else _PAUSE
        kept = self._kept.setdefault((source, names[0] if source.kind in _BY_NAME else ""), Shared(pause))

        async def fetch() -> tuple[_Known, float]:
            try:
                login, lifetime = await self._fetch(source, repository, names)
            except (ClusterError, RegistryError) as error:
                if kept.value is None or refused is not None:
                    kind = RegistryAuthError if isinstance(error, RegistryAuthError) else RegistryError
                    raise kind(f"has credentials {source} that cannot be read now: {error}") from error
                log.warning("registry.credentials_kept", registry=self._settings.name, reason=str(error))
                return kept.value, _RETRIED
            if login is not None:
                register_secret(login.password)
            return _Known(login), self._settings.credentials_expire or lifetime

        return (await kept.get(fetch, refused=None if refused is None else _Known(refused))).login

    def _names(self, repository: Repository) -> tuple[str, str]:
        """Give the repository's name as images have it here, and as the registry's API has it."""
        host = urlsplit(self._settings.api_url).netloc
        api_name = f"{canonical_host(host)}/{self._settings.api_name(repository)}"
        if self._settings.mirrors(repository) and not self._settings.prefix:
            return api_name, api_name
        return str(self._settings.own_name(repository)), api_name

    async def _fetch(
        self, source: CredentialSource, repository: Repository, names: Sequence[str]
    ) -> tuple[Login | None, float]:
        """Read a login, and for how many seconds to keep it."""
        if source.kind is SecretKind.ARGOCD:
            return await self._from_argocd(source, repository, names), _SECRETS_KEPT
        if source.kind in _CLUSTER:
            return await self._from_cluster(source, names), _SECRETS_KEPT
        if source.kind is SecretKind.GITHUB or source.kind in CLOUDS:
            login, lifetime = await self._from_cloud(source)
            return login, lifetime * _PART_OF_LIFETIME
        if source.kind is SecretKind.SCRIPT:
            return _parsed(await self._printed(source), source), math.inf
        text = self._environment.get(source.location)
        if text is None:
            raise Misconfigured(f"credentials {source}: there is no such variable: set it to user:password")
        return _parsed(text, source), math.inf

    async def _from_cluster(self, source: CredentialSource, names: Sequence[str]) -> Login | None:
        if source.kind is SecretKind.SECRET:
            return await self._from_secret(source)
        if source.kind is SecretKind.PULL_SECRET:
            return await self._from_pull_secret(source, names)
        return await self._from_service_account(source, names)

    async def _from_argocd(
        self, source: CredentialSource, repository: Repository, names: Sequence[str]
    ) -> Login | None:
        """Take what Argo CD itself reads a chart with, else what the namespace's pods pull their images with."""
        secrets, namespace = self._repositories, self._argocd_namespace
        login = await chart_login(secrets, namespace, source.location, repository) if secrets else None
        if login is not None or not source.field:
            return login
        account = CredentialSource(SecretKind.SERVICE_ACCOUNT, source.field, source.namespace)
        return await self._from_service_account(account, names)

    async def _from_cloud(self, source: CredentialSource) -> tuple[Login, float]:
        if source.kind is not SecretKind.GITHUB:
            return await self._clouds.login(source, self._place)
        return await self._clouds.github(await self._secrets.secret(source.namespace, source.location), source)

    async def _from_secret(self, source: CredentialSource) -> Login:
        data = await self._secrets.secret(source.namespace, source.location)
        if source.field not in data:
            raise SecretNotFound(f"credentials {source}: the Secret has no such field: add it with user:password in it")
        return _parsed(_text(data[source.field], source), source)

    async def _from_pull_secret(self, source: CredentialSource, names: Sequence[str]) -> Login:
        data = await self._secrets.secret(source.namespace, source.location)
        if _PULL_SECRET_KEY not in data and _LEGACY_KEY not in data:
            raise Misconfigured(f"credentials {source}: the Secret has no {_PULL_SECRET_KEY}: name a pull secret")
        login = _found(data, names, source)
        if login is None:
            registry = names[0].partition("/")[0]
            raise Misconfigured(f"credentials {source}: the Secret has no entry for {registry}: add one")
        return login

    async def _from_service_account(self, source: CredentialSource, names: Sequence[str]) -> Login | None:
        """Take the first of its pull secrets that has an entry for the registry, as the kubelet would."""
        if self._accounts is None:
            return None
        for name in await self._accounts.pull_secrets(source.namespace, source.location):
            try:
                data = await self._secrets.secret(source.namespace, name)
                login = _found(data, names, source)
            except Misconfigured as error:
                log.warning("registry.pull_secret_unusable", registry=self._settings.name, reason=str(error))
            else:
                if login is not None:
                    return login
        return None

    async def _printed(self, source: CredentialSource) -> str:
        """Run the script in our environment, without the variables that hold secrets of other things."""
        hidden = self._secret_variables | {*await self._variables_of_images()}
        environment = {
            name: value
            for name, value in self._environment.items()
            if name not in hidden and not name.startswith("UPDATER_") and not name.endswith(_OF_OTHERS)
        }
        return await run_script(Path(source.location), self._script_directories, environment)


def _found(data: Mapping[str, bytes], names: Sequence[str], source: CredentialSource) -> Login | None:
    key = _PULL_SECRET_KEY if _PULL_SECRET_KEY in data else _LEGACY_KEY
    if key not in data:
        return None
    try:
        return find_login(data[key], names, legacy=key == _LEGACY_KEY)
    except Misconfigured as error:
        raise Misconfigured(f"credentials {source}: {error}") from None


def _text(value: bytes, source: CredentialSource) -> str:
    try:
        return value.decode().strip()
    except UnicodeDecodeError:
        raise Misconfigured(f"credentials {source}: the field holds no text: write user:password") from None


def _parsed(text: str, source: CredentialSource) -> Login:
    login = Login.parse(text)
    if login is None:
        raise Misconfigured(f"credentials {source}: are not of the form user:password")
    return login
