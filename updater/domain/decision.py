"""From a snapshot to a decision, with the reason: the heart of the house."""

from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum

from updater.domain.image import ImageVersion


class Reason(StrEnum):
    """Why a decision is what it is, for machines; the sentence beside it is for people."""

    NEWER = "newer"
    CONSTRAINT_MOVED = "constraint-moved"
    DIGEST_MOVED = "digest-moved"
    PINNED = "pinned"
    CURRENT = "current"
    CURRENT_IS_NEWER = "current-is-newer"
    NO_CANDIDATE = "no-candidate"
    INCOMPLETE = "incomplete"
    ROLLED_BACK = "rolled-back"
    TOO_YOUNG = "too-young"
    PAUSED = "paused"
    OUTSIDE_SCHEDULE = "outside-schedule"
    GROUP_DIFFERS = "group-differs"
    UNSIGNED = "unsigned"
    VERIFYING = "verifying"
    NOT_FOUND = "not-found"
    INVALID = "invalid"


class Origin(StrEnum):
    """Where the present value of an image was read."""

    TARGET = "target"
    """The place a change is written to."""
    APPLICATION = "application"
    """The Application's own parameters, which the target would override."""
    LIVE = "live"
    """`status.summary.images`."""
    BASE = "base"
    """The chart's values or the kustomization that the target would override."""
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class Current:
    """The version that holds now, and where that was read."""

    version: ImageVersion = ImageVersion()
    origin: Origin = Origin.UNKNOWN
    removed: bool = False
    """The target says nothing of the image any more, though we had written there: somebody took it out."""


@dataclass(frozen=True, slots=True)
class Memory:
    """What is remembered of an (application, alias) at its present target."""

    written: ImageVersion = ImageVersion()
    """What we last wrote there and saw confirmed; empty when never."""
    rejected: ImageVersion = ImageVersion()
    """The version a person took back; it and everything older is held. Empty when there is none."""
    released: ImageVersion = ImageVersion()
    """The version that was written again after it had been taken back: the same release does not count twice."""
    declined_in: str = ""
    """The pull request in which `rejected` was declined; empty: it was taken back in the target."""
    written_at: datetime | None = field(default=None, compare=False)
    """When `written` was last confirmed."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """What became of one tag."""

    tag: str
    kept: bool
    reason: str
    """A short machine-readable word: `kept`, `allow-tags`, `ignore-tags`, `not-a-version`, `constraint`, …"""
    rank: int | None = None
    """1 for the best of those kept; None for a dropped tag."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Decided:
    reason: Reason
    message: str
    """One sentence for people, with the remedy where there is one."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Update(_Decided):
    """Write `version`."""

    version: ImageVersion
    previous: ImageVersion = ImageVersion()
    released: ImageVersion = ImageVersion()
    """To be remembered before it is written: a person took it back, and the annotation `release` lets it go."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Hold(_Decided):
    """Keep what is there, though there is (or may be) something else to have."""

    candidate: ImageVersion = ImageVersion()
    until: datetime | None = None
    """When time alone will release it; None when it takes an event or a person."""
    rejected: ImageVersion = ImageVersion()
    """To be remembered: the version a person took back. Empty unless the reason is a rollback."""
    declined_in: str = ""
    """The pull request in which they did so; empty: in the target."""


@dataclass(frozen=True, slots=True, kw_only=True)
class UpToDate(_Decided):
    """What is there is what is wanted."""

    version: ImageVersion = ImageVersion()


@dataclass(frozen=True, slots=True, kw_only=True)
class Invalid(_Decided):
    """The image's settings cannot be followed; somebody has to change them."""

    problems: tuple[str, ...] = field(default=())


Decision = Update | Hold | UpToDate | Invalid
