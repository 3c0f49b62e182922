"""What Argo CD believes of servers: certificates (`argocd-tls-certs-cm`) and host keys (`argocd-ssh-known-hosts-cm`).

Argo CD's manifests mount both beside its own programs; where they are not mounted here, they are read from the cluster.
"""

import asyncio
import math
import time
from collections.abc import Mapping
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
_PATIENCE = 10.0
"""Seconds for the API server to give the certificates."""


class ConfigMaps(Protocol):
    """Reads ConfigMaps."""

    async def config_map(self, namespace: str, name: str) -> Mapping[str, str]:
        """Return the data of a ConfigMap; nothing when there is no such ConfigMap.

        Raises:
            ClusterError: it could not be read now.
        """
        ...


class ArgoTrust:
    """Reads both, for registries and Git servers alike; what came from the cluster is kept for a minute."""

    def __init__(
        self,
        cluster: ConfigMaps,
        namespace: str,
        *,
        tls_directory: Path = TLS_DIRECTORY,
        known_hosts_file: Path = KNOWN_HOSTS_FILE,
        keep: float = 60,
    ) -> None:
        """Take where things are.

        Args:
            cluster: reads what is not mounted.
            namespace: Argo CD's.
            tls_directory: where the certificates are mounted, one file for each host.
            known_hosts_file: where the host keys are mounted.
            keep: seconds after which a ConfigMap is read again.
        """
        self._cluster = cluster
        self._namespace = namespace
        self._tls_directory = tls_directory
        self._known_hosts_file = known_hosts_file
        self._keep = keep
        self._kept: dict[str, tuple[float, Mapping[str, str]]] = {}
        self._failure = ""
        self._reading = asyncio.Lock()

    async def authorities(self) -> Mapping[str, str]:
        """Return the certificates in PEM that are trusted for each host beside the system's.

        While the ConfigMap cannot be read, those that were read last: most servers need none of them.

        Raises:
            Misconfigured: they are mounted, and cannot be read.
        """
        mounted = await asyncio.to_thread(mounted_authorities, self._tls_directory)
        if mounted is not None:
            return mounted
        async with self._reading:
            try:
                async with asyncio.timeout(_PATIENCE):
                    found = await self._config_map(_CERTIFICATES)
                self._failure = ""
            except (ClusterError, TimeoutError) as error:
                _, found = self._kept.get(_CERTIFICATES, (0.0, {}))
                self._kept[_CERTIFICATES] = time.monotonic(), found
                self._say_unreadable(str(error) or f"no answer within {_PATIENCE:g} s")
        return {host.lower(): certificates for host, certificates in found.items()}

    async def certificates(self, host: str) -> str:
        """Return the certificates in PEM that are trusted for a host beside the system's; empty: none.

        Raises:
            Misconfigured: as `authorities`.
        """
        return (await self.authorities()).get(host.lower(), "")

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
        read_at, data = self._kept.get(name, (-math.inf, {}))
        if time.monotonic() - read_at >= self._keep:
            data = await self._cluster.config_map(self._namespace, name)
            self._kept[name] = time.monotonic(), data
        return data

    def _say_unreadable(self, reason: str) -> None:
        if reason != self._failure:
            self._failure = reason
            log.warning("cluster.certificates_unreadable", reason=reason)


def mounted_authorities(directory: Path = TLS_DIRECTORY) -> Mapping[str, str] | None:
    """Read the certificates of each host where Argo CD's ConfigMap is mounted; None when it is not.

    Manifests of Argo CD Image Updater mount a certificate for webhooks there, with its key, or nothing.

    Raises:
        Misconfigured: they cannot be read.
    """
    try:
        files = [file for file in directory.iterdir() if not file.name.startswith(".") and file.is_file()]
        if not files or any(file.name == "tls.key" for file in files):
            return None
        return {file.name.lower(): file.read_text("utf-8", "replace") for file in files}
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError as error:
        raise Misconfigured(
            f"{error.filename or directory}: cannot be read: {error.strerror}; mend its mount"
        ) from None


def _text(path: Path) -> str:
    try:
        return path.read_text("utf-8")
    except FileNotFoundError:
        return ""
    except (OSError, UnicodeDecodeError) as error:
        raise Misconfigured(f"{path}, which Argo CD mounts, cannot be read: {error}") from None
