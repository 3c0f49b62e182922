"""Leadership as a test wants it."""

import asyncio
from dataclasses import dataclass, field


@dataclass
class FakeLeadership:
    """Implements `Leadership`; held while `leader` is true."""

    leader: bool = False
    changed: asyncio.Event = field(default_factory=asyncio.Event)
    ending: bool = False

    def holds(self) -> bool:
        return self.leader

    async def held(self) -> bool:
        while not (self.leader or self.ending):
            await self.changed.wait()
        return self.leader

    def stop_waiting(self) -> None:
        self.ending = True
        self.changed.set()

    def gain(self) -> None:
        self.leader = True
        self.changed.set()

    def lose(self) -> None:
        self.leader = False
        self.changed.clear()
