"""Which tags a policy may choose, told before their digests are known: those are the ones worth asking for."""

from collections.abc import Iterator
from datetime import datetime
from itertools import islice, takewhile

from updater.domain.ranking import Candidate, Election
from updater.domain.ripening import too_young

_MOST = 20
"""Equal versions of which the digest is asked for; nobody has more spellings of one version."""


def contenders(election: Election, now: datetime) -> tuple[str, ...]:
    """Name the best tag, the best that is old enough, and the equals of both: one of them is chosen, if any is."""
    candidates = election.candidates
    ripe = too_young(election, now)
    best = [*candidates[:1], *candidates[ripe : ripe + 1]]
    return tuple(dict.fromkeys(name for each in best for name in _equals(each, election)))


def _equals(candidate: Candidate, election: Election) -> Iterator[str]:
    not_less = takewhile(lambda each: not each.key < candidate.key, election.candidates)
    equal = (each.record.name for each in not_less if each.key == candidate.key)
    yield from (candidate.record.name, *islice(equal, _MOST))
