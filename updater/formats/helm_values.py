"""Which image a Helm values file names, under keys that a path leads to.

A path is written as `image.tag`, `containers[0].image`, `"a.b".tag` or `a["b.c"]`. A key that is itself written with
dots wins over the nested one. Helm reads the first document of a file, so that is the one read and edited.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass

from updater.domain.change import Edit
from updater.domain.errors import EditError, Misconfigured
from updater.domain.image import ImageReference, ImageVersion
from updater.domain.references import parse_reference
from updater.formats.overrides import no_image, values_of, version_in, wanted_values
from updater.formats.yaml_layout import Content
from updater.formats.yaml_lookup import describe, find, inherited, lookup, nest, resolve, root_of
from updater.formats.yaml_scalars import holds, text_of
from updater.formats.yaml_splice import Draft
from updater.formats.yaml_tree import AliasNode, MappingNode, Node, ScalarNode, SequenceNode, Stream, parse, refusal

_QUOTED = r""""[^"]+"|'[^']+'"""
_SEGMENT = re.compile(
    rf"""\[(?P<index>[0-9]{{1,6}})\]|\[(?P<bracketed>{_QUOTED})\]|(?:^|\.)(?:(?P<quoted>{_QUOTED})|(?P<plain>[^.\[\]"']+))""",
)
_LONGEST_PATH = 32
_DIGEST = "digest"
_PINNED = re.compile(r"sha(?:256|512):")
_PASSES = 3
"""What is shared by an anchor may need a second look after the first change."""


@dataclass(frozen=True, slots=True)
class Segment:
    """One step of a path: a key, or an index into a list."""

    key: str
    index: int | None = None
    quoted: bool = False


@dataclass(frozen=True, slots=True)
class _Spot:
    """A value that a path leads to."""

    node: Node
    holder: MappingNode | None = None
    """The mapping that has it, or inherits it; None for the item of a list."""
    key: str = ""
    index: int | None = None
    """Among the pairs of its holder; None when it is inherited."""
    shared: bool = False
    """Found through an alias, so that a change would show in another place too."""


def read_values(root: MappingNode, edit: Edit) -> ImageVersion | None:
    """Read an image's version; None when its keys are not there, or empty."""
    path = edit.keys.spec or edit.keys.tag
    spot = _search(root, parse_path(path)) if path else None
    if spot is None:
        return None
    version, pin = version_in(_text(spot, path), edit), _pin(spot, edit)
    if version is None or pin is None or version.digest:
        return version
    return ImageVersion(version.tag, _text(pin, _DIGEST))


def _pin(spot: _Spot, edit: Edit) -> _Spot | None:
    """Find the digest that stands beside a tag: charts that have such a key prefer it to the tag."""
    if edit.keys.spec or spot.holder is None:
        return None
    pin = _step(spot.holder, _DIGEST, shared=spot.shared)
    node = resolve(pin.node) if pin else None
    return pin if isinstance(node, ScalarNode) and _PINNED.match(node.value) else None


def edit_values(text: str, edits: Sequence[Edit]) -> str:
    """Make the keys hold the images: values are exchanged, missing keys added.

    Raises:
        EditError: that cannot be done without touching other values.
    """
    wanted_values(edits)
    stream = parse(text)
    for _ in range(_PASSES):
        before = stream
        stream = _edit_once(stream, edits)
        if stream is before:
            return stream.text
    raise EditError("the keys of several images share an anchor: write their values out")


def _edit_once(stream: Stream, edits: Sequence[Edit]) -> Stream:
    """Exchange at once what is there, then add what is missing, one after the other."""
    draft, root = Draft(stream), root_of(stream)
    missing: dict[str, str] = {}
    by_path = {path: edit for edit in edits for path in values_of(edit)}
    for path, edit in by_path.items():
        spot = _search(root, parse_path(path)) if root else None
        if spot is None:
            missing[path] = values_of(edit)[path]
        else:
            _exchange(draft, spot, path, _spelled(spot, edit, path))
            if path == edit.keys.tag and (pin := _pin(spot, edit)):
                _exchange(draft, pin, _DIGEST, edit.image.version.digest)
    stream = draft.finish()
    for path, value in missing.items():
        stream = _add(stream, path, value)
    return stream


def _exchange(draft: Draft, spot: _Spot, path: str, value: str) -> None:
    node = resolve(spot.node)
    if not isinstance(node, ScalarNode):
        raise refusal(node.line, f"{path} is {describe(node)}", "name the key of a single value in the annotation")
    if holds(node, value):
        return
    if spot.shared:
        raise refusal(
            node.line,
            f"{path} is an alias, and shares its value with another place",
            "name the place that has the anchor in the annotation, or write the values out",
        )
    if spot.holder is None:
        draft.replace(spot.node, value)
    elif spot.index is None:
        draft.add_keys(spot.holder, {spot.key: value})
    else:
        draft.set_value(spot.holder, spot.index, value)


def _add(stream: Stream, path: str, value: str) -> Stream:
    draft, root, segments = Draft(stream), root_of(stream), parse_path(path)
    if root is None or not root.pairs:
        draft.create(_nested(segments, path, 1, value))
    elif (spot := _search(root, segments)) is not None:
        _exchange(draft, spot, path, value)
    else:
        _add_below(draft, root, segments, path, value)
    return draft.finish()


def _add_below(draft: Draft, node: Node, segments: Sequence[Segment], path: str, value: str) -> None:
    """Go down as far as the path leads, and add the rest there."""
    if isinstance(node, SequenceNode):
        _add_below(draft, _item(node, segments[0], path), segments[1:], path, value)
        return
    if not isinstance(node, MappingNode) or segments[0].index is not None:
        problem = f"{path}: {describe(node)} stands where {segments[0].key} is looked for"
        raise refusal(node.line, problem, "name another key in the annotation, or correct the file")
    for length in range(len(segments) - 1, 0, -1):
        key = _literal(segments[:length])
        index = find(node, key) if key else None
        if index is not None:
            rest, below = segments[length:], node.pairs[index][1]
            if draft.is_vacant(below):
                draft.set_value(node, index, _nested(rest, path, below.line, value))
            else:
                _add_below(draft, below, rest, path, value)
            return
    if len(segments) > 1 and inherited(node, segments[0].key) is not None:
        problem = f"{path}: {segments[0].key} is merged in from another place"
        raise refusal(node.line, problem, f"write {segments[0].key} out in this place")
    draft.add_keys(node, {segments[0].key: _nested(segments[1:], path, node.line, value)})


def _item(sequence: SequenceNode, segment: Segment, path: str) -> Node:
    if segment.index is None:
        problem = f"{path}: {segment.key} is looked for in a list"
        raise refusal(sequence.line, problem, "write the item's number, as [0], into the annotation")
    if segment.index >= len(sequence.items):
        problem = f"{path}: the list has {len(sequence.items)} items"
        raise refusal(sequence.line, problem, "correct the number in the annotation, or add the item")
    return sequence.items[segment.index]


def _nested(segments: Sequence[Segment], path: str, line: int, value: str) -> Content:
    if any(segment.index is not None for segment in segments):
        raise refusal(line, f"{path}: there is no such list", "add it to the file, or correct the annotation")
    return nest([segment.key for segment in segments], value)


def _search(node: Node, segments: Sequence[Segment], spot: _Spot | None = None) -> _Spot | None:
    """Find what a path leads to; the longest key written with dots goes first."""
    if not segments:
        return spot
    shared = bool(spot and (spot.shared or (spot.holder and spot.index is None))) or isinstance(node, AliasNode)
    node = resolve(node)
    if isinstance(node, SequenceNode):
        index = segments[0].index
        if index is None or index >= len(node.items):
            return None
        return _search(node.items[index], segments[1:], _Spot(node.items[index], shared=shared))
    if not isinstance(node, MappingNode):
        return None
    for length in range(len(segments), 0, -1):
        key = _literal(segments[:length])
        step = _step(node, key, shared=shared) if key else None
        found = _search(step.node, segments[length:], step) if step else None
        if found is not None:
            return found
    return None


def _step(mapping: MappingNode, key: str, *, shared: bool) -> _Spot | None:
    index = find(mapping, key)
    if index is not None:
        return _Spot(mapping.pairs[index][1], mapping, key, index, shared)
    node = inherited(mapping, key)
    return _Spot(node, mapping, key, shared=shared) if node else None


def parse_path(path: str) -> tuple[Segment, ...]:
    """Read a path.

    Raises:
        EditError: it is none.
    """
    segments: list[Segment] = []
    position = 0
    while position < len(path):
        found = _SEGMENT.match(path, position)
        if found is None or len(segments) == _LONGEST_PATH:
            break
        index, quoted = found["index"], found["bracketed"] or found["quoted"] or ""
        key = quoted[1:-1] or found["plain"] or f"[{index}]"
        segments.append(Segment(key, int(index) if index else None, bool(quoted)))
        position = found.end()
    if not segments or position < len(path) or segments[0].index is not None or path.startswith("."):
        raise EditError(f"the key path {path!r} cannot be read: write it as image.tag, list[0].tag or 'a.b'.tag")
    return tuple(segments)


def _literal(segments: Sequence[Segment]) -> str:
    """Write segments as one key; empty when they cannot be one."""
    if len(segments) == 1:
        return segments[0].key if segments[0].index is None else ""
    if any(segment.quoted for segment in segments):
        return ""
    return "".join(f"{'.' if segment.index is None else ''}{segment.key}" for segment in segments).removeprefix(".")


def _text(spot: _Spot, path: str) -> str:
    node = resolve(spot.node)
    if not isinstance(node, ScalarNode):
        raise refusal(node.line, f"{path} is {describe(node)}", "name the key of a single value in the annotation")
    return text_of(node)


def _spelled(spot: _Spot, edit: Edit, path: str) -> str:
    """Give the value for a key; a name keeps the spelling that it has in the file while it means the same image."""
    keys, image = edit.keys, edit.image
    if path == keys.tag and not keys.spec:
        return image.version.tag or "latest" if image.version.digest and _pin(spot, edit) else str(image.version)
    current = _text(spot, path)
    if path != keys.spec:
        return _name(current, spot, image)
    name = _name(_written_name(current, path), spot, image) if current else image.written
    return str(ImageReference(image.repository, name, image.version))


def _written_name(text: str, path: str) -> str:
    try:
        return parse_reference(text.strip()).written
    except Misconfigured:
        raise no_image(path) from None


def _name(current: str, spot: _Spot, image: ImageReference) -> str:
    """Keep a name that means the image already, also without its registry: charts may have that in a key of its own."""
    repository = image.repository
    try:
        if parse_reference(current).repository == repository:
            return current
    except Misconfigured:
        return image.written
    first, slash, _ = current.partition("/")
    has_host = slash and (first == "localhost" or "." in first or ":" in first)
    registry = lookup(spot.holder, "registry") if spot.holder else None
    beside = isinstance(registry, ScalarNode) and registry.value == repository.host
    return repository.name if not has_host and (current == repository.name or beside) else image.written
