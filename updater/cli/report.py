"""Decisions as people read them: what was decided and why, then every tag with its verdict, in 80 columns."""

import textwrap
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

import click
import msgspec

_WIDTH = 80
_LABEL = 14
_COLOURS = {"update": "green", "hold": "yellow", "up-to-date": "cyan", "misconfigured": "red", "undecided": "yellow"}
_ORIGINS = {
    "target": "read from the target",
    "application": "read from the Application's parameters",
    "live": "as it runs",
    "base": "from what the target overrides",
}
_LONGEST_TAG = 50

Record = Mapping[str, Any]


def as_json(record: object) -> str:
    return msgspec.json.format(msgspec.json.encode(record)).decode()


def as_text(record: Record) -> str:
    """Lay a decision's record out; what it has no word about is left out."""
    return "\n".join([*_head(record), *_facts(record), *_verdicts(record["verdicts"])])


def wrapped(text: str) -> str:
    """Lay a sentence out."""
    return textwrap.fill(text, _WIDTH, initial_indent="  ", subsequent_indent="  ", break_on_hyphens=False)


def _head(record: Record) -> Iterator[str]:
    if "alias" in record:
        yield click.style(f"{record['application']}  {record['alias']}  {record['image']}", bold=True)
    version = _version(record)
    decision = click.style(record["decision"], fg=_COLOURS.get(record["decision"]), bold=True)
    yield f"{decision}{f' {version}' if version else ''} ({record['reason']})"
    yield wrapped(record["message"])


def _version(record: Record) -> str:
    tag, digest = record["tag"], record.get("digest", "")
    return f"{tag}@{digest}" if tag and digest else tag or digest


def _facts(record: Record) -> Iterator[str]:
    current: Record = record.get("current", {})
    origin = _ORIGINS.get(current.get("read_from", ""), "")
    known = f"{current.get('version') or 'no version'}, {origin}" if origin else ""
    checked = [_moment(record["checked_at"])] if record.get("checked_at") else []
    checked += [f"next {_moment(record['next_check_at'])}"] if record.get("next_check_at") else []
    facts = {
        "current": known or ("not known" if current else ""),
        "strategy": " ".join(filter(None, (record.get("strategy"), record.get("constraint")))),
        "group": record.get("group", ""),
        "target": record.get("target", ""),
        "credentials": (record["credentials"] or "none") if "credentials" in record else "",
        "checked": ", ".join(checked),
        "until": _moment(record["until"]) if "until" in record else "",
        "released by": record.get("released_by", ""),
        "write error": record.get("write_error", ""),
    }
    for label, text in facts.items():
        if text:
            yield from _fact(label, text)


def _fact(label: str, text: str) -> list[str]:
    indent = " " * (_LABEL + 2)
    return textwrap.wrap(
        text, _WIDTH, initial_indent=f"  {label:<{_LABEL}}", subsequent_indent=indent, break_on_hyphens=False
    )


def _verdicts(verdicts: Sequence[Record]) -> Iterable[str]:
    width = min(max((len(verdict["tag"]) for verdict in verdicts), default=0), _LONGEST_TAG)
    for verdict in verdicts:
        rank = f"#{verdict['rank']}" if verdict["rank"] is not None else "-"
        line = f"  {rank:>6}  {_printable(verdict['tag']):<{width}}  {verdict['reason']}"
        yield line if verdict["kept"] else click.style(line, dim=True)


def _printable(tag: str) -> str:
    """Shorten a stranger's tag, and let no control character of it reach the terminal."""
    shown = "".join(character if character.isprintable() else "�" for character in tag)
    return shown if len(shown) <= _LONGEST_TAG else f"{shown[: _LONGEST_TAG - 1]}…"


def _moment(text: str) -> str:
    return text.replace("T", " ").replace("+00:00", " UTC")
