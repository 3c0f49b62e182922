"""One run: all well, then trouble for some time, then all well again, and a look at what came of it."""

import asyncio
from collections.abc import Sequence
from pathlib import Path

from tests.soak.descriptors import Held, leaks
from tests.soak.forge_troubles import FORGES, TroubledForge
from tests.soak.invariants import violations
from tests.soak.plan import Say, make_trouble
from tests.soak.replica import CLOCKS_JUMP
from tests.soak.tracked import ONE, TWO
from tests.soak.world import World, world

_PATIENCE = 420.0
"""Seconds until all has to be well again: a little more than the longest pause that the daemon makes after failures."""
_KEPT = {
    "connection to the registry, ESTABLISHED": 10,
    "connection to the API server, ESTABLISHED": 10,
    "connection to the Git server, ESTABLISHED": 4,
    "connection to the other replica, ESTABLISHED": 1,
    "connection from somebody, ESTABLISHED": 1,  # who is the other replica
    **{f"connection to {kind.kind}, ESTABLISHED": 4 for kind in FORGES},
}
"""Connections that may wait for the next request: as many as are ever under way at once.

aiohttp takes the one that has waited longest, so that none of them is idle for long enough to be closed.
"""
_SECONDS_TO_LET_GO = 60


async def soak(
    root: Path, seed: int, seconds: float, say: Say, forges: Sequence[type[TroubledForge]] = FORGES
) -> list[str]:
    """Return what was violated."""
    say(f"seed {seed}, {seconds:g} s of trouble, {'with' if CLOCKS_JUMP else 'without'} faketime for clocks that jump")
    async with world(root, forges) as there:
        looking = asyncio.create_task(there.seeker.watch_processes(), name="look at processes")
        for repository in (ONE, TWO):
            there.push_image(repository)
        await _all_well(there, say)
        rest = await _at_rest(there)
        say(f"the second replica at rest has {rest}")
        await make_trouble(there, seed, seconds, say)
        for repository in (ONE, TWO):
            there.push_image(repository)
        say("no trouble any more")
        missing = await _all_well(there, say)
        found = missing + await there.senders.told_at_rest() + await asyncio.to_thread(violations, there)
        for leak in await _leaks_that_stay(there, rest, say):
            found.append(f"{there.second.name}: {leak}")
        say(f"the second replica has {there.second.held(there.names)}")
        looking.cancel()
        for line in there.summary():
            say(line)
        return found


async def _all_well(there: World, say: Say) -> list[str]:
    """Wait until every Application has its newest version; say what is missing when patience ends."""
    time = asyncio.get_running_loop().time
    began, missing = time(), list[str]()
    try:
        async with asyncio.timeout(_PATIENCE):
            while behind := await asyncio.to_thread(there.behind):
                late = {each.partition(" ")[0] for each in behind}
                for name in {each.partition(" ")[0] for each in missing} - late:
                    say(f"{name} is well after {time() - began:.1f} s")
                missing = behind
                if any(replica.process and replica.process.has_ended for replica in there.replicas):
                    return ["a replica ended by itself", *behind]
                await asyncio.sleep(0.2)
    except TimeoutError:
        return missing
    say(f"all is well after {time() - began:.1f} s, {'; '.join(missing)} until then")
    return []


async def _at_rest(there: World) -> Held:
    """Look at the replica that is never killed when it has nothing to do."""
    assert there.second.process is not None
    await there.second.process.wait_for("round.finished", count=3)
    return there.second.held(there.names)


async def _leaks_that_stay(there: World, rest: Held, say: Say) -> list[str]:
    """Say what is held although there was time to let go of it."""
    found = leaks(rest, there.second.held(there.names), _KEPT)
    if found:
        say(f"not let go of yet: {'; '.join(found)}")
    for _ in range(_SECONDS_TO_LET_GO):
        if not found:
            return []
        await asyncio.sleep(1)
        found = leaks(rest, there.second.held(there.names), _KEPT)
    return found
