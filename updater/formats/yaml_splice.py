"""Change YAML by exchanging characters: what is not part of a change keeps every byte, comments and blank lines too.

A `Draft` notes, for each change, the characters that go and come and the parser's events that go and come. When it is
done, the new text is parsed and its events have to be the expected ones, or nothing is changed at all.
"""

import re
from collections.abc import Mapping, Sequence

from updater.domain.errors import EditError
from updater.formats.yaml_layout import Content, Layout, content_events, flow_pairs, flow_text
from updater.formats.yaml_scalars import Value, holds, render
from updater.formats.yaml_tree import (
    STRING_TAGS,
    AliasNode,
    Event,
    MappingNode,
    Node,
    ScalarNode,
    SequenceNode,
    Stream,
    parse,
    refusal,
)

_PROPERTIES = re.compile(r"(?:[&!]\S*[ \t]*){1,2}")
_LINE_BREAK = re.compile(r"[\r\n]")
_BLOCK_HEADER = re.compile(r"[|>][-+0-9]*")


class Draft:
    """Changes to one text, none of which may touch another; `finish` makes them."""

    def __init__(self, stream: Stream) -> None:
        self._stream = stream
        self._layout = Layout(stream)
        self._splices: list[tuple[int, int, str]] = []
        self._events: list[tuple[int, int, list[Event]]] = []
        self._line = 1

    def is_vacant(self, node: Node) -> bool:
        """Tell whether a value is null, `{}` or `[]`: it can become anything."""
        return self._layout.is_vacant(node)

    def replace(self, node: Node, value: Value) -> None:
        """Exchange a value, or an alias that stands for one."""
        if holds(node, value):
            return
        if isinstance(node, AliasNode):
            rendered = self._render(value, "", node.start)
            self._note(node, node.start, node.end, rendered)
            self._expect_scalar(node, value, rendered)
        elif isinstance(node, ScalarNode) and node.tag in STRING_TAGS:
            self._replace_scalar(node, value)
        else:
            raise refusal(node.line, "a value with a type of its own, or no single value", "write a plain string")

    def _replace_scalar(self, node: ScalarNode, value: Value) -> None:
        if node.empty:
            raise refusal(node.line, "the value is empty", "write any value in its place")
        start, end = self._body(node)
        header = _BLOCK_HEADER.match(self._stream.text, start) if node.style in ("|", ">") else None
        rendered = self._render(value, node.style, start)
        if header is None:
            self._note(node, start, end, rendered)
        else:
            lines = self._layout.line_end(header.end())
            last = node.start + len(self._stream.text[node.start : node.end].rstrip())
            self._note(node, start, header.end(), rendered)
            self._note(node, lines, max(lines, last), "")
        self._expect_scalar(node, value, rendered)

    def set_value(self, mapping: MappingNode, index: int, content: Content) -> None:
        """Give a key another value; only what is empty can become a mapping or a list."""
        key, node = mapping.pairs[index]
        if isinstance(content, (str, bool)) and not (isinstance(node, ScalarNode) and node.empty):
            self.replace(node, content)
        elif not self._layout.is_vacant(node) or node.anchor or node.tag:
            raise refusal(node.line, "another kind of value is expected here", "correct the file")
        elif "#" in self._stream.text[node.start : node.end]:
            raise refusal(node.line, "nothing but a comment stands here", "write a first value by hand")
        elif isinstance(content, (str, bool)) or mapping.flow or self._layout.is_json:
            self._fill_inline(mapping, key, node, content)
        else:
            self._fill_below(mapping, key, node, content)

    def _fill_inline(self, mapping: MappingNode, key: Node, node: Node, content: Content) -> None:
        written = flow_text(content, quoted=self._layout.is_json, flow=mapping.flow)
        if isinstance(node, ScalarNode) and node.empty:
            colon = self._layout.behind_colon(key)
            self._note(key, colon, colon, f" {written}")
        else:
            self._note(node, node.start, node.end, written)
        self._expect(node.event, node.last + 1, content_events(content, quoted=self._layout.is_json, flow=mapping.flow))

    def _fill_below(
        self,
        mapping: MappingNode,
        key: Node,
        node: Node,
        content: Mapping[str, Content] | Sequence[Content],
    ) -> None:
        colon = self._layout.behind_colon(key)
        end = colon
        if not (isinstance(node, ScalarNode) and node.empty):
            end = node.end
            if self._stream.text[colon : node.start].strip(" \t"):
                raise refusal(node.line, "the empty value stands on a line of its own", "write it behind its key")
            self._note(node, colon, end, "")
        self._insert_lines(key, end, self._layout.child_lines(mapping, content))
        self._expect(node.event, node.last + 1, content_events(content))

    def add_keys(self, mapping: MappingNode, content: Mapping[str, Content]) -> None:
        """Add keys behind the last one of a mapping."""
        layout, quoted = self._layout, self._layout.is_json
        self._expect(mapping.last, mapping.last, content_events(content, quoted=quoted, flow=mapping.flow)[1:-1])
        if mapping.flow:
            entries = [(key.start, layout.pair_end((key, value))) for key, value in mapping.pairs]
            self._insert_in_flow(mapping, entries, flow_pairs(content, quoted=quoted))
        else:
            self._insert_lines(mapping, layout.end(mapping), layout.key_lines(mapping, content))

    def add_items(self, sequence: SequenceNode, content: Sequence[Content]) -> None:
        """Add items behind the last one of a list."""
        layout, quoted = self._layout, self._layout.is_json
        self._expect(sequence.last, sequence.last, content_events(content, quoted=quoted, flow=sequence.flow)[1:-1])
        if sequence.flow:
            entries = [(item.start, layout.end(item)) for item in sequence.items]
            written = [flow_text(item, quoted=quoted, flow=True) for item in content]
            self._insert_in_flow(sequence, entries, written)
        else:
            lines = [line for item in content for line in layout.item_lines(sequence, item)]
            self._insert_lines(sequence, layout.end(sequence), lines)

    def remove_key(self, mapping: MappingNode, index: int) -> None:
        """Take a key and its value out of a mapping that has others."""
        key, value = mapping.pairs[index]
        if len(mapping.pairs) == 1:
            raise refusal(key.line, "the only key of a mapping cannot be removed", "remove it by hand")
        self._note(key, *self._pair_span(mapping, index), "")
        self._expect(key.event, value.last + 1, [])

    def _pair_span(self, mapping: MappingNode, index: int) -> tuple[int, int]:
        """Give the characters to remove with a key: its line and comment, else up to the next key, or from the last."""
        text, layout = self._stream.text, self._layout
        key = mapping.pairs[index][0]
        end = layout.pair_end(mapping.pairs[index])
        following = mapping.pairs[index + 1 : index + 2]
        line_start = layout.line_start(key.start)
        if not mapping.flow and not text[line_start : key.start].strip():
            next_line = layout.next_line(end)
            at_end = next_line == len(text) and not text.endswith(("\n", "\r"))
            return (layout.previous_line_end(line_start) if at_end else line_start), next_line
        if following:
            if "#" in text[layout.line_end(end) : following[0][0].start]:
                raise refusal(key.line, "a comment stands between two keys of which one goes", "remove it by hand")
            return key.start, following[0][0].start
        return layout.pair_end(mapping.pairs[index - 1]), end

    def create(self, content: Content) -> None:
        """Write the first mapping of a text that holds none, or an empty one."""
        text, eol = self._stream.text, self._layout.eol
        root = self._stream.documents[0] if self._stream.documents else None
        lines = "".join(f"{line}{eol}" for line in self._layout.document_lines(content))
        if isinstance(root, MappingNode):
            if "#" in text[root.start : root.end]:
                raise refusal(root.line, "nothing but a comment stands here", "write a first value by hand")
            self._note(root, root.start, root.end, lines.removesuffix(eol))
        else:
            between = "" if not text or text.endswith(("\n", "\r")) else eol
            self._splices.append((len(text), len(text), between + lines))
        events = content_events(content)
        if root is None:
            events = [Event("document"), *events, Event("end of document")]
        self._expect(root.event if root else 0, root.last + 1 if root else 0, events)

    def finish(self) -> Stream:
        """Make the changes and read the new text.

        Raises:
            EditError: they would change more than they should.
        """
        if not self._splices:
            return self._stream
        problem = "this place cannot be changed without changing others"
        try:
            changed = parse(_spliced(self._stream.text, self._splices))
        except EditError as error:
            raise refusal(self._line, f"{problem} ({error})", "make this one change by hand") from None
        if changed.events != self._expected():
            raise refusal(self._line, problem, "make this one change by hand")
        return changed

    def _expected(self) -> tuple[Event, ...]:
        events: list[Event] = []
        done = 0
        for start, end, new in sorted(self._events, key=lambda each: each[:2]):
            events += self._stream.events[done:start]
            events += new
            done = end
        return (*events, *self._stream.events[done:])

    def _render(self, value: Value, style: str, at: int) -> str:
        flow = self._layout.in_flow(at)
        return render(value, '"' if self._layout.is_json and not style else style, flow=flow)

    def _body(self, node: ScalarNode) -> tuple[int, int]:
        """Give the characters of a value without its anchor and tag."""
        if not (node.anchor or node.tag):
            return node.start, node.end
        properties = _PROPERTIES.match(self._stream.text, node.start, node.end)
        return (properties.end() if properties else node.start), node.end

    def _insert_lines(self, near: Node, end: int, lines: list[str]) -> None:
        """Insert whole lines behind the line in which something ends."""
        text, eol = self._stream.text, self._layout.eol
        place = end if text[:end].endswith(("\n", "\r")) else self._layout.next_line(end)
        if text[:place].endswith(("\n", "\r")):
            self._note(near, place, place, "".join(f"{line}{eol}" for line in lines))
        else:
            self._note(near, place, place, "".join(f"{eol}{line}" for line in lines))

    def _insert_in_flow(
        self,
        collection: MappingNode | SequenceNode,
        entries: Sequence[tuple[int, int]],
        written: Sequence[str],
    ) -> None:
        """Insert behind the last of the entries, of which each has a start and an end, on lines if they are."""
        text, layout = self._stream.text, self._layout
        close = collection.end - 1
        if not entries:
            self._note(collection, close, close, ", ".join(written))
            return
        (first, _), (last, end) = entries[0], entries[-1]
        tail = text[end:close]
        trailing = "," if tail.lstrip().startswith(",") else ""
        if trailing:
            end += tail.index(",") + 1
        else:
            self._note(collection, end, end, ",")
        on_lines = _LINE_BREAK.search(text, collection.start, first)
        line_end = layout.line_end(end)
        place = line_end if on_lines and line_end < close else end
        gap = layout.eol + layout.indentation(last) if on_lines else " "
        self._note(collection, place, place, gap + f",{gap}".join(written) + trailing)

    def _note(self, near: Node, start: int, end: int, text: str) -> None:
        if not self._splices:
            self._line = near.line
        self._splices.append((start, end, text))

    def _expect(self, start: int, end: int, events: list[Event]) -> None:
        self._events.append((start, end, events))

    def _expect_scalar(self, node: ScalarNode | AliasNode, value: Value, rendered: str) -> None:
        anchor, tag = (node.anchor, node.tag) if isinstance(node, ScalarNode) else ("", "")
        text = value if isinstance(value, str) else rendered
        self._expect(node.event, node.event + 1, [Event("scalar", text, rendered[0] in "'\"", anchor, tag)])


def _spliced(text: str, splices: list[tuple[int, int, str]]) -> str:
    parts: list[str] = []
    done = 0
    for start, end, new in sorted(splices, key=lambda splice: splice[:2]):
        if start < done:
            raise EditError("two changes touch the same place")
        parts += [text[done:start], new]
        done = end
    return "".join([*parts, text[done:]])
