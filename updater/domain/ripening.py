"""When time alone changes a decision: a tag grows old enough, a window of the schedule opens or closes."""

from datetime import UTC, datetime
from itertools import takewhile

from updater.domain.candidates import TagRecord
from updater.domain.decision import Decision, Hold, Update
from updater.domain.ranking import Election
from updater.domain.schedule import parse_schedule

_LATEST_PUSH = datetime(9900, 1, 1, tzinfo=UTC)
"""Whatever a registry says; the calendar ends soon after."""


def ripe_at(record: TagRecord, election: Election) -> datetime:
    """Tell when a tag is old enough; one nobody has seen before is seen now."""
    known_since = record.pushed or record.first_seen or election.snapshot.observed_at
    return min(known_since, _LATEST_PUSH) + election.policy.minimum_age


def too_young(election: Election, now: datetime) -> int:
    """Count the candidates that are better than the best of those old enough."""
    if not election.policy.minimum_age:
        return 0
    return sum(1 for _ in takewhile(lambda record: ripe_at(record, election) > now, election.candidates.records))


def reconsider_at(election: Election, decision: Decision, now: datetime) -> datetime | None:
    """Tell when to decide again though nothing else changes; None when time alone changes nothing.

    An update that still waits to be written is decided again too: its window may close, a better tag may be ripe.
    """
    if isinstance(decision, Hold):
        return decision.until
    if not isinstance(decision, Update):
        return None
    young = election.candidates.records[: too_young(election, now)]
    ripe = [ripe_at(record, election) for record in young]
    look = parse_schedule(election.policy.schedule).next_look(now)
    return min([*ripe, *([look.at] if look else [])], default=None)
