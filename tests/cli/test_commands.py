"""The commands that need no server: what they print, and their exit codes."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from updater import __version__
from updater.cli import EXIT_USAGE, main


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


class TestChoose:
    def test_each_tag_has_its_verdict(self) -> None:
        result = run("choose", "--current", "v1.0", text="v1.0\nv1.2\nlatest\n")
        assert result.exit_code == 0
        assert result.output.splitlines()[0] == "Update (newer): v1.2 is newer than v1.0"
        assert "not-a-version" in result.output

    def test_json_is_for_machines(self) -> None:
        chosen = json.loads(run("choose", "-o", "json", text="1\n2\n").output)
        assert (chosen["decision"], chosen["tag"]) == ("update", "2")

    def test_json_list_brings_times_and_digests(self) -> None:
        tags = [{"name": "b", "created": "2026-01-01T00:00:00Z"}, {"name": "a", "created": "2026-02-01T00:00:00Z"}]
        chosen = json.loads(run("choose", "--strategy", "newest-build", "-o", "json", text=json.dumps(tags)).output)
        assert chosen["tag"] == "a"

    @pytest.mark.parametrize("arguments", [("--constraint", ">>1"), ("--allow-tags", "regexp:("), ("--strategy", "x")])
    def test_wrong_settings_are_wrong_usage(self, arguments: tuple[str, ...]) -> None:
        assert run("choose", *arguments, text="1\n").exit_code == EXIT_USAGE

    def test_list_of_another_shape_is_wrong_usage(self) -> None:
        assert run("choose", text='[{"tag": "v1"}]').exit_code == EXIT_USAGE


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
