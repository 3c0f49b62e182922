"""What was learned of servers and repositories, so that it is not asked again; it is believed for an hour."""

import time
from collections import OrderedDict
from dataclasses import dataclass
from enum import IntEnum

from updater.adapters.git.protocol import Capabilities, Receiving

_BELIEVED_SECONDS = 3600.0
_MOST_HEADS = 10_000


class Way(IntEnum):
    """How objects are had, the cheapest first; the server's abilities say where to begin."""

    PARTIAL = 0
    """Single objects, by their hashes."""
    SHALLOW = 1
    """All files of one commit."""
    FULL = 2
    """The whole repository."""


@dataclass(slots=True)
class Known:
    """What is believed of one repository."""

    since: float
    fetching: Capabilities | None = None
    receiving: Receiving | None = None
    worst_way: Way = Way.PARTIAL
    """Those before it were refused."""
    thin: bool = True
    """Deltas on objects that the server has are understood."""

    def ways(self) -> list[Way]:
        able = self.fetching
        offered = {Way.PARTIAL: bool(able and able.partial), Way.SHALLOW: bool(able and able.shallow), Way.FULL: True}
        return [way for way in Way if offered[way] and way >= self.worst_way]


class Knowledge:
    """Repositories by URL; of a new one is believed what its server said of another."""

    def __init__(self) -> None:
        self._repositories: dict[str, Known] = {}
        self._servers: dict[str, Known] = {}
        self._heads: OrderedDict[tuple[str, str], str] = OrderedDict()

    def of(self, url: str, host: str) -> Known:
        now = time.monotonic()
        known = self._repositories.get(url)
        if known is None or now - known.since > _BELIEVED_SECONDS:
            server = self._servers.get(host)
            if server is None or now - server.since > _BELIEVED_SECONDS:
                server = self._servers[host] = Known(now)
            known = self._repositories[url] = Known(server.since, server.fetching, server.receiving)
        return known

    def learned(self, host: str, known: Known) -> None:
        """Believe the same of the server's other repositories."""
        server = self._servers.setdefault(host, Known(known.since))
        server.fetching = known.fetching or server.fetching
        server.receiving = known.receiving or server.receiving

    def forget(self, url: str, host: str) -> Known:
        """Believe nothing of a repository any more, nor of its server."""
        self._servers.pop(host, None)
        known = self._repositories[url] = Known(time.monotonic())
        return known

    def head(self, url: str, ref: str) -> str:
        """Return the commit that a branch pointed to when it was last seen; empty: it was not."""
        return self._heads.get((url, ref), "")

    def moved(self, url: str, ref: str, commit: str) -> None:
        self._heads[url, ref] = commit
        self._heads.move_to_end((url, ref))
        if len(self._heads) > _MOST_HEADS:
            self._heads.popitem(last=False)
