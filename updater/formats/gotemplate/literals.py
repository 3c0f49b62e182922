"""Go's literals: quoted texts, characters and numbers."""

import contextlib
import re

_SIMPLE = {"a": 7, "b": 8, "f": 12, "n": 10, "r": 13, "t": 9, "v": 11, "\\": 92}
_DIGITS = {"x": 2, "u": 4, "U": 8}
_OCTAL = re.compile(r"[+-]?0[0-7_]+")
_LARGEST = 2**63 - 1
_BYTE = 256


def unquote(text: str) -> str:
    """Read a text in double or back quotes; bytes that are no UTF-8 stay as lone surrogates.

    Raises:
        ValueError: an escape is none of Go's.
    """
    if text.startswith("`"):
        return text[1:-1].replace("\r", "")
    out = bytearray()
    rest = text[1:-1]
    while rest:
        piece, rest = _unescaped(rest, '"')
        out += piece if isinstance(piece, bytes) else chr(piece).encode("utf-8", "surrogatepass")
    return out.decode("utf-8", "surrogateescape")


def character(text: str) -> int:
    """Read a character in single quotes.

    Raises:
        ValueError: it is not exactly one.
    """
    if text in ("''", "'''"):
        raise ValueError("there is no character between the quotes")
    piece, rest = _unescaped(text[1:-1], "'")
    if rest:
        raise ValueError("there is more than one character between the quotes: use double quotes for a text")
    return piece[0] if isinstance(piece, bytes) else piece


def number(text: str) -> int | float:
    """Read a number.

    Raises:
        ValueError: it is none, or too large.
    """
    if text.endswith("i"):
        raise ValueError("complex numbers are not supported")
    hexadecimal = text.lstrip("+-")[:2].lower() == "0x"
    if any(letter in text for letter in (".pP" if hexadecimal else ".eE")):
        return float.fromhex(text.replace("_", "")) if hexadecimal else float(text)
    value: int | None = None
    with contextlib.suppress(ValueError):
        value = int(text.replace("_", ""), 8) if _OCTAL.fullmatch(text) else int(text, 0)
    if value is None:
        raise ValueError("this is no number")
    if not -_LARGEST - 1 <= value <= _LARGEST:
        raise ValueError("the number is too large")
    return value


def _unescaped(text: str, quote: str) -> tuple[int | bytes, str]:
    """Read one character, or one byte that is written as such; give what follows it."""
    if text[0] != "\\":
        return ord(text[0]), text[1:]
    kind, rest = text[1:2], text[2:]
    if kind == quote:
        return ord(quote), rest
    if kind in _SIMPLE:
        return _SIMPLE[kind], rest
    if kind in _DIGITS:
        digits, rest = rest[: _DIGITS[kind]], rest[_DIGITS[kind] :]
        if len(digits) == _DIGITS[kind] and all(each in "0123456789abcdefABCDEF" for each in digits):
            value = int(digits, 16)
            if kind == "x":
                return bytes([value]), rest
            if value <= 0x10FFFF and not 0xD800 <= value <= 0xDFFF:  # noqa: PLR2004 - what Unicode has
                return value, rest
    elif "0" <= kind <= "7" and re.fullmatch("[0-7]{2}", rest[:2]) and int(kind + rest[:2], 8) < _BYTE:
        return bytes([int(kind + rest[:2], 8)]), rest[2:]
    raise ValueError(f"\\{kind} is no escape: write \\\\ for a backslash")
