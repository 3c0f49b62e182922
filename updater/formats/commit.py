"""The message of a commit: AIU's words for one application, a list for many, and trailers that say whose it is."""

from collections.abc import Sequence
from itertools import groupby

from updater.domain.change import Change

TRAILER = "Image-Updated"
"""One per change: `Image-Updated: <namespace>/<application> <alias> <version>`."""


def commit_message(changes: Sequence[Change]) -> str:
    """Word the message for a batch; changes of one application stand together."""
    ordered = sorted(changes, key=lambda change: (change.application, change.alias))
    sections = [(name, list(group)) for name, group in groupby(ordered, key=lambda change: change.application)]
    if len(sections) == 1:
        name, group = sections[0]
        subject = f"build: automatic update of {name.name}"
        body = _lines(group)
    else:
        subject = f"build: automatic update of {len(sections)} applications"
        body = "\n\n".join(f"{name}:\n{_lines(group)}" for name, group in sections)
    trailers = "\n".join(trailer(change) for change in ordered)
    return f"{subject}\n\n{body}\n\n{trailers}\n"


def trailer(change: Change) -> str:
    """Name a change in one line that a program finds again."""
    return f"{TRAILER}: {change.application} {change.alias} {change.version}"


def _lines(changes: Sequence[Change]) -> str:
    return "\n".join(
        f"updates image {change.image} tag '{change.previous}' to '{change.version}'" for change in changes
    )
