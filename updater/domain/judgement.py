"""What one image should do about an election: the home of the safety rules.

The best candidate is a wish at first. Before it becomes an update it has to pass the rules that protect people: what
somebody took back stays back, what is too young or paused waits, and what cannot be told apart is not chosen.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from updater.domain.candidates import TagRecord
from updater.domain.decision import Current, Decision, Hold, Memory, Origin, Reason, Update, UpToDate
from updater.domain.image import ImageVersion
from updater.domain.ordering import Dropped, Place
from updater.domain.policy import Output, Strategy
from updater.domain.ranking import Candidate, Election, Standing
from updater.domain.ripening import ripe_at, too_young
from updater.domain.rollback import rejection_of, taken_back
from updater.domain.schedule import parse_schedule
from updater.domain.sentences import (
    all_at_once,
    because,
    not_looked_into,
    nothing_to_choose,
    source,
    tags,
    time_of,
    undated,
)

_BY_TIME = (Strategy.NEWEST_BUILD, Strategy.NEWEST_PUSH)
_BY_HAND = (Origin.TARGET, Origin.APPLICATION)
"""Where a version differs from what we wrote only because somebody changed it."""
_NOTHING = ImageVersion()


def judge(election: Election, current: Current, memory: Memory, now: datetime) -> Decision:
    """Decide for one image; `current` and `memory` are of the place where it is to be written."""
    case = _Case(
        election=election,
        present=_as_written(current.version, election) if current.origin is not Origin.UNKNOWN else _NOTHING,
        by_hand=current.origin in _BY_HAND or current.removed,
        memory=Memory(
            _as_written(memory.written, election),
            _as_written(memory.rejected, election),
            _as_written(memory.released, election),
            memory.declined_in,
            memory.written_at,
        ),
        now=now,
    )
    decision = case.decide()
    if not isinstance(decision, Update):
        return decision
    if election.output is not Output.TAG and not decision.version.digest:
        message = f"{decision.version} waits until its digest is known, as output {election.output} needs it"
        return Hold(reason=Reason.INCOMPLETE, message=message, candidate=decision.version)
    return _paused(decision, election) or _outside_schedule(decision, election, now) or decision


def _paused(update: Update, election: Election) -> Hold | None:
    if not election.policy.paused:
        return None
    message = f"{update.version} waits while updates are paused: {election.policy.paused}"
    return Hold(reason=Reason.PAUSED, message=message, candidate=update.version)


def _outside_schedule(update: Update, election: Election, now: datetime) -> Hold | None:
    schedule = parse_schedule(election.policy.schedule)
    if schedule.is_open(now):
        return None
    look = schedule.next_look(now)
    wait = "for ever, as it does not open within two years: correct it"
    if look:
        wait = f"until {time_of(look.at)}" if look.changes else f"until {time_of(look.at)} at least"
    message = f"{update.version} waits outside the schedule {wait}"
    until = look.at if look else None
    return Hold(reason=Reason.OUTSIDE_SCHEDULE, message=message, candidate=update.version, until=until)


def _as_written(version: ImageVersion, election: Election) -> ImageVersion:
    """Drop the `latest` that a digest alone is written with."""
    if election.output is Output.DIGEST and version.digest and version.tag == "latest":
        return ImageVersion("", version.digest)
    return version


@dataclass(frozen=True, slots=True, kw_only=True)
class _Case:
    election: Election
    present: ImageVersion
    """Empty when it is not known."""
    by_hand: bool
    """Whether somebody may have changed what we wrote to `present`."""
    memory: Memory
    now: datetime

    def decide(self) -> Decision:
        election, snapshot = self.election, self.election.snapshot
        if snapshot.incomplete:
            reason = f"{source(election)} gave no complete answer, so nothing changes: {snapshot.incomplete}"
            return Hold(reason=Reason.INCOMPLETE, message=reason)
        if election.policy.pin:
            return self._pinned(election.policy.pin)
        unknown = not_looked_into(election) if self._seen_enough() else self._not_listed()
        if unknown:
            return Hold(reason=Reason.INCOMPLETE, message=unknown)
        if not election.candidates:
            return Hold(reason=Reason.NO_CANDIDATE, message=nothing_to_choose(election))
        return self._of_age()

    def _seen_enough(self) -> bool:
        return self.election.snapshot.listed or self.election.policy.strategy is Strategy.DIGEST

    def _not_listed(self) -> str:
        return f"the tags of {source(self.election)} have not been listed yet"

    def _pinned(self, pin: str) -> Decision:
        record = self.election.records.get(pin)
        if record is None and not self.election.snapshot.listed:
            return Hold(reason=Reason.INCOMPLETE, message=self._not_listed())
        if record is None:
            message = f"pin {pin} is no tag of {source(self.election)}: name one that is, or remove the pin"
            return Hold(reason=Reason.NO_CANDIDATE, message=message)
        candidate = Candidate((), (), record)
        if self._has(candidate):
            return self._current(candidate, f"{pin} is pinned, and is there")
        return self._update(Reason.PINNED, candidate, f"{pin} is pinned")

    def _of_age(self) -> Decision:
        """Weigh the best candidate that is old enough; where it changes nothing, say what a younger one will change."""
        candidates = self.election.candidates
        best = self._weigh(candidates[0])
        young = too_young(self.election, self.now)
        if not young or not isinstance(best, Update):
            return best
        if young < len(candidates):
            decision = self._weigh(candidates[young])
            if isinstance(decision, Update):
                return decision
        return self._too_young(candidates.records[:young])

    def _too_young(self, young: Sequence[TagRecord]) -> Hold:
        """Hold until the first of those that are wanted is old enough."""
        ranking = self.election.candidates
        soonest = sorted(young, key=lambda record: ripe_at(record, self.election))
        first = next(record for record in soonest if isinstance(self._weigh(ranking.candidate(record)), Update))
        until, version = ripe_at(first, self.election), self.election.version_of(first)
        age = self.election.policy.minimum_age
        message = f"{version} is younger than minimum-age {age}, and waits until {time_of(until)}"
        return Hold(reason=Reason.TOO_YOUNG, message=message, candidate=version, until=until)

    def _weigh(self, candidate: Candidate) -> Decision:
        """Decide as if this candidate were the best; among its equals, the present tag is."""
        candidate = self._present_among_equals(candidate) or candidate
        wish = self._wish(candidate)
        if not isinstance(wish, Update):
            return wish
        wish = self._unless_taken_back(candidate, wish)
        return (self._indistinct(candidate, wish) or wish) if isinstance(wish, Update) else wish

    def _present_among_equals(self, candidate: Candidate) -> Candidate | None:
        own = self.election.records.get(self.election.record_of(self.present).name)
        if own is None:
            return None
        place = self.election.rule.place(own)
        equal = isinstance(place, Place) and place.key == candidate.key
        return candidate._replace(record=own) if equal else None

    def _wish(self, candidate: Candidate) -> Decision:
        """Decide by the order alone."""
        if not self.present:
            message = f"{candidate.record.name} is the best allowed, and no present version is known"
            return self._update(Reason.NEWER, candidate, message)
        standing = self.election.standing(self.present)
        if standing.excluded:
            return self._excluded(candidate, standing)
        if isinstance(standing.place, Dropped):
            return self._without_order(candidate, standing.place)
        if standing.place.key == candidate.key:
            return self._equal(candidate)
        if standing.place.key < candidate.key:
            return self._update(Reason.NEWER, candidate, f"{candidate.record.name} is newer than {self.present}")
        return self._older(candidate)

    def _excluded(self, candidate: Candidate, standing: Standing) -> Update:
        newer = standing.key is not None and standing.key < candidate.key
        why = because(standing.excluded, self.election.policy)
        message = f"{candidate.record.name} is the best allowed, and {self.present} is not allowed any more ({why})"
        return self._update(Reason.NEWER if newer else Reason.CONSTRAINT_MOVED, candidate, message)

    def _older(self, candidate: Candidate) -> Decision:
        name = candidate.record.name
        if self.election.policy.allow_downgrade:
            message = f"{name} is the best allowed, and allow-downgrade lets it replace the newer {self.present}"
            return self._update(Reason.CONSTRAINT_MOVED, candidate, message)
        message = f"{self.present} is newer than {name}, the best allowed: set allow-downgrade to go back to that"
        return UpToDate(reason=Reason.CURRENT_IS_NEWER, message=message)

    def _without_order(self, candidate: Candidate, place: Dropped) -> Decision:
        present, name = self.present, candidate.record.name
        if self._has(candidate):
            return self._current(candidate, f"{present} is the best allowed")
        if place is Dropped.FALSE_DATE:
            message = f"{present} has an impossible date of build, so nothing is known to be newer: use newest-push"
            return Hold(
                reason=Reason.NO_CANDIDATE, message=message, candidate=self.election.version_of(candidate.record)
            )
        if present.tag == name or self.election.policy.strategy is Strategy.DIGEST:
            return self._digest_moved(candidate)
        if self._was_passed_over(candidate) and not self.election.policy.allow_downgrade:
            message = (
                f"{present}, which is not listed any more, was written when there was {name} already, so this is not "
                "known to be newer: set allow-downgrade to take it, or pin it"
            )
            return UpToDate(reason=Reason.CURRENT_IS_NEWER, message=message)
        message = f"{name} is the best allowed, and {present} cannot be compared with it"
        return self._update(Reason.NEWER, candidate, message)

    def _was_passed_over(self, candidate: Candidate) -> bool:
        """Tell whether a candidate by its time was there when we chose what is present, and took that instead.

        A list may lack a tag for a while, with all others in it: what is best without that tag is older.
        """
        if self.election.policy.strategy not in _BY_TIME or not self.memory.written_at:
            return False
        time = candidate.key[0]
        return self.present == self.memory.written and isinstance(time, datetime) and time <= self.memory.written_at

    def _equal(self, candidate: Candidate) -> Decision:
        """Keep what is equal to the best; the digest behind the present tag may have moved all the same."""
        if self._has(candidate):
            rivals = self._rivals(candidate)
            note = f" ({tags(len(rivals))} have the same time)" if rivals else ""
            return self._current(candidate, f"{self.present} is the best allowed{note}{undated(self.election)}")
        if self.present.tag in ("", candidate.record.name):
            return self._digest_moved(candidate)
        message = f"{self.present} is as new as {candidate.record.name}, the best allowed"
        return UpToDate(reason=Reason.CURRENT, message=message, version=self.present)

    def _has(self, candidate: Candidate) -> bool:
        """Tell whether the present version is this tag, as precisely as the output says it."""
        tag, digest = candidate.record.name, candidate.record.digest
        same_digest = bool(digest) and self.present.digest == digest
        match self.election.output:
            case Output.TAG:
                return self.present.tag == tag or (same_digest and not self.present.tag)
            case Output.DIGEST:
                return same_digest
            case Output.TAG_DIGEST:
                return same_digest and self.present.tag in ("", tag)

    def _unless_taken_back(self, candidate: Candidate, wish: Update) -> Update | Hold:
        if self.election.policy.rollback_overwrite:
            return wish
        by_hand = self.present if self.by_hand else _NOTHING
        rejection = rejection_of(candidate, self.election, by_hand, self.memory)
        if rejection is None:
            return wish
        rejected = rejection.version
        if rejection.released:
            return replace(wish, released=rejected)
        return taken_back(
            self.election.version_of(candidate.record),
            rejected,
            self.memory.declined_in if rejected == self.memory.rejected else "",
        )

    def _indistinct(self, candidate: Candidate, wish: Update) -> Hold | None:
        """Hold when no time tells the candidate from any other: its name would decide, which says nothing of time."""
        rivals = self._rivals(candidate)
        if wish.reason is Reason.DIGEST_MOVED or not rivals:
            return None
        version = self.election.version_of(candidate.record)
        message = all_at_once(self.election, len(rivals))
        return Hold(reason=Reason.NO_CANDIDATE, message=message, candidate=version)

    def _rivals(self, candidate: Candidate) -> Sequence[Candidate]:
        """Return the candidates down from this one when all are of the same time and not the same image."""
        candidates = self.election.candidates
        if self.election.policy.strategy not in _BY_TIME or candidates[-1].key != candidate.key:
            return ()
        rivals = [each for each in candidates if each.key == candidate.key]
        digests = {each.record.digest for each in rivals}
        return rivals if len(rivals) > 1 and (len(digests) > 1 or "" in digests) else ()

    def _digest_moved(self, candidate: Candidate) -> Update:
        message = f"{candidate.record.name} has digest {candidate.record.digest or 'unknown'} now"
        return self._update(Reason.DIGEST_MOVED, candidate, message)

    def _update(self, reason: Reason, candidate: Candidate, message: str) -> Update:
        version = self.election.version_of(candidate.record)
        return Update(reason=reason, message=message, version=version, previous=self.present)

    def _current(self, candidate: Candidate, message: str) -> UpToDate:
        return UpToDate(reason=Reason.CURRENT, message=message, version=self.election.version_of(candidate.record))
