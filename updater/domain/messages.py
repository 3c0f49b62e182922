"""What the stages tell each other: facts, in the past participle."""

from dataclasses import dataclass

from updater.domain.application import Application, ApplicationName
from updater.domain.candidates import Snapshot
from updater.domain.image import ImageReference
from updater.domain.policy import Policy
from updater.domain.polling import PollKey
from updater.domain.target import ImageKeys, Target


@dataclass(frozen=True, slots=True)
class Problem:
    """A setting that cannot be followed, with the place, the value and the remedy in its text."""

    alias: str
    """Empty when it concerns the whole application."""
    message: str


@dataclass(frozen=True, slots=True)
class TrackedImage:
    """An image of an application, with everything its annotations say about it."""

    alias: str
    image: ImageReference
    policy: Policy
    poll: PollKey
    keys: ImageKeys
    target: Target
    force_update: bool = False


@dataclass(frozen=True, slots=True)
class TrackedApplication:
    """An application, read: what is to be kept up to date, where, and what in its settings is wrong."""

    application: Application
    images: tuple[TrackedImage, ...] = ()
    problems: tuple[Problem, ...] = ()

    @property
    def name(self) -> ApplicationName:
        return self.application.name


@dataclass(frozen=True, slots=True)
class ApplicationSeen:
    """An application is there, new or changed."""

    tracked: TrackedApplication


@dataclass(frozen=True, slots=True)
class ApplicationGone:
    """An application is no more, or has nothing to be kept up to date any more."""

    name: ApplicationName


@dataclass(frozen=True, slots=True)
class ImageObserved:
    """A poll came to an end: a complete snapshot, or the reason why there is none (`snapshot.incomplete`)."""

    poll: PollKey
    snapshot: Snapshot
