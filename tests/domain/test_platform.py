"""One platform has one name, whoever spells it."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from updater.domain.errors import Misconfigured
from updater.domain.platform import Platform, matches, normalised_platform, own_platform, parse_platform


@pytest.mark.parametrize(
    ("text", "canonical"),
    [
        ("linux/amd64", "linux/amd64"),
        ("linux/x86_64", "linux/amd64"),
        ("linux/x86-64", "linux/amd64"),
        ("linux/amd64/v1", "linux/amd64"),
        ("linux/amd64/v3", "linux/amd64/v3"),
        ("linux/arm64/v8", "linux/arm64"),
        ("linux/arm64/8", "linux/arm64"),
        ("linux/aarch64", "linux/arm64"),
        ("linux/arm64/9", "linux/arm64/v9"),
        ("linux/arm", "linux/arm"),
        ("linux/arm/7", "linux/arm/v7"),
        ("linux/armhf", "linux/arm/v7"),
        ("linux/armel", "linux/arm/v6"),
        ("linux/i386", "linux/386"),
        ("Linux/AMD64", "linux/amd64"),
        ("macos/arm64", "darwin/arm64"),
        (" windows/amd64 ", "windows/amd64"),
        ("linux/s390x", "linux/s390x"),
    ],
)
def test_platform_is_normalised(text: str, canonical: str) -> None:
    assert str(parse_platform(text)) == canonical


@pytest.mark.parametrize(
    "text", ["", "linux", "amd64", "linux/", "/amd64", "linux//v8", "linux/arm/v7/x", "linux/*", "li nux/amd64"]
)
def test_what_is_no_platform_is_refused_with_a_remedy(text: str) -> None:
    with pytest.raises(Misconfigured, match="such as linux/amd64"):
        parse_platform(text)


@pytest.mark.parametrize(
    ("available", "wanted"),
    [
        ("linux/amd64", "linux/amd64"),
        ("linux/arm64/v8", "linux/arm64"),
        ("linux/arm64", "linux/arm64/v8"),
        ("linux/arm/v6", "linux/arm"),
        ("linux/arm/v7", "linux/arm/v7"),
        ("linux/arm", "linux/arm/v7"),
        ("linux/amd64/v3", "linux/amd64"),
    ],
)
def test_image_serves_a_platform(available: str, wanted: str) -> None:
    assert matches(parse_platform(available), parse_platform(wanted))


@pytest.mark.parametrize(
    ("available", "wanted"),
    [
        ("linux/amd64", "linux/arm64"),
        ("windows/amd64", "linux/amd64"),
        ("linux/amd64", "linux/amd64/v3"),
        ("linux/arm/v6", "linux/arm/v7"),
        ("linux/arm64", "linux/arm/v7"),
        ("linux/386", "linux/amd64"),
        ("unknown/unknown", "linux/amd64"),
    ],
)
def test_image_does_not_serve_another_platform(available: str, wanted: str) -> None:
    assert not matches(parse_platform(available), parse_platform(wanted))


@pytest.mark.parametrize(
    ("system", "machine", "platform"),
    [
        ("Linux", "x86_64", "linux/amd64"),
        ("Linux", "aarch64", "linux/arm64"),
        ("Linux", "armv7l", "linux/arm"),
        ("Linux", "i686", "linux/386"),
        ("Linux", "ppc64le", "linux/ppc64le"),
        ("Linux", "loongarch64", "linux/loong64"),
        ("Darwin", "arm64", "linux/arm64"),
        ("Windows", "AMD64", "windows/amd64"),
    ],
)
def test_own_platform_is_told_from_the_kernels_words(system: str, machine: str, platform: str) -> None:
    assert str(own_platform(system, machine)) == platform


_PARTS = st.sampled_from(["linux", "arm", "ARM64", "x86_64", "v8", "8", "v1", "7", "armhf", "i386", ""])


@given(_PARTS, _PARTS, _PARTS)
def test_normalising_twice_changes_nothing_more(system: str, architecture: str, variant: str) -> None:
    once = normalised_platform(system, architecture, variant)
    assert normalised_platform(once.os, once.architecture, once.variant) == once


@given(st.text() | st.lists(_PARTS, max_size=4).map("/".join))
def test_no_text_fails_in_another_way(text: str) -> None:
    try:
        platform = parse_platform(text)
    except Misconfigured:
        return
    assert isinstance(platform, Platform)
    assert parse_platform(str(platform)) == platform
