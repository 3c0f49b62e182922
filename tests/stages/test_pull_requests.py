"""The life of a pull request (`pull-request`), from the first proposal to its merge, or to a person's no."""

from dataclasses import replace
from hashlib import sha256

import msgspec
import pytest

from tests.fakes.cluster import helm_application
from tests.fakes.house import SETTINGS, House, eventually
from updater.domain.application import Application, ApplicationName
from updater.domain.change import Change
from updater.domain.errors import ForgeError, ForgeRefused
from updater.domain.image import ImageVersion
from updater.domain.messages import ImageIdentity
from updater.domain.pull_requests import PullRequest, State
from updater.formats.branch_name import aiu_name
from updater.formats.commit import CommitStyle
from updater.formats.gotemplate import Template
from updater.ports.git import Author
from updater.settings.daemon import Polling
from updater.settings.units import Interval
from updater.stages.commits import Commits

IMAGE = "registry.example.com/team/app"
URL = "https://git.example.com/gitops.git"
CHART = {"apps/one/Chart.yaml": "name: one\n", "apps/one/values.yaml": "image:\n  tag: v1.0\n"}
TWO = {"apps/two/Chart.yaml": "name: two\n", "apps/two/values.yaml": "image:\n  tag: v1.0\n"}
OVERRIDE = "apps/one/.argocd-source-one.yaml"
PULL_REQUEST = {"pull-request": "gitea", "git-branch": "main"}


@pytest.fixture
def house() -> House:
    """One application that asks for a pull request, at v1.0 with v2.0 to be had."""
    house = House()
    house.git.seed(URL, {**CHART, **TWO})
    house.registry.push(IMAGE, "v1.0", "v2.0")
    house.cluster.put(application())
    return house


def application(name: str = "one", *, release: str = "", rollback: str = "", **said: str) -> Application:
    given = {f"pull-request.{key}": text for key, text in said.items()}
    return helm_application(name, IMAGE, {**PULL_REQUEST, "app.release": release, "rollback": rollback, **given})


def only(house: House) -> PullRequest:
    """Return the one pull request that is open."""
    (there,) = house.forge.open_ones()
    return there


async def opened(house: House) -> PullRequest:
    await house.hear("pull_request.opened")
    await house.hear("image.proposed")
    return only(house)


async def test_update_is_proposed_in_a_pull_request(house: House) -> None:
    async with house.running():
        proposed = await house.hear("image.proposed")
    there = only(house)
    assert (there.base, there.title) == ("main", "build: automatic update of one")
    assert "| `argocd/one` | `registry.example.com/team/app` | `v1.0` | `v2.0` |" in there.body
    assert proposed["pull_request"] == there.url
    assert "value: v2.0" in house.git.file(URL, OVERRIDE, there.head)
    assert len(house.git.log(URL)) == 1


async def test_what_is_proposed_is_looked_after(house: House) -> None:
    async with house.running() as pipeline:
        there = await opened(house)
        ((_, names),) = pipeline.rounds.proposals.waiting().items()
    assert names == {there.head: [ImageIdentity(ApplicationName("argocd", "one"), "app")]}


async def test_newer_version_renews_the_same_pull_request(house: House) -> None:
    async with house.running():
        before = await opened(house)
        house.registry.push(IMAGE, "v3.0")
        await house.hear("image.proposed", count=2)
    after = only(house)
    assert after.number == before.number
    assert "`v3.0`" in after.body
    assert "`v2.0`" not in after.body
    assert len(house.git.log(URL, after.head)) == 2
    assert "value: v3.0" in house.git.file(URL, OVERRIDE, after.head)


async def test_restart_opens_and_edits_nothing(house: House) -> None:
    async with house.running():
        await opened(house)
    async with house.running():
        await house.hear("image.proposed")
        await house.hear("round.finished", count=3)
    assert len(house.forge.requests) == 1
    assert house.forge.edits == 0
    assert house.git.pushes == 1


async def test_merge_is_seen_without_a_new_tag_and_nothing_is_opened_again(house: House) -> None:
    async with house.running():
        there = await opened(house)
        house.git.merge(URL, there.head, "main")
        house.git.delete(URL, there.head)
        house.forge.set(there.number, state=State.MERGED)
        await house.hear("write_back.merged")
        await house.hear("round.finished", count=5)
    assert len(house.forge.requests) == 1
    assert house.git.names(URL) == ["main"]
    assert house.cluster.refreshed == [ApplicationName("argocd", "one")]


async def test_webhook_of_the_forge_saves_the_wait_and_many_are_one_look(house: House) -> None:
    house.settings = msgspec.structs.replace(SETTINGS, polling=Polling(interval=Interval(3600)))
    async with house.running() as pipeline:
        there = await opened(house)
        house.git.merge(URL, there.head, "main")
        house.forge.set(there.number, state=State.MERGED)
        looks = house.forge.looks
        elsewhere = pipeline.rounds.nudge(["https://git.example.com/other.git"])
        waiting = [pipeline.rounds.nudge([URL, "ssh://git@GIT.example.com/Gitops"]) for _ in range(5)]
        await house.hear("write_back.merged")
    assert (elsewhere, waiting) == (0, [1] * 5)
    assert house.forge.looks == looks + 2, "one of the round, one before the write"


async def test_branch_that_is_merged_and_deleted_between_two_looks_is_not_made_again(house: House) -> None:
    async with house.running():
        there = await opened(house)

        def merge() -> None:
            house.git.before_tip = lambda: None
            house.git.merge(URL, there.head, "main")
            house.git.delete(URL, there.head)
            house.forge.set(there.number, state=State.MERGED)

        house.git.before_tip = merge
        house.registry.push(IMAGE, "v3.0")
        await house.hear("write_back.stale")
        await house.hear("image.proposed", count=2)
    first, second = house.git.log(URL)[-1], house.git.log(URL, only(house).head)
    assert first.hash == there.commit
    assert [each.hash for each in second[:-1]] == [each.hash for each in house.git.log(URL)]


async def test_closing_without_merging_declines_the_version_until_something_newer_comes(house: House) -> None:
    async with house.running():
        there = await opened(house)
        house.forge.set(there.number, state=State.CLOSED)
        held = await house.hear("image.held")
        assert held["reason"] == "rolled-back"
        assert f"{there.url} was closed without being merged" in held["message"]
        assert "app.release: v2.0" in held["message"].replace("<alias>", "app")
    async with house.running():
        assert there.url in (await house.hear("image.held"))["message"]
        await house.hear("round.finished", count=3)
        assert house.forge.open_ones() == []
        house.registry.push(IMAGE, "v2.1")
        await house.hear("pull_request.opened")
    assert "`v2.1`" in only(house).body


async def test_what_was_declined_while_nobody_looked_stays_declined(house: House) -> None:
    async with house.running():
        there = await opened(house)
    house.forge.set(there.number, state=State.CLOSED)
    house.store.memories.clear()
    async with house.running():
        await house.hear("image.held")
    assert house.forge.open_ones() == []


async def test_release_lets_a_declined_version_be_proposed_again_once(house: House) -> None:
    async with house.running():
        there = await opened(house)
        house.forge.set(there.number, state=State.CLOSED)
        await house.hear("image.held")
        house.cluster.put(application(release="v2.0"))
        await house.hear("pull_request.opened", count=2)
        second = only(house)
        house.forge.set(second.number, state=State.CLOSED)
        await house.hear("image.held", count=2)
        await house.hear("round.finished", count=len(house.said("round.finished")) + 4)
    assert second.number == there.number + 1
    assert house.forge.open_ones() == []


async def test_rollback_overwrite_proposes_again_what_was_closed(house: House) -> None:
    house.cluster.put(application(rollback="overwrite"))
    async with house.running():
        there = await opened(house)
        house.forge.set(there.number, state=State.CLOSED)
        await house.hear("pull_request.opened", count=2)
    assert only(house).number == there.number + 1


async def test_pull_request_that_a_person_opens_again_is_gone_on_with(house: House) -> None:
    async with house.running():
        there = await opened(house)
    house.forge.set(there.number, state=State.CLOSED)
    house.forge.set(there.number, state=State.OPEN)
    async with house.running():
        await house.hear("image.proposed")
    assert only(house).number == there.number


async def test_commit_of_a_person_is_kept_and_commented_on_once(house: House) -> None:
    async with house.running():
        there = await opened(house)
        house.git.seed(URL, {"README.md": "theirs\n"}, there.head)
        house.registry.push(IMAGE, "v3.0")
        failed = await house.hear("image.write_failed")
    assert "not ours" in failed["reason"]
    async with house.running():
        await house.hear("image.write_failed")
        await house.hear("round.finished", count=3)
    (comment,) = house.forge.comments
    assert comment[0] == there.number
    assert "left alone" in comment[1]
    assert house.git.file(URL, "README.md", there.head) == "theirs\n"
    assert only(house).body == there.body


async def test_branch_that_a_person_committed_to_is_used_again_once_it_is_merged(house: House) -> None:
    """As it stays after the merge, with a commit that is not ours on top: the base has all of it."""
    async with house.running():
        there = await opened(house)
        house.git.seed(URL, {"README.md": "theirs\n"}, there.head)
        house.git.merge(URL, there.head, "main")
        await house.hear("write_back.merged")
        house.registry.push(IMAGE, "v3.0")
        await house.hear("pull_request.opened", count=2)
    assert only(house).head == there.head
    assert house.git.file(URL, "README.md", "main") == "theirs\n"


async def test_renewed_text_keeps_what_a_person_merged_meanwhile_apart(house: House) -> None:
    """After the merge of v2.0, v3.0 gets a pull request of its own, from v2.0."""
    async with house.running():
        first = await opened(house)
        house.git.merge(URL, first.head, "main")
        await house.hear("write_back.merged")
        house.registry.push(IMAGE, "v3.0")
        await house.hear("pull_request.opened", count=2)
    second = only(house)
    assert second.number == first.number + 1
    assert "| `v2.0` | `v3.0` |" in second.body


async def test_version_in_the_branch_name_supersedes_the_last_pull_request(house: House) -> None:
    branch = {"git-branch": "main:update/{{ (index .Images 0).NewTag }}"}
    house.cluster.put(helm_application("one", IMAGE, {**PULL_REQUEST, **branch}))
    async with house.running():
        first = await opened(house)
        house.registry.push(IMAGE, "v3.0")
        await house.hear("pull_request.closed")
        await eventually(lambda: len(house.git.names(URL)) == 2, lambda: "the branch to go")
    second = only(house)
    assert house.forge.comments == [(first.number, f"Superseded by {second.url}.")]
    assert house.git.names(URL) == ["main", "update/v3.0"]
    async with house.running():
        await house.hear("image.proposed")
        assert house.said("image.held") == []


async def test_superseded_branch_with_a_persons_commit_stays(house: House) -> None:
    branch = {"git-branch": "main:update/{{ (index .Images 0).NewTag }}"}
    house.cluster.put(helm_application("one", IMAGE, {**PULL_REQUEST, **branch}))
    async with house.running():
        first = await opened(house)
        house.git.seed(URL, {"README.md": "theirs\n"}, first.head)
        house.registry.push(IMAGE, "v3.0")
        await house.hear("pull_request.left_alone")
    assert house.forge.requests[0].state is State.OPEN
    assert house.git.file(URL, "README.md", "update/v2.0") == "theirs\n"


async def test_pull_request_that_the_base_has_left_behind_is_closed(house: House) -> None:
    async with house.running():
        there = await opened(house)
        house.git.seed(URL, {OVERRIDE: house.git.file(URL, OVERRIDE, there.head).replace("v2.0", "v3.0")})
        house.registry.push(IMAGE, "v3.0")
        await house.hear("pull_request.closed")
        await eventually(lambda: house.git.names(URL) == ["main"], lambda: "the branch to go")
    assert house.forge.requests[0].state is State.CLOSED


def aiu_branch(version: str = "v2.0") -> str:
    change = Change(ApplicationName("argocd", "one"), "app", IMAGE, ImageVersion("v1.0"), ImageVersion(version))
    key = sha256(f"{URL}|main|{OVERRIDE}".encode()).hexdigest()[:8]
    return aiu_name([change], key)


def seed_aiu(house: House, branch: str) -> None:
    """Leave what Argo CD Image Updater leaves: a commit under its address, without any trailer."""
    house.git.merge(URL, "main", branch)
    house.git.seed(URL, {OVERRIDE: "helm: {}\n"}, branch)
    commits = house.git.log(URL, branch)
    commits[-1] = replace(commits[-1], committer="noreply@argoproj.io")


async def test_pull_request_of_argo_cd_image_updater_is_adopted(house: House) -> None:
    old, newer = aiu_branch("v1.5"), aiu_branch("v1.9")
    for branch in (old, newer):
        seed_aiu(house, branch)
        house.forge.put(branch, title="build: automatic update of one")
    async with house.running():
        await house.hear("image.proposed")
        await house.hear("pull_request.closed")
        await eventually(lambda: len(house.git.names(URL)) == 2, lambda: "the older branch to go")
    there = only(house)
    assert (there.number, there.head) == (2, newer)
    assert "`v2.0`" in there.body
    assert "value: v2.0" in house.git.file(URL, OVERRIDE, newer)
    assert house.said("pull_request.opened") == []


async def test_pull_request_of_argo_cd_image_updater_for_a_kustomization_is_adopted(house: House) -> None:
    house.git.seed(URL, {"base/kustomization.yaml": f"images:\n- name: {IMAGE}\n  newTag: v1.0\n"})
    house.cluster.put(
        replace(application(), annotations={**application().annotations, "write-back-target": "kustomization:/base"})
    )
    branch = aiu_branch("v1.5")
    seed_aiu(house, branch)
    house.forge.put(branch, title="build: automatic update of one")
    async with house.running():
        await house.hear("image.proposed")
    assert (only(house).number, only(house).head) == (1, branch)
    assert "newTag: v2.0" in house.git.file(URL, "base/kustomization.yaml", branch)


async def test_closed_pull_request_of_argo_cd_image_updater_declines_its_version(house: House) -> None:
    house.forge.put(aiu_branch(), State.CLOSED)
    async with house.running():
        await house.hear("image.held")
    assert house.forge.open_ones() == []
    assert house.git.names(URL) == ["main"]


@pytest.mark.parametrize(
    ("group", "heads"),
    [("", 2), ("target", 2), ("repository", 1), ("application", 2), ("image", 1)],
)
async def test_group_says_what_shares_a_pull_request(house: House, group: str, heads: int) -> None:
    house.cluster.put(*(application(name, group=group) for name in ("one", "two")))
    async with house.running():
        await house.hear("image.proposed", count=2)
    there = house.forge.open_ones()
    assert len(there) == heads
    assert sum(each.body.count("`argocd/") for each in there) == 2


async def test_labels_reviewers_and_draft_are_asked_for_once(house: House) -> None:
    house.cluster.put(application(labels="deps, image", reviewers="ada, org/ops", draft="true"))
    async with house.running():
        there = await opened(house)
        house.registry.push(IMAGE, "v3.0")
        await house.hear("image.proposed", count=2)
    assert house.forge.decorated == [(there.number, ("deps", "image"), ("ada", "org/ops"))]


async def test_automerge_is_asked_for_each_commit_and_once(house: House) -> None:
    house.cluster.put(application(automerge="squash"))
    async with house.running():
        there = await opened(house)
        first = house.git.log(URL, there.head)[-1].hash
        house.registry.push(IMAGE, "v3.0")
        await house.hear("image.proposed", count=2)
        second = house.git.log(URL, there.head)[-1].hash
        house.registry.push(IMAGE, "v1.5")
        await house.hear("round.finished", count=len(house.said("round.finished")) + 2)
    assert house.forge.scheduled == [(there.number, first, "squash"), (there.number, second, "squash")]


async def test_annotations_word_title_and_body(house: House) -> None:
    house.cluster.put(application(title="bump {{ .AppName }}", body="to {{ (index .AppChanges 0).NewTag }}"))
    async with house.running():
        there = await opened(house)
    assert there.title == "bump one"
    assert there.body.startswith("to v2.0\n\n<!--")


async def test_broken_title_is_said_and_stands_in_nobodys_way(house: House) -> None:
    house.cluster.put(application(title="{{ .Nope }}"))
    async with house.running():
        there = await opened(house)
        said = await house.hear("pull_request.template_failed")
    assert ".Nope" in said["reason"]
    assert there.title == "build: automatic update of one"


async def test_commit_template_words_the_pull_request_as_in_argo_cd_image_updater(house: House) -> None:
    style = CommitStyle(Template.parse("chore: {{ .AppName }}\n\nsee the runbook\n"))
    house.commits = Commits(Author("argocd-image-updater", "noreply@argoproj.io"), style)
    async with house.running():
        there = await opened(house)
    assert there.title == "chore: one"
    assert there.body.startswith("see the runbook\n\n<!--")


@pytest.mark.parametrize("error", [ForgeError("the forge is down"), ForgeRefused("404: it is not there")])
async def test_forge_that_cannot_be_looked_at_stops_everything_with_its_reason(house: House, error: ForgeError) -> None:
    house.forge.error = error
    async with house.running():
        assert (await house.hear("image.write_failed"))["reason"] == str(error)
        assert house.git.names(URL) == ["main"]
        house.forge.error = None
        await opened(house)


async def test_refused_pull_request_leaves_no_branch(house: House) -> None:
    house.forge.open_error = ForgeRefused("422: no")
    async with house.running():
        assert (await house.hear("image.write_failed"))["reason"] == "422: no"
        await eventually(lambda: house.git.names(URL) == ["main"], lambda: "the branch to go")


async def test_lost_answer_opens_no_second_pull_request(house: House) -> None:
    house.forge.lose_answers = 1
    async with house.running():
        await house.hear("image.write_failed")
        await house.hear("image.proposed")
    assert len(house.forge.requests) == 1


async def test_dry_run_asks_the_forge_nothing(house: House) -> None:
    async with house.running(dry_run=True):
        await house.hear("image.would_update")
    assert house.forge.looks == 0


async def test_unchanged_pull_requests_wake_nobody(house: House) -> None:
    async with house.running():
        await opened(house)
        looks, pushes = house.git.looks, house.forge.looks
        await eventually(lambda: house.forge.looks > pushes + 5, lambda: "some rounds")
    assert house.git.looks <= looks + 1
