"""ImageUpdater resources: settings for the Applications that they select, beside the Applications themselves.

The settings of every level have the keys and texts of annotations, so that what is said of a setting holds wherever
it stands.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

GROUP = "argocd-image-updater.argoproj.io"


class ResourceName(NamedTuple):
    """An ImageUpdater's identity in a cluster."""

    namespace: str
    name: str

    def __str__(self) -> str:
        return f"{self.namespace}/{self.name}"


@dataclass(frozen=True, slots=True)
class Setting:
    """A value, and where it stands."""

    text: str
    """As an annotation would have it; empty: nothing at all, on purpose."""
    place: str
    """Such as `spec.applicationRefs[0].commonUpdateSettings.allowTags`."""


Settings = Mapping[str, Setting]
"""By the key that the annotation would have, without prefix and alias."""


@dataclass(frozen=True, slots=True)
class Verification:
    """Whose signature an image needs before it is written: that of a key, or of an identity."""

    enabled: bool = True
    secret: str = ""
    """Name of the Secret with the public key, in the application's namespace."""
    key: str = ""
    """Which of the Secret's fields holds the key, as PEM."""
    issuer: str = ""
    """Keyless: who vouches for the identity, such as `https://token.actions.githubusercontent.com`."""
    identity: str = ""
    """Keyless: an e-mail address or URI, such as that of the workflow that builds the image."""


@dataclass(frozen=True, slots=True)
class LabelRequirement:
    """One expression of a label selector."""

    key: str
    operator: str
    """`In`, `NotIn`, `Exists` or `DoesNotExist`; any other is a mistake."""
    values: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class LabelSelector:
    """All of its parts have to hold."""

    labels: tuple[tuple[str, str], ...] = ()
    expressions: tuple[LabelRequirement, ...] = ()


@dataclass(frozen=True, slots=True)
class ResourceImage:
    """An image that a reference wants to be kept up to date."""

    alias: str
    image: str
    """`<name>[:<constraint>]`."""
    settings: Settings = field(default_factory=dict)
    verification: Verification | None = None
    problem: str = ""
    """What stops this image; empty when nothing does."""


@dataclass(frozen=True, slots=True)
class ApplicationRef:
    """Which Applications are meant, and what holds for them."""

    index: int
    """In the resource's list."""
    pattern: str
    selector: LabelSelector | None = None
    use_annotations: bool = False
    settings: Settings = field(default_factory=dict)
    """Of updates and of write-back; the keys are disjoint."""
    verification: Verification | None = None
    images: tuple[ResourceImage, ...] = ()
    problems: tuple[str, ...] = ()
    """What stops all Applications that it selects."""

    @property
    def place(self) -> str:
        return f"spec.applicationRefs[{self.index}]"


@dataclass(frozen=True, slots=True)
class ResourceSpec:
    """What somebody wants; `status` is what became of it."""

    settings: Settings = field(default_factory=dict)
    verification: Verification | None = None
    refs: tuple[ApplicationRef, ...] = ()
    problems: tuple[str, ...] = ()
    """What stops the resource as a whole."""
    warnings: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class ImageUpdater:
    """A resource, read."""

    name: ResourceName
    spec: ResourceSpec
    created: str = ""
    """RFC 3339; empty in a manifest."""
    generation: int = 0
    status: Mapping[str, object] = field(default_factory=dict)
    """As the API server has it."""
