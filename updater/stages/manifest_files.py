"""Which files of a branch are plain manifests of an application: found by glob in the tree, a level at a time."""

from collections.abc import Set as AbstractSet

from updater.domain.errors import EditError
from updater.domain.path_globs import PathGlob
from updater.ports.git import GitBranch

_SUFFIXES = (".yaml", ".yml", ".json")
_MOST_FILES = 2000
_MOST_DIRECTORIES = 2000


async def find_manifests(remote: GitBranch, head: str, globs: AbstractSet[PathGlob]) -> list[str]:
    """Give the paths of the manifests that one of the globs matches; all directories of a level are one request.

    Raises:
        EditError: a glob matches more than anybody means, or leads through a symlink.
        GitError: the branch could not be read.
    """
    found: dict[str, None] = {}
    looked: set[str] = set()
    level = {glob.root for glob in globs}
    while level:
        looked |= level
        listings = await remote.read(head, [f"{directory}/" for directory in sorted(level)])
        entries = [
            path
            for directory, names in listings.items()
            for path in _paths(directory, names)
            if any(glob.matches(path) or (path.endswith("/") and glob.reaches(path[:-1])) for glob in globs)
        ]
        found |= dict.fromkeys(path for path in entries if path.endswith(_SUFFIXES))
        level = {path[:-1] for path in entries if path.endswith("/")} - looked
        _check(len(found), len(looked) + len(level), globs)
    return sorted(found)


def _paths(directory: str, names: bytes | None) -> list[str]:
    prefix = directory.lstrip("/")
    return [f"{prefix}{name}" for name in (names or b"").decode("utf-8", "surrogateescape").split("\n") if name]


def _check(files: int, directories: int, globs: AbstractSet[PathGlob]) -> None:
    if files > _MOST_FILES or directories > _MOST_DIRECTORIES:
        names = ", ".join(sorted(glob.text for glob in globs))
        raise EditError(
            f"{names} matches more than {_MOST_FILES} files, or leads to more than {_MOST_DIRECTORIES} directories: "
            "narrow the glob in write-back-target",
        )
