"""The rules of deciding, one by one: each is true at all times, whatever people and strangers do.

What they mean in detail is told by the tests of the modules that they are made of.
"""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.domain.builders import NOW, ago, at, built, snapshot, version
from tests.fakes.cluster import helm_application
from updater.domain.annotations import track
from updater.domain.candidates import TagRecord
from updater.domain.decision import Current, Hold, Memory, Origin, Reason, Update, UpToDate
from updater.domain.election import decide, elect
from updater.domain.errors import Misconfigured
from updater.domain.filters import TagFilters
from updater.domain.policy import Policy, Strategy
from updater.domain.references import parse_reference
from updater.domain.version import parse_version
from updater.stages.present import unmanaged

IMAGE = "registry.example.com/team/app"
NEVER = Memory()
_TAGS = st.lists(
    st.sampled_from(["1.0", "1.0.0", "v1.0.0", "1.1.0", "1.2.0", "2.0.0", "main-1", "latest"]), unique=True
)
_POLICIES = st.builds(
    Policy,
    strategy=st.sampled_from([Strategy.SEMVER, Strategy.ALPHABETICAL, Strategy.NUMERIC]),
    constraint=st.just(""),
    allow_downgrade=st.booleans(),
    rollback_overwrite=st.booleans(),
    pin=st.sampled_from(["", "1.1.0"]),
)
_PRESENT = st.sampled_from(["", "1.0", "1.1.0", "9.0.0", "hotfix"])


@given(_POLICIES, _TAGS, _PRESENT)
def test_rule_1_an_incomplete_answer_decides_nothing(policy: Policy, tags: list[str], present: str) -> None:
    decision = decide(policy, snapshot(*tags, incomplete="page 2 failed"), at(present), NEVER, NOW)
    assert isinstance(decision, Hold)
    assert decision.reason is Reason.INCOMPLETE


def test_rule_1_a_tag_that_could_win_and_is_not_looked_into_decides_nothing() -> None:
    policy = Policy(strategy=Strategy.NEWEST_BUILD)
    decision = decide(policy, snapshot(built("a", ago(days=1)), TagRecord("b")), at("a"), NEVER, NOW)
    assert decision.reason is Reason.INCOMPLETE


@given(_TAGS, st.sampled_from(["1.0", "1.1.0", "2.0.0", "9.0.0"]))
def test_rule_2_nothing_goes_back_by_accident(tags: list[str], present: str) -> None:
    decision = decide(Policy(), snapshot(*tags), at(present), NEVER, NOW)
    if isinstance(decision, Update):
        before, after = parse_version(present), parse_version(decision.version.tag)
        assert before is not None
        assert after is not None
        assert before < after


@pytest.mark.parametrize("policy", [Policy(constraint="~1.0"), Policy(allow_downgrade=True, skip_tags=("1.1.0",))])
def test_rule_2_a_constraint_that_moved_and_allow_downgrade_go_back(policy: Policy) -> None:
    decision = decide(policy, snapshot("1.0.7", "1.1.0"), at("1.2.0"), NEVER, NOW)
    assert isinstance(decision, Update)
    assert decision.version == version("1.0.7")


@given(st.permutations(["1.20", "1.20.0", "v1.20.0"]), st.sampled_from(["1.20", "1.20.0", "v1.20.0"]))
def test_rule_3_equal_is_equal(tags: list[str], present: str) -> None:
    decision = decide(Policy(), snapshot(*tags), at(present), NEVER, NOW)
    assert isinstance(decision, UpToDate)
    assert decision.version == version(present)
    assert elect(Policy(), snapshot(*tags), NOW).candidates[0].record.name == "v1.20.0"


def test_rule_4_a_rollback_is_respected_until_something_newer_appears() -> None:
    held = decide(Policy(), snapshot("1.0.0", "1.2.0"), at("1.0.0"), Memory(version("1.2.0")), NOW)
    assert isinstance(held, Hold)
    assert (held.reason, held.rejected) == (Reason.ROLLED_BACK, version("1.2.0"))
    remembered = Memory(version("1.2.0"), held.rejected)
    later = decide(Policy(), snapshot("1.0.0", "1.2.0", "1.3.0"), at("1.0.0"), remembered, NOW)
    assert isinstance(later, Update)
    assert later.version == version("1.3.0")


@pytest.mark.parametrize(
    "policy",
    [
        Policy(constraint=">>1"),
        Policy(allow_tags="regexp:("),
        Policy(strategy=Strategy.DIGEST),
        Policy(schedule="at night"),
        Policy(extract="[0-9]+"),
    ],
)
def test_rule_5_misconfiguration_is_loud(policy: Policy) -> None:
    with pytest.raises(Misconfigured):
        elect(policy, snapshot("1.0.0"), NOW)


def test_rule_5_misconfiguration_is_local() -> None:
    annotations = {"image-list": f"app={IMAGE}:>>1,other=quay.io/team/other", "other.helm.image-tag": "other.tag"}
    tracked = track(helm_application("one", IMAGE, annotations), "argocd")
    assert tracked is not None
    assert [image.alias for image in tracked.images] == ["other"]
    assert [problem.alias for problem in tracked.problems] == ["app"]


def test_rule_6_spellings_of_docker_hub_are_one() -> None:
    spellings = ["nginx", "docker.io/nginx", "docker.io/library/nginx", "index.docker.io/library/nginx"]
    assert len({parse_reference(each).repository for each in spellings}) == 1


def test_rule_7_digits_alone_are_no_version_unless_loose() -> None:
    tags = snapshot("1.2.0", "20240101")
    assert elect(Policy(), tags, NOW).candidates[0].record.name == "1.2.0"
    assert elect(Policy(semver_loose=True), tags, NOW).candidates[0].record.name == "20240101"


def test_rule_7_filters_take_linear_time_for_expressions_that_others_take_exponential_time_for() -> None:
    filters = TagFilters.of(Policy(allow_tags="regexp:^(a|a|aa)+$", ignore_tags=("*a*a*a*a*a*a*a*a*a*b",)))
    assert filters.drops("a" * 10_000 + "!") == "allow-tags"
    assert filters.drops("a" * 10_000) == ""


def test_rule_8_an_image_is_managed_when_it_runs_or_its_target_names_it_or_force_update_is_on() -> None:
    application = helm_application("one", IMAGE, live=None)
    elsewhere = helm_application("one", "registry.example.com/team/else")
    tracked, forced = (
        track(helm_application("one", IMAGE, annotations), "argocd")
        for annotations in ({}, {"app.force-update": "true"})
    )
    assert tracked is not None
    assert forced is not None
    not_found = unmanaged(elsewhere, tracked.images[0], Current())
    assert not_found is not None
    assert not_found.reason is Reason.NOT_FOUND
    assert "registry.example.com/team/else" in not_found.message
    assert unmanaged(elsewhere, tracked.images[0], at("1.0", Origin.LIVE)) is None
    assert unmanaged(elsewhere, tracked.images[0], at("1.0", Origin.TARGET)) is None
    assert unmanaged(elsewhere, forced.images[0], Current()) is None
    assert unmanaged(application, tracked.images[0], Current()) is None
