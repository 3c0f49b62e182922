"""The life of a pull request, as a matter of values."""

from dataclasses import replace

from updater.domain.pull_requests import (
    Proposed,
    PullRequest,
    State,
    Wanted,
    aiu_key,
    declined,
    outdated,
    standing,
)

KEY = "12345678"
V2 = Proposed("argocd/demo", "app", "v2.0", KEY)
V3 = Proposed("argocd/demo", "app", "v3.0", KEY)
WEB = Proposed("argocd/demo", "web", "v1.0", KEY)
AIU = f"image-updater-12345678-{'a' * 64}"


def request(number: int, head: str = "ours", *proposes: Proposed, state: State = State.OPEN) -> PullRequest:
    return PullRequest(number, f"#{number}", head, "main", state, "", "", proposes=frozenset(proposes))


def test_own_branch_comes_before_an_adopted_one_and_supersedes_it() -> None:
    listing = [request(1, "ours"), request(2, AIU), request(3, "theirs")]
    found = standing(listing, Wanted("ours", frozenset({V2}), frozenset({"12345678"})))
    assert (found.open, found.superseded) == (listing[0], (listing[1],))


def test_latest_of_several_is_adopted() -> None:
    listing = [request(1, AIU), request(2, f"{AIU[:-1]}b")]
    found = standing(listing, Wanted("ours", frozenset({V2}), frozenset({"12345678"})))
    assert (found.open, found.superseded) == (listing[1], (listing[0],))


def test_pull_request_for_more_images_than_are_wanted_here_is_not_superseded() -> None:
    found = standing([request(1, "other", V2, WEB)], Wanted("ours", frozenset({V3})))
    assert found.superseded == ()


def test_only_the_last_word_on_a_version_counts() -> None:
    closed = request(1, "ours", V2, state=State.CLOSED)
    assert declined([closed], V2) == closed
    assert declined([closed], V3) is None
    assert declined([closed, request(2, "ours", V2)], V2) is None
    assert declined([closed, request(2, "ours", V2, state=State.MERGED)], V2) is None
    assert declined([replace(closed, number=3), request(2, "ours", V2)], V2) == replace(closed, number=3)


def test_another_cluster_with_an_application_of_the_same_name_is_not_meant() -> None:
    theirs = V2._replace(target="87654321")
    assert declined([request(1, "theirs", theirs, state=State.CLOSED)], V2) is None
    assert standing([request(1, "theirs", theirs)], Wanted("ours", frozenset({V3}))).superseded == ()
    assert outdated([request(1, "theirs", theirs)], [V3]) == []


def test_closed_elsewhere_counts_for_just_that_branch() -> None:
    closed = request(1, AIU, state=State.CLOSED)
    assert declined([closed], V2, AIU) == closed
    assert declined([closed], V2, "another") is None


def test_outdated_is_what_has_nothing_left_to_propose() -> None:
    there = request(1, "ours", V2, WEB)
    assert outdated([there], [V3]) == []
    assert outdated([there], [V3, WEB._replace(version="v9")]) == [there]
    assert outdated([there], [V2, WEB]) == []
    assert outdated([replace(there, state=State.CLOSED)], [V3, WEB._replace(version="v9")]) == []


def test_only_branches_of_argo_cd_image_updater_have_its_keys() -> None:
    assert aiu_key(AIU) == "12345678"
    assert aiu_key("image-updater-12345678") == aiu_key(f"{AIU}a") == ""
