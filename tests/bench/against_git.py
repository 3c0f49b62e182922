"""The same change of 90 applications of one repository, by the git program one after the other, and by the daemon.

python -m tests.bench.against_git [APPLICATIONS [FILES]]

The git program does what Argo CD Image Updater has it do: a fresh shallow clone, a commit and a push for each
application. Of both the whole is measured, with the start of every process, beside a Git server of 20 ms.
"""

import asyncio
import os
import resource
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from tests.bench.machine import facts, table
from tests.bench.scale import configured, world
from tests.bench.world import BASE, Plan
from tests.fakes.registry import PASSWORD, USERNAME
from updater.demo.daemon import DaemonProcess

_RUNS = 2


@dataclass(frozen=True)
class _Cost:
    seconds: float
    processor_seconds: float
    requests: int
    bytes: int
    processes: int
    commits: int


async def main(applications: int = 90, files: int = 1_000) -> None:
    sys.stdout.write(f"{applications} applications in a repository of {files} files; {facts()}\n\n")
    plan = Plan(applications, 1, 1, applications, files, 50, 50)
    rows = []
    for run in range(1, _RUNS + 1):
        program, daemon = await _measure(plan, _by_git), await _measure(plan, _by_daemon)
        rows += [_row(f"git program, run {run}", program), _row(f"updater, run {run}", daemon)]
        rows.append(("ratio", *(f"{a / b:.1f}" for a, b in zip(_values(program), _values(daemon), strict=True))))
    header = ("", "seconds", "cpu s", "requests", "kB", "processes", "commits")
    sys.stdout.write(f"{table(header, rows)}\n")


def _values(cost: _Cost) -> tuple[float, ...]:
    kilobytes = cost.bytes / 1000
    return cost.seconds, cost.processor_seconds, cost.requests, kilobytes, cost.processes, cost.commits


def _row(name: str, cost: _Cost) -> tuple[str, ...]:
    seconds, processor, *counts = _values(cost)
    return (name, f"{seconds:.1f}", f"{processor:.1f}", *(f"{count:,.0f}" for count in counts))


Way = Callable[[Plan, Path, str, Path], int]
"""Makes the change; returns how many processes it took."""


async def _measure(plan: Plan, way: Way) -> _Cost:
    with TemporaryDirectory(prefix="updater-bench-") as name:
        async with world(plan, Path(name)) as around:
            await around.registry.ask(push=[[BASE, "9.0.0"]])
            before = await around.git.ask()
            used, begun = _children_seconds(), time.monotonic()
            processes = await asyncio.to_thread(way, plan, Path(name), around.git.address, configured(around))
            seconds, used = time.monotonic() - begun, _children_seconds() - used
            after = await around.git.ask()
            log = ("git", "-C", f"{name}/git/0.git", "rev-list", "--count", "main")
            commits = int(subprocess.run(log, check=True, capture_output=True, text=True).stdout) - 1
    requests, exchanged = after["requests"] - before["requests"], after["bytes"] - before["bytes"]
    return _Cost(seconds, used, requests, exchanged, processes, commits)


def _by_git(plan: Plan, directory: Path, address: str, _config: Path) -> int:
    url = address.replace("://", f"://{USERNAME}:{PASSWORD.replace(':', '%3A')}@") + "0.git"
    trace = directory / "trace"
    trace.mkdir()
    environ = {**os.environ, "GIT_TRACE2_EVENT": str(trace), "GIT_CONFIG_GLOBAL": os.devnull}

    def git(*arguments: str, at: Path) -> None:
        who = ("-c", "user.name=bot", "-c", "user.email=bot@example.com")
        subprocess.run(("git", *who, *arguments), check=True, cwd=at, env=environ, capture_output=True)

    for number in range(plan.applications):
        with TemporaryDirectory(prefix="clone-") as name:
            git("clone", "--depth", "1", url, "clone", at=Path(name))
            clone = Path(name) / "clone"
            path = clone / f"apps/app-{number}/kustomization.yaml"
            path.write_text(path.read_text().replace("newTag: 1.49.0", "newTag: 9.0.0"))
            git("commit", "--all", "--message", f"update app-{number}", at=clone)
            git("push", "origin", "main", at=clone)
    return len(list(trace.iterdir()))


def _by_daemon(plan: Plan, directory: Path, address: str, config: Path) -> int:
    async def run() -> None:
        async with DaemonProcess(config, "--once") as daemon:
            assert await daemon.ended() == 0, daemon.said[-1].event
            assert len(daemon.events("image.updated")) == plan.applications

    asyncio.run(run())
    return 1


def _children_seconds() -> float:
    """Tell the processor time of the children that have ended; the servers have not."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


if __name__ == "__main__":
    asyncio.run(main(*(int(argument) for argument in sys.argv[1:])))
