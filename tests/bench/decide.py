"""How long a decision takes: 10,000 tags by each strategy, and what strangers may send. Run by `make bench`."""

import sys
import tracemalloc
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from statistics import median
from time import perf_counter

from tests.bench.machine import facts, table
from updater.domain.candidates import Build, Snapshot, TagRecord
from updater.domain.decision import Current, Memory, Origin
from updater.domain.election import elect, judge
from updater.domain.image import ImageVersion, Repository
from updater.domain.platform import Platform
from updater.domain.policy import Policy, Strategy

_NOW = datetime(2026, 8, 1, tzinfo=UTC)
_AMD64 = Platform("linux", "amd64")
_RUNS = 5
_COUNT = 10_000


def main() -> None:
    sys.stdout.write(f"{facts()}\n\n{table(_HEADER, [_row(*case) for case in _cases()])}\n")


_HEADER = ("decide", "tags", "kept", "elect ms", "judge µs", "verdicts ms", "peak MB")


def _cases() -> list[tuple[str, Policy, Sequence[str]]]:
    versions = [f"v{number // 2500}.{number // 50 % 50}.{number % 50}" for number in range(_COUNT)]
    builds = [f"main-{number}-g{number:07x}" for number in range(_COUNT)]
    filters = Policy(allow_tags="regexp:^v[0-3][.]", ignore_tags=("*-rc*", "*.13"))
    scheme = Policy(extract=r"^main-(?P<build>\d+)-g(?P<commit>[0-9a-f]+)$", sort="build desc")
    return [
        ("semver", Policy(), versions),
        ("semver, constraint", Policy(constraint=">=1.2, <3 || 3.x"), versions),
        ("semver, filters", filters, versions),
        ("newest-build", Policy(strategy=Strategy.NEWEST_BUILD), builds),
        ("newest-push", Policy(strategy=Strategy.NEWEST_PUSH), builds),
        ("alphabetical", Policy(strategy=Strategy.ALPHABETICAL), builds),
        ("numeric", Policy(strategy=Strategy.NUMERIC), builds),
        ("extract and sort", scheme, builds),
        ("digest", Policy(strategy=Strategy.DIGEST, constraint=builds[-1]), builds),
        ("minimum-age", Policy(minimum_age=timedelta(hours=24)), versions),
        ("100,000 tags", Policy(), [f"v{number}.{number % 7}" for number in range(10 * _COUNT)]),
        (
            "40-digit numbers",
            Policy(strategy=Strategy.NUMERIC),
            [f"b{'9' * 35}{number:05}" for number in range(_COUNT)],
        ),
        ("10 kB tags", Policy(allow_tags="regexp:^(a+)+$"), ["a" * 10_000 + str(number) for number in range(_COUNT)]),
        (
            "128 a, (a|aa)+$",
            Policy(allow_tags="regexp:^(a|aa)+$"),
            ["a" * 123 + f"{number:05}" for number in range(_COUNT)],
        ),
    ]


def _row(name: str, policy: Policy, tags: Sequence[str]) -> tuple[str, ...]:
    snapshot = _snapshot(tags)
    election = elect(policy, snapshot, _NOW)
    current = Current(ImageVersion("v1.2.3"), Origin.TARGET)
    elected = median(_timed(lambda: elect(policy, snapshot, _NOW)) for _ in range(_RUNS))
    judged = median(_timed(lambda: judge(election, current, Memory(), _NOW)) for _ in range(_RUNS))
    verdicts = median(_timed(lambda: election.verdicts) for _ in range(_RUNS))
    tracemalloc.start()
    elect(policy, snapshot, _NOW)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    figures = (f"{elected * 1e3:.1f}", f"{judged * 1e6:.0f}", f"{verdicts * 1e3:.1f}", f"{peak / 2**20:.1f}")
    return (name, f"{len(tags):,}", f"{len(election.candidates):,}", *figures)


def _snapshot(tags: Sequence[str]) -> Snapshot:
    records = tuple(
        TagRecord(tag, f"sha256:{number:064x}", (Build(_AMD64, pushed),), pushed)
        for number, tag in enumerate(tags)
        for pushed in (_NOW - timedelta(minutes=len(tags) - number),)
    )
    return Snapshot(Repository("registry.example.com", "team/app"), records, _NOW)


def _timed(work: Callable[[], object]) -> float:
    start = perf_counter()
    work()
    return perf_counter() - start


if __name__ == "__main__":
    main()
