"""The configuration of registries, read again: what is right is followed, what is wrong is said once."""

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

import msgspec
import pytest
from structlog.testing import capture_logs

from tests.fakes.certificates import loopback_certificate
from tests.fakes.house import eventually
from updater.adapters.argocd_trust import ArgoTrust
from updater.config.daemon import load_settings
from updater.config.options import OPTIONS, Option
from updater.config.reload import LIVE, ConfigurationReload, Configured, followed
from updater.domain.application import ApplicationName
from updater.domain.change import Change
from updater.domain.errors import ClusterError, Misconfigured
from updater.domain.image import ImageVersion, Repository
from updater.settings.daemon import Settings
from updater.settings.units import Duration

ENTRY = "- {{name: {name}, api_url: 'https://a.example.com', prefix: a.example.com}}\n"
A = Repository("a.example.com", "team/app")
CHANGE = Change(ApplicationName("argocd", "shop"), "app", "team/app", ImageVersion("1"), ImageVersion("2"))


@dataclass
class Cluster:
    certificates: dict[str, str] = field(default_factory=dict)
    error: ClusterError | None = None
    reads: int = 0

    async def config_map(self, namespace: str, name: str) -> Mapping[str, str]:
        assert (namespace, name) == ("argocd", "argocd-tls-certs-cm")
        self.reads += 1
        if self.error:
            raise self.error
        return dict(self.certificates)


@dataclass
class World:
    """A directory with the files, and what was followed."""

    root: Path
    cluster: Cluster = field(default_factory=Cluster)
    followed: list[Configured] = field(default_factory=list)

    @property
    def conf(self) -> Path:
        return self.root / "registries.conf"

    def settings(self, text: str) -> None:
        replace_file(self.root / "updater.yaml", f"registries: {{file: registries.conf}}\n{text}\n")

    def reload(self) -> ConfigurationReload:
        trust = ArgoTrust(self.cluster, "argocd", tls_directory=self.root / "tls", keep=0)
        return ConfigurationReload(trust, self.read(), self.read, interval=0.01)

    def read(self) -> Settings:
        return load_settings(self.root / "updater.yaml", {})

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        reload = self.reload()
        task = asyncio.create_task(reload.run(await reload.load(), self.follow))
        try:
            yield
        finally:
            task.cancel()
            with suppress(asyncio.CancelledError):
                await task

    async def follow(self, configured: Configured) -> None:
        self.followed.append(configured)

    async def followed_so_often(self, times: int) -> Configured:
        await eventually(lambda: len(self.followed) >= times, lambda: f"{times} changes")
        return self.followed[-1]


@pytest.fixture
def world(tmp_path: Path) -> World:
    world = World(tmp_path)
    (tmp_path / "updater.yaml").write_text("registries:\n  file: registries.conf\n")
    world.conf.write_text(ENTRY.format(name="A"))
    return world


def replace_file(path: Path, text: str) -> None:
    """Put another file in the place of one, as Kubernetes does with what it mounts."""
    new = path.with_suffix(".new")
    new.write_text(text)
    new.replace(path)


async def test_a_changed_registries_conf_is_followed_once(world: World) -> None:
    async with world.running():
        replace_file(world.conf, ENTRY.format(name="B"))
        configured = await world.followed_so_often(1)
        assert configured.registries.serving(A).name == "B"
        replace_file(world.conf, ENTRY.format(name="C"))
        await world.followed_so_often(2)
    assert [each.registries.serving(A).name for each in world.followed] == ["B", "C"]


async def test_a_changed_settings_file_is_followed(world: World) -> None:
    async with world.running():
        (world.root / "other.conf").write_text(ENTRY.format(name="Other"))
        replace_file(world.root / "updater.yaml", "registries: {file: other.conf, script_directories: [/x]}\n")
        configured = await world.followed_so_often(1)
    assert configured.registries.serving(A).name == "Other"
    assert configured.settings.registries.script_directories == (Path("/x"),)


async def test_a_changed_certificate_file_is_followed(world: World) -> None:
    authority = world.root / "ca.pem"
    authority.write_text(loopback_certificate().certificate)
    world.conf.write_text(ENTRY.format(name="A").replace("}", f", ca_file: {authority}}}"))
    async with world.running():
        replace_file(authority, loopback_certificate().certificate * 2)
        configured = await world.followed_so_often(1)
    assert configured.registries.serving(A).ca_data.count("BEGIN CERTIFICATE") == 2


async def test_what_is_wrong_is_said_once_and_the_old_stays(world: World) -> None:
    with capture_logs() as said:
        async with world.running():
            replace_file(world.conf, ENTRY.format(name="A") + "  limits: 5\n")
            await eventually(lambda: bool(said), lambda: "a refusal")
            replace_file(world.conf, ENTRY.format(name="B"))
            await world.followed_so_often(1)
    assert [each["event"] for each in said] == ["configuration.refused", "configuration.reloaded"]
    assert "registries.conf" in said[0]["reason"]


async def test_a_configuration_that_is_wrong_from_the_start_is_refused(world: World) -> None:
    world.conf.write_text("- nonsense\n")
    with pytest.raises(Misconfigured):
        await world.reload().load()


async def test_argo_cds_certificates_come_from_its_config_map_when_they_are_not_mounted(world: World) -> None:
    certificate = loopback_certificate().certificate
    world.cluster.certificates = {"A.example.com": certificate}
    assert (await world.reload().load()).registries.serving(A).ca_data == certificate


async def test_mounted_certificates_make_the_config_map_needless(world: World) -> None:
    (world.root / "tls").mkdir()
    (world.root / "tls" / "a.example.com").write_text(loopback_certificate().certificate)
    assert (await world.reload().load()).registries.serving(A).ca_data
    assert world.cluster.reads == 0


async def test_certificates_are_kept_while_the_cluster_does_not_answer(world: World) -> None:
    world.cluster.certificates = {"a.example.com": loopback_certificate().certificate}
    reload = world.reload()
    before = await reload.load()
    world.cluster.error = ClusterError("the API server does not answer")
    with capture_logs() as said:
        assert await reload.load() == before
        assert await reload.load() == before
    assert [each["event"] for each in said] == ["cluster.certificates_unreadable"]


async def test_what_registries_are_trusted_by_git_servers_are_too(world: World) -> None:
    world.cluster.certificates = {"Git.example.com": "PEM"}
    trust = world.reload().trust
    world.cluster.error = ClusterError("the API server does not answer")
    assert await trust.certificates("git.example.com") == ""
    world.cluster.error = None
    assert await trust.certificates("git.example.com") == "PEM"
    world.cluster.error = ClusterError("the API server does not answer")
    assert await trust.certificates("git.example.com") == "PEM"


async def test_other_settings_are_followed_too(world: World) -> None:
    with capture_logs() as said:
        async with world.running():
            world.settings("git: {linger: 9s}\nupdates: {pause: true}")
            configured = await world.followed_so_often(1)
    assert configured.settings.git.linger == Duration(9)
    assert configured.settings.updates.pause
    assert [(each["event"], each["settings"]) for each in said] == [
        ("configuration.reloaded", ("git.linger", "updates.pause")),
    ]


async def test_what_needs_a_restart_says_so_once_and_stays_as_it_was(world: World) -> None:
    with capture_logs() as said:
        async with world.running():
            world.settings("git: {concurrency: 3}")
            await eventually(lambda: len(said) == 1, lambda: "a warning")
            world.settings("git: {concurrency: 3, linger: 9s}")
            configured = await world.followed_so_often(1)
    assert configured.settings.git.concurrency == Settings().git.concurrency
    assert [(each["event"], each["settings"]) for each in said] == [
        ("configuration.needs_restart", ("git.concurrency",)),
        ("configuration.reloaded", ("git.linger",)),
    ]


async def test_a_wrong_setting_keeps_all_of_the_old_ones(world: World) -> None:
    with capture_logs() as said:
        async with world.running():
            world.settings("git: {linger: 9s}\npolling: {interval: soon}")
            await eventually(lambda: bool(said), lambda: "a refusal")
            world.settings("git: {linger: 8s}")
            await world.followed_so_often(1)
    assert [each["event"] for each in said] == ["configuration.refused", "configuration.reloaded"]
    assert "polling.interval is 'soon'" in said[0]["reason"]
    assert [each.settings.git.linger for each in world.followed] == [Duration(8)]


async def test_a_changed_commit_template_is_followed(world: World) -> None:
    world.settings("git: {commit_message_file: commit.template}")
    (world.root / "commit.template").write_text("one")
    async with world.running():
        replace_file(world.root / "commit.template", "another")
        configured = await world.followed_so_often(1)
    assert configured.commits.message([CHANGE]).startswith("another")


async def test_a_commit_template_that_is_no_good_is_refused(world: World) -> None:
    world.settings("git: {commit_message_file: commit.template}")
    (world.root / "commit.template").write_text("one")
    with capture_logs() as said:
        async with world.running():
            replace_file(world.root / "commit.template", "{{ nonsense")
            await eventually(lambda: bool(said), lambda: "a refusal")
    assert [each["event"] for each in said] == ["configuration.refused"]
    assert world.followed == []


def test_nothing_but_what_can_change_is_taken_from_new_settings() -> None:
    """Each option that differs is the new one where it is live, and the old one where it is not."""
    found = changed(*OPTIONS.values())
    mixed = followed(Settings(), found)
    for path, option in OPTIONS.items():
        assert option.of(mixed) == option.of(found if path in LIVE else Settings()), path


def changed(*options: Option) -> Settings:
    """Return settings in which each option differs from its default, whatever it is."""
    settings = Settings()
    for option in options:
        section = msgspec.structs.replace(getattr(settings, option.section), **{option.key: object()})
        settings = msgspec.structs.replace(settings, **{option.section: section})
    return settings
