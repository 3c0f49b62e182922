"""What is to be looked at again at a time of the clock, though nothing tells of it."""

import heapq
from collections.abc import Hashable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Generic, TypeVar

K = TypeVar("K", bound=Hashable)


@dataclass
class Alarms(Generic[K]):
    """One alarm for each key; setting it again moves it."""

    _times: dict[K, datetime] = field(default_factory=dict)
    _heap: list[tuple[datetime, int, K]] = field(default_factory=list)
    """Also holds alarms that were moved since; `_times` tells."""
    _set: int = 0
    """How many were set so far: keys need not compare."""

    def set(self, key: K, time: datetime | None) -> None:
        """Set the alarm of a key; None: it has none."""
        if time is None:
            self._times.pop(key, None)
        elif self._times.get(key) != time:
            self._times[key] = time
            self._set += 1
            heapq.heappush(self._heap, (time, self._set, key))

    def next(self) -> datetime | None:
        """Tell when the first alarm goes off."""
        while self._heap and self._times.get(self._heap[0][2]) != self._heap[0][0]:
            heapq.heappop(self._heap)
        return self._heap[0][0] if self._heap else None

    def take(self, now: datetime) -> list[K]:
        """Take out the keys whose time has come."""
        due = []
        while (first := self.next()) and first <= now:
            _, _, key = heapq.heappop(self._heap)
            del self._times[key]
            due.append(key)
        return due
