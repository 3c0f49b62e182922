"""Groups: images of one application that move together, each time to one tag that all of them can have."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace

from updater.domain.decision import Decision, Hold, Reason, Update, UpToDate
from updater.domain.ordering import Dropped
from updater.domain.ranking import Election

Ballot = tuple[Election | None, Decision]
"""An image's decision, and the election it is from; of settings that allow none there is none."""


def in_common(elections: Sequence[Election]) -> list[Election]:
    """Leave each election of a group the candidates whose tags all of them have."""
    names = [{record.name for record in election.candidates.records} for election in elections]
    shared = set.intersection(*names) if names else set()
    return [_limited(election, shared) for election in elections]


def held_apart(group: str, members: Mapping[str, Ballot]) -> Mapping[str, Hold]:
    """Hold each update of a group, by its alias, unless all members have the same tag once all updates are written."""
    tags = [_tags_after(*ballot) for ballot in members.values()]
    if tags and frozenset.intersection(*tags):
        return {}
    states = {alias: _state(decision) for alias, (_, decision) in members.items()}
    until = min((hold.until for _, hold in members.values() if isinstance(hold, Hold) and hold.until), default=None)
    return {
        alias: Hold(
            reason=Reason.GROUP_DIFFERS,
            message=f"{decision.version} waits for the others of group {group}: "
            + ", ".join(f"{other} {state}" for other, state in states.items() if other != alias),
            candidate=decision.version,
            until=until,
        )
        for alias, (_, decision) in members.items()
        if isinstance(decision, Update)
    }


def _limited(election: Election, shared: set[str]) -> Election:
    others = [each.name for each in election.candidates.records if each.name not in shared]
    if not others:
        return election
    dropped = {**election.dropped, **dict.fromkeys(others, Dropped.GROUP)}
    kept = tuple(each for each in election.candidates.records if each.name in shared)
    return replace(
        election,
        candidates=replace(election.candidates, records=kept),
        dropped=dropped,
        counts=Counter(dropped.values()),
    )


def _tags_after(election: Election | None, decision: Decision) -> frozenset[str]:
    """Return the tags that a member has once its decision is carried out; a digest alone may have several."""
    if election is None or not isinstance(decision, Update | UpToDate) or not decision.version:
        return frozenset()
    version = decision.version
    if version.tag:
        return frozenset({version.tag})
    return frozenset(name for name, record in election.records.items() if record.digest == version.digest)


def _state(decision: Decision) -> str:
    if isinstance(decision, Update):
        return f"could have {decision.version}"
    if isinstance(decision, UpToDate) and decision.version:
        return f"has {decision.version}"
    return f"cannot move ({decision.reason})"
