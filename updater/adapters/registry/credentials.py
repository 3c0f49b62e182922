"""Read credentials from where their references say: Secrets, pull secrets, the environment, scripts."""

import math
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from urllib.parse import urlsplit

import structlog

from updater.adapters.registry.scripts import run_script
from updater.adapters.registry.shared import Shared
from updater.domain.docker_hub import canonical_host
from updater.domain.errors import ClusterError, Misconfigured, RegistryError, SecretNotFound
from updater.domain.image import Repository
from updater.domain.secrets import CredentialSource, SecretKind
from updater.formats.docker_config import Login, find_login
from updater.ports import Secrets
from updater.settings.registries import RegistrySettings

log = structlog.get_logger()

_SECRETS_KEPT = 300.0
"""Seconds after which a Secret is read again though nobody refused what was in it."""
_PULL_SECRET_KEY = ".dockerconfigjson"  # noqa: S105 - a key of Kubernetes
_LEGACY_KEY = ".dockercfg"


class Credentials:
    """Reads the credentials of one registry's repositories, and keeps them for a while."""

    def __init__(
        self,
        settings: RegistrySettings,
        secrets: Secrets,
        script_directories: Sequence[Path],
        environment: Mapping[str, str] = os.environ,
    ) -> None:
        self._settings = settings
        self._secrets = secrets
        self._script_directories = script_directories
        self._environment = environment
        self._kept: dict[tuple[CredentialSource, str], Shared[Login]] = {}

    async def read(self, source: CredentialSource, repository: Repository, refused: Login | None = None) -> Login:
        """Return the login; read it again when it is the one that was refused, or it is old.

        Raises:
            Misconfigured: the reference leads to no user and password.
            RegistryError: it could not be read now.
        """
        names = self._names(repository)
        key = (source, names[0] if source.kind is SecretKind.PULL_SECRET else "")
        kept = self._kept.setdefault(key, Shared())

        async def fetch() -> tuple[Login, float]:
            try:
                return await self._fetch(source, names), self._lifetime(source)
            except (ClusterError, RegistryError) as error:
                if kept.value is None or refused is not None:
                    raise RegistryError(f"has credentials {source} that cannot be read now: {error}") from error
                log.warning("registry.credentials_kept", registry=self._settings.name, reason=str(error))
                return kept.value, self._lifetime(source)

        return await kept.get(fetch, refused=refused)

    def _names(self, repository: Repository) -> tuple[str, str]:
        """Give the repository's name as images have it, and as the registry's API has it."""
        host = urlsplit(self._settings.api_url).netloc
        return str(repository), f"{canonical_host(host)}/{self._settings.api_name(repository)}"

    def _lifetime(self, source: CredentialSource) -> float:
        is_secret = source.kind in (SecretKind.SECRET, SecretKind.PULL_SECRET)
        return self._settings.credentials_expire or (_SECRETS_KEPT if is_secret else math.inf)

    async def _fetch(self, source: CredentialSource, names: Sequence[str]) -> Login:
        match source.kind:
            case SecretKind.SECRET:
                return await self._from_secret(source)
            case SecretKind.PULL_SECRET:
                return await self._from_pull_secret(source, names)
            case SecretKind.ENVIRONMENT:
                text = self._environment.get(source.location)
                if text is None:
                    raise Misconfigured(f"credentials {source}: there is no such variable: set it to user:password")
                return _parsed(text, source)
            case SecretKind.SCRIPT:
                return _parsed(await self._printed(source), source)

    async def _from_secret(self, source: CredentialSource) -> Login:
        data = await self._secrets.secret(source.namespace, source.location)
        if source.field not in data:
            raise SecretNotFound(f"credentials {source}: the Secret has no such field: add it with user:password in it")
        return _parsed(_text(data[source.field], source), source)

    async def _from_pull_secret(self, source: CredentialSource, names: Sequence[str]) -> Login:
        data = await self._secrets.secret(source.namespace, source.location)
        key = _PULL_SECRET_KEY if _PULL_SECRET_KEY in data else _LEGACY_KEY
        if key not in data:
            raise Misconfigured(f"credentials {source}: the Secret has no {_PULL_SECRET_KEY}: name a pull secret")
        try:
            login = find_login(data[key], names, legacy=key == _LEGACY_KEY)
        except Misconfigured as error:
            raise Misconfigured(f"credentials {source}: {error}") from None
        if login is None:
            registry = names[0].partition("/")[0]
            raise Misconfigured(f"credentials {source}: the Secret has no entry for {registry}: add one")
        return login

    async def _printed(self, source: CredentialSource) -> str:
        """Run the script in our environment, without the variables from which credentials are read."""
        own = self._settings.credentials
        hidden = own.location if own is not None and own.kind is SecretKind.ENVIRONMENT else None
        environment = {name: value for name, value in self._environment.items() if name != hidden}
        return await run_script(Path(source.location), self._script_directories, environment)


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
