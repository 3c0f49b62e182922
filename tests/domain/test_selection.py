"""Selection: AIU's rules of specificity, and no evaluation twice."""

from typing import Any

import pytest

from tests.domain.resources import image, ref, resource
from updater.domain.application import ApplicationName
from updater.domain.resources import ImageUpdater
from updater.domain.selection import Selection, by_specificity, score


def name(text: str, namespace: str = "argocd") -> ApplicationName:
    return ApplicationName(namespace, text)


def selection(*resources: ImageUpdater, **labels: dict[str, str]) -> Selection:
    """Select among applications named like the keywords, with their labels."""
    made = Selection()
    for application, its_labels in labels.items():
        made.put_application(name(application), its_labels)
    for each in resources:
        made.put_resource(each)
    return made


def chosen(made: Selection, application: str) -> list[str]:
    return [f"{claim.resource.name.name}[{claim.ref.index}]" for claim in made.claims(name(application))]


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({"namePattern": "app"}, 1_000_003),
        ({"namePattern": "*"}, 0),
        ({"namePattern": "app-*"}, 4),
        ({"namePattern": "app-?[ab]x"}, 5),
        ({"namePattern": "*", "labelSelectors": {}}, 10_000),
        ({"namePattern": "*", "labelSelectors": {"matchLabels": {"a": "b", "c": "d"}}}, 10_200),
        ({"namePattern": "p*", "labelSelectors": {"matchExpressions": [{"key": "a", "operator": "Exists"}]}}, 10_101),
        ({"namePattern": "app", "labelSelectors": {"matchLabels": {"a": "b"}}}, 1_010_103),
    ],
)
def test_score_is_that_of_argocd_image_updater(fields: dict[str, Any], expected: int) -> None:
    made = resource("team", {"images": [image()], **fields})
    assert score(made.spec.refs[0]) == expected


def test_references_of_one_score_keep_their_order() -> None:
    made = resource("team", ref("a*", image()), ref("*b", image()), ref("abc", image()))
    assert [each.index for each in by_specificity(made.spec.refs)] == [2, 0, 1]


def test_the_most_specific_matching_reference_counts() -> None:
    made = selection(resource("team", ref("*", image()), ref("web-*", image()), ref("web-1", image())), **{"web-1": {}})
    assert chosen(made, "web-1") == ["team[2]"]


def test_a_reference_whose_labels_differ_leaves_the_application_to_the_next() -> None:
    labelled = ref("web-*", image(), labelSelectors={"matchLabels": {"tier": "front"}})
    made = selection(resource("team", ref("*", image()), labelled), **{"web-1": {"tier": "front"}, "web-2": {}})
    assert chosen(made, "web-1") == ["team[1]"]
    assert chosen(made, "web-2") == ["team[0]"]


@pytest.mark.parametrize(
    ("expression", "labels", "matches"),
    [
        ({"operator": "In", "values": ["a", "b"]}, {"k": "b"}, True),
        ({"operator": "In", "values": ["a"]}, {}, False),
        ({"operator": "NotIn", "values": ["a"]}, {"k": "a"}, False),
        ({"operator": "NotIn", "values": ["a"]}, {}, True),
        ({"operator": "Exists"}, {"k": ""}, True),
        ({"operator": "Exists"}, {}, False),
        ({"operator": "DoesNotExist"}, {"k": "a"}, False),
        ({"operator": "DoesNotExist"}, {}, True),
    ],
)
def test_label_expressions_mean_what_they_mean_to_kubernetes(
    expression: dict[str, Any], labels: dict[str, str], *, matches: bool
) -> None:
    selecting = ref("*", image(), labelSelectors={"matchExpressions": [{"key": "k", **expression}]})
    assert bool(chosen(selection(resource("team", selecting), app=labels), "app")) is matches


def test_a_reference_with_a_wrong_selector_does_not_hand_its_applications_to_the_next() -> None:
    wrong = ref("*", image(), labelSelectors={"matchExpressions": [{"key": "k", "operator": "Near"}]})
    made = selection(resource("team", ref("*", image()), wrong), app={})
    assert chosen(made, "app") == ["team[1]"]


def test_patterns_are_globs_of_go() -> None:
    made = selection(resource("team", ref("w[a-e]b-?", image())), **{"web-1": {}, "wxb-1": {}, "web-12": {}})
    assert [each for each in ("web-1", "wxb-1", "web-12") if chosen(made, each)] == ["web-1"]


def test_a_malformed_pattern_stops_its_resource() -> None:
    made = selection(resource("team", ref("app", image()), ref("[", image())), app={})
    assert chosen(made, "app") == []


def test_a_resource_selects_applications_of_its_own_namespace_alone() -> None:
    made = selection(resource("team", ref("*", image()), namespace="other"), app={})
    assert chosen(made, "app") == []


def test_of_two_resources_the_more_specific_comes_first_then_the_older_then_the_first_by_name() -> None:
    made = selection(
        resource("b", ref("*", image())),
        resource("a", ref("*", image())),
        resource("exact", ref("app", image())),
        app={},
    )
    assert chosen(made, "app") == ["exact[0]", "a[0]", "b[0]"]


def test_a_thousand_applications_and_twenty_resources_are_evaluated_once_each() -> None:
    made = Selection()
    for number in range(20):
        made.put_resource(resource(f"r{number}", ref(f"app-{number}-*", image())))
    for number in range(1000):
        made.put_application(name(f"app-{number % 20}-{number}"), {})
    assert made.evaluations == 20_000
    assert all(len(made.claims(name(f"app-{number % 20}-{number}"))) == 1 for number in range(1000))
    assert made.evaluations == 20_000


def test_a_changed_resource_evaluates_its_new_patterns_alone() -> None:
    made = selection(resource("team", ref("a*", image()), ref("b*", image())), **{f"a{n}": {} for n in range(50)})
    before = made.evaluations
    concerned = made.put_resource(resource("team", ref("a*", image(name="nginx")), ref("c*", image())))
    assert made.evaluations == before + 50
    assert len(concerned) == 50


def test_a_name_without_wildcards_is_looked_up() -> None:
    made = selection(**{f"a{n}": {} for n in range(50)})
    made.put_resource(resource("team", ref("a7", image())))
    assert made.evaluations == 1


def test_a_change_of_status_concerns_nobody() -> None:
    made = selection(resource("team", ref("*", image())), app={})
    known = next(iter(made.resources()))
    changed = ImageUpdater(known.name, known.spec, known.created, known.generation, {"imagesManaged": 1})
    assert made.put_resource(changed) == set()


def test_an_application_seen_again_is_not_evaluated_again() -> None:
    made = selection(resource("team", ref("*", image())), app={})
    before = made.evaluations
    made.put_application(name("app"), {})
    assert made.evaluations == before


def test_a_deleted_resource_concerns_those_it_selected() -> None:
    made = selection(resource("team", ref("a*", image())), a1={}, b1={})
    assert made.drop_resource(next(iter(made.resources())).name) == {name("a1")}
    assert chosen(made, "a1") == []
