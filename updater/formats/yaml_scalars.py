"""Single YAML values: what a plain one is taken for, and how to write one so that it is taken for what it is.

YAML's versions and their readers disagree on what is a number or a boolean. What any of them might take for one is none
of our strings: it is written with quotes.
"""

import math
import re

from updater.formats.yaml_tree import STRING_TAGS, Node, ScalarNode

_WORDS = frozenset({"", "~", "null", "true", "false", "yes", "no", "on", "off", "y", "n", "<<", "=", "..."})
_SPECIAL_NUMBERS = frozenset({".nan", ".inf", "+.inf", "-.inf"})
_DECIMAL = re.compile(r"[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?")
_INTEGER = re.compile(r"[-+]?0(?:[xX][0-9a-fA-F]+|[oO]?[0-7]+|[bB][01]+)")
_SEXAGESIMAL = re.compile(r"[-+]?[0-9]+(?::[0-5]?[0-9])+(?:\.[0-9]*)?")
_TIMESTAMP = re.compile(r"[0-9]{4}-[0-9]{1,2}-[0-9]{1,2}(?:[Tt\s].*)?")
_PLAIN = re.compile(r"[A-Za-z0-9_./](?:[A-Za-z0-9_./:@=+-]*[A-Za-z0-9_./@=+-])?")
_PLAIN_IN_FLOW = re.compile(r"[A-Za-z0-9_./][A-Za-z0-9_./+-]*")
_PRINTABLE = re.compile(r"[ -~\u00a1-\u1fff]*")
_ESCAPED = re.compile(r'["\\]|[^ -~\u00a1-\u1fff]')
_LONGEST_NUMBER = 128
"""In characters; what is longer is text to everybody, and costly to compute with."""
_LARGEST_WRITTEN_OUT = 1e21
"""From here on Go prints numbers with an exponent."""

Value = str | bool


def is_string(node: Node) -> bool:
    """Tell whether every reader takes a scalar for a string."""
    if not isinstance(node, ScalarNode) or node.tag not in STRING_TAGS:
        return False
    return bool(node.style or node.tag) or not _ambiguous(node.value)


def is_null(node: Node) -> bool:
    return (
        isinstance(node, ScalarNode)
        and not (node.style or node.tag)
        and node.value in ("", "~", "null", "Null", "NULL")
    )


def holds(node: Node, value: Value) -> bool:
    if isinstance(value, bool):
        return isinstance(node, ScalarNode) and not node.style and node.value.lower() == str(value).lower()
    return isinstance(node, ScalarNode) and node.value == value and is_string(node)


def text_of(node: ScalarNode) -> str:
    """Give a scalar as Helm and Kustomize print it: 1.20 without quotes is the number 1.2 to them."""
    if is_null(node):
        return ""
    if is_string(node) or len(node.value) > _LONGEST_NUMBER:
        return node.value
    digits = node.value.replace("_", "")
    if _INTEGER.fullmatch(digits):
        return str(_integer(digits))
    if _DECIMAL.fullmatch(digits):
        return _decimal(digits, node.value)
    return node.value


def render(value: Value, style: str = "", *, flow: bool = False) -> str:
    """Write a value in a style, or in double quotes where that style could not hold it."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if style == "'" and _PRINTABLE.fullmatch(value):
        return "'" + value.replace("'", "''") + "'"
    plain = _PLAIN_IN_FLOW if flow else _PLAIN
    if style in ("'", '"') or not plain.fullmatch(value) or _ambiguous(value):
        return '"' + _ESCAPED.sub(_escape, value) + '"'
    return value


def _escape(found: re.Match[str]) -> str:
    character = found[0]
    return f"\\{character}" if character in '"\\' else f"\\U{ord(character):08x}"


def _ambiguous(text: str) -> bool:
    if text.lower() in _WORDS | _SPECIAL_NUMBERS:
        return True
    digits = text.replace("_", "")
    if text[0] not in "+-.0123456789" or len(text) > _LONGEST_NUMBER:
        return False
    return any(form.fullmatch(digits) for form in (_DECIMAL, _INTEGER, _SEXAGESIMAL, _TIMESTAMP))


def _integer(digits: str) -> int:
    sign = -1 if digits.startswith("-") else 1
    digits = digits.lstrip("+-").lower()
    base = {"0x": 16, "0b": 2, "0o": 8}.get(digits[:2])
    return sign * (int(digits[2:], base) if base else int(digits, 8))


def _decimal(digits: str, text: str) -> str:
    if digits.isdigit() and not digits.startswith("0"):
        return digits
    number = float(digits)
    if not math.isfinite(number):
        return text
    return str(int(number)) if number.is_integer() and abs(number) < _LARGEST_WRITTEN_OUT else repr(number)
