"""How one image chooses among its tags: the settings that decide, and nothing that waits."""

from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum

from updater.domain.platform import Platform


class Strategy(StrEnum):
    """What makes one tag newer than another."""

    SEMVER = "semver"
    NEWEST_BUILD = "newest-build"
    NEWEST_PUSH = "newest-push"
    ALPHABETICAL = "alphabetical"
    NUMERIC = "numeric"
    DIGEST = "digest"


class Output(StrEnum):
    """What is written for the chosen tag."""

    TAG = "tag"
    DIGEST = "digest"
    TAG_DIGEST = "tag@digest"


@dataclass(frozen=True, slots=True)
class Policy:
    """Everything that decides which tag an image should have; equal policies choose alike, so choices can be shared."""

    strategy: Strategy = Strategy.SEMVER
    constraint: str = ""
    """What stands behind the image in `image-list`: a version range for semver, the tag for digest."""
    allow_tags: str = ""
    """`any`, `regexp:<RE2>`, or several `regexp:` on lines of their own; empty is any."""
    ignore_tags: tuple[str, ...] = ()
    """Globs in the manner of Go's `filepath.Match`."""
    skip_tags: tuple[str, ...] = ()
    """Tags never to be chosen, by their exact names."""
    platforms: tuple[Platform, ...] = ()
    """Platforms an image must serve one of; empty is the updater's own. Read by the metadata strategies alone."""
    output: Output | None = None
    """None: the strategy's own (`tag@digest` for digest, `tag` for the others)."""
    extract: str = ""
    """RE2 with named groups that cuts the sort key out of a tag; tags it does not match are dropped."""
    sort: str = ""
    """Such as `year desc, build desc`; each a group of `extract`, or `tag`. Of alphabetical and numeric, `tag asc`."""
    minimum_age: timedelta = timedelta()
    """Since the push, or since we first saw the tag; never by the publisher's date."""
    allow_downgrade: bool = False
    of_chart: bool = False
    """Choose among versions of a chart, which may have build metadata; a tag of an image has none."""
    semver_loose: bool = False
    """Take tags of six or more digits alone for versions, as AIU does."""
    rollback_overwrite: bool = False
    """Write over what a person rolled back, as AIU does."""
    release: str = ""
    """A version (tag, digest or both) that may be written again though a person rolled it back."""
    pin: str = ""
    """The one tag to have, whatever else there is."""
    paused: str = ""
    """Why nothing is to be written now; empty when not paused."""
    schedule: str = ""
    """Windows of time in which updates are written, as `updater.domain.schedule` reads them; empty: always."""
