"""Defaults that the place decides."""

from pathlib import Path

import pytest

from updater.config import daemon, place
from updater.config.daemon import load_settings
from updater.config.place import pod_defaults, settings_file
from updater.settings.daemon import DEFAULT_STATE, TEMPORARY_STATE


@pytest.fixture
def pod(tmp_path: Path) -> Path:
    """Make the root directory of a pod, with what the kubelet puts there."""
    account = tmp_path / "var/run/secrets/kubernetes.io/serviceaccount"
    account.mkdir(parents=True)
    (account / "namespace").write_text("gitops")
    return tmp_path


def test_nothing_differs_outside_of_a_pod(tmp_path: Path) -> None:
    (tmp_path / "var").write_text("nothing can be written below a file")
    assert pod_defaults(tmp_path) == {}


def test_argo_cd_is_where_the_pod_is(pod: Path) -> None:
    assert pod_defaults(pod) == {"argocd.namespace": "gitops"}


def test_state_is_temporary_where_its_place_cannot_be_written(pod: Path) -> None:
    (pod / "var/lib").write_text("nothing can be written below a file")
    assert pod_defaults(pod)["state.path"] == TEMPORARY_STATE


def test_what_is_said_comes_before_what_the_place_says(pod: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(daemon, "pod_defaults", lambda: pod_defaults(pod))
    assert load_settings(None, {}).argocd.namespace == "gitops"
    assert load_settings(None, {"ARGOCD_NAMESPACE": "argocd"}).argocd.namespace == "argocd"
    assert load_settings(None, {}).state.path == DEFAULT_STATE


def test_the_mounted_file_is_read_unless_another_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    mounted = tmp_path / "updater.yaml"
    monkeypatch.setattr(place, "DEFAULT_SETTINGS", mounted)
    assert settings_file(None) is None
    mounted.write_text("")
    assert settings_file(None) == mounted
    assert settings_file(Path("mine.yaml")) == Path("mine.yaml")
