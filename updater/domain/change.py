"""What is written: a change of one image, and what became of it."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from updater.domain.application import ApplicationName
from updater.domain.image import ImageReference, ImageVersion
from updater.domain.target import ImageKeys


@dataclass(frozen=True, slots=True)
class Edit:
    """Make a target hold `image` under `keys`."""

    image: ImageReference
    """Name as the user wrote it, with the version to write."""
    keys: ImageKeys
    alias: str = ""
    """Its name within its application, which marked lines of manifests bear."""
    manifest_of: ApplicationName | None = None
    """The Application whose manifest the file holds, where that is what changes."""
    source: int = 0
    """Of that Application, by its index."""


@dataclass(frozen=True, slots=True)
class Change:
    """One image of one application goes from one version to another."""

    application: ApplicationName
    alias: str
    image: str
    """The image's name as written, without a version."""
    previous: ImageVersion
    version: ImageVersion
    labels: Mapping[str, str] = field(default_factory=dict)
    """OCI labels of the new image where the poll had them, for commit messages."""
