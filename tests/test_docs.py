"""The examples of the documentation do what it says."""

import re
import shlex
from pathlib import Path

import pytest
from click.testing import CliRunner

from updater.cli import main

PAGE = Path(__file__).parent.parent / "docs" / "write-back.md"
EXAMPLE = re.compile(
    r"```yaml\n# (?P<file>\S+)\n(?P<text>.*?)```\n\n```console\n\$ updater (?P<command>[^\n]+)\n```\n\n"
    r"```diff\n(?P<difference>.*?)```\n",
    re.DOTALL,
)
EXAMPLES = [match.groupdict() for match in EXAMPLE.finditer(PAGE.read_text())]


def test_every_example_is_executed() -> None:
    assert len(EXAMPLES) == PAGE.read_text().count("```console") > 0
    targets = {example["command"].split("--target ")[1].split()[0] for example in EXAMPLES}
    assert targets == {"override", "helmvalues", "kustomization", "manifests", "application"}


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda example: example["command"])
def test_example_shows_what_is_said(
    example: dict[str, str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)
    Path(example["file"]).write_text(example["text"])
    result = CliRunner().invoke(main, shlex.split(example["command"]))
    assert (result.exit_code, result.stderr) == (0, "")
    assert result.stdout == example["difference"]
