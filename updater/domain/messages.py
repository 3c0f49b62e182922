"""What the stages tell each other: facts, in the past participle."""

from dataclasses import dataclass, field
from enum import StrEnum
from typing import NamedTuple

from updater.domain.application import Application, ApplicationName
from updater.domain.candidates import Snapshot
from updater.domain.decision import Current, Update
from updater.domain.election import Election
from updater.domain.image import ImageReference, ImageVersion
from updater.domain.policy import Policy
from updater.domain.polling import PollKey
from updater.domain.resources import ResourceName, Verification
from updater.domain.target import ImageKeys, Target

Trace = str
"""The step that sent a message, as a W3C `traceparent`; empty when nobody traces."""


class ImageIdentity(NamedTuple):
    """What one tracked image is known by; never its name, which two aliases may share."""

    application: ApplicationName
    alias: str


@dataclass(frozen=True, slots=True)
class Problem:
    """A setting that cannot be followed, with the place, the value and the remedy in its text."""

    alias: str
    """Empty when it concerns the whole application."""
    message: str


@dataclass(frozen=True, slots=True)
class TrackedImage:
    """An image of an application, with everything that is said about it."""

    alias: str
    image: ImageReference
    policy: Policy
    poll: PollKey
    keys: ImageKeys
    target: Target
    force_update: bool = False
    group: str = ""
    """Images of the application with the same one move together; empty: by itself."""
    verification: Verification | None = None
    """Whose signature it needs; None: nobody's."""
    contests: tuple["Contest", ...] = ()
    """Who has manifests before it."""


class Contest(NamedTuple):
    """Somebody else has an image in all manifests that a glob matches, and wants another version of it."""

    glob: str
    why: str
    by_marks: bool
    """Whether marked lines can still be each one's own: their aliases differ."""


@dataclass(frozen=True, slots=True)
class Conflict:
    """An image that a resource names, and somebody else owns."""

    alias: str
    owner: str
    """In words."""


@dataclass(frozen=True, slots=True)
class ClaimOutcome:
    """What became of a resource's wish to keep an application up to date."""

    resource: ResourceName
    aliases: tuple[str, ...] = ()
    """The images it got."""
    problems: tuple[str, ...] = ()
    """What in the resource stops this application, or an image of it."""
    failures: tuple[str, ...] = ()
    """What of its images cannot be followed, all settings laid together."""
    conflicts: tuple[Conflict, ...] = ()


@dataclass(frozen=True, slots=True)
class TrackedApplication:
    """An application, read: what is to be kept up to date, where, and what in its settings is wrong."""

    application: Application
    images: tuple[TrackedImage, ...] = ()
    problems: tuple[Problem, ...] = ()
    """Each stops the image it names, or the whole application."""
    warnings: tuple[Problem, ...] = ()
    """Each is to be said, and stops nothing."""
    claims: tuple[ClaimOutcome, ...] = ()
    """One for each ImageUpdater that selects the application."""

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
    trace: Trace = field(default="", compare=False)


@dataclass(frozen=True, slots=True)
class SignatureChecked:
    """It is known now, or known better, whether what an image is to become is signed."""

    identity: ImageIdentity


@dataclass(frozen=True, slots=True)
class UpdateDecided:
    """An image's target seems to want a change; whoever reads the target has the last word, by the same election."""

    tracked: TrackedApplication
    image: TrackedImage
    election: Election
    current: Current
    """As far as it is known without the target."""
    decision: Update
    trace: Trace = field(default="", compare=False)

    @property
    def identity(self) -> ImageIdentity:
        return ImageIdentity(self.tracked.name, self.image.alias)


@dataclass(frozen=True, slots=True)
class ReviewMoved:
    """Somebody did something with the pull request that proposes changes of these images."""

    identities: tuple[ImageIdentity, ...]


@dataclass(frozen=True, slots=True)
class UpdateWithdrawn:
    """What was decided for an image and may still wait is not wanted any more."""

    identity: ImageIdentity


class Happening(StrEnum):
    """What became of an image, in one word."""

    CHANGED = "changed"
    """Something else than the following: worth a look at the whole, and no word of its own."""
    UPDATED = "updated"
    HELD = "held"
    MISCONFIGURED = "misconfigured"
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class Noticed:
    """Something new about an application or one of its images, told once."""

    happening: Happening
    application: ApplicationName
    alias: str = ""
    image: str = ""
    message: str = ""
    previous: ImageVersion = ImageVersion()
    version: ImageVersion = ImageVersion()
    commit: str = ""
    """Of an update in Git."""


WriterMessage = UpdateDecided | UpdateWithdrawn | ReviewMoved
