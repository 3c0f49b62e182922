"""Which template words the commits: the settings' text, their file, or the built-in message."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from structlog.testing import capture_logs
from structlog.typing import EventDict

from updater.config.commits import load_commit_style
from updater.domain.application import ApplicationName
from updater.domain.change import Change
from updater.domain.image import ImageVersion
from updater.settings.daemon import Git

CHANGE = Change(ApplicationName("argocd", "demo"), "app", "nginx", ImageVersion("1"), ImageVersion("2"))


@pytest.fixture
def said() -> Iterator[list[EventDict]]:
    with capture_logs() as events:
        yield events


def subject(git: Git) -> str:
    return load_commit_style(git).message([CHANGE]).partition("\n")[0]


def test_built_in_message_is_the_default(said: list[EventDict]) -> None:
    assert subject(Git()) == "build: automatic update of demo"
    assert said == []


def test_text_comes_before_the_file(tmp_path: Path) -> None:
    file = tmp_path / "commit.template"
    file.write_text("of the file: {{ .AppName }}\n")
    assert subject(Git(commit_message_file=file)) == "of the file: demo"
    assert subject(Git(commit_message_template="of the text", commit_message_file=file)) == "of the text"


@pytest.mark.parametrize(
    "content",
    [b"{{ .AppName", b"{{ .Nothing }}", b"{{ if .Applications }}{{ .Nothing }}{{ end }}", b"\xff\xfe", None],
    ids=["broken", "asks for nothing", "asks for nothing in a batch", "no text", "missing"],
)
def test_template_that_cannot_be_read_is_said_and_stops_nothing(
    tmp_path: Path,
    said: list[EventDict],
    content: bytes | None,
) -> None:
    file = tmp_path / "commit.template"
    if content is not None:
        file.write_bytes(content)
    assert subject(Git(commit_message_file=file)) == "build: automatic update of demo"
    assert [(event["event"], str(file) in event["reason"]) for event in said] == [("git.template_failed", True)]


def test_sign_off_is_of_the_author() -> None:
    message = load_commit_style(Git(user="Bot", email="bot@example.com", commit_sign_off=True)).message([CHANGE])
    assert message.endswith("\nSigned-off-by: Bot <bot@example.com>\n")
