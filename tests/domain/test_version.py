"""Tags are read as loosely as Masterminds/semver reads them, and ordered as Semantic Versioning has it."""

import json
from itertools import pairwise
from pathlib import Path

import pytest
import semver
from hypothesis import given
from hypothesis import strategies as st

from updater.domain.version import Version, parse_version

SAMPLE = json.loads((Path(__file__).parent.parent / "samples" / "semver_constraints.json").read_text("ascii"))


def version(tag: str) -> Version:
    parsed = parse_version(tag, loose=True)
    assert parsed is not None
    return parsed


@pytest.mark.parametrize("tag", SAMPLE["versions"])
def test_version_is_read_that_the_model_reads(tag: str) -> None:
    assert parse_version(tag, loose=True)


@pytest.mark.parametrize("tag", SAMPLE["refused"])
def test_tag_is_no_version_that_is_none_to_the_model(tag: str) -> None:
    assert parse_version(tag, loose=True) is None


def test_versions_are_in_the_models_order() -> None:
    groups: list[list[str]] = SAMPLE["order"]
    for equal in groups:
        assert {version(tag) for tag in equal} == {version(equal[0])}
    for smaller, greater in pairwise(groups):
        assert version(smaller[0]) < version(greater[0])


@pytest.mark.parametrize("tag", ["123456", "20240101", "0000000", "1" * 40])
def test_six_digits_alone_are_a_date_or_a_commit(tag: str) -> None:
    assert parse_version(tag) is None


@pytest.mark.parametrize("tag", ["12345", "v123456", "123456.0", "123456-rc", "123456+1", "2024.01.05"])
def test_less_than_six_digits_or_more_than_digits_are_a_version(tag: str) -> None:
    assert parse_version(tag)


@pytest.mark.parametrize(
    ("tag", "specificity"), [("1", 1), ("v1.2", 2), ("1.2.3", 3), ("1-rc.1.2", 1), ("1.0+a.b.c", 2)]
)
def test_specificity_counts_the_numbers_given(tag: str, specificity: int) -> None:
    assert version(tag).specificity == specificity


def test_prerelease_is_what_stands_behind_the_first_hyphen() -> None:
    assert version("1.27-bookworm-slim+a-b").prerelease == "bookworm-slim"
    assert version("1.27+a-b").prerelease == ""


def test_numbers_of_any_length_in_a_prerelease_are_compared_as_numbers() -> None:
    assert version(f"1.0.0-{'9' * 40}") < version(f"1.0.0-1{'0' * 40}") < version("1.0.0-a")
    assert version(f"1.0.0-1{'0' * 10_000}") < version(f"1.0.0-2{'0' * 10_000}")


def test_leading_zeros_of_any_number_do_not_count() -> None:
    assert version(f"{'0' * 10_000}1.02") == version("1.2.0")


@given(st.text() | st.text(alphabet="v0123456789.-+x*ab"))
def test_every_text_is_a_version_or_none(tag: str) -> None:
    strict = parse_version(tag)
    assert strict is None or strict == parse_version(tag, loose=True)


_NUMBERS = st.integers(0, 12).map(str)
_IDENTIFIERS = _NUMBERS | st.sampled_from(["a", "rc", "rc1", "0a", "-", "--1"])
_PRERELEASES = st.lists(_IDENTIFIERS, min_size=1, max_size=3).map(lambda parts: "-" + ".".join(parts))
_STRICT = st.builds(
    "{}{}{}".format,
    st.lists(_NUMBERS, min_size=3, max_size=3).map(".".join),
    st.just("") | _PRERELEASES,
    st.sampled_from(["", "+1", "+b.2"]),
)


@given(_STRICT, _STRICT)
def test_order_agrees_with_another_reading_of_the_specification(one: str, other: str) -> None:
    expected = semver.Version.parse(one).compare(other)
    assert (version(one) > version(other)) - (version(one) < version(other)) == expected
    assert (version(one) == version(other)) is (expected == 0)
