"""Which globs for plain manifests may match the same files: those of which one begins with the other, or above it."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import NamedTuple

from updater.domain.path_globs import PathGlob
from updater.domain.target import GitTarget, repository_key


class _Ground(NamedTuple):
    """One image in a directory of a branch."""

    branch: str
    image: str
    directory: str


@dataclass
class Overlaps:
    """The places that globs name, by where they begin: whoever asks for a few must not look at thousands."""

    _beginning: dict[_Ground, set[str]] = field(default_factory=dict)
    _below: dict[_Ground, set[str]] = field(default_factory=dict)

    def add(self, target: GitTarget) -> None:
        own, *above = _grounds(target)
        self._beginning.setdefault(own, set()).add(target.place)
        for ground in above:
            self._below.setdefault(ground, set()).add(target.place)

    def remove(self, target: GitTarget) -> None:
        own, *above = _grounds(target)
        for places, grounds in ((self._beginning, [own]), (self._below, above)):
            for ground in grounds:
                places[ground].discard(target.place)
                if not places[ground]:
                    del places[ground]

    def of(self, target: GitTarget) -> set[str]:
        """Give the places that may have files in common with a target's, its own among them."""
        own, *above = _grounds(target)
        found = {target.place} | self._below.get(own, set())
        return found.union(*(self._beginning.get(ground, set()) for ground in (own, *above)))


def _grounds(target: GitTarget) -> Iterator[_Ground]:
    """Give the ground on which a glob begins, then those above it, up to the repository's root."""
    branch = f"{repository_key(target.branch.url)}@{target.branch.branch}"
    directory = PathGlob.of(target.path).root
    while directory:
        yield _Ground(branch, target.key, directory)
        directory = directory.rpartition("/")[0]
    yield _Ground(branch, target.key, "")
