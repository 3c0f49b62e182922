"""What registries say, in types: tag lists, manifests, image configs and tokens of the Distribution API.

Everything comes from strangers: sizes are bounded by who reads the bytes, shapes are checked here.
"""

import hashlib
import re
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import NamedTuple, TypeVar

import msgspec

from updater.domain.candidates import Labels
from updater.domain.platform import Platform, normalised_platform

OCI_INDEX = "application/vnd.oci.image.index.v1+json"
OCI_MANIFEST = "application/vnd.oci.image.manifest.v1+json"
DOCKER_LIST = "application/vnd.docker.distribution.manifest.list.v2+json"
DOCKER_MANIFEST = "application/vnd.docker.distribution.manifest.v2+json"
MANIFEST_TYPES = (OCI_INDEX, DOCKER_LIST, OCI_MANIFEST, DOCKER_MANIFEST)
"""All have to be accepted at once: a registry may answer 404 for a type that is not."""

_CONFIG_TYPES = ("application/vnd.oci.image.config.v1+json", "application/vnd.docker.container.image.v1+json")
_TAG = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._-]{0,127}")
_DIGEST = re.compile(r"sha256:[0-9a-f]{64}|sha512:[0-9a-f]{128}")
_ERROR_CODE = re.compile(r"[A-Z][A-Z0-9_]{0,63}")
_TOKEN = re.compile(r"[A-Za-z0-9._~+/=-]{1,65536}")
_ATTESTATION = "vnd.docker.reference.type"
_MOST_CHILDREN = 500
_STANDARD_LABELS = "org.opencontainers.image."
_MOST_LABELS = 1024
_LONGEST_LABEL = 320
"""Characters of all of an image's labels, and of one, with their names."""
_FIRST_YEAR = 2
"""Go writes the year 1 for a time that was never set."""


class Malformed(ValueError):
    """An answer is not what the specification says."""


class _TagList(msgspec.Struct):
    tags: list[str] | None
    name: object = None


class _PlatformField(msgspec.Struct):
    os: str = ""
    architecture: str = ""
    variant: str = ""


class _Descriptor(msgspec.Struct, rename="camel"):
    digest: str
    media_type: str = ""
    platform: _PlatformField | None = None
    artifact_type: str = ""
    annotations: dict[str, str] | None = None


class _Manifest(msgspec.Struct, rename="camel"):
    schema_version: int = 0
    media_type: str = ""
    artifact_type: str = ""
    config: _Descriptor | None = None
    manifests: list[_Descriptor] | None = None
    layers: list[msgspec.Raw] | None = None


class _Container(msgspec.Struct):
    labels: dict[str, object] | None = msgspec.field(name="Labels", default=None)


class _Config(_PlatformField):
    created: str | None = None
    config: _Container | None = None


class _TokenAnswer(msgspec.Struct):
    token: str | None = None
    access_token: str | None = None
    expires_in: float | None = None


class _Error(msgspec.Struct):
    code: str = ""


class _Errors(msgspec.Struct):
    errors: list[_Error] = []


@dataclass(frozen=True, slots=True)
class ImageManifest:
    """One platform's image."""

    config: str
    """Digest of its config."""


@dataclass(frozen=True, slots=True)
class Child:
    """A manifest that an index names."""

    digest: str
    platform: Platform | None
    """None when only its config tells."""


@dataclass(frozen=True, slots=True)
class Index:
    """An image for several platforms."""

    children: tuple[Child, ...]
    """Without attestations and artefacts."""


@dataclass(frozen=True, slots=True)
class NoImage:
    """A chart, a signature, an image of the first schema, or whatever else no container can be started from."""


Manifest = ImageManifest | Index | NoImage


@dataclass(frozen=True, slots=True)
class ImageConfig:
    """What an image says of itself."""

    platform: Platform | None
    created: datetime | None
    labels: Labels
    """The standard ones first; those that are long, or too many, are left out."""


@dataclass(frozen=True, slots=True)
class BearerToken:
    """What a token service gave."""

    token: str
    lifetime: float
    """Seconds."""

    def __repr__(self) -> str:
        return f"BearerToken(lifetime={self.lifetime})"


class TagPage(NamedTuple):
    """One page of a tag list."""

    repository: str
    """Whose list it says that it is; empty when it does not."""
    names: tuple[str, ...]
    """In the registry's order, without those no tag can have."""


def decode_tags(body: bytes) -> TagPage:
    """Read one page of a tag list.

    Raises:
        Malformed: it is no tag list.
    """
    page = _decode(body, _TagList, "tag list")
    names = tuple(name for name in page.tags or () if is_tag(name))
    return TagPage(page.name if isinstance(page.name, str) else "", names)


def decode_manifest(body: bytes, content_type: str) -> Manifest:
    """Tell what a manifest stands for; what it says of its own type counts, the header's word where it says nothing.

    Raises:
        Malformed: it is no manifest, or could be read as two kinds of it.
    """
    media_type = content_type.partition(";")[0].strip().lower()
    manifest = _decode(body, _Manifest, "manifest")
    kind = manifest.media_type or media_type
    if not manifest.schema_version and not manifest.media_type:
        raise Malformed("manifest does not say what it is")
    if manifest.manifests is not None and (manifest.config is not None or manifest.layers is not None):
        raise Malformed("manifest is an index and an image at once")
    if kind in (OCI_INDEX, DOCKER_LIST):
        return _index(manifest)
    if kind in (OCI_MANIFEST, DOCKER_MANIFEST):
        return _image(manifest)
    return NoImage()


def _index(manifest: _Manifest) -> Index:
    if manifest.manifests is None:
        raise Malformed("index names no manifests")
    if len(manifest.manifests) > _MOST_CHILDREN:
        raise Malformed(f"index names more than {_MOST_CHILDREN} manifests")
    images = (each for each in manifest.manifests if not _is_artefact(each))
    return Index(tuple(Child(_digest(each), _platform(each.platform)) for each in images))


def _is_artefact(descriptor: _Descriptor) -> bool:
    """Recognise attestations of BuildKit and whatever else travels in an index beside images."""
    platform = descriptor.platform
    return (
        (platform is not None and platform.os == platform.architecture == "unknown")
        or bool(descriptor.artifact_type)
        or _ATTESTATION in (descriptor.annotations or {})
        or (descriptor.media_type not in ("", *MANIFEST_TYPES))
    )


def _image(manifest: _Manifest) -> ImageManifest | NoImage:
    if manifest.config is None:
        raise Malformed("manifest names no config")
    if manifest.artifact_type or manifest.config.media_type not in _CONFIG_TYPES:
        return NoImage()
    return ImageManifest(_digest(manifest.config))


def _digest(descriptor: _Descriptor) -> str:
    if not is_digest(descriptor.digest):
        raise Malformed("manifest names a digest that is none")
    return descriptor.digest


def _platform(found: _PlatformField | None) -> Platform | None:
    if found is None or not found.os or not found.architecture:
        return None
    return normalised_platform(found.os, found.architecture, found.variant)


def decode_config(body: bytes) -> ImageConfig:
    """Read an image's config; a `created` that cannot be understood is as none.

    Raises:
        Malformed: it is no config of an image.
    """
    config = _decode(body, _Config, "image config")
    labels = config.config.labels if config.config else None
    return ImageConfig(_platform(config), _created(config.created), _labels(labels or {}))


def _labels(found: Mapping[str, object]) -> Labels:
    """Keep what fits: every tag that is compared by its build carries them about."""
    kept: list[tuple[str, str]] = []
    left = _MOST_LABELS
    for key, value in sorted(found.items(), key=lambda each: (not each[0].startswith(_STANDARD_LABELS), each[0])):
        size = len(key) + len(value) if isinstance(value, str) else left + 1
        if isinstance(value, str) and size <= min(left, _LONGEST_LABEL):
            kept.append((sys.intern(key), value))
            left -= size
    return tuple(kept)


def _created(text: str | None) -> datetime | None:
    try:
        created = msgspec.convert(text, datetime)
        created = created.replace(tzinfo=created.tzinfo or UTC).astimezone(UTC)
    except (msgspec.ValidationError, OverflowError):
        return None
    return created if created.year >= _FIRST_YEAR else None


def decode_token(body: bytes, shortest: float, longest: float) -> BearerToken:
    """Read a token service's answer, with a lifetime within bounds of ours; without one it is the shortest.

    Raises:
        Malformed: there is no token in it that could go into a header.
    """
    answer = _decode(body, _TokenAnswer, "token answer")
    token = answer.token or answer.access_token or ""
    if not _TOKEN.fullmatch(token):
        raise Malformed("token answer holds no token")
    return BearerToken(token, min(max(answer.expires_in or shortest, shortest), longest))


def error_codes(body: bytes) -> tuple[str, ...]:
    """Return the codes of a registry's error answer, such as `NAME_UNKNOWN`; none when it is something else."""
    try:
        errors = _decode(body, _Errors, "error").errors
    except Malformed:
        return ()
    return tuple(error.code for error in errors[:10] if _ERROR_CODE.fullmatch(error.code))


def is_tag(text: str) -> bool:
    return _TAG.fullmatch(text) is not None


def is_digest(text: str) -> bool:
    return _DIGEST.fullmatch(text) is not None


def digest_of(body: bytes) -> str:
    return f"sha256:{hashlib.sha256(body).hexdigest()}"


def has_digest(body: bytes, digest: str) -> bool:
    """Say whether bytes are what a digest stands for."""
    algorithm, _, expected = digest.partition(":")
    return is_digest(digest) and hashlib.new(algorithm, body).hexdigest() == expected


_S = TypeVar("_S", bound=msgspec.Struct)


def _decode(body: bytes, kind: type[_S], what: str) -> _S:
    try:
        return msgspec.json.decode(body, type=kind)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise Malformed(f"{what} cannot be read: {str(error)[:120]}") from None
