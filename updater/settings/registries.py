"""Registries: how to reach each, and which one serves a repository."""

from dataclasses import dataclass

from updater.domain.docker_hub import DOCKER_HUB, DOCKER_HUB_NAMESPACE, canonical_host
from updater.domain.image import Repository
from updater.domain.secrets import CredentialSource


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
    """Seconds after which credentials are read again; 0: when they are refused, and Secrets now and then."""
    limit: float = 20
    """Requests a second, at most; 0 or less: not limited."""
    burst: int = 10
    """Requests that may go out at once after a pause, before `limit` spaces them."""
    concurrency: int = 10
    """Requests under way at once, at most."""
    insecure: bool = False
    """Do not verify the server's certificate."""
    ca_data: str = ""
    """PEM certificates to trust beside the system's."""
    default_namespace: str = ""
    """Put before names of one component, such as `library`."""
    tag_sort_mode: str = "none"
    """`latest-first`, `latest-last` or `none`. What AIU concludes from the list's order is read from the images."""
    default: bool = False
    """Serves images that name no registry."""
    timeout: float = 30
    """Seconds for one request, from connecting to the last byte."""

    @property
    def canonical_prefix(self) -> str:
        """The prefix with Docker Hub's host in its one spelling."""
        host, slash, rest = self.prefix.partition("/")
        return canonical_host(host) + slash + rest

    def api_name(self, repository: Repository) -> str:
        """Return the name by which this registry knows the repository."""
        name = repository.name
        namespace = self.default_namespace
        if repository.host == DOCKER_HUB:
            name = name.removeprefix(f"{DOCKER_HUB_NAMESPACE}/")
            if self.canonical_prefix.partition("/")[0] == DOCKER_HUB:
                namespace = namespace or DOCKER_HUB_NAMESPACE
        return f"{namespace}/{name}" if namespace and "/" not in name else name


@dataclass(frozen=True, slots=True)
class Registries:
    """All configured registries."""

    entries: tuple[RegistrySettings, ...] = ()

    def serving(self, repository: Repository) -> RegistrySettings:
        """Return the entry with the longest prefix that covers the repository on component borders.

        Docker Hub's images that no prefix covers go to the entry marked `default`, else to Docker Hub itself; all
        others to the entry without a prefix, else to `https://<host>` without credentials.
        """
        named = [entry for entry in self.entries if entry.prefix and _covers(entry.canonical_prefix, str(repository))]
        if named:
            return max(named, key=lambda entry: len(entry.canonical_prefix))
        if repository.host == DOCKER_HUB:
            return next((entry for entry in self.entries if entry.default), _DOCKER_HUB_BUILT_IN)
        inferred = RegistrySettings(repository.host, f"https://{repository.host}", prefix=repository.host)
        return next((entry for entry in self.entries if not entry.prefix), inferred)


_DOCKER_HUB_BUILT_IN = RegistrySettings(
    "Docker Hub",
    "https://registry-1.docker.io",
    prefix=DOCKER_HUB,
    limit=10,
    default_namespace=DOCKER_HUB_NAMESPACE,
    default=True,
)


def _covers(prefix: str, repository: str) -> bool:
    return repository == prefix or repository.startswith(f"{prefix}/")
