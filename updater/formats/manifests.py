"""Which image plain manifests name: in the containers of any kind, and on lines that a comment marks.

A container's `image` is found by its repository, under any of `containers`, `initContainers` and `ephemeralContainers`,
however deep in whatever kind of object. Everything else has to be marked: as Flux does, `{"$imagepolicy": "ns:name"}`,
or with our own `updater: <alias>`, either with `:name`, `:tag` or `:digest` behind it for a part of the image alone.
A marked line belongs to its alias and to nobody else.
"""

import re
from bisect import bisect_right
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from updater.domain.change import Edit
from updater.domain.errors import EditError, Misconfigured
from updater.domain.image import ImageReference, ImageVersion
from updater.domain.references import parse_reference
from updater.formats.yaml_lookup import describe, find, inherited, lookup, resolve
from updater.formats.yaml_scalars import text_of
from updater.formats.yaml_splice import Draft
from updater.formats.yaml_tree import AliasNode, MappingNode, Node, ScalarNode, SequenceNode, Stream, parse, refusal

_CONTAINERS = ("containers", "initContainers", "ephemeralContainers")
_PART = r"(?::(?P<{}>name|tag|digest))?"
_POLICY = (
    r"""\{[ \t]*"\$imagepolicy"[ \t]*:[ \t]*"[^":\s]*:(?P<policy>[^":\s]+)""" + _PART.format("of_policy") + r'"[ \t]*\}'
)
_OWN = r"updater:[ \t]*(?P<alias>[^:\s]+)" + _PART.format("of_alias")
_MARK = re.compile(rf"#[ \t]*(?:{_POLICY}|{_OWN})[ \t]*(?=[\r\n]|\Z)")
_BEHIND_VALUE = re.compile(r"[ \t,}\]]*")


@dataclass(frozen=True, slots=True)
class _Place:
    """A value that says which image is wanted, or a part of that."""

    node: ScalarNode
    part: str = ""
    """`name`, `tag` or `digest`; empty for all of it."""
    marked: bool = False


@dataclass(frozen=True, slots=True)
class _Mark:
    """A comment that gives a line to an alias."""

    alias: str
    part: str
    line: int
    node: Node | None
    """What it marks; None when that is no single value."""


def read_manifests(text: str, edit: Edit) -> tuple[ImageVersion, ...]:
    """Read the versions that a text gives an image, each once; an empty one is an image without tag and digest.

    Raises:
        EditError: the text is no YAML, or a mark is where no value is.
    """
    if not _mentions(text, edit):
        return ()
    places = _places(parse(text), edit)
    digests = [text_of(place.node) for place in places if place.part == "digest"]
    versions = [_version(place, digests) for place in places if place.part in ("", "tag")]
    if not versions:
        versions = [ImageVersion(digest=digest) for digest in digests]
    return tuple(dict.fromkeys(versions))


def only_marked(text: str, edit: Edit) -> bool:
    """Tell whether all places that a text has for an image are marked for its alias.

    Raises:
        EditError: the text is no YAML, or a mark is where no value is.
    """
    return not _mentions(text, edit) or all(place.marked for place in _places(parse(text), edit))


def edit_manifests(text: str, edits: Sequence[Edit]) -> str:
    """Make all places of a text hold their images; a text that names none of them stays as it is.

    Raises:
        EditError: the text is no YAML, or two images claim one place.
    """
    concerned = [edit for edit in edits if _mentions(text, edit)]
    if not concerned:
        return text
    stream = parse(text)
    draft = Draft(stream)
    wanted: dict[int, str] = {}
    for edit in concerned:
        places = _places(stream, edit)
        digests = any(place.part == "digest" for place in places)
        for place in places:
            value, event = _value(place, edit, digest_apart=digests), place.node.event
            if event not in wanted:
                wanted[event] = value
                draft.replace(place.node, value)
            elif wanted[event] != value:
                raise refusal(
                    place.node.line,
                    f"one image is to be both {wanted[event]} and {value}",
                    "give the line to one alias with the comment `# updater: <alias>`",
                )
    return draft.finish().text


def _mentions(text: str, edit: Edit) -> bool:
    """Tell cheaply whether a text can name an image at all; most files of a directory do not."""
    last_name = edit.image.repository.name.rpartition("/")[2]
    return last_name in text or any(_alias(mark) == edit.alias for mark in _MARK.finditer(text))


def _alias(mark: re.Match[str]) -> str:
    return mark["policy"] or mark["alias"]


def _places(stream: Stream, edit: Edit) -> list[_Place]:
    marks = _marks(stream)
    marked = [_marked_place(mark) for mark in marks if mark.alias == edit.alias]
    taken = {resolve(mark.node).event for mark in marks if mark.node is not None}
    images = [node for node in _images(stream) if node.event not in taken and _names(node, edit)]
    return [*marked, *map(_Place, images)]


def _marked_place(mark: _Mark) -> _Place:
    node = resolve(mark.node) if mark.node is not None else None
    if not isinstance(node, ScalarNode):
        what = describe(node) if node else "no value"
        raise refusal(mark.line, f"{what} stands before the mark of {mark.alias}", "mark the line of a single value")
    return _Place(node, mark.part, marked=True)


def _names(node: ScalarNode, edit: Edit) -> bool:
    reference = _reference(text_of(node))
    return reference is not None and reference.repository == edit.image.repository


def _version(place: _Place, digests: Sequence[str]) -> ImageVersion:
    text = text_of(place.node).strip()
    if not place.part:
        reference = _reference(text)
        return reference.version if reference else ImageVersion()
    version = ImageVersion.parse(text)
    return ImageVersion(version.tag, version.digest or (digests[0] if digests else ""))


def _value(place: _Place, edit: Edit, *, digest_apart: bool) -> str:
    image = edit.image
    current = _reference(text_of(place.node))
    name = current.written if current and current.repository == image.repository else image.written
    match place.part:
        case "name":
            return name
        case "tag":
            return image.version.tag if digest_apart else str(image.version)
        case "digest" if not image.version.digest:
            problem = f"a digest is marked for {edit.alias}, which is written without one"
            raise refusal(place.node.line, problem, f"set the annotation {edit.alias}.output to tag@digest")
        case "digest":
            return image.version.digest
        case _:
            return str(ImageReference(image.repository, name, image.version))


def _marks(stream: Stream) -> list[_Mark]:
    """Find the marks in comments; what looks like one inside a value is none."""
    found = list(_MARK.finditer(stream.text))
    if not found:
        return []
    values = sorted(_values(stream), key=lambda each: each[0].start)
    starts = [node.start for node, _ in values]
    marks: list[_Mark] = []
    for mark in found:
        before = bisect_right(starts, mark.start()) - 1
        node, is_key = values[before] if before >= 0 else (None, True)
        if node is not None and node.end > mark.start():
            continue
        behind = node is not None and _BEHIND_VALUE.fullmatch(stream.text, node.end, mark.start())
        line = stream.text.count("\n", 0, mark.start()) + 1
        part = mark["of_policy"] or mark["of_alias"] or ""
        marks.append(_Mark(_alias(mark), part, line, node if behind and not is_key else None))
    return marks


def _values(stream: Stream) -> Iterator[tuple[Node, bool]]:
    """Give all that stands in a text as a single value or alias, and whether it is a key."""
    nodes: list[tuple[Node, bool]] = [(document, False) for document in stream.documents]
    while nodes:
        node, is_key = nodes.pop()
        if isinstance(node, MappingNode):
            nodes += [each for key, value in node.pairs for each in ((key, True), (value, False))]
        elif isinstance(node, SequenceNode):
            nodes += [(item, False) for item in node.items]
        elif isinstance(node, AliasNode) or not (isinstance(node, ScalarNode) and node.empty):
            yield node, is_key


def _images(stream: Stream) -> list[ScalarNode]:
    """Find the images of all containers, each once; what an alias or a merge brings in is found where it stands."""
    found: dict[int, ScalarNode] = {}
    nodes = [document for document in stream.documents if _is_object(document)]
    while nodes:
        node = nodes.pop()
        if isinstance(node, SequenceNode):
            nodes += node.items
        elif isinstance(node, MappingNode):
            nodes += [value for _, value in node.pairs]
            found.update((image.event, image) for image in _images_of(node))
    return [found[event] for event in sorted(found)]


def _images_of(pod: MappingNode) -> Iterator[ScalarNode]:
    for name in _CONTAINERS:
        index = find(pod, name)
        containers = resolve(pod.pairs[index][1]) if index is not None else inherited(pod, name)
        for item in containers.items if isinstance(containers, SequenceNode) else ():
            container = resolve(item)
            image = lookup(container, "image") if isinstance(container, MappingNode) else None
            if isinstance(image, ScalarNode):
                yield image


def _is_object(document: Node) -> bool:
    """Tell whether a document is an object of Kubernetes."""
    return isinstance(document, MappingNode) and all(find(document, key) is not None for key in ("apiVersion", "kind"))


def _reference(text: str) -> ImageReference | None:
    try:
        return parse_reference(text)
    except Misconfigured:
        return None


def nowhere(edit: Edit) -> EditError:
    return EditError(
        f"no container has the image {edit.image.written} and no line is marked for {edit.alias or 'it'}: correct the "
        "glob in write-back-target, or mark the line with the comment `# updater: <alias>`",
    )
