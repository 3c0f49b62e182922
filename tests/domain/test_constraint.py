"""Constraints mean what they mean to Masterminds/semver v3; the sample holds what it answered."""

import contextlib
import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from updater.domain.constraint import parse_constraint
from updater.domain.errors import Misconfigured
from updater.domain.version import Version, parse_version

SAMPLE = json.loads((Path(__file__).parent.parent / "samples" / "semver_constraints.json").read_text("ascii"))
CONSTRAINTS: dict[str, str | None] = SAMPLE["constraints"]


def version(tag: str) -> Version:
    parsed = parse_version(tag, loose=True)
    assert parsed is not None
    return parsed


def admits(constraint: str, tag: str) -> bool:
    return parse_constraint(constraint).admits(version(tag))


VERSIONS = [version(tag) for tag in SAMPLE["versions"]]


def answers(text: str) -> str | None:
    """Say of each version whether a constraint admits it; None when the constraint is refused."""
    try:
        constraint = parse_constraint(text)
    except Misconfigured:
        return None
    return "".join("01"[constraint.admits(each)] for each in VERSIONS)


def test_constraint_that_is_refused_is_named_with_the_remedy() -> None:
    with pytest.raises(Misconfigured, match=r"constraint '>>1' is not understood: write a version or a range"):
        parse_constraint(">>1")


def test_every_constraint_of_the_sample_is_understood_as_its_model_does() -> None:
    """Or refused, as there; all rows are one test, for there are a thousand of them."""
    assert {text: answers(text) for text in CONSTRAINTS} == CONSTRAINTS


@pytest.mark.parametrize(
    ("constraint", "admitted", "refused"),
    [
        ("1.2.3", "1.2.3", "1.2.4"),
        ("1.2", "1.2.9", "1.3.0"),
        ("~1.2.3", "1.2.9", "1.3.0"),
        ("^1.2", "1.9.0", "2.0.0"),
        ("^0.2.3", "0.2.9", "0.3.0"),
        (">1.2", "1.3.0", "1.2.9"),
        ("<=1", "1.9.9", "2.0.0"),
        ("1.2 - 1.4", "1.3.5", "1.5.0"),
        (">=1, <2 || 3.x", "3.1.0", "2.0.0"),
        (">=1.0.0-0", "1.1.0-rc.1", "0.9.0"),
        ("!=1.2.x", "1.3.0", "1.2.3"),
    ],
)
def test_the_usual_ranges(constraint: str, admitted: str, refused: str) -> None:
    assert admits(constraint, admitted)
    assert not admits(constraint, refused)


def test_empty_constraint_admits_every_release_and_no_prerelease() -> None:
    assert admits("", "0.0.1")
    assert not admits("", "1.0.0-rc.1")


def test_prereleases_are_admitted_by_the_group_that_names_one_alone() -> None:
    assert not admits(">=1.0.0-0 <2 || >=2", "2.1.0-rc.1")
    assert admits(">=1.0.0-0 <2 || >=2", "1.1.0-rc.1")


@pytest.mark.parametrize(
    "text", [" " * 50_000 + "1", "1 " * 20_000 + "!", "1" * 50_000, "||" * 50_000, "1 - " * 20_000, "\ud800"]
)
def test_hopeless_text_is_refused_and_not_pondered(text: str) -> None:
    with contextlib.suppress(Misconfigured):
        parse_constraint(text)


_TERMS = st.lists(
    st.sampled_from([*"=<>~^!|,xv*.-+ 0123", "||", " - ", "1.2.3", "-rc.1", ">=", "!="]), max_size=12
).map("".join)


@given(st.text() | _TERMS, st.sampled_from(VERSIONS))
def test_no_text_fails_in_another_way(text: str, each: Version) -> None:
    with contextlib.suppress(Misconfigured):
        assert isinstance(parse_constraint(text).admits(each), bool)


_NUMBERS = st.lists(st.integers(0, 4).map(str), min_size=1, max_size=3).map(".".join)


@given(_NUMBERS, _NUMBERS, st.sampled_from(VERSIONS))
def test_joined_terms_admit_what_all_admit_and_groups_what_any_admits(one: str, other: str, each: Version) -> None:
    terms = [parse_constraint(text).admits(each) for text in (f">={one}", f"~{other}")]
    assert parse_constraint(f">={one}, ~{other}").admits(each) == all(terms)
    assert parse_constraint(f">={one} || ~{other}").admits(each) == any(terms)
