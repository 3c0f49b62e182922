"""Which cloud's identity serves which registry."""

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from updater.adapters.registry.clouds import alibaba, aws, azure, github, google
from updater.adapters.registry.clouds.http import CloudHttp
from updater.adapters.registry.clouds.place import Place
from updater.domain.errors import Misconfigured
from updater.domain.secrets import CredentialSource, SecretKind
from updater.formats.docker_config import Login

_KNOWN_BY = {
    SecretKind.AWS: (aws.serves, "<account>.dkr.ecr.<region>.amazonaws.com"),
    SecretKind.GOOGLE: (google.serves, "gcr.io and <region>-docker.pkg.dev"),
    SecretKind.AZURE: (azure.serves, "<name>.azurecr.io"),
    SecretKind.ALIBABA: (alibaba.serves, "<name>-registry.<region>.cr.aliyuncs.com and registry.<region>.aliyuncs.com"),
}


@dataclass(frozen=True, slots=True)
class CloudIdentities:
    """Logs in as what the daemon's environment says it is."""

    environment: Mapping[str, str] = field(default_factory=lambda: os.environ)
    http: CloudHttp = field(default_factory=CloudHttp)
    machine: Path = google.MACHINE
    """Where Linux says on what machine it runs."""

    def offered(self, place: Place) -> CredentialSource | None:
        """Return the cloud that a registry belongs to, if the environment says who we are there; nobody is asked."""
        for kind, (serves, _) in _KNOWN_BY.items():
            if any(map(serves, place.hosts)):
                return CredentialSource(kind) if self._is_offered(kind) else None
        return None

    async def login(self, source: CredentialSource, place: Place) -> tuple[Login, float]:
        """Return a login, and for how many seconds it is good.

        Raises:
            Misconfigured: the registry is not the cloud's, or the environment says not who we are.
            RegistryAuthError: the cloud refuses.
            RegistryError: it does not answer.
        """
        serves, known_by = _KNOWN_BY[source.kind]
        host = next(filter(serves, place.hosts), None)
        if host is None:
            raise Misconfigured(f"credentials {source} are for {known_by}, not for {place}: correct the prefix")
        match source.kind:
            case SecretKind.AWS:
                return await aws.login(host)
            case SecretKind.GOOGLE:
                return await google.login(self.http, self.environment)
            case SecretKind.AZURE:
                return await azure.login(self.http, self.environment, host, place.api_url)
            case _:
                return await alibaba.login(self.http, self.environment, host)

    async def github(self, data: Mapping[str, bytes], source: CredentialSource) -> tuple[Login, float]:
        """Return a login with what a Secret holds: a GitHub App, or a token.

        Raises:
            Misconfigured, RegistryAuthError, RegistryError: as of `login`.
        """
        return await github.login(self.http, data, f"credentials {source}")

    def _is_offered(self, kind: SecretKind) -> bool:
        match kind:
            case SecretKind.AWS:
                return aws.is_offered(self.environment)
            case SecretKind.GOOGLE:
                return google.is_offered(self.environment, self.machine)
            case SecretKind.AZURE:
                return azure.is_offered(self.environment)
            case _:
                return alibaba.is_offered(self.environment)
