"""What a process has of the system, each thing by a name that says what it is for: seen from the outside, in /proc."""

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

_STATES = [
    "ESTABLISHED",
    "SYN_SENT",
    "SYN_RECV",
    "FIN_WAIT1",
    "FIN_WAIT2",
    "TIME_WAIT",
    "CLOSE",
    "CLOSE_WAIT",
    "LAST_ACK",
    "LISTEN",
    "CLOSING",
]
_SPARE_THREADS = 8
"""Of the pool that reads files and looks up names: it grows to a fixed size, as it is needed."""


@dataclass(frozen=True, slots=True)
class Held:
    """What a process has of the system."""

    descriptors: Mapping[str, int]
    """By what they are: `connection to the registry, ESTABLISHED`, `file second.db-wal`, `pipe`."""
    children: int
    threads: int

    def __str__(self) -> str:
        counted = ", ".join(f"{count} {name}" for name, count in sorted(self.descriptors.items()))
        return f"{sum(self.descriptors.values())} descriptors ({counted}), {self.threads} threads"


def held(pid: int, names: Mapping[int, str]) -> Held:
    """Look at a process; `names` says who listens at a port."""
    proc = Path("/proc") / str(pid)
    sockets = dict(_sockets(proc, names))
    kinds = Counter(_kind(target, sockets) for target in _targets(proc / "fd"))
    tasks = list((proc / "task").iterdir())
    return Held(kinds, len(list(children(pid))), len(tasks))


def children(pid: int) -> Iterator[int]:
    """Name the processes that one has started, and those that they have."""
    for listing in Path("/proc").glob(f"{pid}/task/*/children"):
        for child in text(listing).split():
            yield int(child)
            yield from children(int(child))


def leaks(before: Held, after: Held, kept: Mapping[str, int]) -> list[str]:
    """Say what a process at rest has more of than it had at rest.

    `kept` says how many of which there may be in any case.
    """
    found = [
        f"{count} descriptors are {name}, instead of {before.descriptors.get(name, 0)}"
        for name, count in after.descriptors.items()
        if count > max(before.descriptors.get(name, 0), kept.get(name, 0))
    ]
    if after.children:
        found.append(f"{after.children} child processes")
    if after.threads > before.threads + _SPARE_THREADS:
        found.append(f"{after.threads} threads instead of {before.threads}")
    return found


def text(path: Path) -> str:
    """Read a file of a process that may be gone."""
    try:
        return path.read_text(errors="replace")
    except (FileNotFoundError, ProcessLookupError):
        return ""


def _targets(directory: Path) -> Iterator[str]:
    for descriptor in directory.iterdir():
        try:
            yield str(descriptor.readlink())
        except FileNotFoundError:
            continue


def _kind(target: str, sockets: Mapping[str, str]) -> str:
    kind, colon, number = target.partition(":[")
    if kind == "socket":
        return sockets.get(number.rstrip("]"), "socket that is not connected")
    return kind if colon or target.startswith("anon_inode:") else f"file {Path(target).name}"


def _sockets(proc: Path, names: Mapping[int, str]) -> Iterator[tuple[str, str]]:
    """Say of each socket, by its inode, to whom it leads."""
    lines = [line.split() for name in ("tcp", "tcp6") for line in text(proc / "net" / name).splitlines()[1:]]
    rows = [(_port(line[1]), _port(line[2]), _STATES[int(line[3], 16) - 1], line[9]) for line in lines]
    own = {local for local, _, state, _ in rows if state == "LISTEN"}
    for local, remote, state, inode in rows:
        if state == "LISTEN":
            yield inode, "socket that listens"
        elif local in own:
            yield inode, f"connection from somebody, {state}"
        else:
            yield inode, f"connection to {names.get(remote, f'port {remote}')}, {state}"
    for line in text(proc / "net" / "unix").splitlines()[1:]:
        yield line.split()[6], "unix socket"


def _port(address: str) -> int:
    return int(address.rpartition(":")[2], 16)
