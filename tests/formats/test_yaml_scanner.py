"""The scanner reads what ruamel's own reads, in fewer steps."""

from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError
from ruamel.yaml.scanner import Scanner

from updater.formats.yaml_scanner import FastScanner

PIECES = (
    *(
        "a",
        "b c",
        "1.2",
        "x:y",
        "http://e.org/#f",
        "key: ",
        "? ",
        ": ",
        ":",
        "- ",
        "-",
        "#",
        " # c",
        "# a: b\n",
        " ",
        "  ",
    ),
    *(
        "\n",
        "\n  ",
        "\n    ",
        "\r\n",
        "\r",
        "\x85",
        "\u2028",
        "\ufeff",
        "é",
        "\U0001f600",
        "---\n",
        "...\n",
        "--- ",
        "%YAML 1.2\n",
    ),
    *("{", "}", "[", "]", ", ", "'q'", '"q"', "'", "&a ", "*a", "!t ", "|\n", ">-\n", "|2\n", "~", "null", "'a\n b'"),
)


def events(text: str, scanner: type[Scanner]) -> Iterator[tuple[Any, ...]]:
    """Give all that a text means and where it stands, and at last what is wrong with it."""
    yaml = YAML(typ="safe", pure=True)
    yaml.Scanner = scanner
    try:
        for event in yaml.parse(text):
            spots = [(mark.index, mark.line, mark.column) for mark in (event.start_mark, event.end_mark)]
            yield (
                type(event),
                *spots,
                getattr(event, "value", ""),
                getattr(event, "anchor", ""),
                str(getattr(event, "tag", "")),
            )
    except (YAMLError, ValueError, AttributeError, TypeError, IndexError) as error:
        yield type(error), str(error)


@settings(max_examples=300, deadline=None)
@given(st.lists(st.sampled_from(PIECES), max_size=24).map("".join))
@example("a: b\n  c # d\n")
@example("a: b  \n\n  c: d")
@example("\ufeffa: \ufeffb #\ufeff\n b: [\ufeff]")
@example("[a: b, # c\n d:e, f]")
@example("- # a\n  # b\n\n- c:\n    # d\n")
def test_tokens_are_those_of_ruamel(text: str) -> None:
    assert list(events(text, FastScanner)) == list(events(text, Scanner))


class Counting(FastScanner):
    """Counts the steps from character to character."""

    steps = 0

    def fetch_more_tokens(self) -> Any:
        reader, peek = self.reader, type(self.reader).peek

        def counted(index: int = 0) -> str:
            Counting.steps += 1
            return str(peek(reader, index))

        reader.peek = counted
        return super().fetch_more_tokens()


@pytest.mark.parametrize("text", ["a: b # {}\n", "# {}\na: b\n", "a: {}\n", "a:\n  {}: c\n"])
def test_length_of_comments_and_values_takes_no_more_steps(text: str) -> None:
    counts = []
    for length in (10, 1000):
        Counting.steps = 0
        assert len(list(events(text.format("x" * length), Counting))) > 5
        counts.append(Counting.steps)
    assert counts[0] == counts[1] > 0
