"""Registries: how to reach each, and which one serves a repository."""

from dataclasses import dataclass

from updater.domain.image import Repository
from updater.domain.secrets import CredentialSource

DOCKER_HUB = "docker.io"


@dataclass(frozen=True, slots=True)
class RegistrySettings:
    """One entry of `registries.conf`; keys and meanings are AIU's, with limits of our own."""

    name: str
    api_url: str
    """Base of the registry's API without `/v2` and without a trailing slash, such as `https://registry-1.docker.io`."""
    prefix: str = ""
    """What image names served by it begin with: a host, or a host and path components. Empty: every other image."""
    credentials: CredentialSource | None = None
    credentials_expire: float = 0
    """Seconds after which credentials are read again; 0: only when they change or are refused."""
    limit: float = 20
    """Requests a second, at most; 0 or less: not limited."""
    concurrency: int = 10
    """Requests under way at once, at most."""
    insecure: bool = False
    """Do not verify the server's certificate."""
    ca_data: str = ""
    """PEM certificates to trust beside the system's."""
    default_namespace: str = ""
    """Put before names of one component, such as `library`."""
    tag_sort_mode: str = "none"
    """`latest-first` or `latest-last`: the list's order stands for the time of build; else `none`."""
    default: bool = False
    """Serves images that name no registry."""
    timeout: float = 30
    """Seconds for one request, from connecting to the last byte."""


@dataclass(frozen=True, slots=True)
class Registries:
    """All configured registries."""

    entries: tuple[RegistrySettings, ...] = ()

    def serving(self, repository: Repository) -> RegistrySettings:
        """Return the entry with the longest prefix that covers the repository on component borders.

        An entry marked `default` serves Docker Hub's images. A host that no entry covers is reached at
        `https://<host>` without credentials.
        """
        spelled = str(repository)
        covering = [entry for entry in self.entries if _covers(_canonical_prefix(entry), spelled)]
        if covering:
            return max(covering, key=lambda entry: len(_canonical_prefix(entry)))
        if repository.host == DOCKER_HUB:
            default = next((entry for entry in self.entries if entry.default), None)
            return default or _DOCKER_HUB_BUILT_IN
        return RegistrySettings(repository.host, f"https://{repository.host}", prefix=repository.host)


_DOCKER_HUB_BUILT_IN = RegistrySettings(
    "Docker Hub",
    "https://registry-1.docker.io",
    prefix=DOCKER_HUB,
    limit=10,
    default_namespace="library",
    default=True,
)
_DOCKER_HUB_SPELLINGS = ("index.docker.io", "registry-1.docker.io", "registry.hub.docker.com")


def _canonical_prefix(entry: RegistrySettings) -> str:
    host, slash, rest = entry.prefix.strip("/").partition("/")
    return (DOCKER_HUB if host in _DOCKER_HUB_SPELLINGS else host) + slash + rest


def _covers(prefix: str, repository: str) -> bool:
    return not prefix or repository == prefix or repository.startswith(f"{prefix}/")
