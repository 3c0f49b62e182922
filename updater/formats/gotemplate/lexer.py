"""Cut a template into tokens, as the lexer of Go's text/template/parse does; trim markers are dealt with here."""

from dataclasses import dataclass
from enum import Enum, auto

import re2

from updater.domain.errors import Misconfigured

_LEFT, _RIGHT = "{{", "}}"
_SPACES = " \t\r\n"
_LONGEST_NUMBER = 1000
_NUMBER = re2.compile(
    r"[+-]?(0[xX][0-9a-fA-F_]*(\.[0-9a-fA-F_]*)?([pP][+-]?[0-9_]*)?"
    r"|0[oO][0-7_]*|0[bB][01_]*|[0-9_]*(\.[0-9_]*)?([eE][+-]?[0-9_]*)?)i?",
)


class TemplateError(Misconfigured):
    """A template cannot be read, or cannot be rendered with the data at hand."""


class Kind(Enum):
    """What a token is."""

    TEXT = auto()
    LEFT = auto()
    RIGHT = auto()
    SPACE = auto()
    ASSIGN = auto()
    DECLARE = auto()
    PIPE = auto()
    STRING = auto()
    VARIABLE = auto()
    CHARACTER = auto()
    FIELD = auto()
    DOT = auto()
    NUMBER = auto()
    IDENTIFIER = auto()
    KEYWORD = auto()
    BOOL = auto()
    NIL = auto()
    OPEN = auto()
    CLOSE = auto()
    COMMA = auto()
    END = auto()


_KEYWORDS = frozenset(
    ["block", "break", "continue", "define", "else", "end", "if", "range", "template", "with"],
)
_SINGLE = {
    "=": Kind.ASSIGN,
    "|": Kind.PIPE,
    ",": Kind.COMMA,
}


@dataclass(frozen=True, slots=True)
class Token:
    """A piece of a template, as it is written."""

    kind: Kind
    text: str
    line: int

    def __str__(self) -> str:
        return "the end of the template" if self.kind is Kind.END else repr(self.text)


def tokens_of(template: str) -> list[Token]:
    """Cut a template up.

    Raises:
        TemplateError: it holds something that no token can begin with, or ends within an action.
    """
    lexer = _Lexer(template)
    lexer.run()
    return lexer.tokens


class _Lexer:
    def __init__(self, template: str) -> None:
        self._text = template
        self._at = 0
        self._counted = (0, 1)
        self.tokens: list[Token] = []

    def run(self) -> None:
        while self._at < len(self._text):
            self._lex_text()
            if self._at < len(self._text):
                self._lex_delimited()
        self._add(Kind.END, "")

    def _lex_text(self) -> None:
        """Take the text before the next action, without the white space that its `{{- ` trims."""
        end = self._text.find(_LEFT, self._at)
        end = len(self._text) if end < 0 else end
        text = self._text[self._at : end]
        if _trims_left(self._text, end + len(_LEFT)) and end < len(self._text):
            text = text.rstrip(_SPACES)
        if text:
            self._add(Kind.TEXT, text)
        self._at = end

    def _lex_delimited(self) -> None:
        start = self._at
        inside = start + len(_LEFT)
        inside += 2 if _trims_left(self._text, inside) else 0
        if self._text.startswith("/*", inside):
            self._lex_comment(inside)
            return
        self._add(Kind.LEFT, _LEFT)
        self._at = inside
        depth = 0
        while not self._lex_right(depth):
            depth += self._lex_inside()
            if depth < 0:
                raise self.error("there is a ) without its (")

    def _lex_comment(self, start: int) -> None:
        end = self._text.find("*/", start)
        if end < 0:
            raise self.error("the comment does not end: write */}} behind it")
        self._at = end + 2
        if not self._skip_right():
            raise self.error("the comment has to end with */}} or */ -}}")

    def _lex_right(self, depth: int) -> bool:
        before = self._at
        if not self._skip_right():
            return False
        if depth:
            raise self.error("a ( has no )", before)
        self.tokens.append(Token(Kind.RIGHT, _RIGHT, self._line(before)))
        return True

    def _skip_right(self) -> bool:
        """Pass the closing delimiter, and the white space behind it when it trims."""
        rest = self._at
        trims = self._text[rest : rest + 1] in (*_SPACES,) and self._text.startswith(f"-{_RIGHT}", rest + 1)
        if trims:
            end = rest + 2 + len(_RIGHT)
            self._at = len(self._text) - len(self._text[end:].lstrip(_SPACES))
            return True
        if self._text.startswith(_RIGHT, rest):
            self._at = rest + len(_RIGHT)
            return True
        return False

    def _lex_inside(self) -> int:  # noqa: C901, PLR0912 - one for each token
        """Take one token of an action; return by how much it opens parentheses."""
        if self._at >= len(self._text):
            raise self.error("the action does not end: write }} behind it")
        letter = self._text[self._at]
        following = self._text[self._at + 1 : self._at + 2]
        if letter in _SPACES:
            self._lex_space()
        elif letter in _SINGLE:
            self._take(_SINGLE[letter], self._at + 1)
        elif letter == ":":
            if following != "=":
                raise self.error("a : has to be followed by =")
            self._take(Kind.DECLARE, self._at + 2)
        elif letter == '"' or letter == "'":  # noqa: PLR1714 - a tuple of two reads worse
            self._lex_quoted(letter)
        elif letter == "`":
            self._lex_raw()
        elif letter == "$":
            self._lex_name(Kind.VARIABLE)
        elif letter == "." and not ("0" <= following <= "9"):
            self._lex_name(Kind.FIELD)
        elif letter in ".+-" or "0" <= letter <= "9":
            self._lex_number()
        elif _in_names(letter):
            self._lex_word()
        elif letter in "()":
            self._take(Kind.OPEN if letter == "(" else Kind.CLOSE, self._at + 1)
            return 1 if letter == "(" else -1
        else:
            raise self.error(f"{letter!r} has no meaning here")
        return 0

    def _lex_space(self) -> None:
        end = self._at
        while self._text[end : end + 1] in (*_SPACES,):
            end += 1
        if self._text.startswith(f"-{_RIGHT}", end):
            end -= 1  # the last space belongs to the trim marker
        if end > self._at:
            self._take(Kind.SPACE, end)

    def _lex_quoted(self, quote: str) -> None:
        end = self._at + 1
        while self._text[end : end + 1] != quote:
            end += 2 if self._text[end : end + 1] == "\\" else 1
            if end > len(self._text) or "\n" in self._text[end - 1 : end] or end == len(self._text):
                raise self.error(f"the {quote} has no other {quote} on its line")
        self._take(Kind.STRING if quote == '"' else Kind.CHARACTER, end + 1)

    def _lex_raw(self) -> None:
        end = self._text.find("`", self._at + 1)
        if end < 0:
            raise self.error("the ` has no other `")
        self._take(Kind.STRING, end + 1)

    def _lex_name(self, kind: Kind) -> None:
        """Take `$`, `$name`, `.` or `.name`."""
        end = self._end_of_name(self._at + 1)
        if end == self._at + 1 and kind is Kind.FIELD:
            kind = Kind.DOT
        self._take(kind, end)

    def _lex_word(self) -> None:
        end = self._end_of_name(self._at)
        word = self._text[self._at : end]
        if word in _KEYWORDS:
            self._take(Kind.KEYWORD, end)
        elif word == "nil":
            self._take(Kind.NIL, end)
        else:
            self._take(Kind.BOOL if word in ("true", "false") else Kind.IDENTIFIER, end)

    def _end_of_name(self, end: int) -> int:
        while end < len(self._text) and _in_names(self._text[end]):
            end += 1
        following = self._text[end : end + 1]
        if following and following not in f"{_SPACES}.,|:()" and not self._text.startswith(_RIGHT, end):
            raise self.error(f"{following!r} cannot stand in a name")
        return end

    def _lex_number(self) -> None:
        # A piece of the text alone: RE2 copies what it is given, and the whole of it for each number is quadratic.
        found = _NUMBER.match(self._text[self._at : self._at + _LONGEST_NUMBER])
        end = self._at + (found.end() if found else 0)
        following = self._text[end : end + 1]
        if end == self._at or (following and (_in_names(following) or following in "+-")):
            raise self.error(f"{self._text[self._at : end + 1]!r} is no number")
        self._take(Kind.NUMBER, end)

    def _take(self, kind: Kind, end: int) -> None:
        self._add(kind, self._text[self._at : end])
        self._at = end

    def _add(self, kind: Kind, text: str) -> None:
        self.tokens.append(Token(kind, text, self._line(self._at)))

    def _line(self, position: int) -> int:
        counted, line = self._counted
        line += self._text.count("\n", counted, position)
        self._counted = (position, line)
        return line

    def error(self, message: str, position: int | None = None) -> TemplateError:
        at = self._at if position is None else position
        return TemplateError(f"line {1 + self._text.count(chr(10), 0, at)}: {message}")


def _trims_left(text: str, at: int) -> bool:
    return text.startswith("-", at) and text[at + 1 : at + 2] in (*_SPACES,)


def _in_names(letter: str) -> bool:
    return letter == "_" or letter.isalpha() or letter.isdecimal()
