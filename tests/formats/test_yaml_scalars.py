"""What is a string to every reader, and what Helm makes of the rest."""

import pytest

from updater.formats.yaml_scalars import is_string, render, text_of
from updater.formats.yaml_tree import MappingNode, ScalarNode, parse

NO_STRINGS = (
    "1 1.20 20240101 0755 089 0x1F 0o17 0b1 1e5 12e4567 1_0 .5 5. +1 .inf .NaN 1:20 2024-01-05 true Yes off N ~"
)
STRINGS = "1.20.3 v1 1.20-rc.1 2024.01.05 main-1a2b3c 0123456789abcdef q.io:5000/e/a:v1@sha256:00 web=nginx:1 1.2.3+b"


def scalar(text: str) -> ScalarNode:
    document = parse(f"a: {text}\n").documents[0]
    assert isinstance(document, MappingNode)
    value = document.pairs[0][1]
    assert isinstance(value, ScalarNode)
    return value


@pytest.mark.parametrize(
    "text",
    NO_STRINGS.split(),
)
def test_what_some_reader_takes_for_no_string_is_quoted(text: str) -> None:
    assert render(text) == f'"{text}"'
    assert not is_string(scalar(text))
    assert is_string(scalar(render(text)))


@pytest.mark.parametrize(
    "text",
    STRINGS.split(),
)
def test_what_every_reader_takes_for_a_string_is_plain(text: str) -> None:
    assert render(text) == text
    assert is_string(scalar(text))


@pytest.mark.parametrize("text", ["", "- a", "a: b", "a #b", "@a", "*a", "a:", "...", "[a]", "é\n", "'", '"'])
def test_what_would_be_syntax_is_quoted(text: str) -> None:
    rendered = render(text)
    assert rendered.startswith('"')
    assert scalar(rendered).value == text


def test_quotes_keep_their_kind() -> None:
    assert render("it's", "'") == "'it''s'"
    assert render("v1", '"') == '"v1"'
    assert render("a\nb", "'") == '"a\\U0000000ab"'


def test_characters_with_a_meaning_inside_braces_are_quoted_there() -> None:
    assert render("a:b", flow=True) == '"a:b"'
    assert render("1.20.3", flow=True) == "1.20.3"


@pytest.mark.parametrize(
    ("written", "printed"),
    [
        ("1.20", "1.2"),
        ("1.0", "1"),
        ("20240101", "20240101"),
        ("1e3", "1000"),
        ("0x10", "16"),
        ("010", "8"),
        ("1_000.5", "1000.5"),
        ("1e999", "1e999"),
        ("9" * 5000, "9" * 5000),
        ("true", "true"),
        ("~", ""),
        ('"1.20"', "1.20"),
        ("!!str 1.20", "1.20"),
        ("2024-01-05", "2024-01-05"),
    ],
)
def test_value_is_read_as_it_is_printed_by_helm(written: str, printed: str) -> None:
    assert text_of(scalar(written)) == printed
