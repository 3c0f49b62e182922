"""What Argo CD believes of servers: certificates (`argocd-tls-certs-cm`) and host keys (`argocd-ssh-known-hosts-cm`).

Argo CD's manifests mount both beside its own programs; where they are not mounted here, they are read from the cluster.
"""

import asyncio
import time
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Protocol

import structlog

from updater.domain.errors import ClusterError, Misconfigured

log = structlog.get_logger()

TLS_DIRECTORY = Path("/app/config/tls")
KNOWN_HOSTS_FILE = Path("/app/config/ssh/ssh_known_hosts")
_CERTIFICATES = "argocd-tls-certs-cm"
_KNOWN_HOSTS = "argocd-ssh-known-hosts-cm"
_KNOWN_HOSTS_KEY = "ssh_known_hosts"
_KEPT_SECONDS = 60.0


class ConfigMaps(Protocol):
    """Reads ConfigMaps."""

    async def config_map(self, namespace: str, name: str) -> Mapping[str, str]:
        """Return the data of a ConfigMap; nothing when there is no such ConfigMap.

        Raises:
            ClusterError: it could not be read now.
        """
        ...


class ArgoTrust:
    """Reads both; what came from the cluster is kept for a minute."""

    def __init__(
        self,
        cluster: ConfigMaps,
        namespace: str,
        *,
        tls_directory: Path = TLS_DIRECTORY,
        known_hosts_file: Path = KNOWN_HOSTS_FILE,
    ) -> None:
        self._cluster = cluster
        self._namespace = namespace
        self._tls_directory = tls_directory
        self._known_hosts_file = known_hosts_file
        self._kept: dict[str, tuple[float, Mapping[str, str]]] = {}

    async def certificates(self, host: str) -> str:
        """Return the certificates in PEM that are trusted for a host beside the system's; empty: none.

        A ConfigMap that cannot be read adds none: most servers need none, and those that do are refused all the same.

        Raises:
            Misconfigured: the mounted file cannot be read.
        """
        if await asyncio.to_thread(_is_mounted, self._tls_directory):
            return await asyncio.to_thread(_text, self._tls_directory / Path(host).name)
        try:
            return (await self._config_map(_CERTIFICATES)).get(host, "")
        except ClusterError as error:
            log.warning("git.certificates_unreadable", reason=str(error))
            self._kept[_CERTIFICATES] = time.monotonic(), {}
            return ""

    async def known_hosts(self) -> str:
        """Return the host keys that are known, as ssh keeps them; empty: none.

        Raises:
            Misconfigured: the mounted file cannot be read.
            ClusterError: the ConfigMap could not be read now.
        """
        if await asyncio.to_thread(self._known_hosts_file.parent.is_dir):
            return await asyncio.to_thread(_text, self._known_hosts_file)
        return (await self._config_map(_KNOWN_HOSTS)).get(_KNOWN_HOSTS_KEY, "")

    async def _config_map(self, name: str) -> Mapping[str, str]:
        read_at, data = self._kept.get(name, (-_KEPT_SECONDS, {}))
        if time.monotonic() - read_at >= _KEPT_SECONDS:
            data = await self._cluster.config_map(self._namespace, name)
            self._kept[name] = time.monotonic(), data
        return data


def holds_authorities(files: Iterable[str]) -> bool:
    """Tell whether a mounted directory is Argo CD's: not empty, and not our own server's certificate with its key."""
    names = {name for name in files if not name.startswith(".")}
    return bool(names) and "tls.key" not in names


def _is_mounted(directory: Path) -> bool:
    try:
        return directory.is_dir() and holds_authorities(each.name for each in directory.iterdir())
    except OSError as error:
        raise Misconfigured(f"{directory}, which Argo CD mounts, cannot be read: {error}") from None


def _text(path: Path) -> str:
    try:
        return path.read_text("utf-8")
    except FileNotFoundError:
        return ""
    except (OSError, UnicodeDecodeError) as error:
        raise Misconfigured(f"{path}, which Argo CD mounts, cannot be read: {error}") from None
