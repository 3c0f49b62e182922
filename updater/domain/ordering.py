"""What makes one tag greater than another: an order for every strategy.

An order gives each tag a place, a tuple that compares fast, or the reason why the tag has none. Names of versions that
are not in the registry any more have places too, wherever the name alone says enough.
"""

import re
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import NamedTuple, Protocol

from updater.domain.candidates import TagRecord
from updater.domain.constraint import Constraint, parse_constraint
from updater.domain.errors import Misconfigured
from updater.domain.extraction import Extraction, Key, Reversed
from updater.domain.platform import Platform, matches
from updater.domain.policy import Policy, Strategy
from updater.domain.version import Version, parse_version

_TAG = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}")
_DIGITS = re.compile(r"[0-9]+")
_FIRST_IMAGES = datetime(2013, 1, 1, tzinfo=UTC)
"""Reproducible builds say 1970 or 1980; nothing older than container images themselves is a date of build."""
_CLOCK_ERROR = timedelta(days=1)


class Dropped(StrEnum):
    """Why a tag has no place among the candidates; the filters have words of their own beside these."""

    NOT_A_TAG = "not-a-tag"
    NOT_A_VERSION = "not-a-version"
    CONSTRAINT = "constraint"
    PRE_RELEASE = "pre-release"
    NO_NUMBER = "no-number"
    EXTRACT = "extract"
    PLATFORM = "platform"
    NO_DATE = "no-date"
    FALSE_DATE = "false-date"
    GROUP = "group"
    UNKNOWN = "unknown"


DROPPED_BY_NAME = frozenset(
    {Dropped.NOT_A_VERSION, Dropped.CONSTRAINT, Dropped.PRE_RELEASE, Dropped.NO_NUMBER, Dropped.EXTRACT},
)


class Place(NamedTuple):
    """Where a tag stands."""

    key: Key
    """Greater is better; equal keys are equal versions."""
    tie: Key = ()
    """Among equals, greater is better."""
    outside: Dropped | None = None
    """Set when the constraint rules the tag out, which has a place nevertheless."""


class Order(Protocol):
    """A strategy."""

    def place(self, record: TagRecord) -> Place | Dropped: ...


def is_tag(text: str) -> bool:
    """Check a tag as the distribution specification has it; what else a registry may say goes into no file."""
    return _TAG.fullmatch(text) is not None


def order_of(policy: Policy, now: datetime) -> Order:
    """Prepare a policy's order.

    Raises:
        Misconfigured: the constraint, `extract` or `sort` is not understood.
    """
    if policy.extract:
        return _ByExtraction(Extraction.parse(policy.extract, policy.sort))
    order: Order
    match policy.strategy:
        case Strategy.SEMVER:
            order = _ByVersion(parse_constraint(policy.constraint), policy.semver_loose)
        case Strategy.DIGEST:
            order = _OneTag(policy.constraint)
        case Strategy.NEWEST_BUILD:
            order = _ByBuild(policy.platforms, now)
        case Strategy.NEWEST_PUSH:
            order = _ByPush()
        case Strategy.ALPHABETICAL:
            order = _ByName()
        case Strategy.NUMERIC:
            order = _ByNumbers()
    return _Backwards(order) if smallest_first(policy.sort) else order


def smallest_first(sort: str) -> bool:
    """Read the direction of an order that has no parts: `tag asc` or `tag desc`, or `asc` or `desc` alone.

    Raises:
        Misconfigured: it is neither.
    """
    words = " ".join(sort.lower().split()).removeprefix("tag").strip()
    if words not in ("", "asc", "desc"):
        raise Misconfigured(
            f"sort {sort!r} is not understood without extract: write tag asc or tag desc, "
            "or cut the parts that are to be compared out of the tag with extract",
        )
    return words == "asc"


@dataclass(frozen=True, slots=True)
class _ByVersion:
    constraint: Constraint
    loose: bool

    def place(self, record: TagRecord) -> Place | Dropped:
        version = parse_version(record.name, loose=self.loose)
        if version is None:
            return Dropped.NOT_A_VERSION
        return Place(version.precedence, (version.specificity,), self._outside(version))

    def _outside(self, version: Version) -> Dropped | None:
        """Tell what rules a version out; `pre-release` when the release itself would be allowed."""
        if self.constraint.admits(version):
            return None
        release = Version((*version.core, True, ()), "", version.specificity)
        return Dropped.PRE_RELEASE if version.prerelease and self.constraint.admits(release) else Dropped.CONSTRAINT


@dataclass(frozen=True, slots=True)
class _OneTag:
    """The digest strategy: one tag, whose digests have no order."""

    tag: str

    def place(self, record: TagRecord) -> Place | Dropped:
        return Place((), (), None if record.name == self.tag else Dropped.CONSTRAINT)


@dataclass(frozen=True, slots=True)
class _ByBuild:
    platforms: tuple[Platform, ...]
    now: datetime

    def place(self, record: TagRecord) -> Place | Dropped:
        if record.builds is None:
            return Dropped.UNKNOWN
        wanted = [build for build in record.builds if self._wanted(build.platform)]
        if not wanted:
            return Dropped.PLATFORM
        dates = [build.created for build in wanted if build.created]
        if not dates:
            return Dropped.NO_DATE
        if not _FIRST_IMAGES <= max(dates) <= self.now + _CLOCK_ERROR:
            return Dropped.FALSE_DATE
        return Place((max(dates),), _numbers(record.name))

    def _wanted(self, available: Platform) -> bool:
        """Leave out what only other subscribers of the poll asked for."""
        return not self.platforms or any(matches(available, wanted) for wanted in self.platforms)


@dataclass(frozen=True, slots=True)
class _ByPush:
    def place(self, record: TagRecord) -> Place | Dropped:
        time = record.pushed or record.first_seen
        return Place((time,), _numbers(record.name)) if time else Dropped.UNKNOWN


@dataclass(frozen=True, slots=True)
class _ByName:
    def place(self, record: TagRecord) -> Place | Dropped:
        return Place((record.name,))


@dataclass(frozen=True, slots=True)
class _ByNumbers:
    def place(self, record: TagRecord) -> Place | Dropped:
        numbers = _numbers(record.name)
        return Place(numbers) if numbers else Dropped.NO_NUMBER


@dataclass(frozen=True, slots=True)
class _ByExtraction:
    extraction: Extraction

    def place(self, record: TagRecord) -> Place | Dropped:
        key = self.extraction.key(record.name)
        return Dropped.EXTRACT if key is None else Place(key)


@dataclass(frozen=True, slots=True)
class _Backwards:
    order: Order

    def place(self, record: TagRecord) -> Place | Dropped:
        place = self.order.place(record)
        return place if isinstance(place, Dropped) else place._replace(key=(Reversed(place.key),))


def _numbers(tag: str) -> tuple[int, ...]:
    return tuple(int(digits) for digits in _DIGITS.findall(tag))
