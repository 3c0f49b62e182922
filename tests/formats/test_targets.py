"""What holds for every kind of file."""

import pytest

from tests.formats.builders import edit
from updater.domain.errors import EditError
from updater.domain.image import ImageVersion
from updater.domain.target import FileKind
from updater.formats.targets import apply_edits, read_version

WRITTEN = [
    FileKind.HELM_VALUES,
    FileKind.KUSTOMIZATION,
    FileKind.OVERRIDE_HELM,
    FileKind.OVERRIDE_KUSTOMIZE,
    FileKind.OVERRIDE_PLUGIN,
]
UNWRITTEN = [FileKind.OVERRIDE]
WANTED = edit("q.io/a:1.20", name="image.name", tag="image.tag")


@pytest.mark.parametrize("kind", WRITTEN)
@pytest.mark.parametrize("text", ["", "# nothing yet\n", "{}\n", "---\n", "\ufeff", "\r\n", "x: 1", '{"x": [1]}'])
def test_file_that_is_silent_holds_the_version_afterwards(kind: FileKind, text: str) -> None:
    assert read_version(kind, text, WANTED) is None
    after = apply_edits(kind, text, [WANTED])
    assert read_version(kind, after, WANTED) == ImageVersion("1.20")
    assert apply_edits(kind, after, [WANTED]) == after


@pytest.mark.parametrize("kind", [*WRITTEN, FileKind.MANIFESTS])
def test_no_edits_change_nothing(kind: FileKind) -> None:
    assert apply_edits(kind, "a: 1 # x", []) == "a: 1 # x"


@pytest.mark.parametrize("kind", WRITTEN)
@pytest.mark.parametrize("text", ["- a\n", "text", "a: [", "\x00", "a: *b", "[" * 500])
def test_file_of_another_shape_is_refused(kind: FileKind, text: str) -> None:
    with pytest.raises(EditError):
        read_version(kind, text, WANTED)
    with pytest.raises(EditError):
        apply_edits(kind, text, [WANTED])


@pytest.mark.parametrize("kind", UNWRITTEN)
def test_kind_that_is_not_written_yet_is_refused(kind: FileKind) -> None:
    with pytest.raises(EditError, match=f"files of the kind {kind} cannot be edited yet"):
        read_version(kind, "a: 1", WANTED)
    with pytest.raises(EditError, match=f"files of the kind {kind} cannot be edited yet"):
        apply_edits(kind, "a: 1", [WANTED])
