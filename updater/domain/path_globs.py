"""Globs for the files of a repository: `*` and `?` stay inside one name, `**` stands for any number of directories."""

from dataclasses import dataclass
from functools import lru_cache
from typing import Protocol

import re2

from updater.domain.errors import Misconfigured
from updater.domain.globs import expression_of_glob

_ANY_DEPTH = "**"
_WILDCARDS = frozenset("*?[\\")


class _Pattern(Protocol):
    def fullmatch(self, text: str) -> object | None: ...


@dataclass(frozen=True, slots=True)
class PathGlob:
    """A glob, compiled; paths have no leading slash."""

    text: str
    root: str
    """The directory below which everything that matches is; empty for the repository's own."""
    _names: tuple[_Pattern | None, ...]
    """One for each part of the path; None for `**`."""
    _whole: _Pattern

    @staticmethod
    @lru_cache(maxsize=1024)
    def of(text: str) -> "PathGlob":
        """Compile a glob.

        Raises:
            Misconfigured: it is malformed.
        """
        parts = text.split("/")
        try:
            names = tuple(None if part == _ANY_DEPTH else _compiled(expression_of_glob(part)) for part in parts)
        except ValueError as error:
            raise Misconfigured(f"the glob {text!r} is not understood ({error}): write it as {_EXAMPLE}") from None
        return PathGlob(text, _root(parts), names, _compiled(_expression(parts)))

    def matches(self, path: str) -> bool:
        return self._whole.fullmatch(path) is not None

    def reaches(self, directory: str) -> bool:
        """Tell whether something below a directory may match."""
        names = directory.split("/")
        for name, pattern in zip(names, self._names[:-1], strict=False):
            if pattern is None:
                return True
            if pattern.fullmatch(name) is None:
                return False
        return len(names) < len(self._names) or self._names[-1] is None


_EXAMPLE = "deploy/*.yaml or **/deployment.yaml"


def quoted(path: str) -> str:
    """Write a path so that as a glob it means itself."""
    return "".join(f"\\{each}" if each in _WILDCARDS else each for each in path)


def _root(parts: list[str]) -> str:
    plain = next((i for i, part in enumerate(parts) if _WILDCARDS.intersection(part)), len(parts) - 1)
    return "/".join(parts[: min(plain, len(parts) - 1)])


def _expression(parts: list[str]) -> str:
    *directories, last = parts
    before = [r"(?:[^/]+/)*" if part == _ANY_DEPTH else f"{expression_of_glob(part)}/" for part in directories]
    return "".join([*before, r"(?:[^/]+/)*[^/]+" if last == _ANY_DEPTH else expression_of_glob(last)])


def _compiled(expression: str) -> _Pattern:
    pattern: _Pattern = re2.compile(expression)
    return pattern
