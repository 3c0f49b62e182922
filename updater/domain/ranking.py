"""What all applications with one policy share of a snapshot: every tag's verdict, and the candidates in their order."""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import NamedTuple, overload

from updater.domain.candidates import Snapshot, TagRecord
from updater.domain.chart_versions import from_tag, is_chart_version
from updater.domain.decision import Verdict
from updater.domain.errors import Misconfigured
from updater.domain.extraction import Key
from updater.domain.filters import TagFilters
from updater.domain.image import ImageVersion
from updater.domain.ordering import DROPPED_BY_NAME, Dropped, Order, Place, is_tag, order_of
from updater.domain.policy import Output, Policy, Strategy
from updater.domain.policy_check import check_policy


class Candidate(NamedTuple):
    """A tag that may be chosen."""

    key: Key
    tie: Key
    record: TagRecord


class Standing(NamedTuple):
    """Where a version stands that need not be in the registry."""

    place: Place | Dropped
    filtered: str
    """Which filter drops it; empty when none does."""

    @property
    def key(self) -> Key | None:
        """None when nothing is known of its order."""
        return None if isinstance(self.place, Dropped) else self.place.key

    @property
    def excluded(self) -> str:
        """Say which setting rules it out; empty for a pre-release of what is allowed, which may stay where it is."""
        outside = None if isinstance(self.place, Dropped) else self.place.outside
        return self.filtered or (outside if outside is Dropped.CONSTRAINT else "")

    @property
    def choosable(self) -> bool:
        """False when the settings would never choose it, whatever a registry says of it."""
        outside = self.place if isinstance(self.place, Dropped) else self.place.outside
        return not self.filtered and outside not in DROPPED_BY_NAME


@dataclass(frozen=True, slots=True)
class Rule:
    """A policy, ready to be applied to tags."""

    filters: TagFilters
    order: Order
    is_name: Callable[[str], bool] = is_tag

    def place(self, record: TagRecord) -> Place | str:
        """Give a tag its place, or the word for what drops it."""
        if not self.is_name(record.name):
            return Dropped.NOT_A_TAG
        dropped = self.filters.drops(record.name)
        if dropped:
            return dropped
        place = self.order.place(record)
        return place if isinstance(place, Dropped) else place.outside or place

    def standing(self, record: TagRecord) -> Standing:
        """Give a place also to what filters and constraint rule out."""
        if not self.is_name(record.name):
            return Standing(Dropped.NOT_A_TAG, "")
        return Standing(self.order.place(record), self.filters.drops(record.name))


@dataclass(frozen=True, slots=True)
class Ranking(Sequence[Candidate]):
    """Candidates, the best first; their keys are made anew when one is looked at: of most, nobody ever does."""

    records: tuple[TagRecord, ...]
    rule: Rule

    def __len__(self) -> int:
        return len(self.records)

    @overload
    def __getitem__(self, index: int) -> Candidate: ...
    @overload
    def __getitem__(self, index: slice) -> Sequence[Candidate]: ...
    def __getitem__(self, index: int | slice) -> Candidate | Sequence[Candidate]:
        if isinstance(index, slice):
            return Ranking(self.records[index], self.rule)
        return self.candidate(self.records[index])

    def __iter__(self) -> Iterator[Candidate]:
        return map(self.candidate, self.records)

    def candidate(self, record: TagRecord) -> Candidate:
        """Look at one of the records again."""
        place = self.rule.place(record)
        assert isinstance(place, Place)  # noqa: S101 - else it would not be among them
        return Candidate(place.key, place.tie, record)


@dataclass(frozen=True, slots=True)
class Election:
    """A policy's outcome on a snapshot, before anything is known of who has which version."""

    policy: Policy
    snapshot: Snapshot
    rule: Rule = field(compare=False, repr=False)
    candidates: Ranking = field(compare=False, repr=False)
    dropped: Mapping[str, str] = field(compare=False, repr=False)
    """Tag -> the word for what dropped it."""
    counts: Mapping[str, int] = field(compare=False, repr=False)
    """The word for what drops tags -> how many it dropped."""
    records: Mapping[str, TagRecord] = field(compare=False, repr=False)

    @property
    def verdicts(self) -> tuple[Verdict, ...]:
        """Tell what became of each tag: those kept by rank, then those dropped by name."""
        kept = (
            Verdict(record.name, kept=True, reason="kept", rank=rank)
            for rank, record in enumerate(self.candidates.records, start=1)
        )
        dropped = (Verdict(tag, kept=False, reason=reason) for tag, reason in sorted(self.dropped.items()))
        return (*kept, *dropped)

    @property
    def output(self) -> Output:
        """What is written of the chosen tag."""
        if self.policy.output:
            return self.policy.output
        return Output.TAG_DIGEST if self.policy.strategy is Strategy.DIGEST else Output.TAG

    def version_of(self, record: TagRecord) -> ImageVersion:
        """Return what is to be written for a tag; the tag alone while its digest is not known."""
        if self.output is Output.TAG or not record.digest:
            return ImageVersion(record.name)
        return ImageVersion(record.name if self.output is Output.TAG_DIGEST else "", record.digest)

    def standing(self, version: ImageVersion) -> Standing:
        return self.rule.standing(self.record_of(version))

    def record_of(self, version: ImageVersion) -> TagRecord:
        """Return what is known of a version: by its digest if it has one, for a tag may have moved since."""
        listed = self.records.get(version.tag)
        if listed and (not version.digest or listed.digest in ("", version.digest)):
            return listed
        unknown = TagRecord(version.tag, version.digest)
        if not version.digest:
            return unknown
        digests = (record for record in self.candidates.records if record.digest == version.digest)
        same = next(digests, unknown)
        return replace(same, name=version.tag or same.name)


def elect(policy: Policy, snapshot: Snapshot, now: datetime) -> Election:
    """Apply a policy to a snapshot; of an incomplete one, nothing is ranked.

    Raises:
        Misconfigured: the policy cannot be followed; the text names every problem.
    """
    problems = check_policy(policy)
    if problems:
        raise Misconfigured("; ".join(problems))
    rule = Rule(TagFilters.of(policy), order_of(policy, now), is_chart_version if policy.of_chart else is_tag)
    records = {} if snapshot.incomplete else {record.name: record for record in _named(policy, snapshot)}
    candidates: list[Candidate] = []
    dropped: dict[str, str] = {}
    for record in records.values():
        place = rule.place(record)
        if isinstance(place, str):
            dropped[record.name] = place
        else:
            candidates.append(Candidate(place.key, place.tie, record))
    candidates.sort(key=lambda candidate: (candidate.key, candidate.tie, candidate.record.name), reverse=True)
    return Election(
        policy=policy,
        snapshot=snapshot,
        rule=rule,
        candidates=Ranking(tuple(candidate.record for candidate in candidates), rule),
        dropped=dropped,
        counts=Counter(dropped.values()),
        records=records,
    )


def _named(policy: Policy, snapshot: Snapshot) -> Iterable[TagRecord]:
    """Give the tags of a chart in a registry the names that Helm has for them."""
    if not policy.of_chart or snapshot.repository.is_helm:
        return snapshot.tags
    return (replace(each, name=from_tag(each.name)) for each in snapshot.tags)
