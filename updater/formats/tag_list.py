"""A list of tags as people keep it in a file: one name a line, or JSON with what is known of each tag."""

from datetime import UTC, datetime

import msgspec

from updater.domain.candidates import Build, TagRecord
from updater.domain.errors import Misconfigured
from updater.domain.platform import Platform

_ANY_PLATFORM = Platform("linux", "amd64")
"""A list does not say which platform it speaks of, and who asks has one in mind."""


class _Tag(msgspec.Struct, forbid_unknown_fields=True):
    name: str
    digest: str = ""
    created: datetime | None = None
    pushed: datetime | None = None
    first_seen: datetime | None = None


def parse_tag_list(text: str) -> tuple[TagRecord, ...]:
    """Read names, one a line with `#` for comments, or a JSON list of names or of objects.

    An object has `name`, and may have `digest`, `created`, `pushed` and `first_seen` (RFC 3339).

    Raises:
        Misconfigured: the text is JSON of another shape.
    """
    if text.lstrip().startswith("["):
        return tuple(_record(tag) for tag in _parse_json(text))
    names = (line.partition("#")[0].strip() for line in text.splitlines())
    return tuple(TagRecord(name) for name in dict.fromkeys(names) if name)


def _parse_json(text: str) -> list[_Tag]:
    try:
        tags = msgspec.json.decode(text, type=list[str | _Tag])
    except msgspec.DecodeError as error:
        raise Misconfigured(
            f'the list of tags is not understood ({error}): write ["v1", …] or '
            '[{"name": "v1", "digest": "sha256:…", "created": "2026-01-31T12:00:00Z"}, …]',
        ) from None
    return [_Tag(tag) if isinstance(tag, str) else tag for tag in tags]


def _record(tag: _Tag) -> TagRecord:
    created = _aware(tag.created)
    return TagRecord(
        name=tag.name,
        digest=tag.digest,
        builds=(Build(_ANY_PLATFORM, created),) if created else None,
        pushed=_aware(tag.pushed),
        first_seen=_aware(tag.first_seen),
    )


def _aware(time: datetime | None) -> datetime | None:
    return time.replace(tzinfo=UTC) if time is not None and time.tzinfo is None else time
