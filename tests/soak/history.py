"""What is in a Git repository, and what our commits may do there: move tags forward, and nothing else."""

import subprocess
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from tests.soak.tracked import Allowed, Tracked

OURS = "noreply@argoproj.io"
PERSON = "person "
"""How the message of a person's commit begins."""


@dataclass(frozen=True, slots=True)
class Commit:
    """One of a repository."""

    hash: str
    parents: str
    author: str
    message: str
    paths: tuple[str, ...]
    """What it changes; nothing for a merge."""


def git(repository: Path, *arguments: str, given: str = "") -> str:
    command = ("git", "-C", str(repository), *arguments)
    return subprocess.run(command, check=True, capture_output=True, input=given.encode()).stdout.decode()


def commits(repository: Path, *which: str, given: str = "") -> list[Commit]:
    """List commits as `git log` does, with its arguments."""
    form = "--format=%x01%H%x00%P%x00%ae%x00%B%x00"
    out = git(repository, "log", form, "--name-only", *which, given=given)
    found = []
    for each in out.split("\x01")[1:]:
        name, parents, author, message, paths = each.split("\0")
        found.append(Commit(name, parents, author, message, tuple(filter(None, paths.split("\n")))))
    return found


def history(repository: Path, *more: str) -> list[Commit]:
    """List the commits of `main`, the first one first."""
    return commits(repository, "--reverse", *more, "main")


def all_commits(repository: Path) -> list[Commit]:
    """List whatever was ever pushed, on a branch or not any more."""
    objects = git(repository, "cat-file", "--batch-all-objects", "--batch-check=%(objecttype) %(objectname)")
    named = (line.partition(" ") for line in objects.splitlines())
    hashes = "".join(f"{name}\n" for kind, _, name in named if kind == "commit")
    return commits(repository, "--no-walk=unsorted", "--stdin", given=hashes)


def read(repository: Path, objects: Sequence[str]) -> list[bytes]:
    """Read files, each named as `<commit>:<path>`; nothing for one that is not there."""
    command = ("git", "-C", str(repository), "cat-file", "--batch")
    given = "".join(f"{each}\n" for each in objects).encode()
    out = subprocess.run(command, check=True, capture_output=True, input=given).stdout
    found = []
    for _ in objects:
        head, _, out = out.partition(b"\n")
        if head.endswith(b" missing"):
            found.append(b"")
            continue
        size = int(head.rpartition(b" ")[2])
        found.append(out[:size])
        out = out[size + 1 :]
    return found


def broken(repository: Path) -> Iterator[str]:
    checked = subprocess.run(
        ("git", "-C", str(repository), "fsck", "--strict", "--no-dangling"),
        check=False,
        capture_output=True,
        text=True,
    )
    if checked.returncode:
        yield f"git fsck says {checked.stderr}"


def judged(repository: Path, ours: Iterable[Commit], tracked: Sequence[Tracked], allowed: Allowed) -> Iterator[str]:
    """Hold commits of ours against what they may do to the commits that they are built on."""
    by_path = {each.path: each for each in tracked if each.path}
    changes = [(commit, path) for commit in ours for path in commit.paths or ("",)]
    befores = read(repository, [f"{commit.parents.partition(' ')[0]}:{path}" for commit, path in changes])
    afters = read(repository, [f"{commit.hash}:{path}" for commit, path in changes])
    for (commit, path), before, after in zip(changes, befores, afters, strict=True):
        if not path:
            yield f"{commit.hash} changes nothing, or has not one parent"
        elif path not in by_path:
            yield f"{commit.hash} changes {path}, which is nobody's target"
        else:
            yield from _change(commit, by_path[path], (before, after), allowed)


def _change(commit: Commit, tracked: Tracked, contents: tuple[bytes, bytes], allowed: Allowed) -> Iterator[str]:
    before, after = (tracked.tag_in(content, allowed) for content in contents)
    order = allowed[tracked.repository]
    if not after:
        yield f"{commit.hash} has other bytes in {tracked.path} than our tag, or a tag that was never allowed"
    elif contents[0] and not before:
        yield f"{commit.hash} is built on other bytes in {tracked.path} than there ever were"
    elif before and order.index(after) <= order.index(before):
        yield f"{commit.hash} moves {tracked.name} from {before} to {after}"
    elif f"Image-Updated: argocd/{tracked.name} it {after}" not in commit.message:
        yield f"{commit.hash} has no trailer of {tracked.name} {after}"
