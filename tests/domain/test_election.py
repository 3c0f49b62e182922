"""Which tags are candidates, in which order, and why the others are not."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.domain.builders import AMD64, ARM64, NOW, ago, built, digest, snapshot
from updater.domain.candidates import Build, TagRecord
from updater.domain.decision import Verdict
from updater.domain.election import elect
from updater.domain.errors import Misconfigured
from updater.domain.image import ImageVersion, Repository
from updater.domain.platform import Platform
from updater.domain.policy import Output, Policy, Strategy
from updater.domain.policy_check import check_policy

BUILD = Policy(strategy=Strategy.NEWEST_BUILD)
PUSH = Policy(strategy=Strategy.NEWEST_PUSH)
NUMERIC = Policy(strategy=Strategy.NUMERIC)
ALPHABETICAL = Policy(strategy=Strategy.ALPHABETICAL)


def ranked(policy: Policy, *tags: str | TagRecord) -> list[str]:
    return [candidate.record.name for candidate in elect(policy, snapshot(*tags), NOW).candidates]


def dropped(policy: Policy, *tags: str | TagRecord) -> dict[str, str]:
    return {verdict.tag: str(verdict.reason) for verdict in _verdicts(policy, *tags) if not verdict.kept}


def _verdicts(policy: Policy, *tags: str | TagRecord) -> tuple[Verdict, ...]:
    return elect(policy, snapshot(*tags), NOW).verdicts


def test_semver_ranks_by_precedence_and_not_by_text() -> None:
    assert ranked(Policy(), "1.9.0", "1.10.0", "1.2.0") == ["1.10.0", "1.9.0", "1.2.0"]


def test_equal_versions_rank_the_most_specific_first_then_the_greater_text() -> None:
    assert ranked(Policy(), "1.20", "1.20.0", "v1.20.0", "1.20.0") == ["v1.20.0", "1.20.0", "1.20"]


def test_semver_says_why_each_tag_was_dropped() -> None:
    assert dropped(Policy(constraint="~1.2"), "1.2.3", "latest", "1.3.0", "1.2.4-rc.1", "2.0.0-rc.1") == {
        "latest": "not-a-version",
        "1.3.0": "constraint",
        "1.2.4-rc.1": "pre-release",
        "2.0.0-rc.1": "constraint",
    }


def test_digits_of_a_date_are_no_version_unless_loose() -> None:
    assert dropped(Policy(), "20240101") == {"20240101": "not-a-version"}
    assert ranked(Policy(semver_loose=True), "20240101", "1.0.0") == ["20240101", "1.0.0"]


def test_filters_drop_before_the_order_is_asked() -> None:
    policy = Policy(allow_tags="regexp:^1[.]", ignore_tags=("*.9",), skip_tags=("1.2.3",))
    assert dropped(policy, "1.2.2", "1.2.3", "1.2.9", "2.0.0") == {
        "1.2.3": "skip-tags",
        "1.2.9": "ignore-tags",
        "2.0.0": "allow-tags",
    }


@pytest.mark.parametrize("name", ["", "a b", "1.0\nimage: evil", "../up", "é", "-1", "x" * 129, "\ud800"])
def test_what_is_no_tag_name_is_never_a_candidate(name: str) -> None:
    assert dropped(ALPHABETICAL, name, "ok") == {name: "not-a-tag"}


CHART = Policy(of_chart=True)


def test_version_of_a_chart_may_have_build_metadata() -> None:
    assert ranked(CHART, "1.2.0+1", "1.1.0") == ["1.2.0+1", "1.1.0"]
    assert dropped(Policy(), "1.2.0+1") == {"1.2.0+1": "not-a-tag"}


def test_tag_of_a_chart_is_spelled_as_helm_spells_its_version() -> None:
    assert ranked(CHART, "1.2.0_build.1", "1.1.0") == ["1.2.0+build.1", "1.1.0"]


def test_underscore_in_an_index_is_no_plus() -> None:
    listed = replace(snapshot("1.2.0_1"), repository=Repository("https://charts.example.com", "shop"))
    assert elect(CHART, listed, NOW).dropped == {"1.2.0_1": "not-a-tag"}


@pytest.mark.parametrize("name", ["", "+1", "1.0+a b", "1.0\n+evil", "../1.0", "x" * 129])
def test_what_is_no_version_of_a_chart_is_never_a_candidate(name: str) -> None:
    assert dropped(CHART, name, "1.0.0") == {name: "not-a-tag"}


def test_alphabetical_follows_bytes() -> None:
    assert ranked(ALPHABETICAL, "a", "B", "10", "9") == ["a", "B", "9", "10"]


def test_alphabetical_descending_prefers_the_smallest() -> None:
    assert ranked(Policy(strategy=Strategy.ALPHABETICAL, sort="tag asc"), "b", "a", "c") == ["a", "b", "c"]


@pytest.mark.parametrize("strategy", [Strategy.ALPHABETICAL, Strategy.NUMERIC])
@pytest.mark.parametrize("sort", ["tag desc", "desc", "tag", " TAG  Desc "])
def test_orders_by_name_are_descending_unless_told_otherwise(strategy: Strategy, sort: str) -> None:
    assert ranked(Policy(strategy=strategy, sort=sort), "1", "3", "2") == ["3", "2", "1"]


def test_numeric_compares_all_numbers_whatever_stands_between() -> None:
    assert ranked(NUMERIC, "build-9-1", "build-10", "build-9-12") == ["build-10", "build-9-12", "build-9-1"]


def test_numeric_has_no_largest_number() -> None:
    large = "9" * 60
    assert ranked(NUMERIC, large, "1" + large, "8" + large[1:]) == ["1" + large, large, "8" + large[1:]]


def test_numeric_drops_tags_without_numbers() -> None:
    assert dropped(NUMERIC, "7", "latest") == {"latest": "no-number"}


def test_numeric_descending_prefers_the_smallest() -> None:
    assert ranked(Policy(strategy=Strategy.NUMERIC, sort="asc"), "10", "9", "9-1") == ["9", "9-1", "10"]


def test_newest_build_ranks_by_date() -> None:
    tags = built("a", ago(days=2)), built("b", ago(days=3)), built("c", ago(days=1))
    assert ranked(BUILD, *tags) == ["c", "a", "b"]


def test_newest_build_takes_the_youngest_platform() -> None:
    tag = TagRecord("multi", builds=(Build(AMD64, ago(days=9)), Build(ARM64, ago(days=1))))
    assert ranked(BUILD, tag, built("a", ago(days=2))) == ["multi", "a"]


def test_newest_build_leaves_out_platforms_that_others_asked_for() -> None:
    policy = Policy(strategy=Strategy.NEWEST_BUILD, platforms=(AMD64,))
    multi = TagRecord("multi", builds=(Build(AMD64, ago(days=9)), Build(ARM64, ago(days=1))))
    only_arm = TagRecord("arm", builds=(Build(ARM64, ago(days=1)),))
    assert ranked(policy, multi, built("a", ago(days=2)), only_arm) == ["a", "multi"]
    assert dropped(policy, multi, only_arm) == {"arm": "platform"}


def test_wanted_platform_without_variant_takes_any() -> None:
    policy = Policy(strategy=Strategy.NEWEST_BUILD, platforms=(Platform("linux", "arm"),))
    assert ranked(policy, TagRecord("a", builds=(Build(Platform("linux", "arm", "v7"), ago(days=1)),))) == ["a"]


def test_newest_build_says_what_it_cannot_date() -> None:
    tags = (
        TagRecord("none", builds=()),
        TagRecord("unknown"),
        built("undated", None),
        built("epoch", datetime(1970, 1, 1, tzinfo=UTC)),
        built("zip", datetime(1980, 1, 1, tzinfo=UTC)),
        built("future", NOW + timedelta(days=400)),
    )
    assert dropped(BUILD, *tags) == {
        "none": "platform",
        "unknown": "unknown",
        "undated": "no-date",
        "epoch": "false-date",
        "zip": "false-date",
        "future": "false-date",
    }


def test_newest_push_prefers_the_registry_word_over_the_first_sight() -> None:
    early = TagRecord("early", pushed=ago(days=9), first_seen=ago(days=1))
    late = TagRecord("late", first_seen=ago(days=2))
    assert ranked(PUSH, early, late) == ["late", "early"]


def test_tags_of_the_same_time_rank_by_their_numbers() -> None:
    """A poll may see several pushes at once; `main-10` came after `main-9`."""
    tags = [TagRecord(name, first_seen=ago(days=1)) for name in ("main-9", "main-10")]
    assert ranked(PUSH, *tags, TagRecord("main-1", first_seen=ago(days=2))) == ["main-10", "main-9", "main-1"]


def test_digest_has_its_one_tag_for_a_candidate() -> None:
    policy = Policy(strategy=Strategy.DIGEST, constraint="stable")
    assert ranked(policy, "stable", "latest") == ["stable"]
    assert dropped(policy, "stable", "latest") == {"latest": "constraint"}


def test_extract_sorts_by_its_groups_as_numbers() -> None:
    policy = Policy(extract=r"^r(?P<year>\d+)-b(?P<build>\d+)$", sort="year desc, build desc")
    assert ranked(policy, "r2024-b9", "r2024-b10", "r2025-b1", "latest") == ["r2025-b1", "r2024-b10", "r2024-b9"]
    assert dropped(policy, "latest") == {"latest": "extract"}


def test_ascending_part_of_sort_prefers_the_smallest() -> None:
    policy = Policy(extract=r"(?P<year>\d+)-(?P<build>\d+)", sort="year desc, build asc")
    assert ranked(policy, "2024-1", "2025-2", "2025-1") == ["2025-1", "2025-2", "2024-1"]


def test_extract_without_sort_takes_its_groups_in_their_order() -> None:
    assert ranked(Policy(extract=r"(?P<a>\d+)\.(?P<b>\d+)"), "1.10", "1.9", "2.0") == ["2.0", "1.10", "1.9"]


def test_groups_rank_nothing_below_numbers_below_text() -> None:
    policy = Policy(extract=r"^b(?P<part>\w*)$")
    assert ranked(policy, "b", "b12", "bx", "b3", "b" + "9" * 40) == ["bx", "b" + "9" * 40, "b12", "b3", "b"]


def test_sort_may_name_the_tag_itself() -> None:
    policy = Policy(extract=r"(?P<year>\d{4})", sort="year desc, tag asc")
    assert ranked(policy, "2024-b", "2024-a", "2025-z") == ["2025-z", "2024-a", "2024-b"]


def test_verdicts_are_the_kept_by_rank_then_the_dropped_by_name() -> None:
    assert _verdicts(Policy(), "zebra", "1.0.0", "ape", "2.0.0") == (
        Verdict("2.0.0", kept=True, reason="kept", rank=1),
        Verdict("1.0.0", kept=True, reason="kept", rank=2),
        Verdict("ape", kept=False, reason="not-a-version"),
        Verdict("zebra", kept=False, reason="not-a-version"),
    )


def test_incomplete_snapshot_ranks_nothing() -> None:
    assert elect(Policy(), snapshot("1.0.0", incomplete="page 2 failed"), NOW).verdicts == ()


def test_metadata_of_a_moved_tag_is_not_the_metadata_of_its_old_digest() -> None:
    election = elect(BUILD, snapshot(built("main", ago(days=1), 2)), NOW)
    assert election.record_of(ImageVersion("main")).builds is not None
    assert election.record_of(ImageVersion("main", digest(2))).builds is not None
    assert election.record_of(ImageVersion("main", digest(1))).builds is None


@pytest.mark.parametrize(
    ("policy", "words"),
    [
        (Policy(constraint=">>1"), ["constraint", "'>>1'"]),
        (Policy(allow_tags="regexp:("), ["allow-tags"]),
        (Policy(ignore_tags=("[",)), ["ignore-tags"]),
        (Policy(strategy=Strategy.DIGEST), ["digest", "no tag"]),
        (Policy(strategy=Strategy.DIGEST, constraint="~1.2"), ["'~1.2'", "no tag"]),
        (Policy(strategy=Strategy.DIGEST, constraint="latest", output=Output.TAG), ["output", "tag@digest"]),
        (Policy(strategy=Strategy.NEWEST_BUILD, constraint="k8s-dev-*"), ["'k8s-dev-*'", "newest-build", "allow-tags"]),
        (Policy(strategy=Strategy.ALPHABETICAL, constraint="1.x"), ["'1.x'", "alphabetical", "allow-tags"]),
        (Policy(extract="("), ["extract", "'('"]),
        (Policy(extract="[0-9]+"), ["names no group"]),
        (Policy(extract="(?P<a>.)", sort="b desc"), ["'b'", "a or tag"]),
        (Policy(extract="(?P<a>.)", sort="a down"), ["'a down'", "year desc"]),
        (Policy(extract="(?P<a>.)", sort="a,,"), ["''"]),
        (Policy(extract="(?P<a>.)", constraint="1.x"), ["'1.x'", "extract"]),
        (Policy(extract="(?P<a>.)", strategy=Strategy.NEWEST_PUSH), ["newest-push"]),
        (Policy(strategy=Strategy.NUMERIC, sort="year desc"), ["'year desc'", "extract", "tag asc"]),
        (Policy(sort="tag asc"), ["'tag asc'", "versions", "update-strategy"]),
        (Policy(schedule="0 22 * * *"), ["schedule '0 22 * * *'", "a duration", "allow 0 22 * * MON-FRI 4h"]),
        (Policy(schedule="0 22 * * * 4h Berlin"), ["'Berlin'", "Europe/Berlin"]),
        (Policy(schedule="0 25 * * * 4h"), ["'0 25 * * *'", "Bad hour"]),
        (Policy(schedule="0 0 31 FEB * 4h"), ["'0 0 31 FEB *'"]),
        (Policy(schedule="0 0 * * * 90s"), ["90s", "whole minutes"]),
        (Policy(schedule="deny 0 0 * * * soon"), ["'soon'", "1h30m"]),
        (Policy(minimum_age=timedelta(hours=-1)), ["minimum-age", "-3600s"]),
        (Policy(minimum_age=timedelta(days=99999)), ["minimum-age", "ten years"]),
        (Policy(pin="1.2.3@sha256:0"), ["pin", "'1.2.3@sha256:0'"]),
    ],
)
def test_policy_that_cannot_be_followed_is_told_with_value_and_remedy(policy: Policy, words: list[str]) -> None:
    (problem,) = check_policy(policy)
    assert all(word in problem for word in words)
    with pytest.raises(Misconfigured) as raised:
        elect(policy, snapshot("1.0.0"), NOW)
    assert str(raised.value) == problem


def test_all_problems_of_a_policy_are_told_at_once() -> None:
    assert len(check_policy(Policy(constraint=">>1", allow_tags="regexp:(", pin="a b"))) == 3


@pytest.mark.parametrize("strategy", Strategy)
def test_plain_policy_has_no_problems(strategy: Strategy) -> None:
    assert check_policy(Policy(strategy=strategy, constraint="latest" if strategy is Strategy.DIGEST else "")) == ()


@given(st.lists(st.sampled_from(["1", "1.0", "v1.0", "1.0.0", "2", "2.1", "2.1-rc.1", "20240101", "latest", "a b"])))
def test_ranks_count_from_one_and_every_tag_has_one_verdict(tags: list[str]) -> None:
    verdicts = _verdicts(Policy(), *tags)
    ranks = [verdict.rank for verdict in verdicts if verdict.kept]
    assert ranks == list(range(1, len(ranks) + 1))
    assert all(verdict.rank is None for verdict in verdicts if not verdict.kept)
    assert sorted(verdict.tag for verdict in verdicts) == sorted(set(tags))


@given(st.text(max_size=20), st.text(max_size=20))
def test_any_extract_and_sort_are_followed_or_refused_in_words(extract: str, sort: str) -> None:
    policy = Policy(extract=extract, sort=sort)
    if check_policy(policy):
        return
    elect(policy, snapshot("2024-1", "2024-10", "latest", "v1.0.0"), NOW)
