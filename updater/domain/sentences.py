"""The words of decisions: one sentence each, for whoever is on duty at night."""

from datetime import UTC, datetime

from updater.domain.decision import Hold, Reason
from updater.domain.ordering import Dropped
from updater.domain.policy import Policy, Strategy
from updater.domain.ranking import Election

_BECAUSE = {
    "allow-tags": "not matched by allow-tags",
    "ignore-tags": "matched by ignore-tags",
    "skip-tags": "named in skip-tags",
    "artefact": "signatures or attestations",
    Dropped.NOT_A_TAG: "no valid tag name",
    Dropped.NOT_A_VERSION: "not a version",
    Dropped.PRE_RELEASE: "pre-release, which the constraint does not ask for",
    Dropped.NO_NUMBER: "without a number",
    Dropped.EXTRACT: "not matched by extract",
    Dropped.PLATFORM: "for other platforms",
    Dropped.NO_DATE: "without a date of build",
    Dropped.FALSE_DATE: "with an impossible date of build",
    Dropped.UNKNOWN: "with no recorded time",
    Dropped.GROUP: "that others of the group cannot have",
}
_EXAMPLES = 3


def source(election: Election) -> str:
    """Name where the tags come from."""
    repository = election.snapshot.repository
    return str(repository) if repository.name else "the list"


def because(word: str, policy: Policy) -> str:
    """Say what dropped a tag, or many."""
    if word != Dropped.CONSTRAINT:
        return _BECAUSE.get(word, word)
    if policy.strategy is Strategy.DIGEST:
        return f"other than {policy.constraint}"
    return f"outside constraint {policy.constraint or '*'}"


def nothing_to_choose(election: Election) -> str:
    """Say why there is no candidate: what was dropped, and by what."""
    policy, repository = election.policy, source(election)
    if policy.strategy is Strategy.DIGEST and policy.constraint not in election.records:
        return f"{repository} has no tag {policy.constraint}: correct the tag behind the image"
    if not election.dropped:
        return f"{repository} has no tags"
    reasons = sorted(election.counts.items(), key=lambda item: (-item[1], item[0]))
    listed = ", ".join(f"{count} {because(word, policy)}" for word, count in reasons)
    return f"{repository} has no tag to choose among {tags(len(election.dropped))}: {listed}"


def not_looked_into(election: Election) -> str:
    """Say which tags keep an order by time from being known; empty when none does."""
    count = election.counts.get(Dropped.UNKNOWN, 0)
    if not count:
        return ""
    unknown = sorted(tag for tag, word in election.dropped.items() if word == Dropped.UNKNOWN)
    examples = ", ".join(unknown[:_EXAMPLES]) + (", …" if count > _EXAMPLES else "")
    return f"no time is known yet of {tags(count)} of {source(election)} that may be the newest ({examples})"


def undated(election: Election) -> str:
    """Say, behind a sentence, that tags were left out because their images lie about their age."""
    count = election.counts.get(Dropped.FALSE_DATE, 0) + election.counts.get(Dropped.NO_DATE, 0)
    return f" ({tags(count)} without a usable date of build left out)" if count else ""


def all_at_once(election: Election, count: int) -> str:
    """Say that times cannot tell the candidates apart."""
    if election.policy.strategy is Strategy.NEWEST_PUSH:
        return f"{tags(count)} came at the same time, so none is the newest: it takes another push, or another strategy"
    return f"{tags(count)} say they were built at the same time, so none is the newest: use newest-push, or semver"


def tags(count: int) -> str:
    return "1 tag" if count == 1 else f"{count} tags"


def time_of(moment: datetime) -> str:
    return moment.astimezone(UTC).strftime("%Y-%m-%d %H:%M UTC")


def released_by(hold: Hold) -> str:
    """Say what ends a hold."""
    time = f"time alone, at {time_of(hold.until)}, or " if hold.until else ""
    ends = {
        Reason.INCOMPLETE: "the next complete answer of the registry",
        Reason.ROLLED_BACK: f"a version newer than {hold.rejected}, the annotation <alias>.release: {hold.rejected}, "
        "or the annotation rollback: overwrite",
        Reason.TOO_YOUNG: f"{time}a shorter minimum-age",
        Reason.PAUSED: "the end of the pause: remove the annotation pause, or set updates.pause to false",
        Reason.OUTSIDE_SCHEDULE: f"{time}another schedule",
        Reason.GROUP_DIFFERS: "the other members of the group, once all can have the same tag",
    }
    return ends.get(hold.reason, "a tag that the settings allow, or other settings")
