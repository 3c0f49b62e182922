"""A decision as the record that every command and interface shows, ready for JSON."""

from updater.domain.decision import Decision, Hold, Invalid, Update, UpToDate
from updater.domain.election import Election
from updater.domain.image import ImageVersion


def decision_record(decision: Decision, election: Election | None) -> dict[str, object]:
    """Return the decision with every tag's verdict; without an election (of settings that allow none) there is none.

    `tag` and `digest` are of the version to write, to hold back, or to keep.
    """
    kind, version, more = _parts(decision)
    verdicts = election.verdicts if election else ()
    return {
        "decision": kind,
        "tag": version.tag,
        **({"digest": version.digest} if version.digest else {}),
        "reason": str(decision.reason),
        "message": decision.message,
        **more,
        "verdicts": [
            {"tag": verdict.tag, "kept": verdict.kept, "reason": str(verdict.reason), "rank": verdict.rank}
            for verdict in verdicts
        ],
    }


def _parts(decision: Decision) -> tuple[str, ImageVersion, dict[str, object]]:
    match decision:
        case Update(version=version, previous=previous):
            return "update", version, {"previous": str(previous)} if previous else {}
        case Hold(candidate=candidate, until=until, rejected=rejected):
            rejection = {"rejected": str(rejected)} if rejected else {}
            return "hold", candidate, {**({"until": until.isoformat()} if until else {}), **rejection}
        case UpToDate(version=version):
            return "up-to-date", version, {}
        case Invalid(problems=problems):
            return "misconfigured", ImageVersion(), {"problems": list(problems)} if problems else {}
