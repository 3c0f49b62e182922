"""What is read, where it stands, and what is refused; hostile texts above all."""

import pytest

from updater.domain.errors import EditError
from updater.formats.yaml_layout import Layout
from updater.formats.yaml_tree import MAX_CHARACTERS, AliasNode, MappingNode, Node, ScalarNode, parse


def root(text: str) -> MappingNode:
    document = parse(text).documents[0]
    assert isinstance(document, MappingNode)
    return document


def first_value(text: str) -> Node:
    return root(text).pairs[0][1]


@pytest.mark.parametrize(
    "text", ["a: b", "\ufeffa: b", "# ü 😀\r\n\r\na: b # c", "{a: b}", "a:\tb\t# c", "---\na: b\n..."]
)
def test_value_knows_its_characters(text: str) -> None:
    value = first_value(text)
    assert text[value.start : value.end] == "b"


def test_alias_stays_an_alias_of_its_anchor() -> None:
    mapping = root("a: &x {k: v}\nb: *x\n")
    alias = mapping.pairs[1][1]
    assert isinstance(alias, AliasNode)
    assert alias.target is mapping.pairs[0][1]


def test_aliases_that_would_unfold_to_billions_stay_small() -> None:
    lines = ["a0: &a0 x"] + [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 9)}]" for n in range(1, 30)]
    assert len(parse("\n".join(lines)).events) < 500


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("a: b\n c: d\n", "line 2: no valid YAML"),
        ("a: [b\n", "no valid YAML"),
        ("a: 'b\n", "no valid YAML"),
        ("\ta: b\n", "line 1: no valid YAML"),
        ("a: b\tc\n", "no valid YAML"),
        ('a: "\\q"', "line 1: no valid YAML"),
        ('a: "\\UFFFFFFFF"', "no valid YAML"),
        ("a: \x00", "no valid YAML"),
        ("%YAML 7.0\n---\na: b", "no valid YAML"),
        ("%YAML 1.3\n---\na: b", "no valid YAML"),
        ("a: *nowhere\n", r"line 1: \*nowhere stands for nothing"),
        ("a: &a [*a]\n", r"line 1: \*a stands for nothing, or for itself"),
        ("x: 1\n---\ny: &y 1\n---\nz: *y", "line 5"),
        ("[" * 5000, "nested deeper than"),
        ("a: " + "{a: " * 200 + "}" * 200, "line 1: nested deeper than"),
        ("x" * (MAX_CHARACTERS + 1), "name a smaller file"),
    ],
)
def test_unreadable_text_is_refused_with_its_place(text: str, says: str) -> None:
    with pytest.raises(EditError, match=says):
        parse(text)


def test_one_long_line_is_read() -> None:
    value = first_value("a: " + "x" * 500_000)
    assert isinstance(value, ScalarNode)
    assert len(value.value) == 500_000


@pytest.mark.parametrize(
    ("text", "end"),
    [
        ("a: b # c\n\n# d\n", "a: b"),
        ("a: |\n  b\n\n\n# d\n", "a: |\n  b"),
        ("a: |+\n  b\n\n\n# d\n", "a: |+\n  b\n\n\n"),
        ("a:\n  b:\n  - c\n  # d\n\n", "a:\n  b:\n  - c"),
        ("a:  # nothing\n\n", "a:"),
        ("a: {b: c}  # d\n", "a: {b: c}"),
    ],
)
def test_end_of_a_mapping_is_before_comments_and_blank_lines(text: str, end: str) -> None:
    stream = parse(text)
    assert text[: Layout(stream).end(stream.documents[0])] == end
