"""What a registry said of a repository at one time, and what became of each of its tags."""

from dataclasses import dataclass
from datetime import datetime

from updater.domain.image import Repository
from updater.domain.platform import Platform

Labels = tuple[tuple[str, str], ...]
"""Names and values that an image was given by whoever built it."""


@dataclass(frozen=True, slots=True)
class Build:
    """One platform's image behind a tag."""

    platform: Platform
    created: datetime | None
    """The publisher's word (config `created`); None when the image does not say."""
    labels: Labels = ()
    """As far as its config was read; for commit messages."""


@dataclass(frozen=True, slots=True)
class TagRecord:
    """A tag, with as much about it as the poll was asked to find out."""

    name: str
    digest: str = ""
    """Of the manifest the tag points to (the index, for a multi-platform image); empty when not asked for."""
    builds: tuple[Build, ...] | None = None
    """Images of the wanted platforms; None when metadata was not asked for, empty when no platform matched."""
    pushed: datetime | None = None
    """The registry's word; None where the registry does not tell."""
    first_seen: datetime | None = None
    """When we first saw the tag in a complete list."""


@dataclass(frozen=True, slots=True)
class Snapshot:
    """The complete tag list of a repository at a time, or the reason why there is none."""

    repository: Repository
    tags: tuple[TagRecord, ...]
    observed_at: datetime
    listed: bool = True
    """False when only tags asked for by name were looked at: nothing is said of any other tag then."""
    incomplete: str = ""
    """Why this answer must decide nothing; empty when it is complete."""
