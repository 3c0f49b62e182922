"""What the documentation shows is so."""

import re
import shlex
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from ruamel.yaml import YAML

from updater.cli import main
from updater.domain.annotations import track
from updater.domain.application import Application, ApplicationName, Source

_PAGE = (Path(__file__).parents[1] / "docs" / "strategies.md").read_text("utf-8")
_EXAMPLE = re.compile(
    r"^\$ (?P<feed>printf|echo) (?P<text>.*) \| updater (?P<command>choose.*) \| head -1\n(?P<said>.*)$", re.MULTILINE
)
_EXAMPLES = [match.groups() for match in _EXAMPLE.finditer(_PAGE)]
_ANNOTATIONS = re.findall(r"```yaml\n(.*?)```", _PAGE, re.DOTALL)


def test_every_command_of_the_page_is_an_example() -> None:
    assert len(_EXAMPLES) == sum(line.startswith("$ ") for line in _PAGE.splitlines())


@pytest.mark.parametrize(("feed", "text", "command", "said"), _EXAMPLES)
def test_example_says_what_is_written_below_it(feed: str, text: str, command: str, said: str) -> None:
    words = shlex.split(text)
    given = "\n".join(words[1:] if feed == "printf" else words)
    result = CliRunner().invoke(main, shlex.split(command), input=given)
    assert result.output.splitlines()[0] == said


@pytest.mark.parametrize("text", _ANNOTATIONS)
def test_annotations_of_the_page_are_understood(text: str) -> None:
    said: dict[str, Any] = YAML(typ="safe", pure=True).load(text)
    application = Application(
        name=ApplicationName("argocd", "demo"),
        annotations={"image-list": "app=registry.example.com/team/app", **said},
        sources=(Source("https://git.example.com/gitops.git", "apps/demo", "main", kind="Helm"),),
    )
    tracked = track(application, "argocd")
    assert tracked is not None
    assert tracked.images
    assert (tracked.problems, tracked.warnings) == ((), ())
