"""The `index.yaml` of a Helm repository: which versions there are of each chart.

The index of a large repository is tens of megabytes of YAML that a parser takes minutes for. Programs write it, all in
block style, so its lines tell what is wanted: the charts by their indentation below `entries`, the versions by theirs.
Whatever is written in another way is refused, never guessed at. An index in JSON is read as such.
"""

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime

import msgspec

Charts = Mapping[str, tuple["ChartVersion", ...]]

_ENTRIES = re.compile(r"^(?:entries|\"entries\"|'entries'):(.*)$", re.MULTILINE)
_KEY = re.compile(r"""(?:"([^"\\]*)"|'([^']*)'|([^\s"'#&*!|>{\[%@`][^:#]*)):(?:[ \t]+(.*))?$""")
_WANTED = frozenset({"version", "created", "digest"})
_INDICATORS = frozenset("#&*!|>{}[],%@`?:-")
"""What no plain text begins with."""
_NULL = frozenset({"", "~", "null"})
_LONGEST_VALUE = 256
_MOST_VERSIONS = 200_000
_FRACTION = re.compile(r"\.\d+")


class Malformed(Exception):
    """The text is no index."""


@dataclass(frozen=True, slots=True)
class ChartVersion:
    """One version of a chart, as the index tells of it."""

    version: str
    created: datetime | None = None
    """When it was added to the repository, as the index says."""
    digest: str = ""
    """`sha256:<64 hex>` of the chart's archive; empty when the index does not say."""


class _Entry(msgspec.Struct):
    version: str
    created: str | None = None
    digest: str | None = None


class _Index(msgspec.Struct):
    entries: dict[str, list[_Entry] | None] | None = None


def decode_index(body: bytes) -> Charts:
    """Read an index.

    Raises:
        Malformed: it is none, or is written in a way that is not understood; the text says where.
    """
    try:
        if body.lstrip()[:1] == b"{":
            found = msgspec.json.decode(body, type=_Index).entries or {}
            return {name: tuple(_version(each) for each in entries or ()) for name, entries in found.items()}
        return _decode_lines(body.decode("utf-8-sig").replace("\r\n", "\n"))
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise Malformed(str(error)) from None


def _decode_lines(text: str) -> Charts:
    beginning = _ENTRIES.search(text)
    if beginning is None:
        raise Malformed("it has no entries")
    rest = beginning[1].partition("#")[0].strip()
    if rest == "{}":
        return {}
    if rest:
        raise _at(text.count("\n", 0, beginning.start()) + 1, "has entries that are not understood")
    charts: dict[str, list[dict[str, str]]] = {}
    first_line = text.count("\n", 0, beginning.end()) + 2
    for count, (name, fields) in enumerate(_entries(_lines(text, beginning.end() + 1), first_line)):
        if count > _MOST_VERSIONS:
            raise Malformed(f"it has more than {_MOST_VERSIONS} versions")
        known = charts.setdefault(name, [])
        if fields is not None:
            known.append(fields)
    return {
        name: tuple(_version(msgspec.convert(fields, _Entry)) for fields in entries) for name, entries in charts.items()
    }


def _lines(text: str, start: int) -> Iterator[str]:
    """Give one line after the other; all at once might be too many to hold."""
    while start < len(text):
        end = text.find("\n", start)
        end = len(text) if end < 0 else end
        yield text[start:end]
        start = end + 1


def _entries(lines: Iterable[str], first_line: int) -> Iterator[tuple[str, dict[str, str] | None]]:
    """Give each chart's name, and with it the wanted fields of each of its versions; they fill up as lines are read."""
    name, outer, inner = "", -1, -1
    fields: dict[str, str] | None = None
    for number, column, content in _contents(lines, first_line):
        outer = column if outer < 0 else outer
        item = content.startswith("- ") or content == "-"
        if column == outer and not item:
            name, fields, inner = _name(content, number), None, -1
            yield name, None
        elif item and column >= outer and (inner < 0 or column == inner - 2):
            if not name:
                raise _at(number, "has a version of no chart")
            fields, inner = {}, column + 2
            _note(content[2:], fields, number)
            yield name, fields
        elif fields is None or column < inner:
            raise _at(number, "is indented in an unexpected way")
        elif column == inner:
            _note(content, fields, number)


def _contents(lines: Iterable[str], first_line: int) -> Iterator[tuple[int, int, str]]:
    """Give number, indentation and content of the lines below `entries` that have any."""
    for number, line in enumerate(lines, first_line):
        content = line.lstrip(" ")
        column = len(line) - len(content)
        if not content or content[0] == "#":
            continue
        if column == 0 and content[0] != "-":
            return
        if content[0] == "\t":
            raise _at(number, "is indented by a tab")
        yield number, column, content


def _name(content: str, number: int) -> str:
    matched = _KEY.match(content)
    if matched is None or (matched[4] or "").partition("#")[0].strip() not in ("", "[]"):
        raise _at(number, "should name a chart")
    return (matched[1] or matched[2] or matched[3]).strip()


def _note(content: str, fields: dict[str, str], number: int) -> None:
    """Note one of the wanted fields of a version; others are passed over."""
    matched = _KEY.match(content)
    if matched is None:
        return
    key = (matched[1] or matched[2] or matched[3]).strip()
    if key not in _WANTED:
        return
    value = (matched[4] or "").strip()
    if len(value) > _LONGEST_VALUE:
        raise _at(number, f"has a {key} of {len(value)} characters")
    if value[:1] in ("'", '"'):
        end = value.find(value[0], 1)
        if end < 0 or "\\" in value[:end]:
            raise _at(number, f"has a {key} that is not understood")
        fields[key] = value[1:end]
    elif value not in _NULL:
        plain = value.partition(" #")[0].rstrip()
        if plain[0] in _INDICATORS:
            raise _at(number, f"has a {key} that is not understood")
        fields[key] = plain


def _at(number: int, problem: str) -> Malformed:
    return Malformed(f"line {number} {problem}")


def _version(entry: _Entry) -> ChartVersion:
    digest = entry.digest or ""
    digest = digest if digest.startswith("sha256:") or not digest else f"sha256:{digest}"
    return ChartVersion(entry.version, _moment(entry.created or ""), digest)


def _moment(text: str) -> datetime | None:
    """Read a time; the nanoseconds that Go writes are cut off."""
    try:
        moment = datetime.fromisoformat(_FRACTION.sub("", text))
    except ValueError:
        return None
    return moment.replace(tzinfo=moment.tzinfo or UTC)
