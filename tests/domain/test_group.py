"""Images that move together: to the best tag all of them can have, and all of them or none."""

import pytest

from tests.domain.builders import NOW, ago, at, digest, snapshot, version
from updater.domain.candidates import Snapshot, TagRecord
from updater.domain.decision import Current, Decision, Hold, Invalid, Memory, Reason, Update, UpToDate
from updater.domain.election import elect, judge
from updater.domain.group import held_apart, in_common
from updater.domain.image import ImageVersion
from updater.domain.policy import Output, Policy

SEMVER = Policy()


def decided(policy: Policy, *members: tuple[Snapshot, str], memory: Memory | None = None) -> list[Decision]:
    """Decide for members `a`, `b`, …, each given its tags and its present version; the memory is the first one's."""
    elections = in_common([elect(policy, tags, NOW) for tags, _ in members])
    memories = [memory or Memory(), *[Memory()] * len(members)]
    decisions = [
        judge(election, at(present) if present else Current(), remembered, NOW)
        for election, (_, present), remembered in zip(elections, members, memories, strict=False)
    ]
    ballots = {chr(97 + place): ballot for place, ballot in enumerate(zip(elections, decisions, strict=True))}
    holds = held_apart("web", ballots)
    return [holds.get(alias, decision) for alias, (_, decision) in ballots.items()]


def versions(decisions: list[Decision]) -> list[str]:
    return [str(each.version) if isinstance(each, Update | UpToDate) else str(each.reason) for each in decisions]


def test_members_move_to_the_best_tag_that_all_have() -> None:
    tags = snapshot("1.0", "1.1", "1.2"), snapshot("1.0", "1.1", "2.0")
    assert versions(decided(SEMVER, (tags[0], "1.0"), (tags[1], "1.0"))) == ["1.1", "1.1"]


def test_tag_that_others_lack_is_dropped_with_a_word_of_its_own() -> None:
    first, _ = in_common([elect(SEMVER, snapshot("1.0", "1.2"), NOW), elect(SEMVER, snapshot("1.0"), NOW)])
    assert [(each.tag, each.reason) for each in first.verdicts] == [("1.0", "kept"), ("1.2", "group")]
    assert first.counts == {"group": 1}


def test_member_that_is_there_already_keeps_nobody_waiting() -> None:
    tags = snapshot("1.0", "1.1")
    decisions = decided(SEMVER, (tags, "1.1"), (tags, "1.0"))
    assert isinstance(decisions[0], UpToDate)
    assert isinstance(decisions[1], Update)


def test_member_that_is_further_holds_the_others() -> None:
    decisions = decided(SEMVER, (snapshot("1.0", "1.2"), "1.2"), (snapshot("1.0", "1.1"), "0.9"))
    assert decisions[1].reason is Reason.GROUP_DIFFERS


def test_rolled_back_member_holds_the_others_with_its_reason() -> None:
    tags = snapshot("1.0", "1.1")
    decisions = decided(SEMVER, (tags, "1.0"), (tags, "1.0"), memory=Memory(written=version("1.1")))
    assert [each.reason for each in decisions] == [Reason.ROLLED_BACK, Reason.GROUP_DIFFERS]
    assert decisions[1].message == "1.1 waits for the others of group web: a cannot move (rolled-back)"


def test_group_waits_as_long_as_its_youngest_member() -> None:
    policy = Policy(minimum_age=NOW - ago(hours=5))
    old, young = (snapshot("1.0", TagRecord("1.1", pushed=ago(hours=hours))) for hours in (9, 2))
    decisions = decided(policy, (old, "1.0"), (young, "1.0"))
    assert [each.reason for each in decisions] == [Reason.GROUP_DIFFERS, Reason.TOO_YOUNG]
    assert all(isinstance(each, Hold) and each.until == ago(hours=-3) for each in decisions)


def test_digests_of_one_tag_agree() -> None:
    policy = Policy(output=Output.DIGEST)
    tags = [snapshot(TagRecord("1.1", digest(number)), TagRecord("also", digest(number))) for number in (1, 2)]
    assert [type(each) for each in decided(policy, (tags[0], ""), (tags[1], ""))] == [Update, Update]


def test_member_without_a_decision_holds_the_others() -> None:
    update = Update(reason=Reason.NEWER, message="", version=ImageVersion("1.1"))
    invalid = Invalid(reason=Reason.INVALID, message="")
    holds = held_apart("web", {"a": (elect(SEMVER, snapshot("1.1"), NOW), update), "b": (None, invalid)})
    assert list(holds) == ["a"]


@pytest.mark.parametrize("count", [1, 3])
def test_group_of_equals_is_like_each_alone(count: int) -> None:
    tags = snapshot("1.0", "1.1")
    assert versions(decided(SEMVER, *[(tags, "1.0")] * count)) == ["1.1"] * count
