"""What became of an ImageUpdater: the `status` that everybody who may read the resource gets to see.

It is made from the whole state each time, so that no part of it can be forgotten.
"""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

import msgspec

from updater.domain.decision import Decision, Hold, Invalid, Reason, Update, UpToDate
from updater.domain.messages import ClaimOutcome, TrackedApplication
from updater.domain.record import ImageView
from updater.domain.resources import ImageUpdater

MOST_BYTES = 512 * 1024
"""Of the list of images; etcd takes objects of one and a half megabytes."""
_MOST_NAMED = 10
_LONGEST_MESSAGE = 1024
_VOLATILE = ("lastCheckedAt",)
_VOLATILE_OF_IMAGE = ("nextCheckAt",)

Status = Mapping[str, object]


@dataclass(frozen=True, slots=True)
class Written:
    """One confirmed update."""

    alias: str
    image: str
    previous: str
    version: str
    at: datetime


@dataclass(frozen=True, slots=True)
class Managed:
    """One Application as one resource has it."""

    tracked: TrackedApplication
    outcome: ClaimOutcome
    views: Sequence[ImageView]
    """Of its images that are the resource's."""


def build_status(
    resource: ImageUpdater,
    managed: Sequence[Managed],
    updates: Sequence[Written],
    before: Status,
    now: datetime,
) -> dict[str, object]:
    """Make the status of a resource.

    Args:
        resource: with its spec as it is now.
        managed: the Applications that it selects.
        updates: of the last round that had any; none: those of `before` stay.
        before: the status as it is, whose times are kept where nothing else changed.
        now: the time of day.
    """
    images = [_image(each, view, now) for each in managed for view in each.views]
    shown, omitted = _fitting(_with_times(images, before))
    problems = [*resource.spec.problems, *(problem for each in managed for problem in _problems(each))]
    failing = sum(entry["verdict"] in ("Invalid", "Failed") for entry in images)
    status: dict[str, object] = {
        "observedGeneration": resource.generation,
        "lastCheckedAt": _time(now),
        "applicationsMatched": sum(bool(each.views) for each in managed),
        "imagesManaged": len(images),
        "images": shown,
        "imagesOmitted": omitted,
        "conditions": _with_transitions(_conditions(resource, managed, problems, failing, updates), before, now),
    }
    if updates:
        return status | {"lastUpdatedAt": _time(max(each.at for each in updates)), "recentUpdates": _recent(updates)}
    return status | {key: before[key] for key in ("lastUpdatedAt", "recentUpdates") if key in before}


def says_the_same(one: Status, other: Status) -> bool:
    """Tell whether two statuses differ in nothing but the times of looking."""
    return _lasting(one) == _lasting(other)


def _lasting(status: Status) -> dict[str, object]:
    kept = {key: value for key, value in status.items() if key not in _VOLATILE}
    images = status.get("images")
    if isinstance(images, list):
        kept["images"] = [
            {key: value for key, value in image.items() if key not in _VOLATILE_OF_IMAGE} for image in images
        ]
    return kept


def _image(managed: Managed, view: ImageView, now: datetime) -> dict[str, object]:
    verdict, reason, message, candidate = _verdict(view)
    until = view.decision.until if isinstance(view.decision, Hold) else None
    entry = {
        "application": managed.tracked.name.name,
        "alias": view.tracked.alias,
        "image": str(view.tracked.image),
        "current": str(view.current.version),
        "candidate": candidate,
        "verdict": verdict,
        "reason": reason,
        "message": message[:_LONGEST_MESSAGE],
        "since": _time(now),
        "until": _time(until) if until else "",
        "nextCheckAt": _time(view.next_check_at) if view.next_check_at else "",
    }
    return {key: value for key, value in entry.items() if value}


def _verdict(view: ImageView) -> tuple[str, str, str, str]:
    """Give verdict, reason, sentence and candidate."""
    decision: Decision | None = view.decision
    if decision is None:
        return "Pending", "", "its registry has not been asked yet", ""
    candidate = ""
    if isinstance(decision, Update):
        candidate = str(decision.version)
    elif isinstance(decision, Hold):
        candidate = str(decision.candidate)
    if view.write_error:
        return "Failed", "write-failed", view.write_error, candidate
    match decision:
        case Hold(reason=Reason.INCOMPLETE):
            verdict = "Failed"
        case Invalid() | Hold() | Update() | UpToDate():
            verdict = type(decision).__name__
    return verdict, str(decision.reason), decision.message, candidate


def _problems(managed: Managed) -> list[str]:
    """Name what stops an Application, or images that would be the resource's."""
    outcome = managed.outcome
    return [f"{managed.tracked.name.name}: {text}" for text in dict.fromkeys([*outcome.problems, *outcome.failures])]


def _conditions(
    resource: ImageUpdater,
    managed: Sequence[Managed],
    problems: Sequence[str],
    failing: int,
    updates: Sequence[Written],
) -> list[dict[str, object]]:
    errors = len(problems) + failing
    applications = sum(bool(each.views) for each in managed)
    reconciled = f"Reconciled {applications} applications, {len(updates)} images updated."
    if resource.spec.warnings:
        reconciled += f" Not understood: {_listed(resource.spec.warnings)}"
    conditions = [_condition("Reconciling", "False", "Idle", "Last check completed. Awaiting next cycle.")]
    if resource.spec.problems:
        text = _listed(resource.spec.problems)
        conditions += [
            _condition("Ready", "False", "ReconcileFailed", text),
            _condition("Error", "True", "ReconcileError", text),
        ]
    elif errors:
        text = f"{errors} error(s) occurred during image update checks."
        conditions += [
            _condition("Ready", "True", "ReconcileCompletedWithErrors", reconciled),
            _condition("Error", "True", "PartialErrors", f"{text} {_listed(problems)}".strip()),
        ]
    else:
        conditions += [
            _condition("Ready", "True", "ReconcileSucceeded", reconciled),
            _condition("Error", "False", "NoErrors", "No errors."),
        ]
    conflicts = [
        f"{each.tracked.name.name}: {conflict.alias} belongs to {conflict.owner}"
        for each in managed
        for conflict in each.outcome.conflicts
    ]
    if conflicts:
        conditions.append(_condition("Conflict", "True", "OwnedBySomebodyElse", _listed(conflicts)))
    return conditions


def _condition(kind: str, status: str, reason: str, message: str) -> dict[str, object]:
    return {"type": kind, "status": status, "reason": reason, "message": message}


def _listed(texts: Sequence[str]) -> str:
    more = f"; and {len(texts) - _MOST_NAMED} more" if len(texts) > _MOST_NAMED else ""
    return "; ".join(text[:_LONGEST_MESSAGE] for text in texts[:_MOST_NAMED]) + more


def _recent(updates: Sequence[Written]) -> list[dict[str, object]]:
    """Put updates to the same version together, in the order in which each was first seen."""
    counts = Counter((each.alias, each.version) for each in updates)
    first: dict[tuple[str, str], Written] = {}
    for each in updates:
        first.setdefault((each.alias, each.version), each)
    return [
        {
            "alias": each.alias,
            "image": each.image,
            "newVersion": each.version,
            "applicationsUpdated": counts[key],
            "updatedAt": _time(each.at),
            "message": f"Updated from {each.previous} to {each.version}.",
        }
        for key, each in first.items()
    ]


def _with_times(images: Sequence[dict[str, object]], before: Status) -> list[dict[str, object]]:
    """Keep since when a verdict holds; after a restart, the verdict itself until there is another."""
    known = {_identity(image): image for image in _entries(before.get("images"))}
    return [_continued(image, known.get(_identity(image), {})) for image in images]


def _continued(image: dict[str, object], earlier: Mapping[str, object]) -> dict[str, object]:
    if image["verdict"] == "Pending" and earlier:
        return dict(earlier)
    same = all(earlier.get(key) == image.get(key) for key in ("verdict", "reason", "candidate", "current"))
    return {**image, "since": earlier["since"]} if same and earlier.get("since") else image


def _with_transitions(conditions: list[dict[str, object]], before: Status, now: datetime) -> list[dict[str, object]]:
    """Keep since when a condition has its status."""
    known = {entry.get("type"): entry for entry in _entries(before.get("conditions"))}
    for condition in conditions:
        earlier = known.get(condition["type"], {})
        same = earlier.get("status") == condition["status"] and earlier.get("lastTransitionTime")
        condition["lastTransitionTime"] = earlier["lastTransitionTime"] if same else _time(now)
    return conditions


def _fitting(images: list[dict[str, object]]) -> tuple[list[dict[str, object]], int]:
    """Leave out what would make the object too large; what somebody has to look at comes first."""
    if len(msgspec.json.encode(images)) <= MOST_BYTES:
        return images, 0
    order = {"Invalid": 0, "Failed": 0, "Hold": 1, "Update": 2}
    images = sorted(images, key=lambda image: order.get(str(image["verdict"]), 3))
    room, shown = MOST_BYTES, []
    for image in images:
        room -= len(msgspec.json.encode(image)) + 1
        if room < 0:
            break
        shown.append(image)
    return shown, len(images) - len(shown)


def _identity(image: Mapping[str, object]) -> tuple[object, object, object]:
    return image.get("application"), image.get("alias"), image.get("image")


def _entries(value: object) -> Iterable[Mapping[str, object]]:
    return [entry for entry in value if isinstance(entry, dict)] if isinstance(value, list) else []


def _time(at: datetime) -> str:
    return at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
