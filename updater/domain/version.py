"""Tags read as semantic versions, as loosely as Masterminds/semver reads them, and put in order.

The order is the precedence of Semantic Versioning 2.0.0. A key for tuple comparison is made once per tag, because a
repository has up to a hundred thousand of them; numbers of a pre-release may have any length and are never converted.
"""

import re
from dataclasses import dataclass, field

_LARGEST = 2**64 - 1
_NUMBER = rf"(?=[0-9])0*+([0-9]{{0,{len(str(_LARGEST))}}})"  # without the zeros before it; nothing is zero
_IDENTIFIERS = r"[0-9A-Za-z-]+(?:\.[0-9A-Za-z-]+)*"
_VERSION = re.compile(rf"v?{_NUMBER}(?:\.{_NUMBER})?(?:\.{_NUMBER})?(?:-({_IDENTIFIERS}))?(?:\+{_IDENTIFIERS})?")
_DIGITS_OF_A_DATE = 6

Identifier = tuple[bool, int, str]
"""Of a pre-release: whether it is alphanumeric, the number's digits, the text; a longer number is a greater one."""
Precedence = tuple[int, int, int, bool, tuple[Identifier, ...]]
"""Major, minor, patch, whether it is a release, and the pre-release."""


@dataclass(frozen=True, slots=True, order=True)
class Version:
    """A version by its precedence: `1.20`, `1.20.0` and `v1.20.0+build` are equal."""

    precedence: Precedence
    prerelease: str = field(compare=False)
    """What stands behind the hyphen; empty for a release."""
    specificity: int = field(compare=False)
    """How many numbers were given: 1 for `1`, 3 for `1.0.0`."""

    @property
    def core(self) -> tuple[int, int, int]:
        return self.precedence[:3]


def parse_version(tag: str, *, loose: bool = False) -> Version | None:
    """Read a tag such as `v1.2`, `1` or `1.2.3-rc.1`; None for what is no version.

    Digits alone are a date or a commit when there are six of them or more, unless `loose`.
    """
    if not loose and len(tag) >= _DIGITS_OF_A_DATE and tag.isascii() and tag.isdigit():
        return None
    given = _VERSION.fullmatch(tag)
    if given is None:
        return None
    major, minor, patch, prerelease = given.groups()
    core = (int(major or 0), int(minor or 0), int(patch or 0))
    identifiers = _identifiers(prerelease) if prerelease else ()
    if max(core) > _LARGEST or identifiers is None:
        return None
    specificity = 1 if minor is None else 2 if patch is None else 3
    return Version((*core, not prerelease, identifiers), prerelease or "", specificity)


def _identifiers(prerelease: str) -> tuple[Identifier, ...] | None:
    texts = prerelease.split(".")
    return None if any(_has_leading_zero(text) for text in texts) else tuple(_identifier(text) for text in texts)


def _identifier(text: str) -> Identifier:
    return (False, len(text), text) if text.isdigit() else (True, 0, text)


def _has_leading_zero(text: str) -> bool:
    return len(text) > 1 and text[0] == "0" and text.isdigit()
