"""Which namespaces are looked after: names, and patterns as Argo CD's `application.namespaces` has them."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import re2

from updater.domain.errors import Misconfigured
from updater.domain.globs import expression_of_glob

_GLOB = frozenset("*?[]\\")


class _Pattern(Protocol):
    def fullmatch(self, text: str) -> object | None: ...
    def search(self, text: str) -> object | None: ...


@dataclass(frozen=True, slots=True)
class Namespaces:
    """Names and patterns, read once."""

    names: tuple[str, ...]
    globs: tuple[_Pattern, ...] = ()
    expressions: tuple[_Pattern, ...] = ()

    @staticmethod
    def of(texts: Sequence[str]) -> "Namespaces":
        """Read names, globs such as `team-*`, and RE2 between slashes such as `/^team-.*$/`; none: all there are.

        Raises:
            Misconfigured: a pattern is malformed.
        """
        expressions = [text for text in texts if len(text) > 1 and text[0] == text[-1] == "/"]
        globs = [text for text in texts if text not in expressions and not _GLOB.isdisjoint(text)]
        return Namespaces(
            names=tuple(dict.fromkeys(text for text in texts if text not in expressions and text not in globs)),
            globs=tuple(_compiled(glob) for glob in globs or (() if texts else ("*",))),
            expressions=tuple(_searched(text) for text in expressions),
        )

    @property
    def watched(self) -> tuple[str, ...]:
        """Name what has to be watched; an empty name is all there are, which patterns need."""
        return ("",) if self.globs or self.expressions else self.names

    def include(self, namespace: str) -> bool:
        return (
            namespace in self.names
            or any(glob.fullmatch(namespace) for glob in self.globs)
            or any(expression.search(namespace) for expression in self.expressions)
        )


def _compiled(glob: str) -> _Pattern:
    try:
        pattern: _Pattern = re2.compile(expression_of_glob(glob))
    except (ValueError, re2.error) as error:
        raise Misconfigured(
            f"namespace {glob!r} is no pattern ({error}): write a name, or a glob such as team-*"
        ) from None
    return pattern


def _searched(text: str) -> _Pattern:
    options = re2.Options()
    options.log_errors = False
    try:
        pattern: _Pattern = re2.compile(text[1:-1], options)
    except re2.error as error:
        raise Misconfigured(
            f"namespace {text!r} is no expression ({error.args[0]!r}): write RE2 between slashes, such as /^team-.*$/"
        ) from None
    return pattern
