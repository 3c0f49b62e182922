"""Tag lists as registries' own APIs give them: with digests and times, where the Distribution API has names alone.

Everything comes from strangers: tags that no tag can be are left out, digests that are none count as not told.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TypeVar

import msgspec

from updater.domain.candidates import Build
from updater.domain.platform import normalised_platform
from updater.formats.oci import Malformed, is_digest, is_tag

_AMBIGUOUS = frozenset({"", "arm"})
"""Architectures of which a variant matters that the list does not tell."""


@dataclass(frozen=True, slots=True)
class ListedTag:
    """A tag, as a registry's own list has it."""

    name: str
    digest: str = ""
    """Empty when the list does not tell."""
    pushed: datetime | None = None
    builds: tuple[Build, ...] | None = None
    """What is behind it, for all its platforms; None when the list does not tell."""


@dataclass(frozen=True, slots=True)
class Page:
    """A part of a list, in the registry's order."""

    tags: tuple[ListedTag, ...]
    more: str = ""
    """Where the next page is, as far as the body tells; a `Link` header may tell as well."""
    total: int | None = None
    """Tags in the whole list; None when the registry does not count them."""


class _HubTag(msgspec.Struct):
    name: str
    digest: str | None = None
    last_updated: datetime | None = None
    tag_last_pushed: datetime | None = None


class _HubPage(msgspec.Struct):
    results: list[_HubTag]
    count: int | None = None
    next: str | None = None


class _QuayTag(msgspec.Struct):
    name: str
    manifest_digest: str = ""
    start_ts: int | None = None
    end_ts: int | None = None


class _QuayPage(msgspec.Struct):
    tags: list[_QuayTag]
    page: int = 1
    has_additional: bool = False


class _HarborTag(msgspec.Struct):
    name: str
    push_time: datetime | None = None


class _HarborAttributes(msgspec.Struct):
    os: str = ""
    architecture: str = ""
    created: str | None = None


class _HarborArtifact(msgspec.Struct):
    digest: str
    type: str = ""
    push_time: datetime | None = None
    tags: list[_HarborTag] | None = None
    references: list[msgspec.Raw] | None = None
    extra_attrs: _HarborAttributes | None = None


class _GitLabTag(msgspec.Struct):
    name: str
    digest: str = ""
    created_at: datetime | None = None
    updated_at: datetime | None = None
    published_at: datetime | None = None


class _AzureTag(msgspec.Struct, rename="camel"):
    name: str
    digest: str = ""
    created_time: datetime | None = None
    last_update_time: datetime | None = None


class _AzurePage(msgspec.Struct):
    tags: list[_AzureTag] | None


class _GoogleManifest(msgspec.Struct, rename="camel"):
    tag: list[str] = []
    time_uploaded_ms: str = ""


class _GooglePage(msgspec.Struct):
    manifest: dict[str, _GoogleManifest]
    tags: list[str] | None = None


def decode_docker_hub(body: bytes) -> Page:
    """Read `/v2/namespaces/{namespace}/repositories/{repository}/tags` of hub.docker.com."""
    page = _decode(body, _HubPage)
    tags = (_tag(each.name, each.digest or "", each.tag_last_pushed or each.last_updated) for each in page.results)
    return Page(_valid(tags), more=page.next or "", total=page.count)


def decode_quay(body: bytes) -> Page:
    """Read `/api/v1/repository/{repository}/tag/`."""
    page = _decode(body, _QuayPage)
    tags = (_tag(each.name, each.manifest_digest, _seconds(each.start_ts)) for each in page.tags if not each.end_ts)
    more = f"?limit=100&page={page.page + 1}&onlyActiveTags=true" if page.has_additional else ""
    return Page(_valid(tags), more=more)


def decode_harbor(body: bytes) -> Page:
    """Read `/api/v2.0/projects/{project}/repositories/{repository}/artifacts`: each artifact may have several tags."""
    artifacts = _decode(body, list[_HarborArtifact])
    tags = (
        _tag(tag.name, artifact.digest, tag.push_time or artifact.push_time, _harbor_builds(artifact))
        for artifact in artifacts
        for tag in artifact.tags or ()
    )
    return Page(_valid(tags))


def _harbor_builds(artifact: _HarborArtifact) -> tuple[Build, ...] | None:
    attributes = artifact.extra_attrs
    if artifact.type != "IMAGE" or artifact.references or attributes is None:
        return None
    if not attributes.os or attributes.architecture in _AMBIGUOUS:
        return None
    try:
        created = msgspec.convert(attributes.created, datetime)
    except msgspec.ValidationError:
        return None
    if created.tzinfo is None:
        return None
    return (Build(normalised_platform(attributes.os, attributes.architecture), created.astimezone(UTC)),)


def decode_gitlab(body: bytes) -> Page:
    """Read `/gitlab/v1/repositories/{repository}/tags/list/`."""
    tags = (
        _tag(each.name, each.digest, each.published_at or each.updated_at or each.created_at)
        for each in _decode(body, list[_GitLabTag])
    )
    return Page(_valid(tags))


def decode_azure(body: bytes) -> Page:
    """Read `/acr/v1/{repository}/_tags`."""
    tags = _decode(body, _AzurePage).tags or ()
    return Page(_valid(_tag(each.name, each.digest, each.last_update_time or each.created_time) for each in tags))


def decode_google(body: bytes) -> Page:
    """Read `tags/list` with the map of manifests that Google's registries add to it."""
    page = _decode(body, _GooglePage)
    by_tag: Mapping[str, ListedTag] = {
        name: _tag(name, digest, milliseconds(manifest.time_uploaded_ms))
        for digest, manifest in page.manifest.items()
        for name in manifest.tag
    }
    return Page(_valid(by_tag.get(name, ListedTag(name)) for name in page.tags or ()))


def page_of(
    images: Iterable[tuple[str, Iterable[str], datetime | None]], *, more: str = "", total: int | None = None
) -> Page:
    """Make a page of what a cloud's API says of images: digest, tags and time of push of each."""
    return Page(_valid(_tag(name, digest, pushed) for digest, names, pushed in images for name in names), more, total)


def _tag(name: str, digest: str, pushed: datetime | None, builds: tuple[Build, ...] | None = None) -> ListedTag:
    known = digest if is_digest(digest) else ""
    moment = pushed.replace(tzinfo=pushed.tzinfo or UTC).astimezone(UTC) if pushed and pushed.year > 1 else None
    return ListedTag(name, known, moment, builds if known else None)


def _valid(tags: Iterator[ListedTag]) -> tuple[ListedTag, ...]:
    return tuple(tag for tag in tags if is_tag(tag.name))


def _seconds(timestamp: int | None) -> datetime | None:
    try:
        return datetime.fromtimestamp(timestamp, UTC) if timestamp else None
    except (ValueError, OverflowError, OSError):
        return None


def milliseconds(text: str) -> datetime | None:
    """Read milliseconds since 1970; None for what is none."""
    return _seconds(int(text) // 1000) if text.isascii() and text.isdecimal() and len(text) < 18 else None  # noqa: PLR2004


T = TypeVar("T")


def _decode(body: bytes, kind: type[T]) -> T:
    try:
        return msgspec.json.decode(body, type=kind)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise Malformed(f"tag list cannot be read: {str(error)[:120]}") from None
