"""The functions of Go's text/template, but for `call`, for which there is nothing to call."""

from collections.abc import Callable, Mapping, Sequence
from urllib.parse import quote_plus

from updater.formats.gotemplate.lexer import TemplateError
from updater.formats.gotemplate.printf import sprintf
from updater.formats.gotemplate.values import (
    Absent,
    Struct,
    Value,
    default_format,
    equal,
    is_slice,
    less,
    raw,
    sprint,
    truth,
    type_of,
)

_HTML = str.maketrans({'"': "&#34;", "'": "&#39;", "&": "&amp;", "<": "&lt;", ">": "&gt;", "\0": "\ufffd"})
_JS = {"\\": "\\\\", "'": "\\'", '"': '\\"', "<": "\\u003C", ">": "\\u003E", "&": "\\u0026", "=": "\\u003D"}
_MOST_INDEXES = 3


def call(name: str, arguments: Sequence[Value]) -> Value:
    """Call a function by name; `and` and `or` are the evaluation's own, which stops early.

    Raises:
        TemplateError: it takes another number of arguments, or others.
    """
    least, most, function = _FUNCTIONS[name]
    if len(arguments) < least or (most is not None and len(arguments) > most):
        wanted = str(least) if least == most else f"at least {least}" if most is None else f"{least} to {most}"
        raise TemplateError(f"{name} takes {wanted} arguments, not {len(arguments)}")
    return function([None if isinstance(each, Absent) else each for each in arguments])


def _length(arguments: Sequence[Value]) -> Value:
    (item,) = arguments
    if isinstance(item, str):
        return len(raw(item))
    if isinstance(item, Struct) or not isinstance(item, Mapping | Sequence):
        raise TemplateError(f"a {type_of(item)} has no length")
    return len(item)


def _index(arguments: Sequence[Value]) -> Value:
    item, *indexes = arguments
    if item is None:
        raise TemplateError("nil has nothing at an index")
    for index in indexes:
        if isinstance(item, Struct) or not isinstance(item, Mapping | Sequence):
            raise TemplateError(f"a {type_of(item)} has nothing at an index")
        if isinstance(item, Mapping):
            if not isinstance(index, str):
                raise TemplateError(f"the keys of a map are texts, not a {type_of(index)}")
            item = item.get(index, "")
        else:
            sequence: Sequence[Value] = raw(item) if isinstance(item, str) else item
            item = sequence[_position(index, len(sequence) - 1)]
    return item


def _slice(arguments: Sequence[Value]) -> Value:
    item, *indexes = arguments
    if not isinstance(item, str) and not is_slice(item):
        raise TemplateError(f"a {type_of(item)} cannot be cut")
    sequence: Sequence[Value] = raw(item) if isinstance(item, str) else item  # type: ignore[assignment] # seen above
    if len(indexes) > (_MOST_INDEXES - 1 if isinstance(item, str) else _MOST_INDEXES):
        raise TemplateError("slice takes fewer indexes")
    places = [_position(index, len(sequence)) for index in indexes]
    start, end, *capacity = [*places, *[0, len(sequence)][len(places) :]]
    if start > end or (capacity and end > capacity[0]):
        raise TemplateError(f"{start} to {end} is nothing that can be cut out")
    cut = sequence[start:end]
    return cut.decode("utf-8", "surrogateescape") if isinstance(cut, bytes) else cut


def _position(index: Value, most: int) -> int:
    if isinstance(index, bool) or not isinstance(index, int):
        raise TemplateError(f"an index is a whole number, not a {type_of(index)}")
    if not 0 <= index <= most:
        raise TemplateError(f"index {index} is out of range")
    return index


def _equal(arguments: Sequence[Value]) -> Value:
    first, *others = arguments
    return any(equal(first, other) for other in others)


def _less_or_equal(arguments: Sequence[Value]) -> bool:
    return less(*arguments) or equal(*arguments)


def _printf(arguments: Sequence[Value]) -> Value:
    template, *values = arguments
    if not isinstance(template, str):
        raise TemplateError(f"printf takes a format first, not a {type_of(template)}")
    return sprintf(template, values)


def _text_of(arguments: Sequence[Value]) -> str:
    if len(arguments) == 1 and isinstance(arguments[0], str):
        return arguments[0]
    return sprint(["<no value>" if each is None else each for each in arguments])


def _js(arguments: Sequence[Value]) -> Value:
    return "".join(_JS.get(letter) or _js_letter(letter) for letter in _text_of(arguments))


def _js_letter(letter: str) -> str:
    code = ord(letter)
    if code >= 0x80 and letter.isprintable():  # noqa: PLR2004 - beyond ASCII
        return letter
    return letter if 0x20 <= code < 0x80 else f"\\u{code:04X}"  # noqa: PLR2004 - what ASCII shows


def _println(arguments: Sequence[Value]) -> Value:
    return " ".join(map(default_format, arguments)) + "\n"


def _urlquery(arguments: Sequence[Value]) -> Value:
    return quote_plus(raw(_text_of(arguments)))


_FUNCTIONS: Mapping[str, tuple[int, int | None, Callable[[Sequence[Value]], Value]]] = {
    "not": (1, 1, lambda arguments: not truth(arguments[0])),
    "eq": (2, None, _equal),
    "ne": (2, 2, lambda arguments: not equal(*arguments)),
    "lt": (2, 2, lambda arguments: less(*arguments)),
    "le": (2, 2, _less_or_equal),
    "gt": (2, 2, lambda arguments: not _less_or_equal(arguments)),
    "ge": (2, 2, lambda arguments: not less(*arguments)),
    "len": (1, 1, _length),
    "index": (1, None, _index),
    "slice": (1, None, _slice),
    "print": (0, None, sprint),
    "println": (0, None, _println),
    "printf": (1, None, _printf),
    "html": (0, None, lambda arguments: _text_of(arguments).translate(_HTML)),
    "js": (0, None, _js),
    "urlquery": (0, None, _urlquery),
}
"""By name: how many arguments there have to be, how many there may be, and what is done with them."""
