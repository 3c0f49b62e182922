"""What one image should do about an election: every rule that keeps people safe."""

import json
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.domain.builders import NOW, ago, at, built, digest, snapshot, version
from updater.domain.candidates import Snapshot, TagRecord
from updater.domain.decision import Current, Decision, Hold, Invalid, Memory, Origin, Reason, Update, UpToDate
from updater.domain.election import decide, elect
from updater.domain.image import ImageVersion
from updater.domain.policy import Output, Policy, Strategy
from updater.domain.record import decision_record
from updater.domain.ripening import reconsider_at

BUILD = Policy(strategy=Strategy.NEWEST_BUILD)
PUSH = Policy(strategy=Strategy.NEWEST_PUSH)
DIGEST = Policy(strategy=Strategy.DIGEST, constraint="latest")
NEVER = Memory()


def judged(
    policy: Policy,
    tags: Snapshot,
    current: Current | str = "",
    memory: Memory = NEVER,
    now: datetime = NOW,
) -> Decision:
    present = at(current) if isinstance(current, str) and current else current
    return decide(policy, tags, present if isinstance(present, Current) else Current(), memory, now)


def update(decision: Decision) -> tuple[Reason, str]:
    assert isinstance(decision, Update), decision
    return decision.reason, str(decision.version)


def hold(decision: Decision) -> tuple[Reason, str]:
    assert isinstance(decision, Hold), decision
    return decision.reason, str(decision.candidate)


def up_to_date(decision: Decision) -> tuple[Reason, str]:
    assert isinstance(decision, UpToDate), decision
    return decision.reason, str(decision.version)


def wrote(text: str, rejected: str = "") -> Memory:
    return Memory(version(text), version(rejected))


def pushed(name: str, **age: float) -> TagRecord:
    return TagRecord(name, pushed=ago(**age))


def seen(name: str, **age: float) -> TagRecord:
    return TagRecord(name, first_seen=ago(**age))


# The order


def test_newer_tag_is_an_update() -> None:
    decision = judged(Policy(), snapshot("1.0.0", "1.1.0"), "1.0.0")
    assert update(decision) == (Reason.NEWER, "1.1.0")
    assert isinstance(decision, Update)
    assert decision.previous == version("1.0.0")
    assert decision.message == "1.1.0 is newer than 1.0.0"


def test_best_tag_in_place_is_up_to_date_and_named() -> None:
    assert up_to_date(judged(Policy(), snapshot("1.0.0", "1.1.0"), "1.1.0")) == (Reason.CURRENT, "1.1.0")


@pytest.mark.parametrize("current", [Current(), Current(ImageVersion(), Origin.TARGET), at("1.5.0", Origin.UNKNOWN)])
def test_unknown_current_takes_the_best(current: Current) -> None:
    assert update(judged(Policy(), snapshot("1.0.0", "1.1.0"), current)) == (Reason.NEWER, "1.1.0")


def test_current_that_is_no_version_takes_the_best() -> None:
    assert update(judged(Policy(), snapshot("latest", "1.1.0"), "latest")) == (Reason.NEWER, "1.1.0")


def test_nothing_older_replaces_a_current_that_left_the_registry() -> None:
    decision = judged(Policy(), snapshot("1.0.0", "1.1.0"), "1.2.0")
    assert up_to_date(decision) == (Reason.CURRENT_IS_NEWER, "")
    assert "allow-downgrade" in decision.message


def test_allow_downgrade_lets_something_older_replace_it() -> None:
    policy = Policy(allow_downgrade=True)
    assert update(judged(policy, snapshot("1.0.0", "1.1.0"), "1.2.0"))[1] == "1.1.0"


def test_constraint_that_moved_below_the_current_moves_it_down() -> None:
    decision = judged(Policy(constraint="~1.0"), snapshot("1.0.7", "1.2.0"), "1.2.0")
    assert update(decision) == (Reason.CONSTRAINT_MOVED, "1.0.7")
    assert decision.message == "1.0.7 is the best allowed, and 1.2.0 is not allowed any more (outside constraint ~1.0)"


def test_constraint_that_moved_above_the_current_is_simply_newer() -> None:
    assert update(judged(Policy(constraint="~2"), snapshot("1.2.0", "2.0.0"), "1.2.0")) == (Reason.NEWER, "2.0.0")


@pytest.mark.parametrize("constraint", ["", "^1.2"])
def test_pre_release_of_what_is_allowed_is_not_moved_down(constraint: str) -> None:
    """Somebody runs the next version early; the constraint did not move away from it."""
    decision = judged(Policy(constraint=constraint), snapshot("1.2.9", "1.3.0-rc.1"), "1.3.0-rc.1")
    assert up_to_date(decision) == (Reason.CURRENT_IS_NEWER, "")


def test_pre_release_gives_way_to_its_release() -> None:
    assert update(judged(Policy(), snapshot("1.3.0-rc.1", "1.3.0"), "1.3.0-rc.1")) == (Reason.NEWER, "1.3.0")


def test_skipping_the_current_moves_it_down() -> None:
    decision = judged(Policy(skip_tags=("1.2.0",)), snapshot("1.1.0", "1.2.0"), "1.2.0")
    assert update(decision) == (Reason.CONSTRAINT_MOVED, "1.1.0")
    assert "skip-tags" in decision.message


def test_filter_that_moved_is_followed_by_name_orders_too() -> None:
    policy = Policy(strategy=Strategy.ALPHABETICAL, allow_tags="regexp:^dev-")
    assert update(judged(policy, snapshot("dev-3", "main-9"), "main-9")) == (Reason.CONSTRAINT_MOVED, "dev-3")


@pytest.mark.parametrize("current", ["1.20", "1.20.0", "v1.20.0"])
def test_equal_versions_never_replace_each_other(current: str) -> None:
    assert up_to_date(judged(Policy(), snapshot("1.20", "1.20.0", "v1.20.0"), current)) == (Reason.CURRENT, current)


def test_equal_version_does_not_replace_one_that_left_the_registry() -> None:
    assert up_to_date(judged(Policy(), snapshot("1.20.0"), "1.20")) == (Reason.CURRENT, "1.20")


def test_digest_somebody_added_to_the_best_tag_is_left_alone() -> None:
    assert up_to_date(judged(Policy(), snapshot("1.1.0"), f"1.1.0@{digest(1)}"))[0] is Reason.CURRENT


def test_current_known_by_its_digest_alone_is_found_by_it() -> None:
    tags = snapshot(TagRecord("1.0.0", digest(1)), TagRecord("1.1.0", digest(2)))
    unknown_tag = Current(ImageVersion("", digest(2)), Origin.LIVE)
    assert up_to_date(judged(Policy(), tags, unknown_tag))[0] is Reason.CURRENT
    assert update(judged(Policy(), tags, Current(ImageVersion("", digest(1)), Origin.LIVE))) == (Reason.NEWER, "1.1.0")


# Incomplete answers


@pytest.mark.parametrize("policy", [Policy(), BUILD, DIGEST, Policy(pin="1.1.0"), Policy(allow_downgrade=True)])
def test_incomplete_snapshot_decides_nothing(policy: Policy) -> None:
    decision = judged(policy, snapshot("1.0.0", "1.1.0", "latest", incomplete="page 2 answered 500"), "1.0.0")
    assert hold(decision)[0] is Reason.INCOMPLETE
    assert "page 2 answered 500" in decision.message


@pytest.mark.parametrize("policy", [Policy(), BUILD, Policy(pin="9")])
def test_tags_that_were_not_listed_decide_nothing(policy: Policy) -> None:
    decision = judged(policy, snapshot("1.1.0", listed=False), "1.0.0")
    assert hold(decision)[0] is Reason.INCOMPLETE


def test_digest_needs_no_list() -> None:
    tags = snapshot(TagRecord("latest", digest(2)), listed=False)
    assert update(judged(DIGEST, tags, f"latest@{digest(1)}"))[0] is Reason.DIGEST_MOVED


def test_tag_without_metadata_that_could_win_decides_nothing() -> None:
    decision = judged(BUILD, snapshot(built("a", ago(days=1)), TagRecord("b")), "")
    assert hold(decision)[0] is Reason.INCOMPLETE
    assert "(b)" in decision.message


def test_tag_without_metadata_that_cannot_win_is_no_matter() -> None:
    policy = Policy(strategy=Strategy.NEWEST_BUILD, ignore_tags=("b",))
    assert update(judged(policy, snapshot(built("a", ago(days=1)), TagRecord("b"))))[1] == "a"


# Nothing to choose


def test_no_candidate_tells_what_was_dropped_and_why() -> None:
    tags = [f"sha-{number}" for number in range(9)] + ["1.3.0", "2.0.0", "3.0.0"]
    decision = judged(Policy(constraint="~1.2"), snapshot(*tags), "1.2.0")
    assert hold(decision) == (Reason.NO_CANDIDATE, "")
    assert decision.message == (
        "registry.example.com/team/app has no tag to choose among 12 tags: 9 not a version, 3 outside constraint ~1.2"
    )


def test_empty_repository_is_no_candidate() -> None:
    assert judged(Policy(), snapshot()).message == "registry.example.com/team/app has no tags"


def test_digest_tag_that_does_not_exist_is_no_candidate() -> None:
    decision = judged(DIGEST, snapshot(listed=False), "latest")
    assert hold(decision) == (Reason.NO_CANDIDATE, "")
    assert "no tag latest" in decision.message


# Orders by time


def test_newest_build_replaces_an_older_build() -> None:
    tags = snapshot(built("a", ago(days=1)), built("b", ago(days=2)))
    assert update(judged(BUILD, tags, "b")) == (Reason.NEWER, "a")
    assert up_to_date(judged(BUILD, tags, "a")) == (Reason.CURRENT, "a")


def test_newest_build_takes_the_newest_when_the_current_left_the_registry() -> None:
    assert update(judged(BUILD, snapshot(built("a", ago(days=1))), "gone")) == (Reason.NEWER, "a")


@pytest.mark.parametrize(("policy", "older"), [(BUILD, built("a", ago(days=2))), (PUSH, pushed("a", days=2))])
def test_what_was_there_when_the_current_was_written_does_not_replace_it_while_a_list_lacks_it(
    policy: Policy, older: TagRecord
) -> None:
    written = replace(wrote("gone"), written_at=ago(days=1))
    decision = judged(policy, snapshot(older), "gone", written)
    assert up_to_date(decision) == (Reason.CURRENT_IS_NEWER, "")
    assert "gone, which is not listed any more" in decision.message
    assert "set allow-downgrade" in decision.message
    assert update(judged(replace(policy, allow_downgrade=True), snapshot(older), "gone", written))[1] == "a"


@pytest.mark.parametrize(("policy", "newer"), [(BUILD, built("a", ago(hours=2))), (PUSH, pushed("a", hours=2))])
def test_what_came_after_the_current_was_written_replaces_it_though_the_current_left(
    policy: Policy, newer: TagRecord
) -> None:
    written = replace(wrote("gone"), written_at=ago(days=1))
    assert update(judged(policy, snapshot(newer), "gone", written)) == (Reason.NEWER, "a")


def test_builds_of_one_moment_leave_the_current_and_say_so() -> None:
    tags = snapshot(built("a", ago(days=1)), built("b", ago(days=1)), built("c", ago(days=1)))
    decision = judged(BUILD, tags, "a")
    assert up_to_date(decision) == (Reason.CURRENT, "a")
    assert "3 tags have the same time" in decision.message


@pytest.mark.parametrize("policy", [BUILD, PUSH])
@pytest.mark.parametrize("current", ["", "gone"])
def test_times_that_tell_nothing_apart_choose_nothing(policy: Policy, current: str) -> None:
    tags = [TagRecord(tag.name, tag.digest, tag.builds, pushed=ago(days=1)) for tag in _built_at_once("a", "b")]
    decision = judged(policy, snapshot(*tags), current)
    assert hold(decision) == (Reason.NO_CANDIDATE, "b")
    assert "none is the newest" in decision.message


def _built_at_once(*names: str) -> list[TagRecord]:
    return [built(name, ago(days=1)) for name in names]


def test_tags_of_one_image_need_not_be_told_apart() -> None:
    tags = snapshot(built("1.0", ago(days=1), 7), built("latest", ago(days=1), 7))
    assert update(judged(BUILD, tags)) == (Reason.NEWER, "1.0")


def test_images_that_all_say_1970_are_no_candidates() -> None:
    epoch = datetime(1970, 1, 1, tzinfo=UTC)
    decision = judged(BUILD, snapshot(built("a", epoch), built("b", epoch)), "a")
    assert hold(decision) == (Reason.NO_CANDIDATE, "")
    assert "2 with an impossible date of build" in decision.message


def test_current_that_says_1970_is_not_replaced_by_what_may_be_older() -> None:
    decision = judged(BUILD, snapshot(built("a", ago(days=900)), built("b", datetime(1980, 1, 1, tzinfo=UTC))), "b")
    assert hold(decision) == (Reason.NO_CANDIDATE, "a")
    assert "impossible date" in decision.message


def test_up_to_date_mentions_tags_that_could_not_be_dated() -> None:
    decision = judged(BUILD, snapshot(built("a", ago(days=1)), built("b", datetime(1970, 1, 1, tzinfo=UTC))), "a")
    assert decision.message == "a is the best allowed (1 tag without a usable date of build left out)"


# Digests and outputs


def test_digest_strategy_writes_tag_and_digest() -> None:
    tags = snapshot(TagRecord("latest", digest(2)))
    assert update(judged(DIGEST, tags)) == (Reason.NEWER, f"latest@{digest(2)}")
    assert update(judged(DIGEST, tags, "latest")) == (Reason.DIGEST_MOVED, f"latest@{digest(2)}")
    assert update(judged(DIGEST, tags, f"latest@{digest(1)}")) == (Reason.DIGEST_MOVED, f"latest@{digest(2)}")
    assert up_to_date(judged(DIGEST, tags, f"latest@{digest(2)}")) == (Reason.CURRENT, f"latest@{digest(2)}")


def test_digest_strategy_follows_another_tag_when_told_to() -> None:
    tags = snapshot(TagRecord("latest", digest(2)))
    assert update(judged(DIGEST, tags, f"edge@{digest(1)}")) == (Reason.CONSTRAINT_MOVED, f"latest@{digest(2)}")


def test_digest_alone_is_recognised_as_it_is_written() -> None:
    policy = Policy(strategy=Strategy.DIGEST, constraint="stable", output=Output.DIGEST)
    tags = snapshot(TagRecord("stable", digest(2)))
    decision = judged(policy, tags, f"latest@{digest(1)}")
    assert update(decision) == (Reason.DIGEST_MOVED, f"latest@{digest(2)}")
    assert isinstance(decision, Update)
    assert decision.version == ImageVersion("", digest(2))
    assert up_to_date(judged(policy, tags, f"latest@{digest(2)}"))[0] is Reason.CURRENT


def test_semver_with_digests_follows_the_digest_of_its_tag() -> None:
    policy = Policy(output=Output.TAG_DIGEST)
    tags = snapshot(TagRecord("1.1.0", digest(2)), TagRecord("1.0.0", digest(1)))
    assert update(judged(policy, tags, f"1.0.0@{digest(1)}")) == (Reason.NEWER, f"1.1.0@{digest(2)}")
    assert update(judged(policy, tags, "1.1.0")) == (Reason.DIGEST_MOVED, f"1.1.0@{digest(2)}")
    assert update(judged(policy, tags, f"1.1.0@{digest(9)}")) == (Reason.DIGEST_MOVED, f"1.1.0@{digest(2)}")
    assert up_to_date(judged(policy, tags, f"1.1.0@{digest(2)}"))[0] is Reason.CURRENT


def test_moved_digest_keeps_the_present_spelling_of_an_equal_version() -> None:
    policy = Policy(output=Output.TAG_DIGEST)
    tags = snapshot(TagRecord("1.20", digest(2)), TagRecord("1.20.0", digest(2)))
    assert update(judged(policy, tags, f"1.20@{digest(1)}")) == (Reason.DIGEST_MOVED, f"1.20@{digest(2)}")


@pytest.mark.parametrize(
    "policy", [DIGEST, Policy(output=Output.DIGEST), Policy(output=Output.TAG_DIGEST, pin="1.1.0")]
)
@pytest.mark.parametrize("current", ["", "1.1.0"])
def test_unknown_digest_is_waited_for(policy: Policy, current: str) -> None:
    decision = judged(policy, snapshot("latest", "1.1.0"), current)
    assert hold(decision)[0] is Reason.INCOMPLETE
    assert "digest" in decision.message


# What a person took back


@pytest.mark.parametrize("origin", [Origin.TARGET, Origin.APPLICATION])
def test_rollback_by_a_person_is_held_and_remembered(origin: Origin) -> None:
    decision = judged(Policy(), snapshot("1.0.0", "1.1.0", "1.2.0"), at("1.0.0", origin), wrote("1.2.0"))
    assert hold(decision) == (Reason.ROLLED_BACK, "1.2.0")
    assert isinstance(decision, Hold)
    assert decision.rejected == version("1.2.0")
    assert "rollback: overwrite" in decision.message


@pytest.mark.parametrize("origin", [Origin.LIVE, Origin.BASE])
def test_what_was_not_read_where_we_write_is_no_rollback(origin: Origin) -> None:
    decision = judged(Policy(), snapshot("1.0.0", "1.2.0"), at("1.0.0", origin), wrote("1.2.0"))
    assert update(decision) == (Reason.NEWER, "1.2.0")


@pytest.mark.parametrize("origin", [Origin.LIVE, Origin.BASE])
def test_what_somebody_took_out_of_the_target_is_a_rollback(origin: Origin) -> None:
    """As the revert of our first commit does, when what is older comes from elsewhere again."""
    removed = Current(version("1.0.0"), origin, removed=True)
    decision = judged(Policy(), snapshot("1.0.0", "1.2.0"), removed, wrote("1.2.0"))
    assert hold(decision) == (Reason.ROLLED_BACK, "1.2.0")


def test_something_newer_than_what_was_taken_back_ends_the_hold() -> None:
    assert update(judged(Policy(), snapshot("1.2.0", "1.3.0"), "1.0.0", wrote("1.2.0", "1.2.0")))[1] == "1.3.0"


def test_what_is_older_than_what_was_taken_back_is_held_too() -> None:
    """1.2.0 left the registry after somebody rolled it back; 1.1.0 is not what they wanted either."""
    assert hold(judged(Policy(), snapshot("1.0.0", "1.1.0"), "1.0.0", wrote("1.2.0")))[0] is Reason.ROLLED_BACK


def test_remembered_rejection_holds_when_the_current_is_unknown() -> None:
    decision = judged(Policy(), snapshot("1.0.0", "1.2.0"), "", Memory(rejected=version("1.2.0")))
    assert hold(decision) == (Reason.ROLLED_BACK, "1.2.0")


def test_rollback_may_be_overwritten_when_told_to() -> None:
    policy = Policy(rollback_overwrite=True)
    assert update(judged(policy, snapshot("1.0.0", "1.2.0"), "1.0.0", wrote("1.2.0", "1.2.0")))[1] == "1.2.0"


@pytest.mark.parametrize("release", ["1.2.0", digest(2), f"1.2.0@{digest(2)}"])
def test_rolled_back_version_is_written_again_when_it_is_released(release: str) -> None:
    policy = Policy(release=release, output=Output.TAG_DIGEST)
    tags = snapshot(TagRecord("1.2.0", digest(2)), TagRecord("1.0.0", digest(1)))
    both = f"1.2.0@{digest(2)}"
    decision = judged(policy, tags, f"1.0.0@{digest(1)}", wrote(both, both))
    assert update(decision) == (Reason.NEWER, both)


def test_release_of_another_version_releases_nothing() -> None:
    decision = judged(Policy(release="1.1.0"), snapshot("1.0.0", "1.2.0"), "1.0.0", wrote("1.2.0", "1.2.0"))
    assert hold(decision) == (Reason.ROLLED_BACK, "1.2.0")
    assert "<alias>.release: 1.2.0" in decision.message


def test_release_counts_once_so_a_second_rollback_is_held_again() -> None:
    memory = Memory(written=version("1.2.0"), released=version("1.2.0"))
    decision = judged(Policy(release="1.2.0"), snapshot("1.0.0", "1.2.0"), "1.0.0", memory)
    assert hold(decision) == (Reason.ROLLED_BACK, "1.2.0")


def test_current_that_somebody_made_newer_is_simply_current() -> None:
    assert update(judged(Policy(), snapshot("1.4.0", "1.5.0"), "1.4.0", wrote("1.2.0"))) == (Reason.NEWER, "1.5.0")
    assert up_to_date(judged(Policy(), snapshot("1.2.0"), "1.4.0", wrote("1.2.0")))[0] is Reason.CURRENT_IS_NEWER


def test_somebody_who_takes_a_rejected_version_back_in_is_up_to_date() -> None:
    decision = judged(Policy(), snapshot("1.2.0"), "1.2.0", wrote("1.2.0", "1.2.0"))
    assert up_to_date(decision) == (Reason.CURRENT, "1.2.0")


@pytest.mark.parametrize(
    "policy", [Policy(skip_tags=("1.2.0",)), Policy(constraint="~1.1"), Policy(ignore_tags=("1.2*",))]
)
def test_rejection_that_moved_into_the_settings_is_no_hold(policy: Policy) -> None:
    """Who rules a version out by name means that one, not all before it."""
    decision = judged(policy, snapshot("1.1.0", "1.1.5", "1.2.0"), "1.1.0", wrote("1.2.0", "1.2.0"))
    assert update(decision) == (Reason.NEWER, "1.1.5")


def test_rejection_of_another_strategy_is_no_hold() -> None:
    assert update(judged(Policy(), snapshot("1.1.0", "1.2.0"), "1.1.0", wrote("main-9", "main-9")))[1] == "1.2.0"


def test_hotfix_that_cannot_be_compared_is_not_overwritten() -> None:
    decision = judged(Policy(), snapshot("1.2.0"), "hotfix", wrote("1.2.0"))
    assert hold(decision) == (Reason.ROLLED_BACK, "1.2.0")


def test_digest_that_somebody_put_back_is_held_until_another_appears() -> None:
    memory = wrote(f"latest@{digest(2)}")
    current = f"latest@{digest(1)}"
    decision = judged(DIGEST, snapshot(TagRecord("latest", digest(2))), current, memory)
    assert hold(decision) == (Reason.ROLLED_BACK, f"latest@{digest(2)}")
    assert update(judged(DIGEST, snapshot(TagRecord("latest", digest(3))), current, memory))[0] is Reason.DIGEST_MOVED


@pytest.mark.parametrize("rejected", [ImageVersion("", digest(2)), ImageVersion("latest", digest(2))])
def test_rejected_digest_alone_is_held_until_another_appears(rejected: ImageVersion) -> None:
    policy = Policy(strategy=Strategy.DIGEST, constraint="stable", output=Output.DIGEST)
    memory = Memory(rejected, rejected)
    assert hold(judged(policy, snapshot(TagRecord("stable", digest(2))), "", memory))[0] is Reason.ROLLED_BACK
    assert update(judged(policy, snapshot(TagRecord("stable", digest(3))), "", memory))[0] is Reason.NEWER


def test_older_build_that_somebody_put_back_is_held() -> None:
    tags = snapshot(built("a", ago(days=2)), built("b", ago(days=1)))
    assert hold(judged(BUILD, tags, "a", wrote("b"))) == (Reason.ROLLED_BACK, "b")


# Age, pause and pin


AGED = Policy(minimum_age=timedelta(hours=24))


@pytest.mark.parametrize("sight", [pushed, seen])
def test_young_tag_waits_until_it_is_old_enough(sight: Callable[..., TagRecord]) -> None:
    tags = snapshot("1.0.0", sight("1.1.0", hours=20))
    decision = judged(AGED, tags, "1.0.0")
    assert hold(decision) == (Reason.TOO_YOUNG, "1.1.0")
    assert isinstance(decision, Hold)
    assert decision.until == NOW + timedelta(hours=4)
    assert "2026-08-01 16:00 UTC" in decision.message
    assert update(judged(AGED, tags, "1.0.0", now=decision.until))[1] == "1.1.0"


def test_newest_tag_that_is_old_enough_is_taken() -> None:
    tags = snapshot(seen("1.1.0", days=3), seen("1.2.0", days=2), pushed("1.3.0", hours=1))
    assert update(judged(AGED, tags, "1.0.0")) == (Reason.NEWER, "1.2.0")


def test_wait_ends_with_the_first_tag_that_will_be_old_enough() -> None:
    tags = snapshot(seen("1.0.0", days=9), seen("1.1.0", hours=23), seen("1.2.0", hours=1))
    decision = judged(AGED, tags, "1.0.0")
    assert hold(decision) == (Reason.TOO_YOUNG, "1.1.0")
    assert isinstance(decision, Hold)
    assert decision.until == NOW + timedelta(hours=1)


def test_publisher_date_does_not_make_a_tag_old() -> None:
    policy = Policy(strategy=Strategy.NEWEST_BUILD, minimum_age=timedelta(hours=24))
    assert hold(judged(policy, snapshot(built("a", ago(days=900)))))[0] is Reason.TOO_YOUNG


def test_push_in_the_last_year_of_the_calendar_only_waits() -> None:
    tags = snapshot(TagRecord("1.1.0", pushed=datetime(9999, 12, 31, tzinfo=UTC)))
    assert hold(judged(AGED, tags, "1.0.0"))[0] is Reason.TOO_YOUNG


def test_young_tag_that_is_there_already_is_up_to_date() -> None:
    assert up_to_date(judged(AGED, snapshot("1.0.0", seen("1.1.0", hours=1)), "1.1.0"))[0] is Reason.CURRENT


def test_young_tag_below_the_current_is_no_reason_to_wait() -> None:
    tags = snapshot(seen("1.5.0", days=9), seen("1.4.9", hours=1))
    assert up_to_date(judged(AGED, tags, "1.5.0"))[0] is Reason.CURRENT


def test_pause_holds_an_update_and_nothing_else() -> None:
    policy = Policy(paused="the annotation pause is set")
    decision = judged(policy, snapshot("1.0.0", "1.1.0"), "1.0.0")
    assert hold(decision) == (Reason.PAUSED, "1.1.0")
    assert "the annotation pause is set" in decision.message
    assert up_to_date(judged(policy, snapshot("1.0.0"), "1.0.0"))[0] is Reason.CURRENT


def test_pin_overrules_order_filters_age_and_rollback() -> None:
    policy = Policy(pin="1.0.0", constraint="~2", ignore_tags=("*",), minimum_age=timedelta(hours=1))
    tags = snapshot("1.0.0", "2.0.0")
    assert update(judged(policy, tags, "2.0.0", wrote("2.0.0", "2.0.0"))) == (Reason.PINNED, "1.0.0")
    assert up_to_date(judged(policy, tags, "1.0.0")) == (Reason.CURRENT, "1.0.0")


def test_pin_that_does_not_exist_is_held() -> None:
    decision = judged(Policy(pin="1.0.1"), snapshot("1.0.0", "1.1.0"), "1.0.0")
    assert hold(decision) == (Reason.NO_CANDIDATE, "")
    assert "pin 1.0.1" in decision.message


def test_paused_pin_waits() -> None:
    policy = Policy(pin="1.0.0", paused="frozen")
    assert hold(judged(policy, snapshot("1.0.0", "1.1.0"), "1.1.0")) == (Reason.PAUSED, "1.0.0")


NIGHTS = Policy(schedule="0 22 * * * 4h")


def test_update_outside_the_schedule_waits_for_the_next_opening() -> None:
    decision = judged(NIGHTS, snapshot("1.0.0", "1.1.0"), "1.0.0")
    assert hold(decision) == (Reason.OUTSIDE_SCHEDULE, "1.1.0")
    assert isinstance(decision, Hold)
    assert decision.until == datetime(2026, 8, 1, 22, tzinfo=UTC)
    assert decision.message == "1.1.0 waits outside the schedule until 2026-08-01 22:00 UTC"
    assert update(judged(NIGHTS, snapshot("1.0.0", "1.1.0"), "1.0.0", now=decision.until))[1] == "1.1.0"


def test_schedule_that_never_opens_says_so() -> None:
    decision = judged(Policy(schedule="deny 0 0 * * * 24h"), snapshot("1.1.0"), "1.0.0")
    assert isinstance(decision, Hold)
    assert (decision.reason, decision.until) == (Reason.OUTSIDE_SCHEDULE, None)
    assert "does not open within two years" in decision.message


def test_opening_behind_more_windows_than_are_looked_at_is_come_to_step_by_step() -> None:
    policy = Policy(schedule="deny 0 * * JAN-SEP * 1h")
    now, looks = NOW, 0
    while isinstance(decision := judged(policy, snapshot("1.1.0"), "1.0.0", now=now), Hold):
        assert decision.until is not None
        looks += 1
        now, message = decision.until, decision.message
    assert now == datetime(2026, 10, 1, tzinfo=UTC)
    assert looks == 2
    assert message == "1.1.0 waits outside the schedule until 2026-10-01 00:00 UTC"


def test_schedule_holds_an_update_and_nothing_else() -> None:
    assert up_to_date(judged(NIGHTS, snapshot("1.0.0"), "1.0.0"))[0] is Reason.CURRENT


def test_push_time_ahead_of_the_clock_is_no_age_where_none_is_asked_for() -> None:
    assert update(judged(Policy(), snapshot(pushed("1.1.0", hours=-1)), "1.0.0"))[1] == "1.1.0"


# When to look again


def again(policy: Policy, tags: Snapshot, current: str = "1.0.0") -> datetime | None:
    return reconsider_at(elect(policy, tags, NOW), judged(policy, tags, current), NOW)


def test_hold_is_reconsidered_when_it_ends() -> None:
    assert again(AGED, snapshot("1.0.0", seen("1.1.0", hours=20))) == NOW + timedelta(hours=4)
    assert again(NIGHTS, snapshot("1.0.0", "1.1.0")) == datetime(2026, 8, 1, 22, tzinfo=UTC)


def test_update_is_reconsidered_when_something_better_is_old_enough() -> None:
    tags = snapshot(seen("1.1.0", days=3), seen("1.2.0", hours=23), seen("1.3.0", hours=20))
    assert again(AGED, tags) == NOW + timedelta(hours=1)


def test_update_that_waits_is_reconsidered_when_its_window_closes() -> None:
    assert again(Policy(schedule="0 11 * * * 90m"), snapshot("1.1.0")) == NOW + timedelta(minutes=30)


@pytest.mark.parametrize("policy", [Policy(), AGED, NIGHTS])
def test_time_alone_does_not_change_what_is_up_to_date(policy: Policy) -> None:
    assert again(policy, snapshot(seen("1.0.0", days=3))) is None


# Always

_VERSIONS = st.sampled_from(
    [
        f"{prefix}{number}{pre_release}"
        for prefix in ("", "v")
        for number in ("0", "1", "2", "0.0", "0.1", "1.0", "1.1", "2.1", "0.1.0", "1.0.0", "1.0.2", "1.1.0")
        for pre_release in ("", "-rc.1", "-rc.2")
    ],
)
_TAGS = st.lists(st.one_of(_VERSIONS, st.sampled_from(["latest", "sha-1", "main-2"])), min_size=1, max_size=8)
_POLICIES = st.builds(
    Policy,
    strategy=st.sampled_from([Strategy.SEMVER, Strategy.ALPHABETICAL, Strategy.NUMERIC, Strategy.NEWEST_PUSH]),
    ignore_tags=st.sampled_from([(), ("latest",), ("*-*",)]),
    output=st.sampled_from([None, *Output]),
    minimum_age=st.sampled_from([timedelta(), timedelta(hours=3)]),
)


@st.composite
def _snapshots(draw: st.DrawFn) -> Snapshot:
    names = draw(st.lists(st.one_of(_VERSIONS, st.sampled_from(["latest", "main-2"])), max_size=8, unique=True))
    hours = draw(st.lists(st.integers(0, 6), min_size=len(names), max_size=len(names)))
    numbers = draw(st.lists(st.integers(0, 3), min_size=len(names), max_size=len(names)))
    records = (
        TagRecord(name, digest(number), pushed=ago(hours=hour))
        for name, hour, number in zip(names, hours, numbers, strict=True)
    )
    return snapshot(*records)


_VERSIONS_SEEN = st.builds(
    ImageVersion,
    st.one_of(st.just(""), st.just("latest"), _VERSIONS),
    st.sampled_from(["", digest(0), digest(1), digest(9)]),
)
_CURRENTS = st.builds(Current, _VERSIONS_SEEN, st.sampled_from(Origin))
_MEMORIES = st.builds(Memory, _VERSIONS_SEEN, _VERSIONS_SEEN)


@given(_POLICIES, _snapshots(), _CURRENTS, _MEMORIES, st.randoms())
def test_order_of_tags_never_changes_a_decision(
    policy: Policy,
    tags: Snapshot,
    current: Current,
    memory: Memory,
    random: Random,
) -> None:
    shuffled = list(tags.tags)
    random.shuffle(shuffled)
    assert judged(policy, tags, current, memory) == judged(policy, snapshot(*shuffled), current, memory)


@given(_POLICIES, _snapshots(), _CURRENTS, _MEMORIES)
def test_update_once_written_is_kept(policy: Policy, tags: Snapshot, current: Current, memory: Memory) -> None:
    """It is up to date, or waits for what is too young yet."""
    decision = judged(policy, tags, current, memory)
    if not isinstance(decision, Update):
        return
    written = ImageVersion.parse(str(decision.version))
    for remembered in (Memory(decision.version, memory.rejected), Memory()):
        again = judged(policy, tags, Current(written, Origin.TARGET), remembered)
        assert isinstance(again, UpToDate) or again.reason is Reason.TOO_YOUNG, again


@given(_POLICIES, _snapshots(), _CURRENTS, _MEMORIES)
def test_update_names_a_tag_or_digest_of_the_snapshot(
    policy: Policy,
    tags: Snapshot,
    current: Current,
    memory: Memory,
) -> None:
    decision = judged(policy, tags, current, memory)
    if isinstance(decision, Update):
        known = {(record.name, record.digest) for record in tags.tags}
        assert any(decision.version.tag in ("", tag) and decision.version.digest in ("", to) for tag, to in known)
        assert decision.version


@given(_POLICIES, _snapshots(), _CURRENTS, _MEMORIES)
def test_incomplete_snapshot_never_updates(policy: Policy, tags: Snapshot, current: Current, memory: Memory) -> None:
    broken = snapshot(*tags.tags, incomplete="a page is missing")
    assert isinstance(judged(policy, broken, current, memory), Hold)


@given(_TAGS, _VERSIONS, st.sampled_from(["", "~1", ">=1.0-0", "^0.1 || 2"]))
def test_nothing_allowed_is_replaced_by_something_older(tags: list[str], current: str, constraint: str) -> None:
    policy = Policy(constraint=constraint)
    decision = judged(policy, snapshot(*tags), current)
    election = elect(policy, snapshot(*tags), NOW)
    if isinstance(decision, Update) and not election.standing(version(current)).excluded:
        before, after = election.standing(version(current)).key, election.standing(decision.version).key
        assert before is not None
        assert after is not None
        assert before < after


@given(_TAGS, _VERSIONS)
def test_rejected_version_and_all_before_it_never_come_back(tags: list[str], rejected: str) -> None:
    policy = Policy(constraint=">=0.0.0-0")
    decision = judged(policy, snapshot(*tags), "", Memory(rejected=version(rejected)))
    election = elect(policy, snapshot(*tags), NOW)
    if isinstance(decision, Update):
        before, after = election.standing(version(rejected)).key, election.standing(decision.version).key
        assert before is not None
        assert after is not None
        assert before < after


# The record


def test_record_of_an_update_is_json() -> None:
    policy = Policy(output=Output.TAG_DIGEST)
    election = elect(policy, snapshot(TagRecord("1.1.0", digest(2)), "latest"), NOW)
    decision = judged(policy, snapshot(TagRecord("1.1.0", digest(2)), "latest"), "1.0.0")
    assert json.loads(json.dumps(decision_record(decision, election))) == {
        "decision": "update",
        "tag": "1.1.0",
        "digest": digest(2),
        "reason": "newer",
        "message": "1.1.0 is newer than 1.0.0",
        "previous": "1.0.0",
        "verdicts": [
            {"tag": "1.1.0", "kept": True, "reason": "kept", "rank": 1},
            {"tag": "latest", "kept": False, "reason": "not-a-version", "rank": None},
        ],
    }


def test_record_of_a_hold_names_candidate_and_release() -> None:
    tags = snapshot(seen("1.1.0", hours=20))
    record = decision_record(judged(AGED, tags, "1.0.0"), elect(AGED, tags, NOW))
    assert (record["decision"], record["tag"], record["reason"]) == ("hold", "1.1.0", "too-young")
    assert record["until"] == "2026-08-01T16:00:00+00:00"


def test_record_of_a_rollback_names_what_was_rejected() -> None:
    tags = snapshot("1.0.0", "1.2.0")
    record = decision_record(judged(Policy(), tags, "1.0.0", wrote("1.2.0")), elect(Policy(), tags, NOW))
    assert record["rejected"] == "1.2.0"


def test_record_of_what_is_there() -> None:
    tags = snapshot("1.0.0")
    record = decision_record(judged(Policy(), tags, "1.0.0"), elect(Policy(), tags, NOW))
    assert (record["decision"], record["tag"]) == ("up-to-date", "1.0.0")


def test_record_of_settings_that_allow_no_election() -> None:
    invalid = Invalid(reason=Reason.INVALID, message="two problems", problems=("one", "two"))
    record = decision_record(invalid, None)
    assert (record["decision"], record["verdicts"], record["problems"]) == ("misconfigured", [], ["one", "two"])
