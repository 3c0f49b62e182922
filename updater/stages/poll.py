"""What is wanted of one repository, and what came of it so far."""

import asyncio
import math
from collections.abc import Container
from dataclasses import dataclass, field
from datetime import datetime

from updater.domain.application import ApplicationName
from updater.domain.candidates import Snapshot
from updater.domain.messages import ImageIdentity, Trace
from updater.domain.polling import PollKey, Wants

_MOST_HINTS = 1000
"""Tags; who names more of them before the next look has it find out by itself."""
_BETWEEN_HINTED_LOOKS = 5.0
"""Seconds between two looks at a repository for the sake of webhooks, however many speak of it."""


@dataclass(slots=True)
class Poll:
    """One repository, as one identity, on behalf of all who want it."""

    key: PollKey
    subscribers: dict[ApplicationName, Wants]
    due: float
    """Loop time."""
    first_due: float = math.inf
    shared: dict[ImageIdentity, frozenset[str]] = field(default_factory=dict)
    """Tags of which an image needs the digest because its group could move to them."""
    nudge: asyncio.Event = field(default_factory=asyncio.Event)
    caught_up: asyncio.Event = field(default_factory=asyncio.Event)
    """Whether all that is wanted was looked at once, with whatever success."""
    looked_at: float = -math.inf
    """When a look was last complete, in loop time."""
    observed: Snapshot | None = None
    """As the registry last gave it."""
    recorded: Snapshot | None = None
    """The same, with our first-seen times."""
    told: Snapshot | None = None
    """What the next stage last got, complete or not."""
    asked: Wants | None = None
    """What the last look wanted, or the one under way does."""
    wanted_at: float = math.inf
    """Loop time from which somebody wants a look, though none is due."""
    hints: set[str] = field(default_factory=set)
    """Tags that a webhook named since the last look."""
    awaited: bool = False
    """Whether a webhook came since the last look began."""
    hinted_at: datetime | None = None
    hinted_look_at: float = -math.inf
    """When there was, or is to be, a look for the sake of webhooks, in loop time."""
    causes: list[Trace] = field(default_factory=list)
    """What asked for the next look."""
    changed_at: datetime | None = None
    """When something was last new, as far as it is known."""
    failures: int = 0
    troubled: bool = False
    """Whether the last look failed for a trouble of the registry's, that others of its repositories may share."""
    task: asyncio.Task[None] | None = None

    def wants(self) -> Wants:
        return Wants.union([*self.subscribers.values(), *map(_digests, self.shared.values())])

    def lacks(self) -> bool:
        """Tell whether more is wanted than the last look asked for, or the one under way does."""
        return self.asked is None or Wants.union([self.asked, self.wants()]) != self.asked

    def forget_shared(self, name: ApplicationName, keep: Container[str]) -> None:
        """Drop what an application's images needed, but for those that are still in groups."""
        self.shared = {
            each: tags for each, tags in self.shared.items() if each.application != name or each.alias in keep
        }

    def hint(self, tag: str, cause: Trace, at: datetime, now: float) -> None:
        """Have a look for the sake of a webhook: at once, but for those that follow each other closely."""
        if tag and len(self.hints) < _MOST_HINTS:
            self.hints.add(tag)
        if cause and len(self.causes) < _MOST_HINTS:
            self.causes.append(cause)
        if self.hinted_look_at <= now:
            self.hinted_look_at = max(now, self.hinted_look_at + _BETWEEN_HINTED_LOOKS)
        self.awaited, self.hinted_at = True, at
        self.want_at(self.hinted_look_at)

    def want_at(self, moment: float) -> None:
        """Have a look no later than at a loop time."""
        self.wanted_at = min(self.wanted_at, moment)
        self.nudge.set()


def _digests(tags: frozenset[str]) -> Wants:
    return Wants(digests=tags)
