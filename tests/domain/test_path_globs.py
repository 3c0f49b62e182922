"""Globs for the files of a repository."""

import pytest

from updater.domain.errors import Misconfigured
from updater.domain.path_globs import PathGlob, quoted


@pytest.mark.parametrize(
    ("glob", "path", "matches"),
    [
        ("apps/*.yaml", "apps/web.yaml", True),
        ("apps/*.yaml", "apps/web/web.yaml", False),
        ("apps/**/*.yaml", "apps/web.yaml", True),
        ("apps/**/*.yaml", "apps/a/b/web.yaml", True),
        ("apps/**/*.yaml", "other/web.yaml", False),
        ("apps/**", "apps/a/web.json", True),
        ("**", "web.yaml", True),
        ("*/web-[a-c].yaml", "x/web-b.yaml", True),
        ("*/web-[^a-c].yaml", "x/web-b.yaml", False),
        ("apps/web?.yaml", "apps/web1.yaml", True),
        ("apps/web.yaml", "apps/webxyaml", False),
    ],
)
def test_glob_matches_paths(glob: str, path: str, *, matches: bool) -> None:
    assert PathGlob.of(glob).matches(path) is matches


@pytest.mark.parametrize(
    ("glob", "root"),
    [("apps/web/*.yaml", "apps/web"), ("*", ""), ("apps/*/x/*.yaml", "apps"), ("a/web.yaml", "a"), ("web.yaml", "")],
)
def test_root_is_where_looking_begins(glob: str, root: str) -> None:
    assert PathGlob.of(glob).root == root


@pytest.mark.parametrize(
    ("glob", "directory", "reaches"),
    [
        ("apps/*.yaml", "apps", True),
        ("apps/*.yaml", "apps/web", False),
        ("apps/*/*.yaml", "apps/web", True),
        ("apps/*/x/*.yaml", "apps/web/y", False),
        ("apps/**/*.yaml", "apps/a/b/c", True),
        ("apps/**", "apps/a/b", True),
        ("apps/**/*.yaml", "other", False),
    ],
)
def test_only_directories_that_may_lead_somewhere_are_looked_into(glob: str, directory: str, *, reaches: bool) -> None:
    assert PathGlob.of(glob).reaches(directory) is reaches


def test_quoted_path_means_itself() -> None:
    assert PathGlob.of(quoted("a[1]/*b") + "/*.yaml").matches("a[1]/*b/c.yaml")


def test_malformed_glob_is_refused() -> None:
    with pytest.raises(Misconfigured, match=r"the glob 'a/\[' is not understood"):
        PathGlob.of("a/[")
