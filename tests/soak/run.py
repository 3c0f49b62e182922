"""One run: all well, then trouble for some time, then all well again, and a look at what came of it."""

import asyncio
from pathlib import Path

from tests.soak.invariants import history, leaks, violations
from tests.soak.plan import Say, make_trouble
from tests.soak.replica import CLOCKS_JUMP, Held
from tests.soak.world import ONE, TWO, World, world

_PATIENCE = 420.0
"""Seconds until all has to be well again: a little more than the longest pause that the daemon makes after failures."""


async def soak(root: Path, seed: int, seconds: float, say: Say) -> list[str]:
    """Return what was violated."""
    say(f"seed {seed}, {seconds:g} s of trouble, {'with' if CLOCKS_JUMP else 'without'} faketime for clocks that jump")
    async with world(root) as there:
        for repository in (ONE, TWO):
            there.push_image(repository)
        await _all_well(there, say)
        rest = await _at_rest(there)
        await make_trouble(there, seed, seconds, say)
        for repository in (ONE, TWO):
            there.push_image(repository)
        say("no trouble any more")
        missing = await _all_well(there, say)
        found = missing or violations(there, None)
        for leak in await _leaks_that_stay(there, rest):
            found.append(f"{there.second.name}: {leak}")
        ours = sum(commit.author == "noreply@argoproj.io" for commit in history(there))
        pushed = sum(len(tags) for tags in there.allowed.values())
        say(f"{ours} commits of ours, {len(there.people)} of people, {pushed} images, {len(there.patched)} patches")
        return found


async def _all_well(there: World, say: Say) -> list[str]:
    """Wait until every Application has its newest version; say what is missing when patience ends."""
    started = asyncio.get_running_loop().time()
    try:
        async with asyncio.timeout(_PATIENCE):
            while await asyncio.to_thread(there.behind):
                if any(replica.process and replica.process.has_ended for replica in there.replicas):
                    return ["a replica ended by itself", *there.behind()]
                await asyncio.sleep(0.2)
    except TimeoutError:
        return there.behind()
    say(f"all is well after {asyncio.get_running_loop().time() - started:.1f} s")
    return []


async def _at_rest(there: World) -> Held:
    """Look at the replica that is never killed when it has nothing to do."""
    assert there.second.process is not None
    await there.second.process.wait_for("round.finished", count=3)
    return there.second.held()


async def _leaks_that_stay(there: World, rest: Held) -> list[str]:
    """Say what is held although there was time to let go of it."""
    found = leaks(rest, there.second.held())
    for _ in range(60):
        if not found:
            return []
        await asyncio.sleep(1)
        found = leaks(rest, there.second.held())
    return found
