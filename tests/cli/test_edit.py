"""`updater edit`: what it shows, what it writes, and how it ends."""

import stat
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from updater.cli import EXIT_FAILED, EXIT_USAGE, main

VALUES = 'image:\n  tag: "1.0"  # keep\n'
DIGEST = "sha256:" + "0123456789abcdef" * 4
POD = "apiVersion: v1\nkind: Pod\nspec:\n  containers:\n  - image: nginx:1.25\n"
APPLICATION = """\
apiVersion: argoproj.io/v1alpha1
kind: Application
metadata:
  name: shop
spec:
  source:
    repoURL: https://git.example.com/gitops.git
"""


def edit(file: Path | str, target: str, *arguments: str, text: str = "") -> Result:
    return CliRunner().invoke(main, ["edit", str(file), "--target", target, *arguments], input=text)


@pytest.fixture
def values(tmp_path: Path) -> Path:
    path = tmp_path / "values.yaml"
    path.write_text(VALUES)
    return path


def test_difference_is_shown_and_nothing_written(values: Path) -> None:
    result = edit(values, "helmvalues", "--set", "image.tag=1.20")
    assert (result.exit_code, result.stderr) == (0, "")
    assert result.stdout == (
        f'--- {values}\n+++ {values}\n@@ -1,2 +1,2 @@\n image:\n-  tag: "1.0"  # keep\n+  tag: "1.20"  # keep\n'
    )
    assert values.read_text() == VALUES


def test_file_is_written_when_asked_and_keeps_its_mode(values: Path) -> None:
    values.chmod(0o640)
    assert edit(values, "helmvalues", "--set", "image.tag=v2", "-w").exit_code == 0
    assert values.read_text() == 'image:\n  tag: "v2"  # keep\n'
    assert stat.S_IMODE(values.stat().st_mode) == 0o640
    assert list(values.parent.iterdir()) == [values]


def test_link_to_a_file_stays_a_link(values: Path, tmp_path: Path) -> None:
    link = tmp_path / "link.yaml"
    link.symlink_to(values)
    edit(link, "helmvalues", "--set", "image.tag=v2", "-w")
    assert link.is_symlink()
    assert "v2" in values.read_text()


def test_nothing_new_is_said(values: Path) -> None:
    result = edit(values, "helmvalues", "--set", "image.tag=1.0", "-w")
    assert (result.exit_code, result.stdout) == (0, "")
    assert result.stderr == f"updater: {values}: nothing changes\n"


def test_standard_input_is_shown_as_a_difference(values: Path) -> None:
    result = edit("-", "helmvalues", "--set", "image.tag=v2", text=VALUES)
    assert '-  tag: "1.0"  # keep\n+  tag: "v2"  # keep\n' in result.stdout


def test_standard_input_is_printed_whole_when_it_is_to_be_written() -> None:
    assert edit("-", "helmvalues", "--set", "image.tag=v2", "-w", text=VALUES).stdout == VALUES.replace("1.0", "v2")


def test_missing_final_line_break_is_shown(values: Path) -> None:
    values.write_text("tag: v1")
    result = edit(values, "helmvalues", "--set", "tag=v2")
    assert result.stdout.endswith("-tag: v1\n\\ No newline at end of file\n+tag: v2\n\\ No newline at end of file\n")


def test_missing_override_is_shown_as_a_new_file(tmp_path: Path) -> None:
    result = edit(tmp_path / "new.yaml", "override", "--set", "image.tag=v2")
    assert result.stdout.startswith(f"--- /dev/null\n+++ {tmp_path / 'new.yaml'}\n@@ -0,0 +1,5 @@\n+helm:\n")


@pytest.mark.parametrize(
    ("target", "text", "arguments", "expected"),
    [
        ("override", "plugin:\n  env: []\n", ["--set", "TAG=v2"], "plugin:\n  env:\n  - name: TAG\n    value: v2\n"),
        ("override", "", ["--image", "nginx:1.27"], "kustomize:\n  images:\n  - nginx:1.27\n"),
        ("kustomization", "images: []\n", ["--image", "nginx:1.27"], 'images:\n- name: nginx\n  newTag: "1.27"\n'),
        (
            "kustomization",
            "images:\n- name: app\n  newTag: v1\n",
            ["--image", "app=quay.io/team/app:v2"],
            "images:\n- name: app\n  newTag: v2\n  newName: quay.io/team/app\n",
        ),
        (
            "kustomization",
            "images:\n- name: app\n  newName: quay.io/team/app\n  newTag: v1\n",
            ["--image", "app=*:v2"],
            "images:\n- name: app\n  newName: quay.io/team/app\n  newTag: v2\n",
        ),
        (
            "kustomization",
            "images:\n- name: app\n  newTag: v1\n",
            ["--image", f"app@{DIGEST}"],
            f"images:\n- name: app\n  digest: {DIGEST}\n",
        ),
        ("manifests", POD, ["--image", "nginx:1.27"], POD.replace("1.25", "1.27")),
        ("manifests", "a: x # updater: web\n", ["--image", "web=nginx:1.27"], "a: nginx:1.27 # updater: web\n"),
        (
            "application",
            APPLICATION,
            ["--set", "image.tag=v2"],
            (
                f"{APPLICATION}    helm:\n      parameters:\n      - name: image.tag\n        value: v2\n"
                "        forceString: true\n"
            ),
        ),
        (
            "application",
            f"{APPLICATION}    plugin: {{}}\n",
            ["--set", "TAG=v2"],
            f"{APPLICATION}    plugin:\n      env:\n      - name: TAG\n        value: v2\n",
        ),
        (
            "application",
            APPLICATION,
            ["--image", "nginx:1.27"],
            f"{APPLICATION}    kustomize:\n      images:\n      - nginx:1.27\n",
        ),
    ],
)
def test_every_target_is_written(target: str, text: str, arguments: list[str], expected: str) -> None:
    assert edit("-", target, *arguments, "-w", text=text).stdout == expected


def test_one_of_several_applications_is_named() -> None:
    both = f"{APPLICATION}---\n{APPLICATION.replace('shop', 'till')}"
    refused = edit("-", "application", "--set", "image.tag=v2", text=both)
    assert refused.exit_code == EXIT_USAGE
    assert "--application has to name one of argocd/shop, argocd/till" in refused.stderr
    result = edit("-", "application", "--set", "image.tag=v2", "--application", "till", "-w", text=both)
    assert result.stdout.startswith(APPLICATION + "---\n")
    assert "value: v2" in result.stdout


@pytest.mark.parametrize(
    ("target", "arguments"),
    [
        ("helmvalues", []),
        ("helmvalues", ["--image", "nginx:1"]),
        ("kustomization", ["--set", "nginx=1"]),
        ("override", ["--set", "a=1", "--image", "nginx:1"]),
        ("helmvalues", ["--set", "image.tag"]),
        ("kustomization", ["--image", "nginx"]),
        ("kustomization", ["--image", "a=b"]),
        ("kustomization", ["--image", "a=:1"]),
        ("nothing", ["--set", "a=1"]),
    ],
)
def test_options_that_say_too_little_or_too_much_are_wrong_usage(target: str, arguments: list[str]) -> None:
    assert edit("-", target, *arguments).exit_code == EXIT_USAGE


@pytest.mark.parametrize(
    ("target", "argument", "text", "reason"),
    [
        ("helmvalues", "--set", b"a: [\n", "no valid YAML"),
        ("helmvalues", "--set", b"a: \xff\n", "no UTF-8 text"),
        ("manifests", "--image", b"a: b\n", "no container has the image a=1"),
        ("application", "--set", b"a: b\n", "there is no Application in this file"),
        ("kustomization", "--image", None, "there is no such file"),
    ],
)
def test_file_that_cannot_be_edited_fails_with_its_name(
    tmp_path: Path, target: str, argument: str, text: bytes | None, reason: str
) -> None:
    file = tmp_path / "file.yaml"
    if text is not None:
        file.write_bytes(text)
    result = edit(file, target, argument, "a=1" if argument == "--set" else "nginx:1")
    assert (result.exit_code, result.stdout) == (EXIT_FAILED, "")
    assert result.stderr.startswith(f"updater: {file}: ")
    assert reason.replace("a=1", "nginx") in result.stderr
