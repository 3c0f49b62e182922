"""What several daemons cost that share Applications out by the repositories they are written to.

python -m tests.bench.shards [--applications N] [--shards N,N] [--json FILE]

All daemons of a row run at once, each as `one_shard`, with a Lease and a database of its own, among the servers of
`world`: every one of them watches all Applications.
"""

import argparse
import asyncio
import json
import sys
import time
from collections.abc import Sequence
from contextlib import AsyncExitStack
from dataclasses import asdict, dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from aiohttp import ClientSession

from tests.bench import scale
from tests.bench.machine import facts, memory, processor_seconds, table
from tests.bench.world import BASE, Plan
from tests.fakes.docker_registry import free_port
from updater.demo.daemon import DaemonProcess

_INTERVAL = 30.0
_LIMIT = 200.0
_ROUNDS = 2
_PATIENCE = 600.0


class Shard(DaemonProcess):
    """One of the daemons."""

    def __init__(self, config: Path, port: int, shard: int, shards: int) -> None:
        super().__init__(config)
        module = ["tests.bench.one_shard", str(shard), str(shards)]
        self._command = [sys.executable, "-m", *module, "run", "--config", str(config)]
        self.port = port


@dataclass(frozen=True)
class Row:
    """What so many daemons cost, all together; and the dearest one of them."""

    daemons: int
    applications: int
    """Of the largest shard."""
    registry_requests: float
    """A round in which nothing is new, as all that follows but the start."""
    api_requests: float
    start_cpu_seconds: float
    start_cpu_seconds_of_one: float
    cpu_seconds: float
    cpu_seconds_of_one: float
    rss_mib: float
    rss_mib_of_one: float
    base_image_seconds: float
    """From a push to the commit for all Applications that use the image."""
    base_image_commits: int


async def measure(plan: Plan, count: int) -> Row:
    """Run so many daemons beside each other."""
    async with AsyncExitStack() as stack:
        directory = Path(stack.enter_context(TemporaryDirectory(prefix="updater-bench-")))
        around = await stack.enter_async_context(scale.world(plan, directory))
        around.interval, around.limit = _INTERVAL, _LIMIT
        session = await stack.enter_async_context(ClientSession())
        shards = []
        for number in range(count):
            port = free_port()
            config = scale.configured(around, f"shard{number}", port)
            shards.append(await stack.enter_async_context(Shard(config, port, number, count)))
        first = [await shard.wait_for("round.finished", _PATIENCE) for shard in shards]
        sizes = [int(str(said.event["images_considered"])) for said in first]
        assert sum(sizes) == plan.applications, "an Application was left out, or kept twice"
        start = [processor_seconds(shard.pid) for shard in shards]
        await asyncio.sleep(_INTERVAL)
        requests, used = await around.counts(), [processor_seconds(shard.pid) for shard in shards]
        await asyncio.sleep(_ROUNDS * _INTERVAL)
        after = await around.counts()
        rounds = [(processor_seconds(shard.pid) - at) / _ROUNDS for shard, at in zip(shards, used, strict=True)]
        resident = [memory(shard.pid) for shard in shards]
        seconds, commits = await _push(session, around, shards)
    a_round = {kind: (after[kind] - requests[kind]) / _ROUNDS for kind in after}
    return Row(
        count,
        max(sizes),
        a_round["registry_requests"],
        a_round["api_requests"],
        sum(start),
        max(start),
        sum(rounds),
        max(rounds),
        sum(resident),
        max(resident),
        seconds,
        commits,
    )


async def _push(session: ClientSession, around: scale.World, shards: Sequence[Shard]) -> tuple[float, int]:
    """Push the base image, tell every shard, and wait until one of them has written; give others time to write too."""
    await around.registry.ask(push=[[BASE, "9.0.0"]])
    begun = time.monotonic()
    for shard in shards:
        await scale.tell(session, around, BASE, "9.0.0", shard.port)
    waiting = [asyncio.create_task(shard.wait_for("write_back.pushed", _PATIENCE)) for shard in shards]
    done, others = await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
    seconds = min(task.result().at for task in done) - begun
    await asyncio.sleep(_INTERVAL)
    for task in others:
        task.cancel()
    await asyncio.gather(*others, return_exceptions=True)
    return seconds, sum(len(shard.events("write_back.pushed")) for shard in shards)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--applications", type=int, default=Plan.applications)
    parser.add_argument("--shards", default="1,2,4", help="numbers of daemons, separated by commas")
    parser.add_argument("--json", type=Path, help="write the figures there, too")
    chosen = parser.parse_args()
    plan = Plan(applications=chosen.applications)
    rows = [asdict(asyncio.run(measure(plan, int(count)))) for count in chosen.shards.split(",")]
    figures = [(name, *(f"{row[name]:,.2f}".rstrip("0").rstrip(".") for row in rows)) for name in rows[0]]
    header = ("", *(str(row["daemons"]) for row in rows))
    sys.stdout.write(f"{facts()}\n{plan}\n\n{table(header, figures)}\n")
    if chosen.json:
        chosen.json.write_text(f"{json.dumps({'machine': facts(), 'plan': asdict(plan), 'rows': rows}, indent=2)}\n")


if __name__ == "__main__":
    main()
