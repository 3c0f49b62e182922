"""YAML that is hard to edit: handled, or refused with a clear reason; never mangled."""

import pytest

from tests.formats.builders import edit
from updater.domain.errors import EditError
from updater.domain.target import FileKind
from updater.formats import yaml_tree
from updater.formats.targets import apply_edits

WANTED = edit("nginx:1.27", tag="image.tag")
BOMB = "a0: &a0 [x]\n" + "".join(f"a{i + 1}: &a{i + 1} [*a{i}, *a{i}, *a{i}]\n" for i in range(40))

HANDLED = {
    "tab before a comment": ("image:\n  tag: old\t# c\n", "image:\n  tag: new\t# c\n"),
    "tab behind a colon": ("image:\n  tag:\told\n", "image:\n  tag:\tnew\n"),
    "duplicate elsewhere": ("x: 1\nx: 2\nimage: {tag: old}\n", "x: 1\nx: 2\nimage: {tag: new}\n"),
    "merge key": ("b: &b {tag: old}\nimage:\n  <<: *b\n", "b: &b {tag: old}\nimage:\n  <<: *b\n  tag: new\n"),
    "custom tag elsewhere": ("x: !vault |\n  a\nimage:\n  tag: old\n", "x: !vault |\n  a\nimage:\n  tag: new\n"),
    "tag of a string": ("image:\n  tag: !!str 1\n", "image:\n  tag: !!str new\n"),
    "deep nesting": (
        f"x: {'[' * 99}{']' * 99}\nimage: {{tag: old}}\n",
        f"x: {'[' * 99}{']' * 99}\nimage: {{tag: new}}\n",
    ),
    "byte order mark": ("\ufeffimage:\r\n  tag: old\r\n", "\ufeffimage:\r\n  tag: new\r\n"),
    "no final line break": ("image:\n  tag: old", "image:\n  tag: new"),
    "folded": ("image:\n  tag: >-\n    old\n    er\n\nx: y\n", "image:\n  tag: new\n\nx: y\n"),
    "literal with a comment below": ("image:\n  tag: |\n    old\n  # c\n", "image:\n  tag: new\n  # c\n"),
    "quoted over two lines": ("image:\n  tag: 'old\n    er'  # c\n", "image:\n  tag: 'new'  # c\n"),
    "plain over two lines": ("image:\n  tag: old\n    er\nx: y\n", "image:\n  tag: new\nx: y\n"),
    "directive and documents": ("%YAML 1.1\n---\nimage:\n  tag: old\n---\nimage:\n  tag: old\n", None),
    "flow over several lines": ("image: {\n  name: a, # c\n  x: [1,\n 2]\n}\n", None),
    "trailing comma": ("image: {name: a,}\n", "image: {name: a, tag: new,}\n"),
    "JSON with tabs": (
        '{\n\t"image": {\n\t\t"n": 1\n\t}\n}\n',
        '{\n\t"image": {\n\t\t"n": 1,\n\t\t"tag": "new"\n\t}\n}\n',
    ),
    "explicit key": ("? image\n: tag: old\n", "? image\n: tag: new\n"),
    "anchored value": ("image:\n  tag: &t old\nother: *t\n", "image:\n  tag: &t new\nother: *t\n"),
    "alias for the value": ("t: &t old\nimage:\n  tag: *t\n", "t: &t old\nimage:\n  tag: new\n"),
    "empty value before a comment": ("image:\n  tag: # c\n", "image:\n  tag: new # c\n"),
    "empty mapping before a comment": ("image: {}  # c\nx: y\n", "image:  # c\n  tag: new\nx: y\n"),
    "indented root": ("  image:\n    tag: old\n", "  image:\n    tag: new\n"),
    "document on its marker's line": ("--- {image: {tag: old}}\n", "--- {image: {tag: new}}\n"),
    "emoji and astral characters": ("x: \U0001f600 # \U0001f680\nimage:\n  tag: old\n", None),
    "alias bomb": (f"{BOMB}image:\n  tag: old\n", None),
    "line of a megabyte": (f"image:\n  tag: old\nx: {'x' * 10**6}\n", f"image:\n  tag: new\nx: {'x' * 10**6}\n"),
}
EXPECTED = {
    "directive and documents": "%YAML 1.1\n---\nimage:\n  tag: new\n---\nimage:\n  tag: old\n",
    "flow over several lines": "image: {\n  name: a, # c\n  x: [1,\n 2],\n  tag: new\n}\n",
}


@pytest.mark.parametrize("case", HANDLED)
def test_hard_text_keeps_all_but_the_value(case: str) -> None:
    before, after = HANDLED[case]
    expected = after or EXPECTED.get(case) or before.replace("tag: old", "tag: new")
    wanted = edit("nginx:new", tag="image.tag")
    assert apply_edits(FileKind.HELM_VALUES, before, [wanted]) == expected
    assert apply_edits(FileKind.HELM_VALUES, expected, [wanted]) == expected


REFUSED = {
    "duplicate key": ("image:\n  tag: a\nimage:\n  tag: b\n", "line 3: the key image is there twice: remove one"),
    "tab as indentation": ("image:\n\ttag: a\n", "line 2: no valid YAML"),
    "custom tag": ("image:\n  tag: !vault a\n", "line 2: a value with a type of its own"),
    "tag of a number": ("image:\n  tag: !!int 1\n", "line 2: a value with a type of its own"),
    "undefined alias": ("image: {tag: *x}\n", r"line 1: \*x stands for nothing"),
    "alias for itself": ("image: &i {tag: *i}\n", r"line 1: \*i stands for nothing, or for itself"),
    "alias for a mapping": ("i: &i {tag: a}\nimage: *i\n", "line 1: image.tag is an alias, and shares its value"),
    "deeper than anybody nests": (f"x: {'[' * 5000}", "line 1: nested deeper than 100 levels"),
    "control character": ("image:\n  tag: \x07\n", "special characters are not allowed"),
    "half a surrogate": ("x: \ud800\nimage:\n  tag: a\n", "special characters are not allowed"),
    "template": ("image:\n  tag: {{ .Values.tag }}\n", "line 2: image.tag is a mapping"),
    "merge conflict": ("<<<<<<< HEAD\nimage:\n  tag: a\n=======\n", "no valid YAML"),
    "single value for a mapping": ("image: nginx\n", "a single value stands where tag is looked for"),
    "many characters": ("a: b\n" * 300_000, "has 1500000 characters, more than 1048576"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_cannot_be_edited_is_refused_with_the_reason(case: str) -> None:
    text, reason = REFUSED[case]
    with pytest.raises(EditError, match=reason):
        apply_edits(FileKind.HELM_VALUES, text, [WANTED])


def test_more_values_than_anybody_writes_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(yaml_tree, "MAX_EVENTS", 1000)
    with pytest.raises(EditError, match="more than 1000 values: name a smaller file"):
        apply_edits(FileKind.HELM_VALUES, f"x: [{'1,' * 1000}]\n", [WANTED])
