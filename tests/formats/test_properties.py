"""What holds for every text: only our bytes change, everything else is read as before, twice is once."""

import difflib
from typing import Any

from hypothesis import assume, given, settings
from hypothesis import strategies as st

from tests.formats.yaml_texts import NEW_VALUES, Path, Text, dotted, load, texts
from updater.domain.change import Edit
from updater.domain.errors import EditError
from updater.domain.image import ImageReference, ImageVersion, Repository
from updater.domain.target import FileKind, ImageKeys
from updater.formats.targets import apply_edits, read_version
from updater.formats.yaml_scalars import render
from updater.formats.yaml_tree import parse

IMAGE = ImageReference(Repository("quay.io", "e/a"), "quay.io/e/a")


def edit(path: str, value: str) -> Edit:
    return Edit(IMAGE.at(ImageVersion(value)), ImageKeys(tag=path))


def first_document(text: str) -> Any:
    lines = text.removeprefix("\ufeff").split("\n")
    starts = [number for number, line in enumerate(lines) if line.rstrip("\r") == "---"]
    has_content = [any(line.strip() and line.lstrip()[0] != "#" for line in lines[:start]) for start in starts]
    end = next((start for start, content in zip(starts, has_content, strict=True) if content), None)
    return load(text if end is None else "\n".join([*lines[:end], ""]))


def with_value(node: Any, path: Path, value: str) -> Any:
    if not path:
        return value
    copy = node.copy()
    copy[path[0]] = with_value(copy[path[0]] if len(path) > 1 else None, path[1:], value)
    return copy


@settings(deadline=None)
@given(texts(), NEW_VALUES, st.data())
def test_value_is_exchanged_and_all_else_is_as_before(text: Text, value: str, data: st.DataObject) -> None:
    path = data.draw(st.sampled_from(text.values)) if text.values else assume(False)
    after = apply_edits(FileKind.HELM_VALUES, text.text, [edit(dotted(path), value)])
    assert first_document(after) == with_value(first_document(text.text), path, value)
    assert apply_edits(FileKind.HELM_VALUES, after, [edit(dotted(path), value)]) == after
    assert only_one_place_changed(text.text, after)
    assert comments(after) == comments(text.text)


@settings(deadline=None)
@given(texts(), NEW_VALUES, st.data())
def test_missing_keys_are_added_and_every_line_stays(text: Text, value: str, data: st.DataObject) -> None:
    assume(not text.text.endswith("# text"))  # a block scalar without its line break would get one
    mapping = data.draw(st.sampled_from(text.mappings))
    new = ("fresh", "deep") if data.draw(st.booleans()) else ("fresh",)
    after = apply_edits(FileKind.HELM_VALUES, text.text, [edit(dotted((*mapping, *new)), value)])
    content: Any = value if len(new) == 1 else {"deep": value}
    assert first_document(after) == with_value(first_document(text.text), (*mapping, "fresh"), content)
    assert not [line for line in difflib.ndiff(text.text.splitlines(), after.splitlines()) if line.startswith("- ")]
    assert ("\r\n" in after) == ("\r\n" in text.text) or "\n" not in text.text
    assert apply_edits(FileKind.HELM_VALUES, after, [edit(dotted((*mapping, *new)), value)]) == after


@settings(deadline=None)
@given(texts(), st.lists(st.tuples(st.integers(0, 50), NEW_VALUES), min_size=2, max_size=4))
def test_several_values_are_exchanged_at_once(text: Text, wanted: list[tuple[int, str]]) -> None:
    assume(text.values)
    chosen = {text.values[number % len(text.values)]: value for number, value in wanted}
    edits = [edit(dotted(path), value) for path, value in chosen.items()]
    after = apply_edits(FileKind.HELM_VALUES, text.text, edits)
    expected = first_document(text.text)
    for path, value in chosen.items():
        expected = with_value(expected, path, value)
    assert first_document(after) == expected


@settings(deadline=None)
@given(st.text(alphabet="a:-? \n\t'\"{}[],&*!|>%@`#\r\\x0<=.~é\u2028\ufeff", max_size=40))
def test_any_text_is_edited_or_refused(text: str) -> None:
    for kind in (FileKind.HELM_VALUES, FileKind.KUSTOMIZATION, FileKind.OVERRIDE_HELM, FileKind.OVERRIDE_KUSTOMIZE):
        wanted = edit("a", "v1")
        try:
            after = apply_edits(kind, text, [wanted])
        except EditError:
            continue
        assert read_version(kind, after, wanted) == ImageVersion("v1")
        assert apply_edits(kind, after, [wanted]) == after


@settings(deadline=None)
@given(st.text(), st.sampled_from(["", "'", '"']), st.sampled_from(["[{}, x]", "- {}\n- x\n"]))
def test_every_text_is_written_so_that_it_is_read_as_itself(value: str, style: str, frame: str) -> None:
    text = frame.format(render(value, style, flow=frame.startswith("[")))
    assert load(text) == [value, "x"]
    assert parse(text).events[2].value == value


def only_one_place_changed(before: str, after: str) -> bool:
    """Tell whether what differs is inside one value: no line break, comment or key is in what went or came."""
    start = next(
        (i for i, (a, b) in enumerate(zip(before, after, strict=False)) if a != b), min(len(before), len(after))
    )
    longest = min(len(before), len(after)) - start
    end = next((i for i in range(longest) if before[-1 - i] != after[-1 - i]), longest)
    return "\n" not in after[start : len(after) - end]


def comments(text: str) -> list[str]:
    """List the comments that the strategies make, and no text of block scalars."""
    marks = ("# tag: no", "# é: [", "# 'quoted", "# - a: b", "# indented: comment", "# top", "# end")
    return [mark for line in text.splitlines() for mark in marks if line.endswith(mark)]
