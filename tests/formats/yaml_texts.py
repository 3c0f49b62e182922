"""Strategies for YAML texts in many styles, with the paths of their single values."""

import warnings
from dataclasses import dataclass

from hypothesis import strategies as st
from ruamel.yaml import YAML
from ruamel.yaml.error import ReusedAnchorWarning

Path = tuple[str | int, ...]

KEYS = st.sampled_from(
    ["image", "tag", "a", "b-c", "registry.example.com/x", "name", "y", "null", "on", "ä", "0", "x y"]
)
COMMENTS = st.sampled_from(["", "", "  # tag: no", " #", "\t# é: [", "   # 'quoted"])
BETWEEN = st.sampled_from([[], [], [], [""], ["", ""], ["# - a: b"], ["", " # indented: comment", ""]])
_VALUES = """v1 1 1.20 true ~ null '1.20' 'it''s' "x" "a\\tb\\u00e9" "" x:y -1 http://x/#y q.io/a:v1@sha256:00 {} []"""
VALUES = st.sampled_from([*_VALUES.split(), "a b", "&anchor v1", "!!str 5", "[1, 'b', {c: d}]", "{k: [v]}"])
_TAGS = (
    "1 1.20 v1.2.3 true on null ~ 0755 1e5 12e4567 0x1F 2024-01-05 1_0 y .5 1:20 - it's 0@sha256:00 w=q.io:5000/a:v1"
)
NEW_VALUES = st.one_of(
    st.sampled_from([*_TAGS.split(), "a: b", "# x"]),
    st.from_regex(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,20}", fullmatch=True),
)


@dataclass(frozen=True)
class Text:
    """A text, and where its single values and mappings are."""

    text: str
    values: tuple[Path, ...]
    mappings: tuple[Path, ...]


def load(text: str) -> object:
    """Read a text as any other program would, into plain values."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ReusedAnchorWarning)
        return YAML(typ="safe", pure=True).load(text.replace("\t#", " #"))


def dotted(path: Path) -> str:
    steps = [f"[{step}]" if isinstance(step, int) else f'["{step}"]' for step in path]
    return steps[0].strip("[]") + "".join(steps[1:])


@st.composite
def texts(draw: st.DrawFn) -> Text:
    values: list[Path] = []
    mappings: list[Path] = []
    body = draw(_mapping((), 0, values, mappings, 3))
    head = draw(st.sampled_from([[], ["# top"], ["---"], ["# top", "", "---", ""]]))
    tail = draw(st.sampled_from([[], ["# end"], ["", "---", "image: {tag: v1}"], ["..."]]))
    eol = draw(st.sampled_from(["\n", "\n", "\r\n"]))
    text = eol.join([*head, *body, *tail])
    bom = draw(st.sampled_from(["", "", "\ufeff"]))
    return Text(bom + text + draw(st.sampled_from([eol, eol, "", eol + eol])), tuple(values), tuple(mappings))


@st.composite
def _mapping(
    draw: st.DrawFn,
    path: Path,
    column: int,
    values: list[Path],
    mappings: list[Path],
    depth: int,
) -> list[str]:
    mappings.append(path)
    lines: list[str] = []
    for key in draw(st.lists(KEYS, min_size=1, max_size=4, unique=True)):
        lines += draw(BETWEEN) if lines else []
        lines += draw(_pair((*path, key), column, values, mappings, depth))
    return lines


@st.composite
def _pair(
    draw: st.DrawFn,
    path: Path,
    column: int,
    values: list[Path],
    mappings: list[Path],
    depth: int,
) -> list[str]:
    key = f"{' ' * column}{_written_key(str(path[-1]))}:"
    kind = draw(
        st.sampled_from(["value", "value", "value", "mapping", "list", "block", "empty"] if depth else ["value"])
    )
    if kind == "mapping":
        step = draw(st.integers(1, 4))
        return [f"{key}{draw(COMMENTS)}", *draw(_mapping(path, column + step, values, mappings, depth - 1))]
    if kind == "list":
        return [
            f"{key}{draw(COMMENTS)}",
            *draw(_list(path, column + draw(st.sampled_from([0, 2])), values, mappings, depth)),
        ]
    if kind == "block":
        header = draw(st.sampled_from(["|", "|-", ">", ">-", "|+"]))
        values.append(path)
        return [
            f"{key} {header}{draw(COMMENTS).replace(chr(9), ' ')}",
            *[" " * (column + 2) + line for line in ["v1", "# text"]],
        ]
    if kind == "empty":
        values.append(path)
        return [f"{key}{draw(COMMENTS)}"]
    value = draw(VALUES)
    if value[0] not in "{[":
        values.append(path)
    return [f"{key} {value}{draw(COMMENTS)}"]


@st.composite
def _list(
    draw: st.DrawFn,
    path: Path,
    column: int,
    values: list[Path],
    mappings: list[Path],
    depth: int,
) -> list[str]:
    lines: list[str] = []
    for index in range(draw(st.integers(1, 3))):
        item: Path = (*path, index)
        gap = " " * draw(st.integers(1, 3))
        if draw(st.booleans()):
            inner = draw(_mapping(item, column + 1 + len(gap), values, mappings, depth - 1))
            lines += [" " * column + "-" + gap + inner[0].lstrip(), *inner[1:]]
        else:
            values.append(item)
            lines.append(
                f"{' ' * column}-{gap}{draw(VALUES.filter(lambda value: value[0] not in '{['))}{draw(COMMENTS)}"
            )
        lines += draw(BETWEEN)
    return lines


def _written_key(key: str) -> str:
    return f'"{key}"' if key in ("y", "null", "on", "0") else key
