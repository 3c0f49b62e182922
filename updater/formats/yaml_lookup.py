"""Find values in a YAML tree as its readers do, through aliases and merge keys, and the places where to put values."""

from collections.abc import Iterator, Mapping, Sequence

from updater.formats.yaml_layout import Content
from updater.formats.yaml_scalars import holds, is_null, text_of
from updater.formats.yaml_splice import Draft
from updater.formats.yaml_tree import AliasNode, MappingNode, Node, ScalarNode, SequenceNode, Stream, refusal

MERGE = "<<"


def root_of(stream: Stream) -> MappingNode | None:
    """Give the mapping that the first document is, the only one that Helm reads; None for a text without content.

    Raises:
        EditError: it is something else.
    """
    root = stream.documents[0] if stream.documents else None
    if root is None or is_null(root):
        return None
    return as_mapping(root)


def only_root_of(stream: Stream) -> MappingNode | None:
    """Give the mapping of a text which has to be one document; None for a text without content.

    Raises:
        EditError: there are several documents, or it is something else.
    """
    if len(stream.documents) > 1:
        raise refusal(stream.documents[1].line, "a second document begins", "leave only one in the file")
    return root_of(stream)


def resolve(node: Node) -> Node:
    return node.target if isinstance(node, AliasNode) else node


def as_mapping(node: Node) -> MappingNode:
    if not isinstance(node, MappingNode):
        raise refusal(node.line, f"{describe(node)} stands where a mapping is expected", "correct the file")
    return node


def describe(node: Node) -> str:
    """Say what a node is; never what it holds, which may be a secret."""
    if isinstance(node, ScalarNode):
        return "a single value"
    if isinstance(node, AliasNode):
        return "an alias, which is shared with another place,"
    return "a mapping" if isinstance(node, MappingNode) else "a list"


def find(mapping: MappingNode, key: str) -> int | None:
    """Find a key in a mapping itself; one that is there twice is refused: readers differ on which of them counts."""
    found = [i for i, (each, _) in enumerate(mapping.pairs) if isinstance(each, ScalarNode) and each.value == key]
    if len(found) > 1:
        raise refusal(mapping.pairs[found[1]][0].line, f"the key {key} is there twice", "remove one of the two")
    return found[0] if found else None


def inherited(mapping: MappingNode, key: str) -> Node | None:
    """Find a key in what a mapping merges in (`<<`): the first that has it counts."""
    seen: set[int] = set()
    for merged in _merged(mapping, seen):
        index = find(merged, key)
        if index is not None:
            return resolve(merged.pairs[index][1])
    return None


def _merged(mapping: MappingNode, seen: set[int]) -> Iterator[MappingNode]:
    for key, value in mapping.pairs:
        if not (isinstance(key, ScalarNode) and key.value == MERGE and not key.style):
            continue
        source = resolve(value)
        for each in source.items if isinstance(source, SequenceNode) else (source,):
            merged = resolve(each)
            if isinstance(merged, MappingNode) and merged.event not in seen:
                seen.add(merged.event)
                yield merged
                yield from _merged(merged, seen)


def lookup(mapping: MappingNode, *path: str) -> Node | None:
    """Read what stands under keys, wherever it comes from; None when it is not there.

    Raises:
        EditError: a key on the way is there twice.
    """
    node: Node = mapping
    for key in path:
        if not isinstance(node, MappingNode):
            return None
        index = find(node, key)
        found = inherited(node, key) if index is None else resolve(node.pairs[index][1])
        if found is None:
            return None
        node = found
    return node


def text_at(mapping: MappingNode, *path: str) -> str:
    """Read a single value as text; empty when it is not there, or is null.

    Raises:
        EditError: a mapping or a list is there.
    """
    node = lookup(mapping, *path)
    if node is None:
        return ""
    if not isinstance(node, ScalarNode):
        raise refusal(node.line, f"{describe(node)} stands where a single value is expected", "correct the file")
    return text_of(node)


def items_at(mapping: MappingNode, *path: str) -> tuple[Node, ...]:
    """Read the items of a list; none when it is not there.

    Raises:
        EditError: something else is there.
    """
    node = lookup(mapping, *path)
    if node is None or (isinstance(node, ScalarNode) and not text_of(node)):
        return ()
    if not isinstance(node, SequenceNode):
        raise refusal(node.line, f"{describe(node)} stands where a list is expected", "correct the file")
    return tuple(resolve(item) for item in node.items)


def own_items(mapping: MappingNode, *path: str) -> tuple[Node, ...]:
    """Give the items of a list to change; aliases among them stay aliases.

    Raises:
        EditError: something else is there, or the list is another place's as well.
    """
    node: Node = mapping
    for key in path:
        index = find(as_mapping(node), key)
        if index is None:
            return ()
        node = as_mapping(node).pairs[index][1]
        if is_null(node):
            return ()
    if not isinstance(node, SequenceNode):
        raise refusal(node.line, f"{describe(node)} stands where a list is expected", "correct the file")
    return node.items


def put_in(draft: Draft, stream: Stream, path: Sequence[str], content: Content) -> None:
    """Make `path` in the first document hold content, as `put` does; a text without content gets its first."""
    root = root_of(stream)
    if root is None or not root.pairs:
        draft.create(nest(path, content))
    else:
        put(draft, root, path, content)


def put(draft: Draft, mapping: MappingNode, path: Sequence[str], content: Content) -> None:
    """Make `path` below a mapping hold a value, or a list hold more items; what is missing on the way is made.

    Raises:
        EditError: something on the way is no mapping, or belongs to another place as well.
    """
    key, rest = path[0], path[1:]
    index = find(mapping, key)
    if index is None:
        if inherited(mapping, key) is not None and (rest or not isinstance(content, (str, bool))):
            raise refusal(mapping.line, f"{key} is merged in from another place", f"write {key} out here")
        draft.add_keys(mapping, {key: nest(rest, content)})
        return
    value = mapping.pairs[index][1]
    if rest and not draft.is_vacant(value):
        put(draft, as_mapping(value), rest, content)
    elif isinstance(value, SequenceNode) and value.items and not isinstance(content, (str, bool, Mapping)):
        draft.add_items(value, content)
    elif rest or not isinstance(content, (str, bool)) or not holds(resolve(value), content):
        draft.set_value(mapping, index, nest(rest, content))


def nest(path: Sequence[str], content: Content) -> Content:
    """Put content below the keys of a path."""
    for key in reversed(path):
        content = {key: content}
    return content
