"""Go's `printf`: its verbs and flags, and its words for what does not fit."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from updater.formats.gotemplate.lexer import TemplateError
from updater.formats.gotemplate.values import Absent, Struct, Value, default_format, is_slice, raw, shortest, type_of

_WIDEST = 1_000_000
_LARGEST = 2_000_000
_FLOATS = "eEfFgG"
_INTEGERS = {"d": "d", "x": "x", "X": "X", "o": "o", "b": "b", "O": "o"}


def sprintf(template: str, values: Sequence[Value]) -> str:
    """Format values as Go does; what does not fit is said in the text, as `%!d(string=x)`."""
    return _Printer(template, values).run()


@dataclass(frozen=True, slots=True)
class _Spec:
    flags: str = ""
    width: int | None = None
    precision: int | None = None


class _Printer:
    def __init__(self, template: str, values: Sequence[Value]) -> None:
        self._template = template
        self._values = values
        self._next = 0
        self._size = 0
        self._reordered = False
        self._bad_index = False
        self._out: list[str] = []

    def run(self) -> str:
        at = 0
        while (found := self._template.find("%", at)) >= 0:
            self._out.append(self._template[at:found])
            at = self._verb(found + 1)
        self._out.append(self._template[at:])
        if not self._reordered and self._next < len(self._values):
            extra = ", ".join(map(_typed, self._values[self._next :]))
            self._out.append(f"%!(EXTRA {extra})")
        return "".join(self._out)

    def _verb(self, at: int) -> int:
        """Write what one verb asks for; return where it ends."""
        text = self._template
        flags = re.compile(r"[-+# 0]*").match(text, at)
        assert flags is not None  # noqa: S101 - it matches nothing, too
        at = flags.end()
        self._bad_index = False
        at, indexed = self._index(at)
        width, at, star = self._number(at)
        spec = _Spec(flags.group(), width)
        if star and width is not None and width < 0:
            spec = _Spec(f"{spec.flags}-", -width)
        if indexed and width is not None and not star:
            self._bad_index = True
        if text.startswith(".", at):
            at, indexed = self._index(at + 1)
            precision, at, starred = self._number(at, "PREC")
            if starred and precision is not None and precision < 0:
                precision = None
            elif precision is None and not starred:
                precision = 0
            spec = replace(spec, precision=precision)
        at, _ = self._index(at)
        if at >= len(text):
            self._out.append("%!(NOVERB)")
            return at
        self._write(text[at], spec)
        return at + 1

    def _write(self, verb: str, spec: _Spec) -> None:
        if verb == "%":
            self._out.append("%")
        elif self._bad_index:
            self._out.append(f"%!{verb}(BADINDEX)")
        elif self._next >= len(self._values):
            self._out.append(f"%!{verb}(MISSING)")
        else:
            self._next += 1
            self._out.append(_format(verb, self._values[self._next - 1], spec))
            self._size += len(self._out[-1])
            if self._size > _LARGEST:
                raise TemplateError(f"printf makes a text of more than {_LARGEST} characters")

    def _index(self, at: int) -> tuple[int, bool]:
        """Read `[n]`, which chooses the next value."""
        if not self._template.startswith("[", at):
            return at, False
        self._reordered = True
        end = self._template.find("]", at)
        digits = self._template[at + 1 : end]
        if end < 0 or not digits.isdecimal() or not 1 <= int(digits) <= len(self._values):
            self._bad_index = True
            return (at + 1 if end < 0 else end + 1), True
        self._next = int(digits) - 1
        return end + 1, True

    def _number(self, at: int, place: str = "WIDTH") -> tuple[int | None, int, bool]:
        """Read a width or precision, or take it from the values."""
        if self._template.startswith("*", at):
            value = self._values[self._next] if self._next < len(self._values) else None
            self._next += self._next < len(self._values)
            if isinstance(value, bool) or not isinstance(value, int) or abs(value) > _WIDEST:
                self._out.append(f"%!(BAD{place})")
                return None, at + 1, True
            return value, at + 1, True
        end = at
        while self._template[end : end + 1].isdecimal():
            end += 1
        if end == at:
            return None, at, False
        number = int(self._template[at:end])
        return (number if number <= _WIDEST else None), end, False


def _format(verb: str, value: Value, spec: _Spec) -> str:
    if verb == "T":
        return _padded("<nil>" if value is None else type_of(value), spec)
    if value is None or isinstance(value, Absent):
        return _padded("<nil>", replace(spec, flags=spec.flags.replace("0", ""))) if verb == "v" else f"%!{verb}(<nil>)"
    if is_slice(value) and verb != "p":
        return _sequence(verb, value, spec)  # type: ignore[arg-type] # a slice is a sequence
    if isinstance(value, Struct):
        return "{" + " ".join(_named(verb, name, each, spec) for name, each in value.items()) + "}"
    if isinstance(value, Mapping):
        pairs = (f"{_format(verb, key, spec)}:{_format(verb, value[key], spec)}" for key in sorted(value))
        return f"map[{' '.join(pairs)}]"
    formatted = _scalar(verb, value, spec)
    return f"%!{verb}({_typed(value)})" if formatted is None else formatted


def _sequence(verb: str, values: Sequence[Value], spec: _Spec) -> str:
    return "[" + " ".join(_format(verb, each, spec) for each in values) + "]"


def _named(verb: str, name: str, value: Value, spec: _Spec) -> str:
    return f"{name}:{_format(verb, value, spec)}" if verb == "v" and "+" in spec.flags else _format(verb, value, spec)


def _scalar(verb: str, value: Value, spec: _Spec) -> str | None:
    """Format one plain value; None when the verb does not fit it."""
    if isinstance(value, bool):
        return _padded(default_format(value), spec) if verb in "tv" else None
    if isinstance(value, str):
        return _text(verb, value, spec)
    if isinstance(value, int):
        return _integer("d" if verb == "v" else verb, value, spec)
    if isinstance(value, float) and verb in f"v{_FLOATS}":
        return _float(verb, value, spec)
    return None


def _text(verb: str, value: str, spec: _Spec) -> str | None:
    if spec.precision is not None and verb in "svq":
        value = value[: spec.precision]
    if verb in ("s", "v"):
        return _padded(quoted(value) if verb == "v" and "#" in spec.flags else value, spec)
    if verb == "q":
        if "#" in spec.flags and "`" not in value and value.isprintable():
            return _padded(f"`{value}`", spec)
        return _padded(quoted(value, ascii_only="+" in spec.flags), spec)
    if verb in ("x", "X"):
        data = raw(value) if spec.precision is None else raw(value)[: spec.precision]
        pieces = [f"{byte:02x}" for byte in data]
        mark = "0x" if "#" in spec.flags and pieces else ""
        text = f" {mark}".join(pieces) if " " in spec.flags else "".join(pieces)
        text = mark + text
        return _padded(text.upper() if verb == "X" else text, spec)
    return None


def _integer(verb: str, value: int, spec: _Spec) -> str | None:
    if verb in ("c", "q", "U"):
        legal = 0 <= value <= 0x10FFFF and not 0xD800 <= value <= 0xDFFF  # noqa: PLR2004 - what Unicode has
        letter = chr(value) if legal else "\ufffd"
        if verb == "U":
            return _padded(f"U+{value:04X}" + (f" '{letter}'" if "#" in spec.flags else ""), _unzeroed(spec))
        return _padded(letter if verb == "c" else _quoted_character(letter), spec)
    if verb not in _INTEGERS:
        return None
    if spec.precision == 0 and value == 0:
        return " " * (spec.width or 0)
    digits = format(abs(value), _INTEGERS[verb])
    least = spec.precision or 0
    sign = "-" if value < 0 else "+" if "+" in spec.flags else " " if " " in spec.flags else ""
    if spec.precision is None and "0" in spec.flags and "-" not in spec.flags and spec.width:
        least = spec.width - len(sign)
    digits = digits.rjust(least, "0")
    mark = "0o" if verb == "O" else ""
    if "#" in spec.flags:
        octal = "" if digits.startswith("0") else "0"
        mark = {"x": "0x", "X": "0X", "b": "0b", "o": octal}.get(verb, mark)
    return _padded(sign + mark + digits, _unzeroed(spec))


def _float(verb: str, value: float, spec: _Spec) -> str:
    finite = value - value == 0
    if not finite:
        text = shortest(value).lstrip("+")
    elif verb in "vgG" and spec.precision is None:
        text = shortest(value)
        text = text.upper() if verb == "G" else text
    else:
        kind = "g" if verb == "v" else verb.replace("F", "f")
        precision = 6 if spec.precision is None else spec.precision
        text = format(value, f".{precision}{kind}")
    if not text.startswith("-"):
        sign = "+" if "+" in spec.flags else " " if " " in spec.flags else ""
        text = f"{sign or ('+' if value > 0 and not finite else '')}{text}"
    if "0" in spec.flags and "-" not in spec.flags and finite:
        return text.zfill(spec.width or 0)
    return _padded(text, _unzeroed(spec))


def _unzeroed(spec: _Spec) -> _Spec:
    return replace(spec, flags=spec.flags.replace("0", ""))


def _padded(text: str, spec: _Spec) -> str:
    width = spec.width or 0
    if "-" in spec.flags:
        return text.ljust(width)
    return text.rjust(width, "0" if "0" in spec.flags else " ")


def _typed(value: Value) -> str:
    if value is None or isinstance(value, Absent):
        return "<nil>"
    return f"{type_of(value)}={default_format(value)}"


def quoted(text: str, *, ascii_only: bool = False) -> str:
    """Quote as strconv.Quote does."""
    return '"' + "".join(_escaped(letter, '"', ascii_only=ascii_only) for letter in text) + '"'


def _quoted_character(letter: str) -> str:
    return f"'{_escaped(letter, chr(39), ascii_only=False)}'"


_ESCAPES = {"\a": "\\a", "\b": "\\b", "\f": "\\f", "\n": "\\n", "\r": "\\r", "\t": "\\t", "\v": "\\v", "\\": "\\\\"}


def _escaped(letter: str, quote: str, *, ascii_only: bool) -> str:
    code = ord(letter)
    if letter == quote:
        return f"\\{letter}"
    if letter in _ESCAPES:
        return _ESCAPES[letter]
    if 0xDC80 <= code <= 0xDCFF:  # noqa: PLR2004 - a byte that is no UTF-8
        return f"\\x{code - 0xDC00:02x}"
    if letter.isprintable() and (code < 0x80 or not ascii_only):  # noqa: PLR2004 - ASCII
        return letter
    if code < 0x80:  # noqa: PLR2004 - ASCII
        return f"\\x{code:02x}"
    return f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"  # noqa: PLR2004 - beyond four digits
