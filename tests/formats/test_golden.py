"""Whole files before and after an edit: `tests/golden/<target>/<case>/{before.yaml,edit.json,after.yaml}`.

A case without `before.yaml` is about a file that is not there yet. `edit.json` lists images with the keys they are
written under; for Applications it names the application, the kind of parameters and the source, too.
"""

from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest

from updater.domain.application import ApplicationName
from updater.domain.change import Edit
from updater.domain.references import parse_reference
from updater.domain.target import FileKind, ImageKeys
from updater.formats.application_manifest import edit_application
from updater.formats.targets import apply_edits, read_version

GOLDEN = Path(__file__).parent.parent / "golden"
CASES = sorted(path.parent for path in GOLDEN.glob("*/*/edit.json"))


class EditFile(msgspec.Struct, forbid_unknown_fields=True):
    edits: list["EditItem"]
    application: str = ""
    kind: str = ""
    source: int | None = None

    def all(self) -> list[Edit]:
        return [Edit(parse_reference(item.image), ImageKeys(**item.keys), item.alias) for item in self.edits]


class EditItem(msgspec.Struct, forbid_unknown_fields=True):
    image: str
    keys: dict[str, str] = {}
    alias: str = ""


def read(path: Path) -> str | None:
    return path.read_bytes().decode() if path.exists() else None


def editor(case: Path) -> Callable[[str | None], str]:
    instructions = msgspec.json.decode((case / "edit.json").read_bytes(), type=EditFile)
    if not instructions.application:
        return lambda text: apply_edits(FileKind(case.parent.name), text, instructions.all())
    name = ApplicationName(*instructions.application.split("/"))
    kind = FileKind(instructions.kind)
    return lambda text: edit_application(text or "", name, instructions.source, kind, instructions.all())


@pytest.mark.parametrize("case", CASES, ids=lambda case: f"{case.parent.name}-{case.name}")
def test_edit_gives_the_expected_file(case: Path) -> None:
    assert editor(case)(read(case / "before.yaml")) == read(case / "after.yaml")


@pytest.mark.parametrize("case", CASES, ids=lambda case: f"{case.parent.name}-{case.name}")
def test_edit_made_twice_changes_nothing_more(case: Path) -> None:
    after = read(case / "after.yaml")
    assert editor(case)(after) == after


@pytest.mark.parametrize(
    "case",
    [case for case in CASES if case.parent.name != "application"],
    ids=lambda case: f"{case.parent.name}-{case.name}",
)
def test_edited_file_is_read_back(case: Path) -> None:
    after = read(case / "after.yaml")
    edits = msgspec.json.decode((case / "edit.json").read_bytes(), type=EditFile).all()
    kind = FileKind(case.parent.name)
    versions = [str(read_version(kind, after, edit)) for edit in edits]
    assert versions == [str(edit.image.version) for edit in edits]
