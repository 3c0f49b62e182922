"""Version constraints, in the grammar and with the meaning of Masterminds/semver v3, its corners included.

A constraint is groups joined by `||`, each of terms joined by spaces or commas: an operator before a version that may
be partial (`1.2`) or have wildcards (`1.x`). Pre-releases are admitted only by groups that name one themselves.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass

import re2

from updater.domain.errors import Misconfigured
from updater.domain.version import Version, parse_version

_SPACES = " \t\n\f\r"
# The model's character class holds a stray `|`: `3||1 - 2` is `3 || 1 - 2` to it, and `1.x.|` is `1.x`.
_NUMBER = r"[0-9|xX*]+"
_IDENTIFIERS = r"[0-9A-Za-z-]+(?:\.[0-9A-Za-z-]+)*"
_VERSION = rf"v?{_NUMBER}(?:\.{_NUMBER})?(?:\.{_NUMBER})?(?:-{_IDENTIFIERS})?(?:\+{_IDENTIFIERS})?"
_TERM = re.compile(
    rf"(!=|>=|=>|<=|=<|~>|[=<>~^]?)[{_SPACES}]*"
    rf"v?({_NUMBER})(?:\.({_NUMBER}))?(?:\.({_NUMBER}))?(-{_IDENTIFIERS})?(?:\+{_IDENTIFIERS})?",
)
_SEPARATOR = re.compile(rf"[{_SPACES}]*,[{_SPACES}]*|[{_SPACES}]+")
# Searched for anywhere in the text, which takes `re` quadratic time in a long run of spaces.
_HYPHEN_RANGE = re2.compile(rf"\s*({_VERSION})\s+-\s+({_VERSION})\s*")
_WILDCARDS = frozenset("xX*")
_REMEDY = "write a version or a range, such as 1.2.x, ~1.2, ^1, or >=1.2, <2 || 3.x"


@dataclass(frozen=True, slots=True)
class Constraint:
    """Which versions may be chosen: those that every term of one of the groups admits."""

    groups: tuple["_Group", ...]

    def admits(self, version: Version) -> bool:
        return any(group.admits(version) for group in self.groups)


@dataclass(frozen=True, slots=True)
class _Group:
    terms: tuple["_Term", ...]

    def admits(self, version: Version) -> bool:
        if version.prerelease and not any(term.bound.prerelease for term in self.terms):
            return False
        return all(_OPERATORS[term.operator](version, term) for term in self.terms)


@dataclass(frozen=True, slots=True)
class _Term:
    operator: str
    bound: Version
    """What was left open is zero."""
    given: int
    """How many numbers stand before the first wildcard; 0 for `*`."""

    def prefix(self, version: Version) -> tuple[int, ...]:
        """Return as much of a version as the bound has numbers for, which is what a partial bound compares."""
        return version.core[: self.given]


def parse_constraint(text: str) -> Constraint:
    """Read a constraint; the empty one admits every release.

    Raises:
        Misconfigured: it is none.
    """
    groups = _groups(text or "*") if text.isascii() else ((),)
    if not all(groups):
        raise Misconfigured(f"constraint {text!r} is not understood: {_REMEDY}")
    return Constraint(tuple(_Group(terms) for terms in groups))


def _groups(text: str) -> tuple[tuple["_Term", ...], ...]:
    ranged = _HYPHEN_RANGE.sub(r">= \1, <= \2 ", text)
    return tuple(_terms(group) for group in ranged.split("||"))


def _terms(group: str) -> tuple[_Term, ...]:
    """Read terms and what separates them from end to end; nothing when the group is malformed."""
    rest = group.strip(_SPACES)
    terms: list[_Term] = []
    position = 0
    while matched := _TERM.match(rest, position):
        term = _term(matched)
        if term is None:
            return ()
        terms.append(term)
        if matched.end() == len(rest):
            return tuple(terms)
        separator = _SEPARATOR.match(rest, matched.end())
        if separator is None:
            return ()
        position = separator.end()
    return ()


def _term(matched: re.Match[str]) -> _Term | None:
    sign, *numbers, prerelease = matched.groups(default="")
    given = next((place for place, number in enumerate(numbers) if not number or number in _WILDCARDS), len(numbers))
    core = ".".join(numbers[:given] + ["0"] * (len(numbers) - given))
    bound = parse_version(core + prerelease, loose=True)
    return _Term(sign, bound, given) if bound else None


def _equal(version: Version, term: _Term) -> bool:
    return version == term.bound if term.given == len(version.core) else _tilde(version, term)


def _not_equal(version: Version, term: _Term) -> bool:
    if term.given == 1:
        return term.prefix(version) != term.prefix(term.bound)
    if term.given == 2:  # noqa: PLR2004 - major and minor
        return (term.prefix(version), version.prerelease) != (term.prefix(term.bound), term.bound.prerelease)
    return version != term.bound


def _greater(version: Version, term: _Term) -> bool:
    """Admit nothing below the next major of `>1`, or the next minor of `>1.2`."""
    if term.given in (1, 2):
        return term.prefix(version) > term.prefix(term.bound)
    return version > term.bound


def _at_most(version: Version, term: _Term) -> bool:
    """Admit all of 1.x by `<=1`, all of 1.2.x by `<=1.2`, and of `<=*` all of 0.0.x, as its model does."""
    if term.given == len(version.core):
        return version <= term.bound
    return version.core[: term.given or 2] <= term.bound.core[: term.given or 2]


def _tilde(version: Version, term: _Term) -> bool:
    """Keep the major of `~1`, major and minor of more; `~*` and, as its model does, `~0.0.0` keep neither."""
    if version < term.bound:
        return False
    if term.given in (0, 3) and term.bound.core == (0, 0, 0):
        return True
    kept = min(term.given, 2)
    return version.core[:kept] == term.bound.core[:kept]


def _caret(version: Version, term: _Term) -> bool:
    """Keep all up to the first number that is not zero; `^*` is `^0.0.0`, as its model has it."""
    if version < term.bound:
        return False
    bound = term.bound.core[: term.given or 3]
    kept = next((place for place, number in enumerate(bound, 1) if number), len(bound))
    return version.core[:kept] == bound[:kept]


_OPERATORS: dict[str, Callable[[Version, _Term], bool]] = {
    "": _equal,
    "=": _equal,
    "!=": _not_equal,
    ">": _greater,
    "<": lambda version, term: version < term.bound,
    ">=": lambda version, term: version >= term.bound,
    "=>": lambda version, term: version >= term.bound,
    "<=": _at_most,
    "=<": _at_most,
    "~": _tilde,
    "~>": _tilde,
    "^": _caret,
}
