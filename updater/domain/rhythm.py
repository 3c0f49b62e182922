"""How long to leave a repository alone: the longer nothing happened in it, the longer."""

from datetime import datetime, timedelta

_PART = 24
"""A repository that was quiet for a day is looked at once an hour: news are late by 4 % of what was waited anyway."""
_PART_WITH_HINTS = 4
"""The same where webhooks bring the news, and looks only make up for lost ones."""
_HINTS_COUNT_FOR = timedelta(days=7)


def next_wait(
    interval: timedelta,
    longest: timedelta,
    quiet: timedelta | None,
    since_hint: timedelta | None,
) -> timedelta:
    """Return the wait until the next look, from `interval` up to `longest`.

    `quiet` is how long nothing has changed, `since_hint` how long ago a webhook last spoke of the repository; None when
    that is not known, or never happened.
    """
    hinted = since_hint is not None and since_hint < _HINTS_COUNT_FOR
    stretched = (quiet or timedelta()) / (_PART_WITH_HINTS if hinted else _PART)
    return max(interval, min(stretched, longest))


def is_over(since: datetime | None, period: timedelta, now: datetime) -> bool:
    """Say whether a period has passed, if it ever began; one that lies ahead is over: the clock was set back."""
    return since is None or not timedelta() <= now - since < period
