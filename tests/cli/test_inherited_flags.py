"""The arguments of Argo CD Image Updater's manifests start this daemon as they are."""

from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from updater.cli import main
from updater.cli.inherited_flags import given
from updater.config.daemon import load_settings
from updater.settings.daemon import Settings
from updater.settings.units import Interval


def arguments(**flags: str) -> dict[str, str | None]:
    return {name: flags.get(name) for name in _NAMES}


_NAMES = [
    parameter.name or ""
    for parameter in main.get_command(None, "run").params  # type: ignore[arg-type, union-attr]
    if parameter.name not in ("config", "once", "dry_run", "help")
]


def settings(environ: dict[str, str], **flags: str) -> Settings:
    found = given(arguments(**flags), environ)
    return load_settings(None, found.environ, found.names)


def run(*args: str) -> Result:
    return CliRunner().invoke(main, ["run", *args])


@pytest.mark.parametrize(
    ("flags", "path", "value"),
    [
        ({"interval": "5m"}, "polling.interval", 300.0),
        ({"loglevel": "trace"}, "log.level", "debug"),
        ({"logformat": "text"}, "log.format", "text"),
        ({"kubeconfig": "/etc/kubeconfig"}, "applications.kubeconfig", Path("/etc/kubeconfig")),
        (
            {"registries_conf_path": "/app/config/registries.conf"},
            "registries.file",
            Path("/app/config/registries.conf"),
        ),
        ({"argocd_namespace": "gitops"}, "argocd.namespace", "gitops"),
        ({"leader_election": "false"}, "leader_election.enabled", False),
        ({"leader_election_namespace": "kube-system"}, "leader_election.namespace", "kube-system"),
        ({"git_commit_user": "bot"}, "git.user", "bot"),
        ({"git_commit_sign_off": "true"}, "git.commit_sign_off", True),
        ({"git_commit_signing_method": "ssh"}, "git.commit_signing_method", "ssh"),
    ],
)
def test_flag_sets_its_option(flags: dict[str, str], path: str, value: object) -> None:
    section, key = path.split(".")
    assert getattr(getattr(settings({}, **flags), section), key) == value


def test_flag_comes_before_variables() -> None:
    environ = {"IMAGE_UPDATER_INTERVAL": "1m", "UPDATER_POLLING_INTERVAL": "3m"}
    assert settings(environ, interval="5m").polling.interval == Interval(300)


def test_wrong_value_names_the_flag() -> None:
    result = run("--interval", "soon")
    assert result.exit_code == 2
    assert "--interval (polling.interval) is 'soon': write a duration" in result.output


def test_switch_may_stand_alone() -> None:
    result = run("--leader-election", "--git-commit-sign-off", "--interval=never")
    assert "--interval (polling.interval) is 'never'" in result.output


def test_flag_without_effect_is_named() -> None:
    found = given(arguments(metrics_secure="true", warmup_cache="false"), {})
    assert found.without_effect == ("--metrics-secure", "--warmup-cache")


def test_unknown_flag_is_refused() -> None:
    result = run("--intervall", "5m")
    assert result.exit_code == 2
    assert "--interval" in result.output
