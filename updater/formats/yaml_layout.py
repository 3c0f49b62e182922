"""Where things stand in a YAML text, and how its author lays them out: what is added shall look like the rest."""

import re
from collections.abc import Iterator, Mapping, Sequence
from functools import cached_property
from typing import TypeAlias

from updater.formats.yaml_scalars import is_null, render
from updater.formats.yaml_tree import (
    Event,
    MappingNode,
    Node,
    ScalarNode,
    SequenceNode,
    Stream,
    refusal,
)

Content: TypeAlias = "str | bool | Mapping[str, Content] | Sequence[Content]"
"""What is added to a text: a value, a mapping or a list."""

_LINE_BREAK = re.compile(r"\r\n|\n|\r")
_COLON = re.compile(r"[ \t]*:")
_DASH = re.compile(r"(?P<before>.*)-(?P<gap> +)")
_KEEPS_BLANK_LINES = re.compile(r"(?:[&!]\S*[ \t]+)*[|>][0-9]?\+")
_DEFAULT_STEP = 2


class Layout:
    """A text's places and manners."""

    def __init__(self, stream: Stream) -> None:
        self._text = stream.text
        self._documents = stream.documents
        self.eol = "\r\n" if "\r\n" in stream.text else "\n"

    @cached_property
    def is_json(self) -> bool:
        root = self._documents[0] if self._documents else None
        if not isinstance(root, MappingNode) or not root.flow or not root.pairs:
            return False
        key = root.pairs[0][0]
        return isinstance(key, ScalarNode) and key.style == '"'

    @cached_property
    def _nodes(self) -> tuple[Node, ...]:
        return tuple(node for document in self._documents for node in _walk(document))

    @cached_property
    def _steps(self) -> dict[int, int]:
        """Columns from a mapping's keys to those of the mapping around it, by the inner one's first event."""
        return {
            child.event: max(1, self.key_column(child) - self.key_column(mapping))
            for mapping, child in self._block_children()
            if isinstance(child, MappingNode)
        }

    @cached_property
    def _list_step(self) -> int:
        """Columns from a mapping's keys to the dashes of a list below."""
        for mapping, child in self._block_children():
            if isinstance(child, SequenceNode):
                return max(0, self._dash(child)[0] - self.key_column(mapping))
        return 0

    def _block_children(self) -> Iterator[tuple[MappingNode, MappingNode | SequenceNode]]:
        for node in self._nodes:
            if isinstance(node, MappingNode) and not node.flow:
                for _, value in node.pairs:
                    if isinstance(value, (MappingNode, SequenceNode)) and not value.flow:
                        yield node, value

    def is_vacant(self, node: Node) -> bool:
        """Tell whether a value is null, `{}` or `[]`: it can become anything."""
        if isinstance(node, MappingNode):
            return not node.pairs
        return is_null(node) or (isinstance(node, SequenceNode) and not node.items)

    def in_flow(self, at: int) -> bool:
        return any(
            isinstance(node, (MappingNode, SequenceNode)) and node.flow and node.start <= at < node.end
            for node in self._nodes
        )

    def line_start(self, at: int) -> int:
        return max(self._text.rfind("\n", 0, at), self._text.rfind("\r", 0, at)) + 1

    def line_end(self, at: int) -> int:
        found = _LINE_BREAK.search(self._text, at)
        return found.start() if found else len(self._text)

    def next_line(self, at: int) -> int:
        found = _LINE_BREAK.search(self._text, at)
        return found.end() if found else len(self._text)

    def previous_line_end(self, at: int) -> int:
        """Give the end of the line before the one that starts at `at`."""
        return at - len(self.eol) if self._text[:at].endswith(self.eol) else max(0, at - 1)

    def indentation(self, at: int) -> str:
        line = self._text[self.line_start(at) : at]
        return line[: len(line) - len(line.lstrip(" \t"))]

    def key_column(self, mapping: MappingNode) -> int:
        return mapping.pairs[0][0].column

    def behind_colon(self, key: Node) -> int:
        colon = _COLON.match(self._text, self.end(key))
        if colon is None:
            raise refusal(key.line, "a key and its colon stand apart", "write the key as `key: value`")
        return colon.end()

    def end(self, node: Node) -> int:
        """Find where the last character of a node stands."""
        end = self._end(node)
        if end is None:
            raise refusal(node.line, "a list ends with an empty item", "give it a value, or remove it")
        return end

    def pair_end(self, pair: tuple[Node, Node]) -> int:
        key, value = pair
        nowhere = isinstance(value, ScalarNode) and self._scalar_end(value) is None
        return self.behind_colon(key) if nowhere else self.end(value)

    def _end(self, node: Node) -> int | None:
        if isinstance(node, ScalarNode):
            return self._scalar_end(node)
        if isinstance(node, MappingNode) and not node.flow:
            return self.pair_end(node.pairs[-1])
        if isinstance(node, SequenceNode) and not node.flow:
            return self._end(node.items[-1])
        return node.end

    def _scalar_end(self, node: ScalarNode) -> int | None:
        if node.empty and not (node.anchor or node.tag):
            return None
        if node.style in ("|", ">") and not _KEEPS_BLANK_LINES.match(self._text, node.start):
            return node.start + len(self._text[node.start : node.end].rstrip())
        return node.end

    def document_lines(self, content: Content) -> list[str]:
        """Lay out a document of its own."""
        return self._lines(content, 0, _DEFAULT_STEP) if isinstance(content, Mapping) else [flow_text(content)]

    def key_lines(self, mapping: MappingNode, content: Mapping[str, Content]) -> list[str]:
        """Lay out more keys of a mapping."""
        return self._lines(content, self.key_column(mapping), self._step(mapping))

    def child_lines(self, mapping: MappingNode, content: Mapping[str, Content] | Sequence[Content]) -> list[str]:
        """Lay out what stands below a key of a mapping."""
        return self._lines_below(content, self.key_column(mapping), self._step(mapping))

    def _step(self, mapping: MappingNode) -> int:
        """Tell how far a mapping is indented, which its children will be too, else how far the first one is."""
        return self._steps.get(mapping.event) or next(iter(self._steps.values()), _DEFAULT_STEP)

    def _lines(self, content: Mapping[str, Content], column: int, step: int) -> list[str]:
        lines: list[str] = []
        for key, value in content.items():
            if isinstance(value, (str, bool)):
                lines.append(f"{' ' * column}{render(key)}: {render(value)}")
            else:
                lines += [f"{' ' * column}{render(key)}:", *self._lines_below(value, column, step)]
        return lines

    def _lines_below(self, content: Mapping[str, Content] | Sequence[Content], column: int, step: int) -> list[str]:
        if isinstance(content, Mapping):
            return self._lines(content, column + step, step)
        return [line for item in content for line in self._item(item, column + self._list_step, " ")]

    def item_lines(self, sequence: SequenceNode, content: Content) -> list[str]:
        """Lay out one more item of a list."""
        column, gap = self._dash(sequence)
        return self._item(content, column, gap)

    def _item(self, content: Content, column: int, gap: str) -> list[str]:
        dash = f"{' ' * column}-{gap}"
        if isinstance(content, (str, bool)):
            return [f"{dash}{render(content)}"]
        if not isinstance(content, Mapping):
            return [f"{dash}{flow_text(content)}"]
        lines = self._lines(content, len(dash), _DEFAULT_STEP)
        return [dash + lines[0].lstrip(" "), *lines[1:]]

    def _dash(self, sequence: SequenceNode) -> tuple[int, str]:
        """Tell in which column a list's dashes stand, and what is between dash and item."""
        last = sequence.items[-1]
        dash = _DASH.fullmatch(self._text[self.line_start(last.start) : last.start])
        if dash is not None:
            return len(dash["before"]), dash["gap"]
        if self._text[sequence.start : sequence.start + 1] != "-":
            raise refusal(sequence.line, "the dashes of a list stand apart from its items", "write `- item`")
        return sequence.column, " "


def flow_text(content: Content, *, quoted: bool = False, flow: bool = False) -> str:
    """Write content on one line; quoted is for JSON."""
    if isinstance(content, (str, bool)):
        return render(content, '"' if quoted else "", flow=flow)
    if isinstance(content, Mapping):
        return "{" + ", ".join(flow_pairs(content, quoted=quoted)) + "}"
    return "[" + ", ".join(flow_text(item, quoted=quoted, flow=True) for item in content) + "]"


def flow_pairs(content: Mapping[str, Content], *, quoted: bool) -> list[str]:
    return [
        f"{flow_text(key, quoted=quoted, flow=True)}: {flow_text(value, quoted=quoted, flow=True)}"
        for key, value in content.items()
    ]


def content_events(content: Content, *, quoted: bool = False, flow: bool = False) -> list[Event]:
    """Say what the parser will make of content that was written."""
    if isinstance(content, (str, bool)):
        rendered = flow_text(content, quoted=quoted, flow=flow)
        return [Event("scalar", content if isinstance(content, str) else rendered, rendered[0] in "'\"")]
    if isinstance(content, Mapping):
        parts = [part for pair in content.items() for part in pair]
        name = "mapping"
    else:
        parts = list(content)
        name = "sequence"
    inner = [event for part in parts for event in content_events(part, quoted=quoted, flow=flow)]
    return [Event(name), *inner, Event(f"end of {name}")]


def _walk(node: Node) -> Iterator[Node]:
    yield node
    if isinstance(node, MappingNode):
        for key, value in node.pairs:
            yield from _walk(key)
            yield from _walk(value)
    elif isinstance(node, SequenceNode):
        for item in node.items:
            yield from _walk(item)
