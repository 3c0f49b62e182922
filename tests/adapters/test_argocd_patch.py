"""The patch of an Application: what it means, and that it touches nothing else, whatever else there is."""

from collections.abc import Callable, Mapping
from copy import deepcopy
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.fakes.json_patch import PatchFailed, apply_json_patch
from updater.adapters.argocd_patch import image_patch
from updater.domain.application import ApplicationName
from updater.domain.change import Edit
from updater.domain.errors import Misconfigured
from updater.domain.image import ImageVersion
from updater.domain.references import parse_entry
from updater.domain.target import ApplicationTarget, FileKind, ImageKeys

NAME = ApplicationName("argocd", "demo")
HELM, KUSTOMIZE, PLUGIN = FileKind.OVERRIDE_HELM, FileKind.OVERRIDE_KUSTOMIZE, FileKind.OVERRIDE_PLUGIN
WANTED: dict[FileKind, tuple[str, str, Any]] = {
    HELM: ("helm", "parameters", {"name": "image.tag", "value": "v2", "forceString": True}),
    KUSTOMIZE: ("kustomize", "images", "quay.io/team/app:v2"),
    PLUGIN: ("plugin", "env", {"name": "image.tag", "value": "v2"}),
}


def edit(version: str = "v2", image: str = "quay.io/team/app", tag: str = "image.tag") -> Edit:
    return Edit(parse_entry(image).reference.at(ImageVersion(version)), ImageKeys(tag=tag))


def patched(application: Mapping[str, Any], target: ApplicationTarget, *edits: Edit) -> dict[str, Any]:
    return apply_json_patch(application, image_patch(application, target, edits or [edit()]))


SHAPES: dict[str, Callable[[dict[str, Any]], dict[str, Any]]] = {
    "single": lambda source: {"source": source},
    "first of several": lambda source: {"sources": [source, {"repoURL": "b"}]},
    "second of several": lambda source: {"sources": [{"repoURL": "a"}, source], "source": {"repoURL": "ignored"}},
    "hydrator": lambda source: {"sourceHydrator": {"drySource": source, "syncSource": {"path": "out"}}},
}


@pytest.mark.parametrize("kind", WANTED, ids=str)
@pytest.mark.parametrize("block", ["no block", "null block", "no list", "null list", "empty list"])
@pytest.mark.parametrize("shape", SHAPES)
def test_what_is_missing_is_added_and_nothing_else_changes(shape: str, block: str, kind: FileKind) -> None:
    name, field, entry = WANTED[kind]
    blocks: dict[str, Any] = {
        "no block": {},
        "null block": {name: None},
        "no list": {name: {"other": 1}},
        "null list": {name: {"other": 1, field: None}},
        "empty list": {name: {"other": 1, field: []}},
    }
    source = {"repoURL": "https://git.example.com/a.git", "path": "x", **blocks[block]}
    before = {"metadata": {"resourceVersion": "7"}, "spec": SHAPES[shape](source), "status": {"x": 1}}
    target = ApplicationTarget(NAME, 1 if shape == "second of several" else 0, kind)
    other = {} if "block" in block else {"other": 1}
    wanted = {**source, name: {**other, field: [entry]}}
    assert patched(before, target) == {**before, "spec": SHAPES[shape](wanted)}


NAMES = st.sampled_from(["image.tag", "image.name", "replicas", "a"])
VALUES: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.text(max_size=4), inner, max_size=2),
    max_leaves=5,
)
PARAMETER = st.fixed_dictionaries(
    {"name": NAMES, "value": st.text(max_size=4)}, optional={"forceString": st.booleans()}
)
HELM_BLOCK = st.fixed_dictionaries(
    {}, optional={"parameters": st.lists(PARAMETER, max_size=4), "valuesObject": VALUES, "values": st.text(max_size=9)}
)
SOURCE = st.fixed_dictionaries({"repoURL": st.just("https://x")}, optional={"helm": HELM_BLOCK, "more": VALUES})


@given(sources=st.lists(SOURCE, min_size=1, max_size=3), data=st.data())
def test_only_the_parameters_of_the_wanted_name_change(sources: list[dict[str, Any]], data: st.DataObject) -> None:
    index = data.draw(st.integers(0, len(sources) - 1))
    before: dict[str, Any] = {"spec": {"sources": sources}, "status": {"a": 1}}
    after = patched(before, ApplicationTarget(NAME, index, HELM))
    assert image_patch(after, ApplicationTarget(NAME, index, HELM), [edit()]) == []
    parameters = after["spec"]["sources"][index]["helm"].pop("parameters")
    expected = deepcopy(before)
    old = expected["spec"]["sources"][index].setdefault("helm", {}).pop("parameters", [])
    assert after == expected
    assert [each for each in parameters if each["name"] != "image.tag"] == [
        each for each in old if each["name"] != "image.tag"
    ]
    assert {(each["value"], each["forceString"]) for each in parameters if each["name"] == "image.tag"} == {
        ("v2", True)
    }


@given(sources=st.lists(SOURCE, min_size=1, max_size=2), other=SOURCE)
def test_source_that_somebody_else_changed_is_not_written(sources: list[dict[str, Any]], other: dict[str, Any]) -> None:
    operations = image_patch({"spec": {"sources": sources}}, ApplicationTarget(NAME, 0, HELM), [edit()])
    changed = {"spec": {"sources": [other, *sources[1:]]}}
    if operations and other != sources[0]:
        with pytest.raises(PatchFailed):
            apply_json_patch(changed, operations)


CHART = ApplicationTarget(NAME, 0, FileKind.CHART)
SHOP = edit("1.3.0", "https://charts.example.com/shop")


@pytest.mark.parametrize("present", [{}, {"targetRevision": "1.2.0"}, {"targetRevision": None}])
def test_version_of_a_chart_is_its_target_revision(present: dict[str, Any]) -> None:
    source = {"repoURL": "https://charts.example.com", "chart": "shop", "helm": {"values": "a: 1\n"}}
    after = patched({"spec": {"source": {**source, **present}}}, CHART, SHOP)
    assert after == {"spec": {"source": {**source, "targetRevision": "1.3.0"}}}
    assert image_patch(after, CHART, [SHOP]) == []


@pytest.mark.parametrize(
    ("source", "revision"),
    [
        ({"repoURL": "registry.example.com/charts", "chart": "shop"}, "1.3.0+1"),
        ({"repoURL": "oci://registry.example.com/charts", "chart": "shop"}, "1.3.0+1"),
        ({"repoURL": "oci://registry.example.com/charts/shop", "path": "."}, "1.3.0_1"),
    ],
)
def test_build_metadata_is_spelled_as_the_source_is_looked_up(source: dict[str, Any], revision: str) -> None:
    wanted = edit("1.3.0+1", "oci://registry.example.com/charts/shop")
    after = patched({"spec": {"source": source}}, CHART, wanted)
    assert after == {"spec": {"source": {**source, "targetRevision": revision}}}
    assert image_patch(after, CHART, [wanted]) == []


def test_chart_that_became_another_is_not_given_the_others_version() -> None:
    source = {"repoURL": "https://charts.example.com", "chart": "till", "targetRevision": "0.1.0"}
    with pytest.raises(Misconfigured, match="is the chart till by now"):
        image_patch({"spec": {"source": source}}, CHART, [SHOP])
