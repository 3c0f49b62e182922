"""YAML as a tree of nodes that know which characters they stand in. Aliases stay aliases: nothing is expanded.

The tree is read-only and says what the text says; who changes the text (see `yaml_splice`) reads it again.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import lru_cache
from typing import NamedTuple

from ruamel.yaml import YAML
from ruamel.yaml.error import MarkedYAMLError, YAMLError
from ruamel.yaml.events import (
    AliasEvent,
    DocumentStartEvent,
    MappingEndEvent,
    MappingStartEvent,
    ScalarEvent,
    SequenceEndEvent,
    SequenceStartEvent,
    StreamEndEvent,
    StreamStartEvent,
)
from ruamel.yaml.events import Event as ParserEvent

from updater.domain.errors import EditError
from updater.formats.yaml_scanner import FastScanner

MAX_CHARACTERS = 1024 * 1024
MAX_DEPTH = 100
MAX_EVENTS = 200_000
"""Of the parser; a file of the most characters has about 140,000, one made to keep us busy has a million."""
STRING_TAGS = ("", "!", "tag:yaml.org,2002:str")


class Event(NamedTuple):
    """What the text says at one point, without where: two texts with equal events mean the same."""

    kind: str
    value: str = ""
    quoted: bool = False
    anchor: str = ""
    tag: str = ""


@dataclass(frozen=True, slots=True, eq=False)
class Node:
    event: int
    """Index of its first event."""
    last: int
    """Index of its last event."""
    start: int
    """First character, with anchor and tag; of no use for an empty value, which stands nowhere."""
    end: int
    """Behind its last character; of no use for block collections, which run on into blank lines and comments."""
    line: int
    column: int
    anchor: str = ""
    tag: str = ""


@dataclass(frozen=True, slots=True, eq=False)
class ScalarNode(Node):
    value: str = ""
    style: str = ""
    """`'`, `"`, `|`, `>`, or nothing for a plain one."""

    @property
    def empty(self) -> bool:
        """True for a value that is not there, as in `key:`."""
        return not (self.value or self.style)


@dataclass(frozen=True, slots=True, eq=False)
class MappingNode(Node):
    flow: bool = False
    pairs: tuple[tuple[Node, Node], ...] = ()


@dataclass(frozen=True, slots=True, eq=False)
class SequenceNode(Node):
    flow: bool = False
    items: tuple[Node, ...] = ()


NOTHING = MappingNode(event=0, last=0, start=0, end=0, line=1, column=0, flow=True)
"""Stands in for the mapping that a text does not have."""


@dataclass(frozen=True, slots=True, eq=False)
class AliasNode(Node):
    target: Node = field(kw_only=True)


@dataclass(frozen=True, slots=True, eq=False)
class Stream:
    """A text with all its documents."""

    text: str
    events: tuple[Event, ...]
    documents: tuple[Node, ...]


@lru_cache(maxsize=2)  # the files of one batch are read, edited and verified one after the other
def parse(text: str) -> Stream:
    """Read a text.

    Raises:
        EditError: it is no YAML, or too much of it.
    """
    if len(text) > MAX_CHARACTERS:
        raise EditError(f"the file has {len(text)} characters, more than {MAX_CHARACTERS}: name a smaller file")
    builder = _Builder()
    try:
        builder.build(text)
    except MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        raise refusal(mark.line + 1 if mark else 1, f"no valid YAML ({error.problem})", "correct the file") from None
    except (YAMLError, ValueError, OverflowError, AssertionError) as error:  # the last for a version like 1.3
        reason = getattr(error, "reason", None) or error
        raise EditError(f"the file is no valid YAML ({reason}): correct it") from None
    return Stream(text, tuple(builder.events), tuple(builder.documents))


def refusal(line: int, problem: str, remedy: str) -> EditError:
    return EditError(f"line {line}: {problem}: {remedy}")


class _Builder:
    def __init__(self) -> None:
        self.events: list[Event] = []
        self.documents: list[Node] = []
        self._anchors: dict[str | None, Node | None] = {}
        self._source: Iterator[ParserEvent] = iter(())

    def build(self, text: str) -> None:
        yaml = YAML(typ="safe", pure=True)
        yaml.Scanner = FastScanner
        self._source = yaml.parse(text)
        for event in self._source:
            if isinstance(event, DocumentStartEvent):
                self._anchors = {}
                self.events.append(Event("document"))
                self.documents.append(self._node(next(self._source), 0))
            elif not isinstance(event, (StreamStartEvent, StreamEndEvent)):
                self.events.append(Event("end of document"))

    def _node(self, event: ParserEvent, depth: int) -> Node:
        if depth > MAX_DEPTH:
            raise refusal(_line(event), f"nested deeper than {MAX_DEPTH} levels", "name another file")
        if isinstance(event, AliasEvent):
            return self._alias(event)
        if not isinstance(event, (ScalarEvent, MappingStartEvent, SequenceStartEvent)):
            raise refusal(_line(event), "no valid YAML", "correct the file")
        self._anchors[event.anchor] = None
        node = self._content(event, depth)
        self._anchors[event.anchor] = node
        return node

    def _content(self, event: ScalarEvent | MappingStartEvent | SequenceStartEvent, depth: int) -> Node:
        if isinstance(event, ScalarEvent):
            return self._scalar(event)
        if isinstance(event, MappingStartEvent):
            return self._mapping(event, depth)
        return self._sequence(event, depth)

    def _alias(self, event: AliasEvent) -> AliasNode:
        target = self._anchors.get(event.anchor)
        if target is None:
            raise refusal(_line(event), f"*{event.anchor} stands for nothing, or for itself", "correct the file")
        at = self._note(Event("alias", event.anchor))
        return AliasNode(at, at, *_span(event, event), target=target)

    def _scalar(self, event: ScalarEvent) -> ScalarNode:
        style = event.style or ""
        at = self._note(Event("scalar", event.value, bool(style), event.anchor or "", _tag(event)))
        return ScalarNode(at, at, *_span(event, event), event.anchor or "", _tag(event), event.value, style)

    def _mapping(self, event: MappingStartEvent, depth: int) -> MappingNode:
        first = self._note(Event("mapping", anchor=event.anchor or "", tag=_tag(event)))
        pairs: list[tuple[Node, Node]] = []
        while not isinstance(each := next(self._source), MappingEndEvent):
            key = self._node(each, depth + 1)
            pairs.append((key, self._node(next(self._source), depth + 1)))
        last = self._note(Event("end of mapping"))
        span = _span(event, each)
        return MappingNode(first, last, *span, event.anchor or "", _tag(event), bool(event.flow_style), tuple(pairs))

    def _sequence(self, event: SequenceStartEvent, depth: int) -> SequenceNode:
        first = self._note(Event("sequence", anchor=event.anchor or "", tag=_tag(event)))
        items: list[Node] = []
        while not isinstance(each := next(self._source), SequenceEndEvent):
            items.append(self._node(each, depth + 1))
        last = self._note(Event("end of sequence"))
        span = _span(event, each)
        return SequenceNode(first, last, *span, event.anchor or "", _tag(event), bool(event.flow_style), tuple(items))

    def _note(self, event: Event) -> int:
        if len(self.events) >= MAX_EVENTS:
            raise EditError(f"the file has more than {MAX_EVENTS} values: name a smaller file")
        self.events.append(event)
        return len(self.events) - 1


def _span(first: ParserEvent, last: ParserEvent) -> tuple[int, int, int, int]:
    mark = first.start_mark
    return mark.index, last.end_mark.index, mark.line + 1, mark.column


def _line(event: ParserEvent) -> int:
    return int(event.start_mark.line) + 1


def _tag(event: ScalarEvent | MappingStartEvent | SequenceStartEvent) -> str:
    return str(event.tag or "")
