"""What is configured, read again while the daemon runs: followed when right, said when wrong.

What cannot change while the daemon runs stays as it was at the start, and that is said.

Everything is read every ten seconds and compared: files that Kubernetes mounts change by a symlink, certificates lie in
files that a file names, and a few kilobytes cost less than knowing all of that.
"""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace

import msgspec
import structlog

from updater.adapters.argocd_trust import ArgoTrust
from updater.config.commits import load_commit_style, read_commit_style
from updater.config.options import OPTIONS
from updater.config.registries_conf import load_registries
from updater.domain.errors import Misconfigured
from updater.formats.commit import CommitStyle
from updater.settings.daemon import Git, Settings
from updater.settings.registries import Registries

log = structlog.get_logger()

_OF_SOCKETS = frozenset(
    {
        "webhooks.enabled",
        "webhooks.listen",
        "webhooks.tls_cert",
        "webhooks.tls_key",
        "webhooks.disable_tls",
        "webhooks.relay",
    }
)
LIVE = frozenset(
    {
        *(path for path, option in OPTIONS.items() if option.section in ("webhooks", "notifications")),
        "web.api_token",
        "registries.file",
        "registries.script_directories",
        "polling.interval",
        "polling.longest_interval",
        "git.user",
        "git.email",
        "git.commit_message_template",
        "git.commit_message_file",
        "git.commit_sign_off",
        "git.commit_signing_key",
        "git.commit_signing_method",
        "git.linger",
        "git.max_batch_age",
        "git.max_batch",
        "git.push_tries",
        "defaults.update_strategy",
        "defaults.allow_tags",
        "defaults.ignore_tags",
        "defaults.platforms",
        "defaults.minimum_age",
        "defaults.rollback",
        "updates.pause",
        "updates.schedule",
        "log.level",
        "log.levels",
        "log.format",
        "shutdown.grace",
    }
    - _OF_SOCKETS
)
"""Options whose changes are followed; all others need a restart."""


@dataclass(frozen=True, slots=True)
class Configured:
    """All that is configured."""

    settings: Settings
    registries: Registries
    commits: CommitStyle


Apply = Callable[[Configured], Awaitable[None]]


@dataclass
class ConfigurationReload:
    """Reads the configuration, and has changes followed."""

    trust: ArgoTrust
    started: Settings
    """As they were at the start."""
    read: Callable[[], Settings]
    """Reads them again; raises `Misconfigured`."""
    interval: float = 10
    """Seconds between two looks."""
    _unfollowed: tuple[str, ...] = ()
    """Options of which it was said that they need a restart."""

    async def load(self) -> Configured:
        """Read what belongs to the settings of the start.

        Raises:
            Misconfigured: it cannot be followed.
        """
        return await self._load(lambda: self.started, load_commit_style)

    async def run(self, current: Configured, apply: Apply) -> None:
        """Have each change followed, for ever."""
        refused = ""
        while True:
            await asyncio.sleep(self.interval)
            try:
                found = await self._load(self.read, read_commit_style)
            except Misconfigured as error:
                if str(error) != refused:
                    refused = str(error)
                    log.error("configuration.refused", reason=refused)  # noqa: TRY400 - the reason is the story
                continue
            refused = ""
            self._say_what_needs_a_restart(found.settings)
            found = replace(found, settings=followed(self.started, found.settings))
            if found != current:
                await apply(found)
                changed = differences(current.settings, found.settings)
                log.info("configuration.reloaded", settings=changed, registries=len(found.registries.entries))
                current = found

    async def _load(self, settings: Callable[[], Settings], commits: Callable[[Git], CommitStyle]) -> Configured:
        authorities = await self.trust.authorities()

        def load() -> Configured:
            read = settings()
            return Configured(read, load_registries(read.registries.file, authorities), commits(read.git))

        return await asyncio.to_thread(load)

    def _say_what_needs_a_restart(self, found: Settings) -> None:
        unfollowed = tuple(path for path in differences(self.started, found) if path not in LIVE)
        if unfollowed and unfollowed != self._unfollowed:
            log.warning(
                "configuration.needs_restart",
                settings=unfollowed,
                reason="they stay as they were at the start: restart the updater to have them followed",
            )
        self._unfollowed = unfollowed


def differences(some: Settings, others: Settings) -> tuple[str, ...]:
    """Name the options whose values differ."""
    return tuple(path for path, option in OPTIONS.items() if option.of(some) != option.of(others))


def followed(started: Settings, found: Settings) -> Settings:
    """Take from new settings what can change while the daemon runs."""
    sections: dict[str, msgspec.Struct] = {}
    for path in LIVE:
        option = OPTIONS[path]
        section = sections.get(option.section, getattr(started, option.section))
        sections[option.section] = msgspec.structs.replace(section, **{option.key: option.of(found)})
    return msgspec.structs.replace(started, **sections)
