"""`extract` and `sort`: a private tag scheme, told by a pattern with named groups and the order of its parts."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import total_ordering
from typing import Protocol

import re2

from updater.domain.errors import Misconfigured

Key = tuple[object, ...]
"""Compares with the other keys of the same order."""

_TAG = "tag"
_ASCENDING = {"": False, "desc": False, "asc": True}


@total_ordering
@dataclass(frozen=True, slots=True)
class Reversed:
    """A key in a descending order: what is smaller counts as greater."""

    key: Key

    def __lt__(self, other: "Reversed") -> bool:
        return other.key < self.key


class _Match(Protocol):
    def groups(self) -> tuple[bytes | None, ...]: ...


class _Pattern(Protocol):
    """A compiled RE2 expression; it reads bytes twice as fast as text."""

    @property
    def groupindex(self) -> Mapping[str, int]: ...
    def search(self, text: bytes) -> _Match | None: ...


@dataclass(frozen=True, slots=True)
class _Part:
    group: int
    """Of the pattern; 0 is the whole tag."""
    ascending: bool
    """True: the smallest is the best."""


@dataclass(frozen=True, slots=True)
class Extraction:
    """A tag scheme, ready to be applied."""

    pattern: _Pattern
    parts: tuple[_Part, ...]

    @staticmethod
    def parse(extract: str, sort: str) -> "Extraction":
        """Prepare a scheme; without `sort`, all groups count in their order, the greatest first.

        Raises:
            Misconfigured: `extract` is no RE2 or names no group, or `sort` names one that it does not have.
        """
        pattern = _compile(extract)
        groups = dict(pattern.groupindex)
        names = sorted(groups, key=groups.__getitem__)
        if not names:
            raise Misconfigured(
                f"extract {extract!r} names no group: write (?P<year>[0-9]+), say, around each part to be compared",
            )
        return Extraction(pattern, tuple(_part(item, groups) for item in (sort or ",".join(names)).split(",")))

    def key(self, tag: str) -> Key | None:
        """Cut the sort key out of a tag; None when the pattern does not match it."""
        whole = tag.encode(errors="surrogatepass")
        found = self.pattern.search(whole)
        if found is None:
            return None
        groups = (whole, *found.groups())
        values = ((_value(groups[part.group]), part.ascending) for part in self.parts)
        return tuple(Reversed(value) if ascending else value for value, ascending in values)


def _compile(extract: str) -> _Pattern:
    options = re2.Options()
    options.log_errors = False
    try:
        pattern: _Pattern = re2.compile(extract, options)
    except re2.error as error:
        reason = error.args[0].decode(errors="replace")
        raise Misconfigured(f"extract {extract!r} is not understood ({reason}): write it as RE2 has it") from None
    return pattern


def _part(item: str, groups: Mapping[str, int]) -> _Part:
    name, _, direction = " ".join(item.split()).partition(" ")
    if not name or direction.lower() not in _ASCENDING:
        raise Misconfigured(
            f"sort {item.strip()!r} is not understood: write a name with asc or desc, such as year desc"
        )
    if name not in groups and name != _TAG:
        known = " or ".join([*groups, _TAG])
        raise Misconfigured(f"sort names {name!r}, which is no group of extract: write {known}")
    return _Part(groups.get(name, 0), _ASCENDING[direction.lower()])


def _value(part: bytes | None) -> Key:
    """Order what a group matched: nothing, then numbers of any length, then text."""
    if not part:
        return (0,)
    return (1, int(part)) if part.isdigit() else (2, part)
