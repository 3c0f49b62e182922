"""What has to be true after everything that happened, seen from the outside: in Git, in the logs, in /proc."""

import subprocess
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from tests.soak.replica import Held, Replica
from tests.soak.world import API_TOKEN, GIT_PASSWORD, REGISTRY_PASSWORD, TRACKED, World

_OURS = "noreply@argoproj.io"
_FAULTS_OF_OURS = ("crashed", "exception", "traceback", "Task exception", "was never retrieved", "never awaited")


@dataclass(frozen=True, slots=True)
class Commit:
    """One of the branch."""

    hash: str
    parents: str
    author: str
    message: str


def violations(there: World, rest: Held | None) -> list[str]:
    """Say everything that is not as it has to be; `rest` is what a replica had before the troubles."""
    found = [*_git_violations(there), *there.foreign, *there.behind(), *_patch_violations(there)]
    for replica in there.replicas:
        found += [f"{replica.name}: {each}" for each in (*_log_violations(there, replica), *_ends(replica))]
    found += [f"{path} on the disk has a secret" for path in (there.root / "state").rglob("*") if _leaks(path)]
    if rest is not None:
        found += leaks(rest, there.second.held())
    return found


def leaks(before: Held, after: Held) -> list[str]:
    """Say what a process at rest has more of than it had at rest."""
    found = [
        f"{count} descriptors of kind {kind} instead of {before.descriptors.get(kind, 0)}"
        for kind, count in after.descriptors.items()
        if count > before.descriptors.get(kind, 0) + (_SPARE_SOCKETS if kind == "socket" else 0)
    ]
    if after.children:
        found.append(f"{after.children} child processes")
    if after.threads > before.threads + _SPARE_THREADS:
        found.append(f"{after.threads} threads instead of {before.threads}")
    return found


_SPARE_SOCKETS = 4
"""Connections that are kept for the next request, and were not there at the beginning."""
_SPARE_THREADS = 8
"""Of the pool that reads files and looks up names: it grows to a fixed size, as it is needed."""


def history(there: World) -> list[Commit]:
    """List the branch's commits, the first one first."""
    out = there.place.run_git("log", "--reverse", "--format=%H%x00%P%x00%ae%x00%B%x01", "main")
    lines = (each.strip("\n").split("\0") for each in out.split("\x01"))
    return [Commit(*line) for line in lines if len(line) == 4]


def _git_violations(there: World) -> Iterator[str]:
    checked = subprocess.run(
        ("git", "-C", str(there.place.repository), "fsck", "--strict", "--no-dangling"),
        check=False,
        capture_output=True,
        text=True,
    )
    if checked.returncode:
        yield f"git fsck says {checked.stderr}"
    commits = history(there)
    people = [commit.message.strip() for commit in commits if commit.message.startswith("person ")]
    if people != there.people:
        yield f"people's commits are {people} instead of {there.people}"
    standing = {tracked.name: ("v1.0.0" if tracked.name == "values" else "") for tracked in TRACKED}
    for commit in commits[1:]:
        if " " in commit.parents:
            yield f"{commit.hash} is a merge"
        if commit.author == _OURS:
            yield from _commit_violations(there, commit, standing)
        elif not commit.message.startswith("person "):
            yield f"{commit.hash} is nobody's"
    written = Counter(
        trailer.partition(" was ")[0]
        for commit in commits
        for trailer in commit.message.splitlines()
        if trailer.startswith("Image-Updated: ")
    )
    yield from (f"{count} commits say '{trailer}'" for trailer, count in written.items() if count != 1)
    yield from _lost(there, {commit.hash for commit in commits})


def _lost(there: World, hashes: set[str]) -> Iterator[str]:
    """Find commits that were said to be there and are not."""
    for replica in there.replicas:
        for event in replica.said:
            confirmed = event.get("event") in ("image.updated", "write_back.pushed", "write_back.recovered")
            if confirmed and event.get("commit") and event["commit"] not in hashes:
                yield f"{replica.name} said that {event['commit']} is on the branch"


def _commit_violations(there: World, commit: Commit, standing: dict[str, str]) -> Iterator[str]:
    """Hold one of our commits against what it may do: move tags of Applications forward, and nothing else."""
    changed = there.place.run_git("diff", "--name-only", commit.parents, commit.hash).splitlines()
    if not changed:
        yield f"{commit.hash} changes nothing"
    by_path = {tracked.path: tracked for tracked in TRACKED if tracked.path}
    for path in changed:
        tracked = by_path.get(path)
        if tracked is None:
            yield f"{commit.hash} changes {path}, which is nobody's target"
            continue
        after = there.written(tracked, commit.hash)
        before, allowed = standing[tracked.name], there.allowed[tracked.repository]
        if not after:
            yield f"{commit.hash} has other bytes in {path} than our tag, or a tag that was never allowed"
        elif before and allowed.index(after) <= allowed.index(before):
            yield f"{commit.hash} moves {tracked.name} from {before} to {after}"
        elif f"Image-Updated: argocd/{tracked.name} it {after}" not in commit.message:
            yield f"{commit.hash} has no trailer of {tracked.name} {after}"
        standing[tracked.name] = after or before


def _patch_violations(there: World) -> Iterator[str]:
    allowed = next(there.allowed[tracked.repository] for tracked in TRACKED if tracked.name == "patched")
    places = [allowed.index(tag) if tag in allowed else -1 for tag in there.patched]
    if places != sorted(set(places)) or -1 in places:
        yield f"the patched Application had {there.patched}"


def _log_violations(there: World, replica: Replica) -> Iterator[str]:
    for event in replica.said:
        line = str(event)
        if any(secret in line for secret in _secrets(there)):
            yield f"a secret is said: {event.get('event')}"
        if any(word in line for word in _FAULTS_OF_OURS) or "time" not in event:
            yield f"a fault of its own: {line}"


def _ends(replica: Replica) -> Iterator[str]:
    yield from (f"ended with {code} after SIGTERM" for code in replica.unclean_ends)
    yield from (f"ended by itself with {code}" for code in replica.unexpected_ends)
    if replica.process is None:
        yield "does not run"


def _secrets(there: World) -> set[str]:
    return {REGISTRY_PASSWORD, GIT_PASSWORD, API_TOKEN, *there.registry.issued}


def _leaks(path: Path) -> bool:
    content = path.read_bytes() if path.is_file() else b""
    return any(secret.encode() in content for secret in (REGISTRY_PASSWORD, GIT_PASSWORD, API_TOKEN))
