"""Tags read as semantic versions, as loosely as Masterminds/semver reads them, and put in order.

The order is the precedence of Semantic Versioning 2.0.0. A key for tuple comparison is made once per tag, because a
repository has up to a hundred thousand of them; numbers of a pre-release may have any length and are never converted.
"""

import re
from dataclasses import dataclass, field

_NUMBERS = re.compile(r"v?([0-9]+)(?:\.([0-9]+))?(?:\.([0-9]+))?")
_IDENTIFIERS = re.compile(r"[0-9A-Za-z-]+(?:\.[0-9A-Za-z-]+)*")
_LARGEST = 2**64 - 1
_LARGEST_DIGITS = len(str(_LARGEST))
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
    rest, plus, metadata = tag.partition("+")
    numbers, hyphen, prerelease = rest.partition("-")
    given = _NUMBERS.fullmatch(numbers)
    if given is None or (plus and not _IDENTIFIERS.fullmatch(metadata)):
        return None
    core = _core(given.groups(default=""))
    identifiers = _identifiers(prerelease) if hyphen else ()
    if core is None or identifiers is None:
        return None
    return Version((*core, not hyphen, identifiers), prerelease, sum(1 for number in given.groups() if number))


def _core(numbers: tuple[str, ...]) -> tuple[int, int, int] | None:
    """Convert what fits in 64 bits; leading zeros are allowed, numbers left out are zero."""
    digits = [number.lstrip("0") or "0" for number in numbers]
    if any(len(number) > _LARGEST_DIGITS for number in digits):
        return None
    major, minor, patch = (int(number) for number in digits)
    return (major, minor, patch) if max(major, minor, patch) <= _LARGEST else None


def _identifiers(prerelease: str) -> tuple[Identifier, ...] | None:
    if not _IDENTIFIERS.fullmatch(prerelease):
        return None
    texts = prerelease.split(".")
    return None if any(_has_leading_zero(text) for text in texts) else tuple(_identifier(text) for text in texts)


def _identifier(text: str) -> Identifier:
    return (False, len(text), text) if text.isdigit() else (True, 0, text)


def _has_leading_zero(text: str) -> bool:
    return len(text) > 1 and text[0] == "0" and text.isdigit()
