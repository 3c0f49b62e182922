"""Names of branches, against the rules of git check-ref-format and git itself."""

import contextlib
import subprocess

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from updater.domain.branches import MOST_BYTES, is_legal, legal_name
from updater.domain.errors import Misconfigured
from updater.domain.target import repository_key

pieces = st.lists(
    st.sampled_from(
        ["a", "é", "/", ".", "..", "-", "@", "@{", ":", " ", "~", "^", "?", "*", "[", "\\", ".lock", "\x7f"]
    ),
    max_size=8,
).map("".join)


def git_allows(name: str) -> bool:
    command = ("git", "check-ref-format", f"refs/heads/{name}")
    return subprocess.run(command, check=False, capture_output=True, cwd="/").returncode == 0


@settings(max_examples=60, deadline=None)
@given(pieces)
@example("@")
@example("@{")
@example("-a")
@example("")
@example("a.lock/b")
def test_legal_is_what_git_allows(name: str) -> None:
    assert is_legal(name) == git_allows(name)


@given(pieces)
def test_rendered_name_is_legal_or_refused(text: str) -> None:
    with contextlib.suppress(Misconfigured):
        assert is_legal(legal_name(text))


@pytest.mark.parametrize("name", ["image-updater-demo", "team/app-1.2.3", "ü"])
def test_legal_name_stays_as_it_is(name: str) -> None:
    assert legal_name(name) == name


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("update latest@sha256:abc", "update-latest@sha256-abc"),
        ("/a//b/", "a/b"),
        ("a..b", "a-b"),
        (".a/b.lock", "-a/b-lock".lstrip("-")),
        ("v1.", "v1-"),
    ],
)
def test_what_git_forbids_is_replaced(text: str, name: str) -> None:
    assert legal_name(text) == name


@pytest.mark.parametrize("text", ["x" * 300, "é" * 200, "a/" * 150])
def test_long_name_is_cut_and_stays_its_own(text: str) -> None:
    name = legal_name(text)
    assert len(name.encode()) <= MOST_BYTES
    assert is_legal(name)
    assert name != legal_name(f"{text}y")


@pytest.mark.parametrize("text", ["", "  ", "/", "@", "HEAD"])
def test_name_of_nothing_is_refused(text: str) -> None:
    with pytest.raises(Misconfigured, match="git-branch"):
        legal_name(text)


@pytest.mark.parametrize(
    "url",
    [
        "https://git.example.com/team/app.git",
        "https://git.example.com/team/app",
        "https://GIT.example.com:443/team/app/",
        "https://user:password@git.example.com/team/app.git",
        "ssh://git@git.example.com:22/team/app.git",
        "git@git.example.com:team/app.git",
    ],
)
def test_all_spellings_of_a_repository_are_one(url: str) -> None:
    assert repository_key(url) == "git.example.com/team/app"


def test_another_port_is_another_server() -> None:
    assert repository_key("https://git.example.com:8443/a") != repository_key("https://git.example.com/a")
