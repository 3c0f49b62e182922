"""Values as Go has them: which are true, how they are called, how they are printed, and which are equal.

Texts, whole numbers, floats, truth values and None stand for themselves, lists and tuples for slices, mappings for
`map[string]string`, and `Struct` for structs, whose fields are known.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Final

from updater.formats.gotemplate.lexer import TemplateError


class Struct(dict[str, "Value"]):
    """A struct; asking for a field that it has not is an error."""


@dataclass(frozen=True, slots=True)
class Absent:
    """No value at all: what a map has for a key that is not in it."""


ABSENT: Final = Absent()
Value = str | int | float | bool | None | Absent | Struct | Mapping[str, "Value"] | Sequence["Value"]

_LARGEST_EXPONENT = 5
_SMALLEST_EXPONENT = -4


def truth(value: Value) -> bool:
    return isinstance(value, Struct) or (not isinstance(value, Absent) and bool(value))


def type_of(value: Value) -> str:  # noqa: PLR0911 - one for each type
    """Name a value's type in Go's words."""
    match value:
        case None | Absent():
            return "nil"
        case bool():
            return "bool"
        case int():
            return "int"
        case float():
            return "float64"
        case str():
            return "string"
        case Struct():
            return "struct"
        case Mapping():
            return "map[string]string"
    return "slice"


def is_slice(value: Value) -> bool:
    return isinstance(value, Sequence) and not isinstance(value, str)


def shown(value: Value) -> str:
    """Give what a pipeline that ends an action writes."""
    return "<no value>" if value is None or isinstance(value, Absent) else default_format(value)


def default_format(value: Value) -> str:  # noqa: PLR0911 - one for each type
    """Format as `%v` does."""
    match value:
        case None | Absent():
            return "<nil>"
        case bool():
            return "true" if value else "false"
        case float():
            return shortest(value)
        case Struct():
            return "{" + " ".join(map(default_format, value.values())) + "}"
        case Mapping():
            return "map[" + " ".join(f"{key}:{default_format(value[key])}" for key in sorted(value)) + "]"
        case str() | int():
            return str(value)
    return "[" + " ".join(map(default_format, value)) + "]"


def sprint(values: Sequence[Value]) -> str:
    """Print as `print` does: with a space between two operands of which neither is a text."""
    out = ""
    for number, value in enumerate(values):
        if number and not isinstance(value, str) and not isinstance(values[number - 1], str):
            out += " "
        out += default_format(value)
    return out


def shortest(value: float) -> str:
    """Write a float with as few digits as tell it apart, as `%v` and `%g` do."""
    if value != value or value in (float("inf"), float("-inf")):  # noqa: PLR0124 - not a number
        return "NaN" if value != value else ("+Inf" if value > 0 else "-Inf")  # noqa: PLR0124
    if value == 0:
        return repr(value).removesuffix(".0")
    sign, digits, exponent = Decimal(repr(value)).as_tuple()
    text = "".join(map(str, digits)).rstrip("0")
    point = len(digits) + int(exponent) - 1
    if _SMALLEST_EXPONENT <= point <= _LARGEST_EXPONENT:
        return ("-" if sign else "") + format(Decimal(repr(abs(value))).normalize(), "f")
    fraction = f".{text[1:]}" if len(text) > 1 else ""
    return f"{'-' if sign else ''}{text[0]}{fraction}e{'-' if point < 0 else '+'}{abs(point):02d}"


def equal(one: Value, other: Value) -> bool:
    """Compare as `eq` does.

    Raises:
        TemplateError: values of these types cannot be compared.
    """
    if _absent(one) or _absent(other):
        return _absent(one) and _absent(other)
    kinds = type_of(one), type_of(other)
    if kinds[0] != kinds[1]:
        raise TemplateError(f"a {kinds[0]} cannot be compared with a {kinds[1]}")
    if not _comparable(one) or not _comparable(other):
        raise TemplateError(f"a {kinds[0]} cannot be compared")
    return one == other


def less(one: Value, other: Value) -> bool:
    """Compare as `lt` does.

    Raises:
        TemplateError: values of these types have no order.
    """
    if isinstance(one, str) and isinstance(other, str):
        return raw(one) < raw(other)
    if isinstance(one, int | float) and isinstance(other, int | float) and type(one) is type(other) is not bool:
        return one < other
    raise TemplateError(f"a {type_of(one)} and a {type_of(other)} have no order")


def raw(text: str) -> bytes:
    """Give a text's bytes, which is what Go counts and cuts."""
    return text.encode("utf-8", "surrogateescape")


def _absent(value: Value) -> bool:
    return value is None or isinstance(value, Absent)


def _comparable(value: Value) -> bool:
    if isinstance(value, Struct):
        return all(map(_comparable, value.values()))
    return not isinstance(value, Mapping) and not is_slice(value)
