"""Alarms by the clock: one for each key, the last one set."""

from datetime import timedelta

from tests.domain.builders import NOW
from updater.stages.alarms import Alarms

SOON, LATER = NOW + timedelta(hours=1), NOW + timedelta(hours=2)


def test_alarms_go_off_in_their_order_and_once() -> None:
    alarms = Alarms[str]()
    alarms.set("b", LATER)
    alarms.set("a", SOON)
    assert alarms.next() == SOON
    assert alarms.take(NOW) == []
    assert alarms.take(LATER) == ["a", "b"]
    assert alarms.next() is None


def test_alarm_that_is_moved_goes_off_at_its_last_time_alone() -> None:
    alarms = Alarms[str]()
    for time in (SOON, LATER, SOON, LATER):
        alarms.set("a", time)
    assert alarms.take(SOON) == []
    assert alarms.take(LATER) == ["a"]


def test_alarm_that_is_taken_back_never_goes_off() -> None:
    alarms = Alarms[str]()
    alarms.set("a", SOON)
    alarms.set("a", None)
    assert alarms.next() is None
