"""Filters drop what their owners meant, say which of them it was, and never hang on a stranger's tag."""

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from updater.domain.errors import Misconfigured
from updater.domain.filters import TagFilters
from updater.domain.policy import Policy

HEX = "0123456789abcdef" * 4


def dropped(tag: str, **settings: str | tuple[str, ...]) -> str:
    policy = Policy(
        allow_tags=str(settings.get("allow_tags", "")),
        ignore_tags=tuple(settings.get("ignore_tags", ())),
        skip_tags=tuple(settings.get("skip_tags", ())),
    )
    return TagFilters.of(policy).drops(tag)


def matches(glob: str, name: str) -> bool:
    return bool(dropped(name, ignore_tags=(glob,)))


def test_without_filters_every_tag_is_kept() -> None:
    assert not dropped("latest")


@pytest.mark.parametrize("allow", ["any", "ANY", "any:thing", "  any  ", "\n", "regexp:^v1\nany"])
def test_any_keeps_every_tag(allow: str) -> None:
    assert not dropped("latest", allow_tags=allow)


@pytest.mark.parametrize(
    ("allow", "tag"),
    [
        ("regexp:^v1[.]", "v1.2"),
        ("RegExp:1", "v1.2"),
        ("regexp: ^v1", "v1.2"),
        ("regexp:a:b|v", "v1.2"),
        ("regexp:^v1\n\n  regexp:^2\n", "2.0"),
        ("regexp:(?i)^RC", "rc1"),
        ("regexp:", "anything"),
    ],
)
def test_tag_is_kept_that_an_expression_is_found_in(allow: str, tag: str) -> None:
    assert not dropped(tag, allow_tags=allow)


def test_tag_is_dropped_that_no_expression_is_found_in() -> None:
    assert dropped("latest", allow_tags="regexp:^v1\nregexp:^2") == "allow-tags"


@pytest.mark.parametrize(
    "allow", ["^1[.]", "glob:1.*", "regexp", "regexp:(", "regexp:(?!a)", "regexp:a{1001}", "any\n^1"]
)
def test_bad_allow_tags_are_refused_by_value_and_with_a_remedy(allow: str) -> None:
    with pytest.raises(Misconfigured, match=r"(?s)allow-tags '.*: write any, or regexp:"):
        TagFilters.of(Policy(allow_tags=allow))


def test_bad_expression_is_refused_without_a_word_on_standard_error(capfd: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(Misconfigured):
        TagFilters.of(Policy(allow_tags="regexp:("))
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize(
    ("glob", "name"),
    [
        ("*", ""),
        ("*", "latest"),
        ("*-rc*", "1.0-rc1"),
        ("a*b*c", "a-b-b-c"),
        ("?.?", "1.2"),
        ("[a-c]x", "bx"),
        ("[^a-c]x", "dx"),
        ("[a-bx-z]", "y"),
        ("[\\]]", "]"),
        ("[\\-x]", "-"),
        ("[a^]", "^"),
        ("[[]", "["),
        ("\\*", "*"),
        ("\\a", "a"),
        ("a]", "a]"),
        ("[^^]", "a"),
        ("a/*/c", "a/b/c"),
        ("a[^b]c", "a/c"),
        ("[^z-a]", "b"),
        ("\u00e9?", "\u00e9\u00fc"),
        ("{a,b}", "{a,b}"),
        ("a.b", "a.b"),
        ("", ""),
    ],
)
def test_glob_matches_as_go_matches(glob: str, name: str) -> None:
    assert matches(glob, name)


@pytest.mark.parametrize(
    ("glob", "name"),
    [
        ("*", "a/b"),
        ("a?b", "a/b"),
        ("a*b*c", "a-c-b"),
        ("[^a-c]x", "ax"),
        ("[z-a]", "b"),
        ("\\*", "a"),
        ("a.b", "a-b"),
        ("rc", "1.0-rc1"),
        ("{a,b}", "a"),
        ("A", "a"),
        ("", "a"),
    ],
)
def test_glob_does_not_match_more_than_go_matches(glob: str, name: str) -> None:
    assert not matches(glob, name)


@pytest.mark.parametrize(
    "glob", ["[", "[]", "[]a]", "[^]", "[-a]", "[a-]", "[a-]]", "[a", "[a-b-c]", "a[", "*[", "\\", "a\\", "[\\"]
)
def test_bad_glob_is_refused_by_value_and_with_a_remedy(glob: str) -> None:
    with pytest.raises(Misconfigured, match=r"ignore-tags '.*: write a glob such as"):
        TagFilters.of(Policy(ignore_tags=("latest", glob)))


def test_any_of_the_globs_drops_a_tag() -> None:
    assert dropped("nightly-1", ignore_tags=("latest", "nightly-*")) == "ignore-tags"


def test_skipped_tag_is_dropped_by_its_whole_name() -> None:
    assert dropped("1.2.3", skip_tags=("1.2.3",)) == "skip-tags"
    assert not dropped("1.2.30", skip_tags=("1.2.3",))


@pytest.mark.parametrize("suffix", ["", ".sig", ".att", ".sbom"])
def test_signatures_and_other_referrers_are_no_images(suffix: str) -> None:
    assert dropped(f"sha256-{HEX}{suffix}", allow_tags="any") == "artefact"


@pytest.mark.parametrize(
    "tag", ["sha256-abc.sig", f"sha256-{HEX}.sig2", f"sha256-{HEX}0", f"v-sha256-{HEX}", "sha-abcdef0"]
)
def test_tags_that_only_look_like_signatures_are_kept(tag: str) -> None:
    assert not dropped(tag)


def test_hopeless_looking_expression_is_decided() -> None:
    filters = TagFilters.of(Policy(allow_tags="regexp:^(a+)+(a|aa)*$", ignore_tags=("*a*a*a*a*a*a*b",)))
    assert filters.drops("a" * 10_000 + "!") == "allow-tags"
    assert not filters.drops("a" * 10_000)


@given(st.text(alphabet="ab*?[]^-\\/") | st.text(), st.text(alphabet="ab^-]\\/") | st.text())
def test_no_glob_fails_in_another_way(glob: str, tag: str) -> None:
    with contextlib.suppress(Misconfigured):
        assert isinstance(matches(glob, tag), bool)


@given(st.text(), st.text())
def test_no_expression_fails_in_another_way(expression: str, tag: str) -> None:
    with contextlib.suppress(Misconfigured):
        assert dropped(tag, allow_tags=f"regexp:{expression}") in ("", "allow-tags")


def test_half_a_character_in_a_tag_or_pattern_does_no_harm() -> None:
    assert matches("1-*", "1-\ud800")
    with pytest.raises(Misconfigured):
        TagFilters.of(Policy(allow_tags="regexp:\ud800"))


@given(st.text())
def test_quoted_name_matches_itself_alone(name: str) -> None:
    glob = "".join(f"\\{character}" for character in name)
    assert matches(glob, name)
    assert not matches(glob, f"{name}x")
