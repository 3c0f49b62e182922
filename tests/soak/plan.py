"""What happens when: lanes of troubles, each drawn from the seed alone, so that a seed gives the same run again."""

import asyncio
import random
import signal
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from functools import partial

from tests.fakes.apiserver import Fault
from tests.soak.replica import CLOCKS_JUMP, Replica
from tests.soak.tracked import ONE, TWO
from tests.soak.troubles import GIT_TROUBLES, registry_troubles
from tests.soak.world import World

Say = Callable[[str], None]
_Step = Callable[[random.Random], Awaitable[None]]
_JUMPS = (-86_000, -3600, -61, 61, 3600, 86_000)
"""Seconds; less than what certificates are valid."""
_FULL = 16_384
"""Bytes, beyond which no file grows on a disk that is full: less than any database has."""


async def make_trouble(there: World, seed: int, seconds: float, say: Say) -> None:
    """Run all lanes for some time; no trouble is left when it returns."""
    end = asyncio.get_running_loop().time() + seconds
    registry, git = _Registry(there, say), _Git(there, say)
    lanes: dict[str, tuple[_Step, float, float]] = {
        "images": (lambda chance: _publish(there, chance), 0.3, 2.5),
        "people": (lambda _: there.person_commits(), 1, 5),
        "registry": (registry.step, 0.5, 4),
        "git": (git.step, 0.5, 4),
        "api": (lambda chance: _trouble_api(there, chance, say), 1, 6),
        "first": (lambda chance: _trouble_first(there, chance, say), 1, 5),
        "second": (lambda chance: _trouble_second(there, chance, say), 1, 6),
        "reviewers": (lambda chance: _review(there, chance, say), 0.5, 3),
        "senders": (lambda chance: there.senders.step(chance, say), 0.3, 2),
        "reader": (there.seeker.read_pages, 0.5, 2),
    }
    lanes |= {forge.kind: (partial(forge.trouble, say), 1, 6) for forge in there.forges}
    async with asyncio.TaskGroup() as tasks:
        for name, (step, shortest, longest) in lanes.items():
            chance = random.Random(f"{seed} {name}")
            tasks.create_task(_lane(step, chance, (shortest, longest), end), name=name)


async def _lane(step: _Step, chance: random.Random, pause: tuple[float, float], end: float) -> None:
    loop = asyncio.get_running_loop()
    while loop.time() < end:
        await asyncio.sleep(min(chance.uniform(*pause), max(end - loop.time(), 0)))
        if loop.time() < end:
            await step(chance)


async def _publish(there: World, chance: random.Random) -> None:
    there.push_image(chance.choice((ONE, ONE, TWO)))


async def _review(there: World, chance: random.Random, say: Say) -> None:
    """Have a person do something at a forge, of which the forge may tell by a webhook."""
    forge, told, replica = chance.choice(there.forges), chance.random() < 0.7, chance.choice(there.replicas)
    await forge.person(chance, say)
    if told:
        await there.senders.send("valid", there.senders.about_pull_requests(forge.kind, forge.url), replica)


class _Registry:
    """Trouble at the registry."""

    def __init__(self, there: World, say: Say) -> None:
        self._there, self._say = there, say

    async def step(self, chance: random.Random) -> None:
        registry, troubles = self._there.registry, registry_troubles(chance)
        name, seconds = chance.choice(("is gone", *troubles)), chance.uniform(0.3, 3)
        self._say(f"the registry {name} for {seconds:.1f} s")
        if name == "is gone":
            await registry.stop()
            await asyncio.sleep(seconds)
            await registry.start()
            return
        registry.begin(*troubles[name])
        try:
            await asyncio.sleep(seconds)
        finally:
            registry.end()


class _Git:
    """Trouble at the Git server."""

    def __init__(self, there: World, say: Say) -> None:
        self._there, self._say = there, say

    async def step(self, chance: random.Random) -> None:
        git, troubles = self._there.git, GIT_TROUBLES
        name, seconds = chance.choice(("runs a hook that refuses", *troubles)), chance.uniform(0.3, 4)
        self._say(f"the Git server {name} for {seconds:.1f} s")
        hook = self._there.place.repository / "hooks" / "pre-receive"
        if name in troubles:
            git.begin(troubles[name])
        else:
            self._there.place.hook("pre-receive", "echo 'the freeze ends on Monday' >&2; exit 1")
        try:
            await asyncio.sleep(seconds)
        finally:
            git.end()
            hook.unlink(missing_ok=True)


async def _trouble_api(there: World, chance: random.Random, say: Say) -> None:
    api, seconds = there.api, chance.uniform(0.2, 4)
    name = chance.choice(
        ("restarts", "forgets", "forgets by status", "fails", "drops watches", "is silent", "conflicts")
    )
    say(f"the API server {name} for {seconds:.1f} s")
    match name:
        case "restarts":
            port = api.port
            await api.stop()
            await asyncio.sleep(seconds)
            await api.start(port)
        case "forgets" | "forgets by status":
            api.gone_by_status = name == "forgets by status"
            api.expire()
            api.drop_watches()
        case "fails":
            statuses = chance.choices((500, 503, 429, 504), k=30)
            faults = [Fault(status, "no", {"Retry-After": "1"} if status == 429 else {}) for status in statuses]
            api.fail(*faults)
            await asyncio.sleep(seconds)
            api.recover()
        case "drops watches":
            api.drop_watches()
        case "is silent":
            api.silent = True
            await asyncio.sleep(seconds)
            api.silent = False
            api.drop_watches()
        case "conflicts":
            api.fail(*[Fault(409, "the object has been modified", path="PATCH ")] * 3)
            await asyncio.sleep(seconds)
            api.recover()


async def _trouble_first(there: World, chance: random.Random, say: Say) -> None:
    """Trouble for the replica that is killed again and again."""
    replica, seconds = there.first, chance.uniform(0.1, 4)
    name = chance.choice(("killed", "terminated", "spoilt", "frozen", "full", "locked", "jumping"))
    say(f"the first replica is {name} for {seconds:.1f} s")
    match name:
        case "killed" | "terminated":
            await replica.end(signal.SIGKILL if name == "killed" else signal.SIGTERM)
            await asyncio.sleep(seconds / 4)
            await replica.start()
        case "spoilt":
            await there.corrupt_database(replica, chance)
        case _:
            async with _suffering(there, replica, name, chance):
                await asyncio.sleep(seconds)
            await replica.revive()


async def _trouble_second(there: World, chance: random.Random, say: Say) -> None:
    """Trouble for the replica that has to live through all of it: what leaks, leaks here."""
    seconds, name = chance.uniform(0.1, 5), chance.choice(("frozen", "full", "locked", "jumping"))
    say(f"the second replica is {name} for {seconds:.1f} s")
    async with _suffering(there, there.second, name, chance):
        await asyncio.sleep(seconds)


@asynccontextmanager
async def _suffering(there: World, replica: Replica, name: str, chance: random.Random) -> AsyncIterator[None]:
    jump = chance.choice(_JUMPS)
    try:
        match name:
            case "frozen":
                replica.send(signal.SIGSTOP)
                yield
            case "full":
                replica.limit_files(_FULL)
                yield
            case "locked":
                with there.locked_database(replica):
                    yield
            case _:
                replica.jump(jump if CLOCKS_JUMP else 0)
                yield
    finally:
        replica.send(signal.SIGCONT)
        replica.limit_files(-1)
        replica.jump(0)
