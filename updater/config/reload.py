"""What is configured about registries, read again while the daemon runs: followed when right, said when wrong.

Everything is read every ten seconds and compared: files that Kubernetes mounts change by a symlink, certificates lie in
files that a file names, and a few kilobytes cost less than knowing all of that.
"""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import structlog

from updater.config.daemon import load_settings
from updater.config.registries_conf import TLS_DIRECTORY, load_registries, mounted_authorities
from updater.domain.errors import ClusterError, Misconfigured
from updater.ports import Authorities
from updater.settings.daemon import RegistryFiles
from updater.settings.registries import Registries

log = structlog.get_logger()

_PATIENCE = 10.0
"""Seconds for the API server to give Argo CD's certificates."""


@dataclass(frozen=True, slots=True)
class Configured:
    """What is configured about registries."""

    registries: Registries
    script_directories: tuple[Path, ...]


Apply = Callable[[Configured], Awaitable[None]]


@dataclass
class Trusted:
    """The certificates that Argo CD trusts: as they are mounted, else as its ConfigMap has them."""

    cluster: Authorities
    namespace: str
    directory: Path = TLS_DIRECTORY
    keep: float = 60
    """Seconds after which the ConfigMap is read again."""
    _known: Mapping[str, str] = field(default_factory=dict)
    _due: float = 0
    _failure: str = ""

    async def read(self) -> Mapping[str, str]:
        """Return the certificates by host; those that were read last while they cannot be read.

        Raises:
            Misconfigured: they are mounted, and cannot be read.
        """
        mounted = await asyncio.to_thread(mounted_authorities, self.directory)
        if mounted is not None:
            return mounted
        now = asyncio.get_running_loop().time()
        if now >= self._due:
            self._due = now + self.keep
            await self._read_config_map()
        return self._known

    async def _read_config_map(self) -> None:
        try:
            async with asyncio.timeout(_PATIENCE):
                self._known = await self.cluster.tls_certificates(self.namespace)
            self._failure = ""
        except (ClusterError, TimeoutError) as error:
            reason = str(error) or f"no answer within {_PATIENCE:g} s"
            if reason != self._failure:
                self._failure = reason
                log.warning("registries.certificates_unread", reason=reason)


@dataclass
class RegistriesReload:
    """Reads the configuration, and has changes followed."""

    trusted: Trusted
    files: RegistryFiles
    """As they were at the start."""
    config: Path | None = None
    """The settings file; None: `files` hold for ever, and what is in them is read again."""
    environ: Mapping[str, str] = field(default_factory=dict)
    interval: float = 10
    """Seconds between two looks."""

    async def load(self) -> Configured:
        """Read all there is.

        Raises:
            Misconfigured: it cannot be followed.
        """
        authorities = await self.trusted.read()
        return await asyncio.to_thread(self._load, authorities)

    async def run(self, current: Configured, apply: Apply) -> None:
        """Have each change followed, for ever."""
        refused = ""
        while True:
            await asyncio.sleep(self.interval)
            try:
                found = await self.load()
            except Misconfigured as error:
                if str(error) != refused:
                    refused = str(error)
                    log.error("registries.refused", reason=refused)  # noqa: TRY400 - the reason is the story
                continue
            refused = ""
            if found != current:
                await apply(found)
                current = found
                log.info("registries.reloaded", registries=len(found.registries.entries))

    def _load(self, authorities: Mapping[str, str]) -> Configured:
        files = load_settings(self.config, self.environ).registries if self.config else self.files
        return Configured(load_registries(files.file, authorities), files.script_directories)
