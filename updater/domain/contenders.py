"""Which tags a policy may choose, told before their digests are known: those are the ones worth asking for."""

from collections.abc import Iterator
from datetime import UTC, datetime

from updater.domain.ranking import Candidate, Election

_MOST = 20
"""Equal versions of which the digest is asked for; nobody has more spellings of one version."""
_LATEST = datetime(9900, 1, 1, tzinfo=UTC)


def contenders(election: Election, now: datetime) -> tuple[str, ...]:
    """Name the best tag, the best that is old enough, and the equals of both: one of them is chosen, if any is."""
    candidates = election.candidates
    ripe = next((each for each in candidates if _is_ripe(each, election, now)), None)
    best = [*candidates[:1], *([ripe] if ripe else [])]
    return tuple(dict.fromkeys(name for each in best for name in _equals(each, election)))


def _equals(candidate: Candidate, election: Election) -> Iterator[str]:
    equal = [each.record.name for each in election.candidates if each.key == candidate.key]
    yield from (candidate.record.name, *equal[:_MOST])


def _is_ripe(candidate: Candidate, election: Election, now: datetime) -> bool:
    known_since = candidate.record.pushed or candidate.record.first_seen or election.snapshot.observed_at
    return min(known_since, _LATEST) + election.policy.minimum_age <= now
