"""`schedule`: windows of time in which updates are written, or are not.

A window is one of Argo CD's sync windows on a line: `[allow|deny] <cron> <duration> [<time zone>]`. As there, updates
are written inside of any `allow` window, or at all times when there is none, but never inside of a `deny` window.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import NamedTuple
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from cronsim import CronSim, CronSimError

from updater.domain.durations import parse_go_duration
from updater.domain.errors import Misconfigured

_CRON_FIELDS = 5
_MINUTE = timedelta(minutes=1)
_LONGEST = timedelta(days=366)
_HORIZON = timedelta(days=2 * 366)
_STEPS = 1000
"""Starts and ends of windows that are looked at for the next change, at once; the rest has time until then."""
_ANY_TIME = datetime(2024, 1, 1, tzinfo=UTC)
_REMEDY = (
    "write windows such as 'allow 0 22 * * MON-FRI 4h Europe/Berlin' or 'deny 0 0 24 DEC * 72h', "
    "separated by semicolons or on lines of their own"
)


@dataclass(frozen=True, slots=True)
class Window:
    """A stretch of time that comes again and again; it begins and ends with a minute."""

    allow: bool
    cron: str
    length: timedelta
    zone: ZoneInfo

    def end(self, moment: datetime) -> datetime | None:
        """Tell when the first of the stretches ends that a moment lies in; None when it lies in none."""
        start = self.next_start(moment - self.length)
        return start + self.length if start <= moment else None

    def next_start(self, moment: datetime) -> datetime:
        """Tell when the first stretch after a moment begins; of an hour that comes twice, cron knows the first."""
        starts = (each.astimezone(UTC) for each in CronSim(self.cron, moment.astimezone(self.zone)))
        return next(start for start in starts if start > moment)


@dataclass(frozen=True, slots=True)
class Schedule:
    """All windows together; always open when there is none."""

    windows: tuple[Window, ...] = ()

    def is_open(self, now: datetime) -> bool:
        """Tell whether updates may be written now."""
        return _is_open(self, _minute(now))

    def next_change(self, now: datetime) -> datetime | None:
        """Tell when it closes, or opens if it is closed; None when it does not as far as that was looked for."""
        found = self.next_look(now)
        return found.at if found and found.changes else None

    def next_look(self, now: datetime) -> "Look | None":
        """Tell when it changes, or until when it surely does not; None when it does not within two years."""
        return _next_look(self, _minute(now))


class Look(NamedTuple):
    """When to look at a schedule again."""

    at: datetime
    changes: bool
    """False: it stays as it is until then, and maybe longer."""


@lru_cache(maxsize=1024)
def parse_schedule(text: str) -> Schedule:
    """Read windows, one a line or separated by semicolons.

    Raises:
        Misconfigured: one of them is not understood.
    """
    lines = (line.split() for part in text.splitlines() for line in part.split(";"))
    return Schedule(tuple(_window(words) for words in lines if words))


def _minute(moment: datetime) -> datetime:
    return moment.astimezone(UTC).replace(second=0, microsecond=0)


@lru_cache(maxsize=1024)
def _is_open(schedule: Schedule, moment: datetime) -> bool:
    covering = {window.allow for window in schedule.windows if window.end(moment)}
    return False not in covering and (True in covering or not any(window.allow for window in schedule.windows))


@lru_cache(maxsize=1024)
def _next_look(schedule: Schedule, now: datetime) -> Look | None:
    if not schedule.windows:
        return None
    was_open, moment = _is_open(schedule, now), now
    for _ in range(_STEPS):
        moment = _next_moment(schedule, moment)
        if moment - now > _HORIZON:
            return None
        if _is_open(schedule, moment) is not was_open:
            return Look(moment, changes=True)
    return Look(moment, changes=False)


def _next_moment(schedule: Schedule, moment: datetime) -> datetime:
    """Tell when a schedule may change at the earliest: no window matters while it lies under another."""
    allows = [window for window in schedule.windows if window.allow]
    denies = [window for window in schedule.windows if not window.allow]
    allowed_until = _last_end(allows, moment)
    if allows and allowed_until is None:
        return min(window.next_start(moment) for window in allows)
    denied_until = _last_end(denies, moment)
    if denied_until is not None:
        return denied_until
    ends = [allowed_until] if allowed_until else []
    return min([*ends, *(window.next_start(moment) for window in denies)])


def _last_end(windows: Sequence[Window], moment: datetime) -> datetime | None:
    """Tell when the last of the stretches ends that a moment lies in; None when it lies in none."""
    return max((end for window in windows if (end := window.end(moment))), default=None)


def _window(words: list[str]) -> Window:
    kind = words[0].lower()
    told = words[1:] if kind in ("allow", "deny") else words
    fields, rest = told[:_CRON_FIELDS], told[_CRON_FIELDS:]
    if len(rest) not in (1, 2):
        raise _wrong(words, "it takes five fields of cron, a duration, and a time zone or none")
    window = Window(kind != "deny", " ".join(fields), _length(words, rest[0]), _zone(words, (*rest, "UTC")[1]))
    try:
        window.next_start(_ANY_TIME)
    except (CronSimError, ValueError) as error:
        raise _wrong(words, f"{window.cron!r} is no cron expression ({error})") from None
    except (StopIteration, OverflowError):
        raise _wrong(words, f"{window.cron!r} never comes") from None
    return window


def _length(words: list[str], text: str) -> timedelta:
    length = timedelta(seconds=parse_go_duration(text))
    if length % _MINUTE or not _MINUTE <= length <= _LONGEST:
        raise _wrong(words, f"{text} is no number of whole minutes between 1m and a year")
    return length


def _zone(words: list[str], name: str) -> ZoneInfo:
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise _wrong(words, f"{name!r} is no time zone, such as Europe/Berlin") from None


def _wrong(words: list[str], why: str) -> Misconfigured:
    return Misconfigured(f"schedule {' '.join(words)!r} is not understood, as {why}: {_REMEDY}")
