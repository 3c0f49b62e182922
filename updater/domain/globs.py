"""Globs with the meaning of Go's `filepath.Match`, translated to RE2.

`*` and `?` do not cross `/`, classes do; `^` negates a class and a backslash quotes. Braces mean nothing.
"""

import re
from collections.abc import Iterator

_MEMBER = r"(?:[^]\\-]|\\.)"
_MEMBERS = re.compile(rf"({_MEMBER})(?:-({_MEMBER}))?", re.DOTALL)
_TOKEN = re.compile(rf"([*?])|\[(\^?+)((?:{_MEMBER}(?:-{_MEMBER})?)+)\]|(\\.|[^[\\])", re.DOTALL)
_WILDCARDS = {"*": "[^/]*", "?": "[^/]"}
_ALL = r"\x00-\x{10FFFF}"


def expression_of_glob(glob: str) -> str:
    """Translate a glob to an RE2 expression that has to match a whole name.

    Raises:
        ValueError: the glob is malformed, in one of the ways in which Go's is.
    """
    return "".join(_expressions(glob))


def _expressions(glob: str) -> Iterator[str]:
    position = 0
    while position < len(glob):
        token = _TOKEN.match(glob, position)
        if token is None:
            what = "a class without members or end" if glob[position] == "[" else "a backslash before nothing"
            raise ValueError(f"{what} at character {position + 1}")
        wildcard, negation, members, literal = token.groups()
        yield _WILDCARDS[wildcard] if wildcard else _class(negation, members) if members else _quoted(literal)
        position = token.end()


def _class(negation: str, members: str) -> str:
    """Translate a class; a range from high to low has no members, where RE2 would refuse it."""
    ranges = [(low[-1], (high or low)[-1]) for low, high in _MEMBERS.findall(members)]
    inside = "".join(f"{_quoted(low)}-{_quoted(high)}" for low, high in ranges if low <= high)
    if inside:
        return f"[{negation}{inside}]"
    return rf"[{_ALL}]" if negation else rf"[^{_ALL}]"


def _quoted(character: str) -> str:
    """Write a character, or a quoted one, by its number: no number has a meaning of its own."""
    return f"\\x{{{ord(character[-1]):X}}}"
