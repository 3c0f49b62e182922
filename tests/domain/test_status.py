"""The status of an ImageUpdater: AIU's fields, each image, and no word more than fits."""

from collections.abc import Sequence
from datetime import timedelta
from typing import Any

import msgspec
import pytest

from tests.domain.builders import NOW
from tests.domain.resources import image, ref, resource
from updater.domain.application import Application, ApplicationName, Source
from updater.domain.decision import Current, Decision, Hold, Invalid, Reason, Update, UpToDate
from updater.domain.governing import govern
from updater.domain.image import ImageVersion
from updater.domain.record import ImageView
from updater.domain.resources import ImageUpdater
from updater.domain.selection import Selection
from updater.domain.status import MOST_BYTES, Managed, Written, build_status, says_the_same

V1, V2 = ImageVersion("v1"), ImageVersion("v2")
CURRENT = UpToDate(reason=Reason.CURRENT, message="v1 is the newest", version=V1)
TEAM = resource("team", ref("*", image()))


def managed(
    made: ImageUpdater, *others: ImageUpdater, name: str = "demo", decision: Decision | None = CURRENT
) -> Managed:
    source = Source("https://git.example.com/a.git", "apps", kind="Helm")
    application = Application(ApplicationName("argocd", name), sources=(source,))
    selection = Selection()
    selection.put_application(application.name, {})
    for each in (made, *others):
        selection.put_resource(each)
    tracked = govern(application, selection.claims(application.name), {}, "argocd")
    assert tracked is not None
    (outcome,) = [claim for claim in tracked.claims if claim.resource == made.name]
    views = [ImageView(each, decision, current=Current(V1)) for each in tracked.images if each.alias in outcome.aliases]
    return Managed(tracked, outcome, views)


def status(
    *applications: Managed,
    made: ImageUpdater = TEAM,
    before: dict[str, Any] | None = None,
    updates: Sequence[Written] = (),
    minutes: int = 0,
) -> dict[str, Any]:
    return build_status(made, applications, updates, before or {}, NOW + timedelta(minutes=minutes))


def condition(told: dict[str, Any], kind: str) -> dict[str, Any]:
    (found,) = [each for each in told["conditions"] if each["type"] == kind]
    return dict(found)


def test_all_is_well() -> None:
    told = status(managed(TEAM))
    assert (told["applicationsMatched"], told["imagesManaged"], told["observedGeneration"]) == (1, 1, 0)
    assert told["lastCheckedAt"] == "2026-08-01T12:00:00Z"
    assert condition(told, "Ready") == {
        "type": "Ready",
        "status": "True",
        "reason": "ReconcileSucceeded",
        "message": "Reconciled 1 applications, 0 images updated.",
        "lastTransitionTime": "2026-08-01T12:00:00Z",
    }
    assert condition(told, "Error")["reason"] == "NoErrors"
    assert condition(told, "Reconciling")["reason"] == "Idle"


def test_each_image_tells_what_it_has_and_why() -> None:
    until = NOW + timedelta(hours=3)
    hold = Hold(reason=Reason.TOO_YOUNG, message="v2 is 1h old", candidate=V2, until=until)
    (told,) = status(managed(TEAM, decision=hold))["images"]
    assert told == {
        "application": "demo",
        "alias": "app",
        "image": "registry.example.com/team/app",
        "current": "v1",
        "candidate": "v2",
        "verdict": "Hold",
        "reason": "too-young",
        "message": "v2 is 1h old",
        "since": "2026-08-01T12:00:00Z",
        "until": "2026-08-01T15:00:00Z",
    }


@pytest.mark.parametrize(
    ("decision", "verdict"),
    [
        (None, "Pending"),
        (CURRENT, "UpToDate"),
        (Update(reason=Reason.NEWER, message="", version=V2), "Update"),
        (Hold(reason=Reason.INCOMPLETE, message=""), "Failed"),
        (Invalid(reason=Reason.INVALID, message=""), "Invalid"),
    ],
)
def test_every_decision_has_a_word(decision: Decision | None, verdict: str) -> None:
    assert status(managed(TEAM, decision=decision))["images"][0]["verdict"] == verdict


def test_an_error_leaves_the_resource_ready_with_errors() -> None:
    told = status(managed(TEAM, decision=Hold(reason=Reason.INCOMPLETE, message="503")))
    assert condition(told, "Ready")["reason"] == "ReconcileCompletedWithErrors"
    assert condition(told, "Error")["status"] == "True"
    assert condition(told, "Error")["message"].startswith("1 error(s) occurred during image update checks.")


def test_a_resource_that_cannot_be_followed_is_not_ready() -> None:
    told = status(made=resource("team", ref("[", image())))
    assert condition(told, "Ready")["status"] == "False"
    assert "namePattern '[' is no pattern" in condition(told, "Error")["message"]


def test_a_misconfigured_reference_is_told() -> None:
    made = resource(
        "team", ref("*", image(), writeBackConfig={"gitConfig": {"pullRequest": {"gitlab": {}, "github": {}}}})
    )
    assert "pullRequest has github and gitlab" in condition(status(managed(made), made=made), "Error")["message"]


def test_a_conflict_names_the_owner_to_the_loser_alone() -> None:
    exact = resource("exact", ref("demo", image()))
    loser, winner = status(managed(TEAM, exact)), status(managed(exact, TEAM), made=exact)
    assert condition(loser, "Conflict")["message"] == (
        "demo: app belongs to ImageUpdater argocd/exact, spec.applicationRefs[0]"
    )
    assert [each["type"] for each in winner["conditions"]] == ["Reconciling", "Ready", "Error"]
    assert loser["applicationsMatched"] == 0


def test_updates_to_one_version_are_put_together() -> None:
    updates = [Written("app", "team/app", "v1", "v2", NOW), Written("app", "team/app", "v1", "v2", NOW)]
    told = status(managed(TEAM), updates=updates)
    assert told["lastUpdatedAt"] == "2026-08-01T12:00:00Z"
    assert told["recentUpdates"] == [
        {
            "alias": "app",
            "image": "team/app",
            "newVersion": "v2",
            "applicationsUpdated": 2,
            "updatedAt": "2026-08-01T12:00:00Z",
            "message": "Updated from v1 to v2.",
        }
    ]


def test_earlier_updates_stay_until_there_are_others() -> None:
    before = status(managed(TEAM), updates=[Written("app", "team/app", "v1", "v2", NOW)])
    assert status(managed(TEAM), before=before, minutes=5)["recentUpdates"] == before["recentUpdates"]


def test_times_stay_while_nothing_changes() -> None:
    before = status(managed(TEAM))
    told = status(managed(TEAM), before=before, minutes=5)
    assert told["images"] == before["images"]
    assert told["conditions"] == before["conditions"]
    assert says_the_same(told, before)


def test_a_time_moves_with_what_it_tells_of() -> None:
    before = status(managed(TEAM))
    told = status(managed(TEAM, decision=Hold(reason=Reason.PAUSED, message="")), before=before, minutes=5)
    assert told["images"][0]["since"] == "2026-08-01T12:05:00Z"
    assert not says_the_same(told, before)


def test_a_restart_keeps_what_was_known_until_more_is() -> None:
    before = status(managed(TEAM))
    assert says_the_same(status(managed(TEAM, decision=None), before=before, minutes=5), before)


def test_a_large_status_is_cut_with_a_count_and_keeps_what_needs_somebody() -> None:
    long = UpToDate(reason=Reason.CURRENT, message="x" * 900, version=V1)
    failing = Hold(reason=Reason.INCOMPLETE, message="503")
    told = status(
        *(managed(TEAM, name=f"app{number}", decision=long) for number in range(800)),
        managed(TEAM, name="last", decision=failing),
    )
    assert len(msgspec.json.encode(told["images"])) <= MOST_BYTES
    assert len(told["images"]) + told["imagesOmitted"] == told["imagesManaged"] == 801
    assert told["images"][0]["application"] == "last"


def test_fields_that_nobody_understands_are_named() -> None:
    made = resource("team", ref("*", image(), comonUpdateSettings={}))
    assert "did you mean commonUpdateSettings?" in condition(status(managed(made), made=made), "Ready")["message"]


def test_a_mistake_of_another_resource_is_not_told_as_ones_own() -> None:
    wrong = resource("wrong", ref("demo", image("web", "nginx", commonUpdateSettings={"updateStrategy": "newest"})))
    mine, theirs = status(managed(TEAM, wrong)), status(managed(wrong, TEAM), made=wrong)
    assert condition(mine, "Error")["reason"] == "NoErrors"
    assert "updateStrategy is 'newest'" in condition(theirs, "Error")["message"]
