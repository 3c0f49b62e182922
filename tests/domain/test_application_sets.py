"""Which changes of a generated Application an ApplicationSet's controller leaves alone."""

import pytest

from updater.domain.application_sets import ApplicationSetRules, IgnoreRule

PLACE = "/spec/sources/1/helm/parameters"


@pytest.mark.parametrize(
    "pointer", ["/spec/sources/1/helm/parameters", "/spec/sources/1/helm", "/spec/sources", "/spec"]
)
def test_pointer_covers_what_is_below_it(pointer: str) -> None:
    assert ApplicationSetRules(ignored=(IgnoreRule(json_pointers=(pointer,)),)).spare("shop", PLACE)


@pytest.mark.parametrize(
    "pointer", ["/spec/sources/0/helm/parameters", "/spec/source", "/spec/sources/1/helm/parameters/0"]
)
def test_pointer_to_something_else_does_not(pointer: str) -> None:
    assert not ApplicationSetRules(ignored=(IgnoreRule(json_pointers=(pointer,)),)).spare("shop", PLACE)


@pytest.mark.parametrize(
    "path",
    [
        ".spec.sources[1].helm.parameters",
        ".spec.sources[].helm",
        '.spec."sources"[]',
        ".spec.sources[1].helm.parameters // empty",
        ".spec.sources[] | select(.chart) | .helm.parameters",
    ],
)
def test_path_covers_what_it_leads_to(path: str) -> None:
    assert ApplicationSetRules(ignored=(IgnoreRule(jq_paths=(path,)),)).spare("shop", PLACE)


@pytest.mark.parametrize("path", [".spec.sources[0].helm", ".spec.destination", ".metadata.labels | select(.a)"])
def test_path_to_something_else_does_not(path: str) -> None:
    assert not ApplicationSetRules(ignored=(IgnoreRule(jq_paths=(path,)),)).spare("shop", PLACE)


@pytest.mark.parametrize(("name", "spared"), [("", True), ("shop", True), ("till", False)])
def test_rule_of_one_application_is_for_that_alone(name: str, spared: bool) -> None:  # noqa: FBT001 - a column
    rule = IgnoreRule(application=name, json_pointers=("/spec",))
    assert ApplicationSetRules(ignored=(rule,)).spare("shop", PLACE) is spared


@pytest.mark.parametrize(
    ("sync", "spared"),
    [("", False), ("sync", False), ("create-update", False), ("create-only", True), ("create-delete", True)],
)
def test_set_that_only_creates_takes_nothing_back(sync: str, spared: bool) -> None:  # noqa: FBT001 - a column
    assert ApplicationSetRules(sync=sync).spare("shop", PLACE) is spared
