"""What grows with what: the daemon among 100 to 30,000 Applications, and decisions among 100 to 50,000 tags.

python -m tests.bench.growth [--picture FILE] [--json FILE]
"""

import argparse
import asyncio
import gc
import json
import sys
import time
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import NamedTuple

import matplotlib as mpl
from matplotlib.figure import Figure

from tests.bench.machine import facts, table
from tests.bench.scale import measure
from tests.bench.world import Plan
from updater.domain.candidates import Snapshot, TagRecord
from updater.domain.election import elect
from updater.domain.image import Repository
from updater.domain.policy import Policy

_APPLICATIONS = (100, 1_000, 10_000, 30_000)
_TAGS = (100, 1_000, 10_000, 50_000)
_RUNS = 5
_INTERVAL = 10.0
_LIMIT = 200.0
"""Requests a second to the registry: so many that the first round shows what we need for it ourselves."""


class _Panel(NamedTuple):
    title: str
    unit: str
    axis: str
    counts: Sequence[int]
    values: Sequence[float]
    limit: Sequence[float] | None = None


def plan_of(applications: int) -> Plan:
    """Make the world in proportion: twenty Applications to an image, two hundred to a Git repository."""
    return Plan(
        applications=applications,
        repositories=max(applications // 20, 5),
        gits=max(applications // 200, 2),
        shared=max(applications // 20, 10),
        files=max(applications // 5, 100),
        most_tags=500,
    )


def seconds_to_elect(tags: int) -> float:
    """Take the best of some runs: what is slower was disturbed."""
    records = tuple(TagRecord(f"v{number // 2500}.{number // 50 % 50}.{number % 50}") for number in range(tags))
    snapshot, now = Snapshot(Repository("registry.example.com", "app"), records, datetime.now(UTC)), datetime.now(UTC)
    took = []
    for _ in range(_RUNS):
        gc.collect()
        begun = time.perf_counter()
        elect(Policy(), snapshot, now)
        took.append(time.perf_counter() - begun)
    return min(took)


async def main(picture: Path | None, target: Path | None) -> None:
    worlds = []
    for count in _APPLICATIONS:
        sys.stderr.write(f"{count} applications\n")
        worlds.append((await measure(plan_of(count), _INTERVAL, pushes=0, limit=_LIMIT)).figures)
    elections = [seconds_to_elect(count) * 1000 for count in _TAGS]

    def of_worlds(name: str) -> list[float]:
        return [figures[name] for figures in worlds]

    a_round = [2 * count / 10_000 for count in _APPLICATIONS]
    apps = "Applications"
    panels = [
        _Panel("processor time of the first round", "s", apps, _APPLICATIONS, of_worlds("cold_round_cpu_seconds")),
        _Panel("… of a round without news", "s", apps, _APPLICATIONS, of_worlds("steady_cpu_seconds_a_round"), a_round),
        _Panel("resident memory", "MiB", apps, _APPLICATIONS, of_worlds("steady_rss_mib")),
        _Panel(
            "requests to the registry a round", "", apps, _APPLICATIONS, of_worlds("steady_registry_requests_a_round")
        ),
        _Panel("longest stall of the loop", "ms", apps, _APPLICATIONS, of_worlds("steady_worst_stall_ms"), [100] * 4),
        _Panel("an election by semver", "ms", "tags", _TAGS, elections),
    ]
    rows = [(panel.title, panel.unit, *(f"{value:,.2f}" for value in panel.values)) for panel in panels]
    sys.stdout.write(f"{facts()}\n{table(('', 'unit', *map(str, _APPLICATIONS)), rows)}\n")
    if target:
        measured = {panel.title: dict(zip(map(str, panel.counts), panel.values, strict=True)) for panel in panels}
        target.write_text(f"{json.dumps({'machine': facts(), **measured}, indent=2, ensure_ascii=False)}\n")
    if picture:
        draw(panels, picture)


def draw(panels: Sequence[_Panel], path: Path) -> None:
    mpl.rcParams.update({"svg.hashsalt": "updater", "font.size": 9})
    figure = Figure(figsize=(10, 6), layout="constrained")
    for axes, panel in zip(figure.subplots(2, 3).flat, panels, strict=True):
        axes.loglog(panel.counts, panel.values, "o-", label="measured")
        linear = [panel.values[-1] * count / panel.counts[-1] for count in panel.counts]
        axes.loglog(panel.counts, linear, ":", color="grey", label="linear")
        if panel.limit:
            axes.loglog(panel.counts, panel.limit, "--", color="tab:red", label="limit")
        axes.set(title=panel.title, xlabel=panel.axis, ylabel=panel.unit)
        axes.grid(visible=True, alpha=0.3)
        axes.legend()
    figure.savefig(path, metadata={"Date": None} if path.suffix == ".svg" else None)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--picture", type=Path)
    parser.add_argument("--json", type=Path)
    chosen = parser.parse_args()
    asyncio.run(main(chosen.picture, chosen.json))
