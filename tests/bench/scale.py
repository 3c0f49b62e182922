"""The daemon among 10,000 Applications: what it costs at the start, in rounds without news, and for a push.

python -m tests.bench.scale [--applications N] [--repositories N] [--gits N] [--most-tags N] [--limit N] [--json FILE]

API server, registry and Git server are processes of their own that answer after 20 ms. Stalls of the event loop are
seen from outside, by asking for /healthz all the time.
"""

import argparse
import asyncio
import contextlib
import json
import os
import statistics
import sys
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from aiohttp import ClientError, ClientSession

from tests.bench.machine import facts, memory, processor_seconds, table
from tests.bench.world import BASE, Plan, Server
from tests.fakes.docker_registry import free_port
from tests.fakes.registry import PASSWORD, USERNAME
from updater.demo.daemon import DaemonProcess

_INTERVAL = 60.0
_PUSHES = 20
_LIMIT = 20
"""Requests a second that the registry is asked at most, as without a setting; it alone is to bound the first round."""
SECRET = "b3nch-secret"


@dataclass
class Measured:
    """What one world cost."""

    plan: dict[str, Any]
    machine: str
    figures: dict[str, float] = field(default_factory=dict)

    def note(self, **figures: float) -> None:
        self.figures |= {name: round(figure, 3) for name, figure in figures.items()}
        for name, figure in figures.items():
            sys.stderr.write(f"  {name}: {figure:.3f}\n")


async def measure(plan: Plan, interval: float = _INTERVAL, pushes: int = _PUSHES, limit: float = _LIMIT) -> Measured:
    """Build the world of a plan, and run the daemon in it.

    Args:
        plan: of what size.
        interval: seconds between two looks at a repository.
        pushes: how many images are pushed one after the other, before the one that many use.
        limit: requests a second to the registry.
    """
    measured = Measured(asdict(plan), facts())
    with TemporaryDirectory(prefix="updater-bench-") as name:
        async with world(plan, Path(name)) as around:
            around.interval, around.pushes, around.limit = interval, pushes, limit
            await _run(plan, around, measured)
    return measured


@dataclass
class World:
    directory: Path
    api: Server
    registry: Server
    git: Server
    idle: Server
    port: int = field(default_factory=free_port)
    interval: float = _INTERVAL
    pushes: int = _PUSHES
    limit: float = _LIMIT

    async def counts(self) -> dict[str, int]:
        kinds = {"api": self.api, "registry": self.registry, "git": self.git}
        return {f"{kind}_requests": (await server.ask())["requests"] for kind, server in kinds.items()}


def configured(around: World, name: str = "updater", port: int = 0) -> Path:
    """Write the settings of a daemon, with a Lease and a database of its own; return their path."""
    port = port or around.port
    os.environ["BENCH_LOGIN"] = f"{USERNAME}:{PASSWORD}"
    host = around.registry.address
    (around.directory / "registries.conf").write_text(
        f"- {{name: bench, api_url: 'http://{host}', prefix: '{host}', credentials: 'env:BENCH_LOGIN',"
        f" limit: {around.limit:g}}}\n"
    )
    path = around.directory / f"{name}.yaml"
    path.write_text(
        "applications: {kubeconfig: kubeconfig}\n"
        "registries: {file: registries.conf}\n"
        f"polling: {{interval: {around.interval}s}}\n"
        f"web: {{listen: '127.0.0.1:{port}'}}\n"
        f"webhooks: {{enabled: true, listen: '127.0.0.1:{port}', distribution_secret: {SECRET}}}\n"
        f"leader_election: {{lease: {name}}}\n"
        f"state: {{path: {name}.db}}\n"
    )
    return path


@asynccontextmanager
async def world(plan: Plan, directory: Path) -> AsyncIterator[World]:
    addresses: dict[str, str] = {}
    servers: dict[str, Server] = {}
    try:
        for kind in ("registry", "git", "api", "idle"):
            servers[kind] = await Server.start(kind, plan, directory)
            addresses[kind] = servers[kind].address
            (directory / "addresses.json").write_text(json.dumps(addresses))
        yield World(directory, servers["api"], servers["registry"], servers["git"], servers["idle"])
    finally:
        for server in servers.values():
            await server.end()


async def _run(plan: Plan, world: World, measured: Measured) -> None:
    images = plan.images()
    async with _daemon(world) as daemon:
        before = await world.counts()
        seconds = await _first_round(daemon)
        asked = (await world.counts())["registry_requests"] - before["registry_requests"]
        measured.note(
            cold_round_seconds=seconds,
            cold_round_bound_seconds=asked / world.limit,
            cold_round_cpu_seconds=processor_seconds(daemon.pid),
            cold_round_registry_requests=asked,
        )
        measured.note(**daemon.stalls.take("cold_round"))
        await _steady(daemon, world, len(images), measured)
        await _pushes(daemon, world, images, measured)
        await _base_image(daemon, world, plan, measured)
        measured.note(peak_rss_mib=memory(daemon.pid, "VmHWM"), end_rss_mib=memory(daemon.pid))
    async with _daemon(world) as daemon:
        measured.note(
            warm_round_seconds=await _first_round(daemon),
            warm_round_cpu_seconds=processor_seconds(daemon.pid),
            **daemon.stalls.take("warm_round"),
        )
        assert not daemon.process.events("write_back.pushed"), "a restart wrote again"


async def _first_round(daemon: "_Daemon") -> float:
    started = await daemon.process.wait_for("daemon.started", patience=60)
    first = await daemon.process.wait_for("round.finished", patience=1800)
    assert first.event["errors"] == 0, first.event
    return first.at - started.at


async def _steady(daemon: "_Daemon", world: World, images: int, measured: Measured) -> None:
    await asyncio.sleep(world.interval)
    daemon.stalls.take("")
    before, used = await world.counts(), processor_seconds(daemon.pid)
    daemon.stalls.asking = False
    await asyncio.sleep(world.interval)
    after, used = await world.counts(), processor_seconds(daemon.pid) - used
    daemon.stalls.asking = True
    await asyncio.sleep(world.interval)
    measured.note(
        **{f"steady_{kind}_a_round": after[kind] - before[kind] for kind in after},
        steady_registry_requests_an_image=(after["registry_requests"] - before["registry_requests"]) / images,
        steady_cpu_seconds_a_round=used,
        steady_rss_mib=memory(daemon.pid),
        **daemon.stalls.take("steady"),
    )


async def _pushes(daemon: "_Daemon", world: World, images: list[str], measured: Measured) -> None:
    """Push one image after the other, each with its webhook; its Applications are all of one Git repository."""
    others = [image for image in images if image != BASE]
    chosen = others[:: max(len(others) // max(world.pushes, 1), 1)][: world.pushes]
    took = sorted([await _push(daemon, world, image) for image in chosen])
    await asyncio.sleep(6)
    if took:
        measured.note(push_p50_seconds=statistics.median(took), push_p99_seconds=took[-1])
    measured.note(**daemon.stalls.take("push"))


async def _base_image(daemon: "_Daemon", world: World, plan: Plan, measured: Measured) -> None:
    before = await world.git.ask()
    commits = len(daemon.process.events("write_back.pushed"))
    seconds = await _push(daemon, world, BASE)
    await asyncio.sleep(6)
    after = await world.git.ask()
    pushed = daemon.process.events("write_back.pushed")[commits:]
    measured.note(
        base_image_seconds=seconds,
        base_image_commits=len(pushed),
        base_image_applications=sum(int(str(each.event["changes"])) for each in pushed),
        base_image_git_requests=after["requests"] - before["requests"],
        base_image_git_bytes=after["bytes"] - before["bytes"],
        **daemon.stalls.take("base_image"),
    )
    assert measured.figures["base_image_applications"] == min(plan.shared, plan.applications)


async def _push(daemon: "_Daemon", world: World, image: str) -> float:
    """Push a tag and tell of it; return the seconds until the commit arrived."""
    tag, commits = "9.0.0", len(daemon.process.events("write_back.pushed"))
    await world.registry.ask(push=[[image, tag]])
    begun = time.monotonic()
    await tell(daemon.session, world, image, tag, world.port)
    pushed = await daemon.process.wait_for("write_back.pushed", patience=120, count=commits + 1)
    return pushed.at - begun


async def tell(session: ClientSession, world: World, image: str, tag: str, port: int) -> None:
    """Have a daemon told of a push, as a registry would."""
    event = {
        "id": f"{image}:{tag}",
        "action": "push",
        "target": {"repository": image, "tag": tag, "mediaType": "application/vnd.oci.image.manifest.v1+json"},
        "request": {"host": world.registry.address, "method": "PUT"},
    }
    url = f"http://127.0.0.1:{port}/webhook/distribution"
    async with session.post(url, json={"events": [event]}, headers={"Authorization": SECRET}) as answer:
        assert answer.status == 200, await answer.text()


class Stalls:
    """How long the daemon's loop let an answer wait, at most; and that of a server which does nothing else."""

    def __init__(self) -> None:
        self._worst = {True: 0.0, False: 0.0}
        self.asking = True

    async def watch(self, session: ClientSession, url: str, idle: bool) -> None:  # noqa: FBT001 - the key
        while True:
            await asyncio.sleep(0.01)
            if not self.asking:
                continue
            begun = time.monotonic()
            with contextlib.suppress(ClientError):
                async with session.get(url) as answer:
                    await answer.read()
                self._worst[idle] = max(self._worst[idle], time.monotonic() - begun)

    def take(self, of: str) -> dict[str, float]:
        """Return the worst since the last time, in milliseconds."""
        idle, daemon = self._worst[True] * 1000, self._worst[False] * 1000
        self._worst = {True: 0.0, False: 0.0}
        return {f"{of}_worst_stall_ms": daemon, f"{of}_worst_stall_of_idle_server_ms": idle}


@dataclass
class _Daemon:
    process: DaemonProcess
    session: ClientSession
    stalls: Stalls

    @property
    def pid(self) -> int:
        return self.process.pid


@asynccontextmanager
async def _daemon(around: World) -> AsyncIterator[_Daemon]:
    async with DaemonProcess(configured(around)) as process, ClientSession() as session:
        stalls = Stalls()
        idle, daemon = around.idle.address, f"http://127.0.0.1:{around.port}"
        watching = [
            asyncio.create_task(stalls.watch(session, f"{each}/healthz", each == idle)) for each in (idle, daemon)
        ]
        try:
            yield _Daemon(process, session, stalls)
        finally:
            for task in watching:
                task.cancel()
            await asyncio.wait(watching)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    defaults = Plan()
    for name in ("applications", "repositories", "gits", "shared", "files", "fewest_tags", "most_tags"):
        parser.add_argument(f"--{name.replace('_', '-')}", type=int, default=getattr(defaults, name))
    parser.add_argument("--limit", type=float, default=_LIMIT, help="requests a second to the registry")
    parser.add_argument("--json", type=Path, help="write the figures there, too")
    chosen = vars(parser.parse_args())
    target, limit = chosen.pop("json"), chosen.pop("limit")
    measured = asyncio.run(measure(Plan(**chosen), limit=limit))
    sys.stdout.write(f"{measured.machine}\n{measured.plan}\n\n")
    rows = [(name, f"{figure:,.3f}".rstrip("0").rstrip(".")) for name, figure in measured.figures.items()]
    sys.stdout.write(f"{table(('measured', ''), rows)}\n")
    if target:
        target.write_text(f"{json.dumps(asdict(measured), indent=2)}\n")


if __name__ == "__main__":
    main()
