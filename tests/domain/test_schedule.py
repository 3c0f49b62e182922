"""Windows of time, with Argo CD's meaning: deny before allow, and the wall clock of a time zone."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from updater.domain.schedule import parse_schedule


def at(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


def test_no_schedule_is_always_open() -> None:
    schedule = parse_schedule(" ;\n")
    assert schedule.is_open(at("2026-08-01 12:00"))
    assert schedule.next_change(at("2026-08-01 12:00")) is None


@pytest.mark.parametrize(
    ("moment", "is_open"),
    [
        ("2026-08-03 19:59:59", False),
        ("2026-08-03 20:00", True),
        ("2026-08-03 23:59:59", True),
        ("2026-08-04 00:00", False),
        ("2026-08-08 21:00", False),
    ],
)
def test_allowed_window_is_open_from_its_start_to_its_end(moment: str, *, is_open: bool) -> None:
    assert parse_schedule("0 22 * * MON-FRI 4h Europe/Berlin").is_open(at(moment)) is is_open


def test_denied_window_wins_over_an_allowed_one() -> None:
    schedule = parse_schedule("allow 0 0 * * * 24h; deny 0 12 * * * 1h")
    assert schedule.is_open(at("2026-08-01 11:59"))
    assert not schedule.is_open(at("2026-08-01 12:30"))
    assert schedule.next_change(at("2026-08-01 12:30")) == at("2026-08-01 13:00")


def test_denied_window_alone_leaves_all_other_time_open() -> None:
    schedule = parse_schedule("deny 0 0 24 DEC * 72h")
    assert schedule.is_open(at("2026-08-01 12:00"))
    assert schedule.next_change(at("2026-08-01 12:00")) == at("2026-12-24 00:00")
    assert schedule.next_change(at("2026-12-25 00:00")) == at("2026-12-27 00:00")


def test_windows_may_stand_on_lines() -> None:
    assert len(parse_schedule("allow 0 8 * * * 1h\nallow 0 20 * * * 1h UTC\n").windows) == 2


def test_windows_that_touch_are_one_opening() -> None:
    schedule = parse_schedule("0 8 * * * 1h; 0 9 * * * 1h")
    assert schedule.next_change(at("2026-08-01 08:10")) == at("2026-08-01 10:00")


def test_many_windows_that_decide_nothing_do_not_hide_the_next_opening() -> None:
    schedule = parse_schedule("allow 0 3 1 1 * 1h; deny */5 * * * * 1m")
    assert schedule.next_change(at("2026-02-01 12:00")) == at("2027-01-01 03:01")


@pytest.mark.parametrize("text", ["deny * * * * * 24h", "* * * * * 1h"])
def test_what_does_not_change_as_far_as_is_looked_is_looked_at_again_there(text: str) -> None:
    schedule, now = parse_schedule(text), at("2026-08-01 12:00")
    look = schedule.next_look(now)
    assert look is not None
    assert (look.at > now, look.changes, schedule.next_change(now)) == (True, False, None)


def test_what_never_changes_says_so() -> None:
    assert parse_schedule("deny 0 0 * * * 24h").next_look(at("2026-08-01 12:00")) is None


@pytest.mark.parametrize(
    ("day", "opens"),
    [("2026-03-28", "2026-03-29 01:00"), ("2026-10-24", "2026-10-25 00:30"), ("2026-06-01", "2026-06-02 00:30")],
)
def test_window_in_an_hour_that_is_left_out_or_comes_twice_is_there_once(day: str, opens: str) -> None:
    schedule = parse_schedule("30 2 * * * 45m Europe/Berlin")
    found = schedule.next_change(at(f"{day} 12:00"))
    assert found == at(opens)
    assert schedule.next_change(at(opens)) == at(opens) + timedelta(minutes=45)


_WINDOWS = st.builds(
    "{} {} {} * * {} {} {}".format,
    st.sampled_from(["allow", "deny"]),
    st.sampled_from(["0", "30", "*/20"]),
    st.sampled_from(["*", "2", "1,2,3", "22"]),
    st.sampled_from(["*", "MON-FRI", "SUN"]),
    st.sampled_from(["10m", "90m", "26h"]),
    st.sampled_from(["UTC", "Europe/Berlin", "America/New_York", "Asia/Kathmandu"]),
)
_MOMENTS = st.builds(
    lambda day, minutes: at(day) + timedelta(minutes=minutes),
    st.sampled_from(["2026-03-07", "2026-03-28", "2026-06-01", "2026-10-24", "2026-10-31"]),
    st.floats(0, 3 * 24 * 60),
)


@settings(deadline=None)
@given(st.lists(_WINDOWS, max_size=3), _MOMENTS)
def test_nothing_changes_before_the_next_change(windows: list[str], now: datetime) -> None:
    schedule = parse_schedule(";".join(windows))
    change = schedule.next_change(now)
    end = change or now + timedelta(days=3)
    assert end > now.replace(second=0, microsecond=0)
    probes = (now + (end - now) * part / 7 for part in range(7))
    assert {schedule.is_open(probe) for probe in probes} == {schedule.is_open(now)}
    if change:
        assert schedule.is_open(change) is not schedule.is_open(now)
