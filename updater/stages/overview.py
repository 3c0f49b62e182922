"""Lists of what the daemon knows and did, for the API."""

from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from datetime import datetime
from typing import Protocol

from updater.domain.application import ApplicationName
from updater.domain.messages import Happening, Noticed, TrackedApplication
from updater.domain.polling import RegistryState
from updater.domain.record import image_summary, is_failing
from updater.stages.reporter import Reporter

Item = Mapping[str, object]

_MOST_WRITES = 100
_DECIDED = (
    "application",
    "alias",
    "image",
    "decision",
    "tag",
    "digest",
    "reason",
    "message",
    "until",
    "rejected",
    "released_by",
)


class Looks(Protocol):
    """Knows how the looks at registries go."""

    def registries(self) -> Sequence[RegistryState]: ...


@dataclass
class RecentWrites:
    """Listens to the board, and keeps the last hundred writes of this process."""

    now: Callable[[], datetime]
    _writes: deque[Item] = field(default_factory=lambda: deque(maxlen=_MOST_WRITES))

    def notice(self, noticed: Noticed) -> None:
        """Take in what the board tells."""
        if noticed.happening is Happening.UPDATED:
            self._writes.appendleft(
                {
                    "at": self.now().isoformat(timespec="seconds"),
                    "application": str(noticed.application),
                    "alias": noticed.alias,
                    "image": noticed.image,
                    "from": str(noticed.previous),
                    "to": str(noticed.version),
                    "commit": noticed.commit,
                }
            )

    def latest(self) -> list[Item]:
        """Return them, the last one first."""
        return list(self._writes)


@dataclass(frozen=True, slots=True)
class Overview:
    """Answers with lists; it asks nobody and writes nothing."""

    reporter: Reporter
    tracked: Mapping[ApplicationName, TrackedApplication]
    looks: Looks
    writes: RecentWrites

    async def items(self, collection: str) -> Sequence[Item]:
        """Return what is in one of `applications`, `images`, `decisions`, `holds`, `registries` and `writes`."""
        match collection:
            case "applications":
                return list(self._applications())
            case "images":
                return await self._images()
            case "decisions":
                return [_decided(image) for image in await self._images() if image["decision"] != "undecided"]
            case "holds":
                return [_decided(image) for image in await self._images() if image["decision"] == "hold"]
            case "registries":
                return [asdict(each) for each in self.looks.registries()]
            case "writes":
                return self.writes.latest()
        raise KeyError(collection)

    def _applications(self) -> Iterator[Item]:
        for name in sorted(self.tracked):
            views = self.reporter.board.views(name)
            problems = len(self.tracked[name].problems)
            failing = sum(is_failing(view.decision, view.write_error) for view in views) + problems
            yield {"application": str(name), "images": len(views), "problems": problems, "failing": failing}

    async def _images(self) -> list[dict[str, object]]:
        found = await self.reporter.views(sorted(self.tracked))
        return [image_summary(name, view) for name, view in found]


def _decided(image: Mapping[str, object]) -> Item:
    return {key: image[key] for key in _DECIDED if key in image}
