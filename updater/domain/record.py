"""A decision as the record that every command and interface shows, ready for JSON."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

from updater.domain.application import ApplicationName
from updater.domain.decision import Current, Decision, Hold, Invalid, Reason, Update, UpToDate
from updater.domain.election import Election
from updater.domain.image import ImageVersion
from updater.domain.messages import Problem, TrackedImage
from updater.domain.secrets import CredentialSource
from updater.domain.sentences import released_by


@dataclass(frozen=True, slots=True)
class ImageView:
    """All that is known of a tracked image at a time; what is not known yet is None."""

    tracked: TrackedImage
    decision: Decision | None = None
    election: Election | None = None
    current: Current = field(default_factory=Current)
    write_error: str = ""
    credentials: CredentialSource | None = None
    checked_at: datetime | None = None
    next_check_at: datetime | None = None


def is_failing(decision: Decision | None, write_error: str) -> bool:
    """Tell whether an image cannot be kept up to date at present."""
    if write_error or isinstance(decision, Invalid):
        return True
    return isinstance(decision, Hold) and decision.reason is Reason.INCOMPLETE


def decision_kind(decision: Decision) -> str:
    """Return the decision in one word, as its record has it."""
    return _parts(decision)[0]


def decision_record(decision: Decision, election: Election | None) -> dict[str, object]:
    """Return the decision with every tag's verdict; without an election (of settings that allow none) there is none.

    `tag` and `digest` are of the version to write, to hold back, or to keep.
    """
    verdicts = election.verdicts if election else ()
    return {
        **decision_summary(decision),
        "verdicts": [
            {"tag": verdict.tag, "kept": verdict.kept, "reason": str(verdict.reason), "rank": verdict.rank}
            for verdict in verdicts
        ],
    }


def decision_summary(decision: Decision) -> dict[str, object]:
    """Return the record without the verdicts."""
    kind, version, more = _parts(decision)
    return {
        "decision": kind,
        "tag": version.tag,
        **({"digest": version.digest} if version.digest else {}),
        "reason": str(decision.reason),
        "message": decision.message,
        **more,
    }


def image_record(name: ApplicationName, view: ImageView) -> dict[str, object]:
    """Return an image's decision with every verdict, where it comes from and goes, and when it is looked at again."""
    decided = decision_record(view.decision, view.election) if view.decision else {**_UNDECIDED, "verdicts": []}
    return _with_place(name, view, decided)


def image_summary(name: ApplicationName, view: ImageView) -> dict[str, object]:
    """Return the record without the verdicts."""
    return _with_place(name, view, decision_summary(view.decision) if view.decision else _UNDECIDED)


def _with_place(name: ApplicationName, view: ImageView, decided: Mapping[str, object]) -> dict[str, object]:
    tracked = view.tracked
    return {
        "application": str(name),
        "alias": tracked.alias,
        "image": str(tracked.image),
        "strategy": str(tracked.policy.strategy),
        "constraint": tracked.policy.constraint,
        **decided,
        "current": {"version": str(view.current.version), "read_from": str(view.current.origin)},
        "target": str(tracked.target),
        "credentials": str(view.credentials) if view.credentials else None,
        "checked_at": _time(view.checked_at),
        "next_check_at": _time(view.next_check_at),
        **({"group": tracked.group} if tracked.group else {}),
        **({"write_error": view.write_error} if view.write_error else {}),
    }


def problem_record(problem: Problem) -> dict[str, object]:
    return {"alias": problem.alias, "message": problem.message}


_UNDECIDED: dict[str, object] = {
    "decision": "undecided",
    "tag": "",
    "reason": "not-looked-at",
    "message": "its registry has not been looked at yet",
}


def _parts(decision: Decision) -> tuple[str, ImageVersion, dict[str, object]]:
    match decision:
        case Update(version=version, previous=previous):
            return "update", version, {"previous": str(previous)} if previous else {}
        case Hold(candidate=candidate, until=until, rejected=rejected):
            rejection = {"rejected": str(rejected)} if rejected else {}
            more = {**({"until": until.isoformat()} if until else {}), **rejection}
            return "hold", candidate, {**more, "released_by": released_by(decision)}
        case UpToDate(version=version):
            return "up-to-date", version, {}
        case Invalid(problems=problems):
            return "misconfigured", ImageVersion(), {"problems": list(problems)} if problems else {}


def _time(moment: datetime | None) -> str | None:
    return moment.isoformat(timespec="seconds") if moment else None
