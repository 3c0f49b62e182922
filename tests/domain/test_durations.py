"""Durations mean what Go's `time.ParseDuration` makes of them."""

import contextlib

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from updater.domain.durations import parse_go_duration
from updater.domain.errors import Misconfigured


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("0", 0),
        ("+0", 0),
        ("0s", 0),
        ("5s", 5),
        ("2m", 120),
        ("1h30m", 5400),
        ("1.5h", 5400),
        (".5s", 0.5),
        ("1.s", 1),
        ("-2m", -120),
        ("+5s", 5),
        ("500ms", 0.5),
        ("250us", 0.00025),
        ("250\u00b5s", 0.00025),
        ("250\u03bcs", 0.00025),
        ("40ns", 4e-8),
        ("1h1h", 7200),
        ("0000000000000000000000007s", 7),
        ("0.3333333333333333333333333333h", 1200),
        ("2562047h47m16.854775807s", 9223372036.854776),
    ],
)
def test_duration_is_read_in_seconds(text: str, seconds: float) -> None:
    assert parse_go_duration(text) == pytest.approx(seconds)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "3",
        "-",
        "s",
        ".s",
        "1.",
        "-.s",
        "1d",
        "1w",
        "1 h",
        " 1h",
        "1h ",
        "1H",
        "1h-30m",
        "--1s",
        "1e3s",
        "1mss",
        "\u0661s",
    ],
)
def test_what_is_no_duration_is_refused_with_a_remedy(text: str) -> None:
    with pytest.raises(Misconfigured, match="is not understood: write a number with its unit"):
        parse_go_duration(text)


@pytest.mark.parametrize("text", ["9223372036854775808ns", "2562048h", "9" * 10_000 + "s", "-300000000h"])
def test_duration_longer_than_go_can_hold_is_refused(text: str) -> None:
    with pytest.raises(Misconfigured, match="longer than 292 years"):
        parse_go_duration(text)


@given(st.text(alphabet="0123456789.+-hmsnu\u00b5 ") | st.text())
@example("1." + "0" * 10_000 + "s")
def test_no_text_fails_in_another_way(text: str) -> None:
    with contextlib.suppress(Misconfigured):
        assert isinstance(parse_go_duration(text), float)


@given(st.integers(0, 2000), st.integers(0, 59), st.integers(0, 999))
def test_parts_add_up(hours: int, minutes: int, milliseconds: int) -> None:
    text = f"{hours}h{minutes}m{milliseconds}ms"
    assert parse_go_duration(text) == pytest.approx(hours * 3600 + minutes * 60 + milliseconds / 1000)
