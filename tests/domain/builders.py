"""Short ways to write policies' surroundings down."""

from datetime import UTC, datetime, timedelta

from updater.domain.candidates import Build, Snapshot, TagRecord
from updater.domain.decision import Current, Origin
from updater.domain.image import ImageVersion, Repository
from updater.domain.platform import Platform

NOW = datetime(2026, 8, 1, 12, 0, tzinfo=UTC)
AMD64 = Platform("linux", "amd64")
ARM64 = Platform("linux", "arm64")
REPOSITORY = Repository("registry.example.com", "team/app")


def ago(**age: float) -> datetime:
    return NOW - timedelta(**age)


def digest(number: int) -> str:
    return f"sha256:{number:064x}"


def snapshot(*tags: str | TagRecord, listed: bool = True, incomplete: str = "") -> Snapshot:
    records = tuple(TagRecord(tag) if isinstance(tag, str) else tag for tag in tags)
    return Snapshot(REPOSITORY, records, NOW, listed=listed, incomplete=incomplete)


def built(tag: str, created: datetime | None, number: int = 0) -> TagRecord:
    """Make a tag whose image was built at a time; the number tells images apart."""
    return TagRecord(tag, digest=digest(number or int.from_bytes(tag.encode())), builds=(Build(AMD64, created),))


def version(text: str) -> ImageVersion:
    return ImageVersion.parse(text)


def at(text: str, origin: Origin = Origin.TARGET) -> Current:
    return Current(version(text), origin)
