"""The commands that need no server: what they print, and their exit codes."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from updater import __version__
from updater.cli import EXIT_FAILED, EXIT_USAGE, main


def run(*arguments: str, text: str = "") -> Result:
    return CliRunner().invoke(main, arguments, input=text)


def test_help_names_every_command() -> None:
    result = run("--help")
    assert result.exit_code == 0
    for command in ("run", "demo", "choose", "edit", "version"):
        assert f"\n  {command} " in result.output


def test_version_alone() -> None:
    assert run("version", "--short").output == f"{__version__}\n"


def test_unknown_command_is_wrong_usage() -> None:
    assert run("chose").exit_code == EXIT_USAGE


def test_version_needs_none_of_the_heavy_imports() -> None:
    code = (
        "import sys; from updater.cli import main; main(['version'], standalone_mode=False); print(sorted(sys.modules))"
    )
    said = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True).stdout
    assert "'aiohttp'" not in said
    assert "'kubernetes_asyncio'" not in said


def test_explain_names_also_the_images_that_cannot_be_followed(tmp_path: Path) -> None:
    prefix = "argocd-image-updater.argoproj.io"
    annotations = f"{{{prefix}/image-list: app=quay.io/team/app, {prefix}/app.force-update: maybe}}"
    (tmp_path / "app.yaml").write_text(
        "apiVersion: argoproj.io/v1alpha1\nkind: Application\nmetadata:\n  name: one\n"
        f"  annotations: {annotations}\nspec:\n  source: {{repoURL: 'https://git.example.com/x.git', path: x}}\n"
    )
    (tmp_path / "updater.yaml").write_text(f"applications:\n  source: directory\n  directory: {tmp_path}\n")
    result = run("explain", "--config", str(tmp_path / "updater.yaml"), "one", "--image", "api")
    assert result.exit_code == EXIT_FAILED
    assert "argocd/one has no image api: its images are app" in result.stderr


class TestChoose:
    def test_each_tag_has_its_verdict(self) -> None:
        result = run("choose", "--current", "v1.0", text="v1.0\nv1.2\nlatest\n")
        assert result.exit_code == 0
        assert result.output == (
            "update v1.2 (newer)\n"
            "  v1.2 is newer than v1.0\n"
            "      #1  v1.2    kept\n"
            "      #2  v1.0    kept\n"
            "       -  latest  not-a-version\n"
        )

    def test_json_is_for_machines(self) -> None:
        chosen = json.loads(run("choose", "-o", "json", text="1\n2\n").output)
        assert (chosen["decision"], chosen["tag"]) == ("update", "2")

    def test_smallest_tag_is_taken_when_told_to(self) -> None:
        arguments = ("--strategy", "alphabetical", "--sort", "tag asc")
        assert json.loads(run("choose", *arguments, "-o", "json", text="b\na\n").output)["tag"] == "a"

    def test_private_scheme_is_cut_out_of_the_tags(self) -> None:
        arguments = ("--extract", r"^r(?P<year>\d+)-b(?P<build>\d+)$", "--sort", "year desc, build asc", "-o", "json")
        assert json.loads(run("choose", *arguments, text="r24-b1\nr25-b2\nr25-b1\n").output)["tag"] == "r25-b1"

    def test_control_characters_of_a_tag_do_not_reach_the_terminal(self) -> None:
        assert "\x1b" not in run("choose", text=json.dumps(["v1", "\x1b[31mv2"])).output

    def test_json_list_brings_times_and_digests(self) -> None:
        tags = [{"name": "b", "created": "2026-01-01T00:00:00Z"}, {"name": "a", "created": "2026-02-01T00:00:00Z"}]
        chosen = json.loads(run("choose", "--strategy", "newest-build", "-o", "json", text=json.dumps(tags)).output)
        assert chosen["tag"] == "a"

    @pytest.mark.parametrize(
        "arguments",
        [("--constraint", ">>1"), ("--allow-tags", "regexp:("), ("--strategy", "x"), ("--minimum-age", "old")],
    )
    def test_wrong_settings_are_wrong_usage(self, arguments: tuple[str, ...]) -> None:
        assert run("choose", *arguments, text="1\n").exit_code == EXIT_USAGE

    def test_list_of_another_shape_is_wrong_usage(self) -> None:
        assert run("choose", text='[{"tag": "v1"}]').exit_code == EXIT_USAGE

    def test_tags_that_are_no_text_are_named_with_their_place(self, tmp_path: Path) -> None:
        (tmp_path / "tags").write_bytes(b"\xff\xfe")
        result = run("choose", "--tags", str(tmp_path / "tags"))
        assert result.exit_code == EXIT_USAGE
        assert f"--tags {tmp_path}/tags: no UTF-8 text" in result.stderr


class TestRun:
    def test_wrong_settings_end_it_with_all_problems(self, tmp_path: Path) -> None:
        path = tmp_path / "updater.yaml"
        path.write_text("git: {ligner: 1s}\npolling: {interval: often}\n")
        result = run("run", "--config", str(path))
        assert result.exit_code == EXIT_USAGE
        assert "did you mean git.linger?" in result.output
        assert "polling.interval is 'often'" in result.output

    def test_missing_file_is_named(self, tmp_path: Path) -> None:
        result = run("run", "--config", str(tmp_path / "nothing.yaml"))
        assert result.exit_code == EXIT_USAGE
        assert "nothing.yaml" in result.output
