"""Which tags are candidates at all: `allow-tags`, `ignore-tags`, `skip-tags`, and what signing tools leave behind.

People write the patterns and strangers the tags, so all matching is RE2's: its time is linear in the tag.
"""

import re
from dataclasses import dataclass
from typing import Protocol

import re2

from updater.domain.errors import Misconfigured
from updater.domain.globs import expression_of_glob
from updater.domain.policy import Policy

_ARTEFACT = re.compile(r"sha(?:256-[0-9a-f]{64}|512-[0-9a-f]{128})(?:\.(?:sig|att|sbom))?")
_ALLOW_REMEDY = "write any, or regexp: before an expression that RE2 understands, such as regexp:^v1[.]"
_IGNORE_REMEDY = "write a glob such as *-rc*, latest or 1.[0-9], with a backslash before what is meant literally"


class Pattern(Protocol):
    """A compiled RE2 expression; it reads bytes twice as fast as text."""

    def search(self, text: bytes) -> object | None: ...
    def fullmatch(self, text: bytes) -> object | None: ...


@dataclass(frozen=True, slots=True)
class TagFilters:
    """The filters of one image, compiled once and asked for each tag."""

    allow: tuple[Pattern, ...]
    """A tag has to match one of them; every tag is allowed when there is none."""
    ignore: tuple[Pattern, ...]
    skip: frozenset[str]

    @staticmethod
    def of(policy: Policy) -> "TagFilters":
        """Compile a policy's filters.

        Raises:
            Misconfigured: an expression, a function of `allow-tags` or a glob is malformed.
        """
        return TagFilters(
            allow=_allowed(policy.allow_tags),
            ignore=tuple(_ignored(glob) for glob in policy.ignore_tags),
            skip=frozenset(policy.skip_tags),
        )

    def drops(self, tag: str) -> str:
        """Name the filter that drops a tag; empty when it is kept."""
        if _ARTEFACT.fullmatch(tag):
            return "artefact"
        name = tag.encode(errors="surrogatepass")
        if self.allow and not any(pattern.search(name) for pattern in self.allow):
            return "allow-tags"
        if any(pattern.fullmatch(name) for pattern in self.ignore):
            return "ignore-tags"
        return "skip-tags" if tag in self.skip else ""


def _allowed(text: str) -> tuple[Pattern, ...]:
    """Compile the expressions of `allow-tags`, one a line; none when one of the lines allows any tag."""
    rules = [rule for line in text.splitlines() if (rule := line.strip())]
    patterns = [_allow_rule(rule) for rule in rules]
    return () if None in patterns else tuple(pattern for pattern in patterns if pattern)


def _allow_rule(rule: str) -> Pattern | None:
    function, colon, expression = rule.partition(":")
    if function.lower() == "any":
        return None
    if function.lower() != "regexp" or not colon:
        raise Misconfigured(f"allow-tags {rule!r} names no known function: {_ALLOW_REMEDY}")
    try:
        return _compile(expression.strip())
    except ValueError as error:
        raise Misconfigured(f"allow-tags {rule!r} is not understood ({error}): {_ALLOW_REMEDY}") from None


def _ignored(glob: str) -> Pattern:
    try:
        return _compile(expression_of_glob(glob))
    except ValueError as error:
        raise Misconfigured(f"ignore-tags {glob!r} is not understood ({error}): {_IGNORE_REMEDY}") from None


def _compile(expression: str) -> Pattern:
    """Compile without a word on standard error; ValueError says what is wrong."""
    options = re2.Options()
    options.log_errors = False
    try:
        pattern: Pattern = re2.compile(expression, options)
    except re2.error as error:
        raise ValueError(error.args[0].decode(errors="replace")) from None
    return pattern
