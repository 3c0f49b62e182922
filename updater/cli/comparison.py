"""What would be written beside what is there, as a table: for a look before the switch."""

from collections import Counter
from collections.abc import Iterable, Sequence

from updater.domain.record import ImageView, decision_summary
from updater.stages.board import Board

_HEAD = ("APPLICATION", "ALIAS", "PRESENT", "DECISION", "WANTED", "REASON")
_UNKNOWN = "-"
_WIDEST = 40

_Row = tuple[str, str, str, str, str, str]


def as_table(board: Board) -> str:
    """Lay out each image's present version and decision, then count the decisions."""
    rows = [_row(str(name), view) for name in sorted(board.applications()) for view in board.views(name)]
    problems = [
        (str(name), problem.alias or _UNKNOWN, _UNKNOWN, "misconfigured", _UNKNOWN, problem.message)
        for name in sorted(board.applications())
        for problem in board.problems(name) or ()
    ]
    rows += problems
    counts = Counter(row[3] for row in rows)
    summary = ", ".join(f"{count} {decision}" for decision, count in sorted(counts.items()))
    return "\n".join(
        [*_aligned([_HEAD, *rows]), f"{len(rows)} image{'' if len(rows) == 1 else 's'}: {summary or 'none'}"]
    )


def _row(application: str, view: ImageView) -> _Row:
    present = _short(str(view.current.version)) or _UNKNOWN
    if view.decision is None:
        return application, view.tracked.alias, present, "undecided", _UNKNOWN, "the registry was not asked"
    said = decision_summary(view.decision)
    wanted = _short("@".join(str(said[part]) for part in ("tag", "digest") if said.get(part)))
    reason = view.write_error or str(said["reason"])
    return application, view.tracked.alias, present, str(said["decision"]), wanted or _UNKNOWN, reason


def _short(version: str) -> str:
    """Cut a digest to what tells it from others."""
    before, algorithm, digest = version.partition("sha256:")
    return f"{before}{algorithm}{digest[:12]}"


def _aligned(rows: Sequence[_Row]) -> Iterable[str]:
    """Pad all columns but the last to their longest text; what is very long is not waited for."""
    widths = [min(max(len(row[column]) for row in rows), _WIDEST) for column in range(len(_HEAD) - 1)]
    for row in rows:
        padded = [text.ljust(width) for text, width in zip(row, widths, strict=False)]
        yield "  ".join([*padded, row[-1]]).rstrip()
