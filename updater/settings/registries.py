"""Registries: how to reach each, and which one serves a repository."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from updater.domain.docker_hub import DOCKER_HUB, DOCKER_HUB_NAMESPACE, canonical_host
from updater.domain.image import Repository
from updater.domain.secrets import CredentialSource

DIRECT = "none"
"""In place of a proxy's address: none, whatever the environment says."""


@dataclass(frozen=True, slots=True)
class ClientCertificate:
    """Says to a registry who we are, in TLS."""

    certificate: Path
    key: Path
    version: str = ""
    """Differs when the files hold something else."""


AUTO = "auto"
APIS = (AUTO, "distribution", "docker-hub", "quay", "harbor", "gitlab", "azure", "google", "ecr", "alibaba")
"""What `api` may say: which vendor's own list of tags there is."""


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
    interval: float | None = None
    """Seconds between two looks at one of its repositories; None: the daemon's own interval."""
    proxy: str = ""
    """Address of the proxy to reach the registry through; `none`: no proxy; empty: what the environment says."""
    client_certificate: ClientCertificate | None = None
    mirror_of: str = ""
    """What image names begin with that another registry owns and this one is asked for in its place."""
    api: str = AUTO
    """Which vendor's list of tags tells digests and times; `distribution`: none does; `auto`: found out."""

    @property
    def canonical_prefix(self) -> str:
        """The prefix with Docker Hub's host in its one spelling."""
        return _canonical(self.prefix)

    @property
    def canonical_mirror_of(self) -> str:
        return _canonical(self.mirror_of)

    def mirrors(self, repository: Repository) -> bool:
        """Say whether this registry is asked in place of the one that the repository names."""
        return bool(self.mirror_of) and _covers(self.canonical_mirror_of, str(repository))

    def own_name(self, repository: Repository) -> Repository:
        """Return what the repository is called here: a mirror's prefix stands for that of the original."""
        if not self.prefix or not self.mirrors(repository):
            return repository
        rest = str(repository).removeprefix(self.canonical_mirror_of)
        host, _, name = f"{self.canonical_prefix}{rest}".partition("/")
        return Repository(host, name) if name else repository

    def api_name(self, repository: Repository) -> str:
        """Return the name by which this registry knows the repository."""
        if self.mirrors(repository):
            return self.own_name(repository).name
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
    authorities: Mapping[str, str] = field(default_factory=dict)
    """PEM certificates that Argo CD trusts beside the system's, by host without port; entries hold theirs already."""

    def serving(self, repository: Repository) -> RegistrySettings:
        """Return the entry with the longest prefix that covers the repository on component borders.

        `mirror_of` is a prefix like any other, and comes before an equal one of the original registry.
        Docker Hub's images that no prefix covers go to the entry marked `default`, else to Docker Hub itself; all
        others to the entry without a prefix, else to `https://<host>` without credentials.
        """
        served = [entry for entry in self.entries if _reach(entry, repository)]
        if served:
            return max(served, key=lambda entry: _reach(entry, repository) or (0, False))
        if repository.host == DOCKER_HUB:
            return next((entry for entry in self.entries if entry.default), _DOCKER_HUB_BUILT_IN)
        unnamed = (entry for entry in self.entries if not entry.prefix and not entry.mirror_of)
        return next(unnamed, self._inferred(repository.host))

    def holds(self, settings: RegistrySettings) -> bool:
        """Say whether a registry is still reached like this, be it configured or inferred."""
        host, _, path = settings.canonical_prefix.partition("/")
        return settings in self.entries or settings == self.serving(Repository(host, path or "any"))

    def _inferred(self, host: str) -> RegistrySettings:
        return RegistrySettings(host, f"https://{host}", prefix=host, ca_data=self.authorities.get(hostname(host), ""))


_DOCKER_HUB_BUILT_IN = RegistrySettings(
    "Docker Hub",
    "https://registry-1.docker.io",
    prefix=DOCKER_HUB,
    limit=10,
    default_namespace=DOCKER_HUB_NAMESPACE,
    default=True,
)


def hostname(host: str) -> str:
    """Return a host without its port, and an IPv6 address without brackets."""
    name, _, port = host.rpartition(":")
    return (name if name and port.isdecimal() else host).strip("[]").lower()


def _reach(entry: RegistrySettings, repository: Repository) -> tuple[int, bool] | None:
    """Say how much of the repository's name an entry names: the longest serves, a mirror before its original."""
    name = str(repository)
    reaches = [
        (len(prefix), mirrored)
        for prefix, mirrored in ((entry.canonical_prefix, False), (entry.canonical_mirror_of, True))
        if prefix and _covers(prefix, name)
    ]
    return max(reaches, default=None)


def _canonical(prefix: str) -> str:
    host, slash, rest = prefix.partition("/")
    return canonical_host(host) + slash + rest


def _covers(prefix: str, repository: str) -> bool:
    return repository == prefix or repository.startswith(f"{prefix}/")
