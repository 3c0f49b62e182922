"""Namespaces by name and by pattern, as Argo CD's own setting has them."""

import pytest

from updater.domain.errors import Misconfigured
from updater.domain.namespaces import Namespaces

KNOWN = ["argocd", "team-a", "team-b", "other"]


@pytest.mark.parametrize(
    ("texts", "watched", "included"),
    [
        (["argocd"], ("argocd",), ["argocd"]),
        (["argocd", "team-a", "argocd"], ("argocd", "team-a"), ["argocd", "team-a"]),
        (["*"], ("",), KNOWN),
        ([], ("",), KNOWN),
        (["argocd", "team-*"], ("",), ["argocd", "team-a", "team-b"]),
        (["team-[^b]"], ("",), ["team-a"]),
        (["/^team-[ab]$/"], ("",), ["team-a", "team-b"]),
        (["/team/", "other"], ("",), ["team-a", "team-b", "other"]),
    ],
)
def test_names_are_watched_one_by_one_and_patterns_by_a_watch_of_all(
    texts: list[str], watched: tuple[str, ...], included: list[str]
) -> None:
    namespaces = Namespaces.of(texts)
    assert namespaces.watched == watched
    assert [name for name in KNOWN if namespaces.include(name)] == included


@pytest.mark.parametrize("text", ["team-[", "/team-(/"])
def test_a_malformed_pattern_is_named(text: str) -> None:
    with pytest.raises(Misconfigured, match="namespace"):
        Namespaces.of([text])
