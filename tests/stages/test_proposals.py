"""Our own branches (`git-branch: base:target`): built on the base, compared with it, never over a person's commit."""

from dataclasses import replace
from datetime import timedelta
from itertools import chain, repeat

import pytest

from tests.fakes.cluster import helm_application
from tests.fakes.house import House, eventually, now
from updater.domain.application import ApplicationName
from updater.domain.errors import RegistryError

IMAGE = "registry.example.com/team/app"
URL = "https://git.example.com/gitops.git"
CHART = {"apps/one/Chart.yaml": "name: one\n", "apps/one/values.yaml": "image:\n  tag: v1.0\n"}
OVERRIDE = "apps/one/.argocd-source-one.yaml"
TWO = "apps/two/.argocd-source-two.yaml"
OWN = {"git-branch": "main:updates"}


@pytest.fixture
def house() -> House:
    """One application that proposes its updates, at v1.0 with v2.0 to be had."""
    house = House()
    house.git.seed(URL, CHART)
    house.registry.push(IMAGE, "v1.0", "v2.0")
    house.cluster.put(helm_application("one", IMAGE, OWN))
    return house


async def test_change_goes_to_the_branch_and_not_to_the_base(house: House) -> None:
    async with house.running():
        proposed = await house.hear("image.proposed")
    base, commit = house.git.log(URL, "updates")
    assert [each.hash for each in house.git.log(URL)] == [base.hash]
    assert {key: proposed[key] for key in ("from", "to", "branch", "commit")} == {
        "from": "v1.0",
        "to": "v2.0",
        "branch": "updates",
        "commit": commit.hash,
    }
    assert "value: v2.0" in house.git.file(URL, OVERRIDE, "updates")
    assert commit.message.endswith("Image-Updater-Branch: updates\n")
    assert house.cluster.refreshed == []


async def test_same_change_is_pushed_and_said_once(house: House) -> None:
    async with house.running():
        await house.hear("image.proposed")
        house.registry.push(IMAGE, "v1.5")
        await house.hear("round.finished", count=5)
        assert len(house.said("image.proposed")) == 1
    commit = house.git.log(URL, "updates")[-1]
    async with house.running():
        assert (await house.hear("image.proposed"))["commit"] == commit.hash
    assert house.git.pushes == 1


async def test_newer_version_replaces_the_commit(house: House) -> None:
    async with house.running():
        await house.hear("image.proposed")
        house.registry.push(IMAGE, "v3.0")
        await house.hear("image.proposed", count=2)
    assert len(house.git.log(URL, "updates")) == 2
    assert "was v1.0" in house.git.log(URL, "updates")[-1].message
    assert "value: v3.0" in house.git.file(URL, OVERRIDE, "updates")


async def test_branch_is_built_anew_on_a_base_that_moved(house: House) -> None:
    async with house.running():
        await house.hear("image.proposed")
        house.git.seed(URL, {"README.md": "theirs\n"})
        house.registry.push(IMAGE, "v3.0")
        await house.hear("image.proposed", count=2)
    assert house.git.log(URL, "updates")[-1].parents == (house.git.log(URL)[-1].hash,)
    assert house.git.file(URL, "README.md", "updates") == "theirs\n"


async def test_merged_change_is_recognised_on_the_base(house: House) -> None:
    async with house.running():
        await house.hear("image.proposed")
    house.git.merge(URL, "updates", "main")
    async with house.running():
        merged = await house.hear("write_back.merged")
        await house.hear("round.finished", count=2)
    assert merged["commit"] == house.git.log(URL)[-1].hash
    assert house.cluster.refreshed == [ApplicationName("argocd", "one")]
    assert house.git.pushes == 1


async def test_deleted_branch_of_a_merged_change_does_not_come_back(house: House) -> None:
    async with house.running():
        await house.hear("image.proposed")
        house.git.merge(URL, "updates", "main")
        house.git.delete(URL, "updates")
        house.registry.push(IMAGE, "v1.1")
        await house.hear("write_back.merged")
        await house.hear("round.finished", count=3)
    assert house.git.names(URL) == ["main"]


async def test_persons_commit_on_the_branch_is_left_alone(house: House) -> None:
    async with house.running():
        await house.hear("image.proposed")
        house.git.seed(URL, {"README.md": "theirs\n"}, "updates")
        house.registry.push(IMAGE, "v3.0")
        failed = await house.hear("image.write_failed")
    assert "not ours" in failed["reason"]
    assert "merge or delete the branch" in failed["reason"]
    assert house.git.file(URL, "README.md", "updates") == "theirs\n"


async def test_our_own_commit_on_another_branch_is_no_leave_to_rebuild_it(house: House) -> None:
    """What we committed to `stable` as a base ends in our commit, and is a branch of people all the same."""
    house.git.seed(URL, CHART, "stable")
    house.cluster.put(helm_application("one", IMAGE, {"git-branch": "stable"}))
    async with house.running():
        await house.hear("image.updated")
    commits = house.git.log(URL, "stable")
    house.cluster.put(helm_application("one", IMAGE, {"git-branch": "main:stable"}))
    async with house.running():
        await house.hear("image.write_failed")
    assert house.git.log(URL, "stable") == commits


async def test_applications_share_a_branch_and_none_is_lost_when_another_is_added(house: House) -> None:
    async with house.running():
        await house.hear("image.proposed")
        house.cluster.put(helm_application("two", IMAGE, {**OWN, "write-back-method": "git:secret:argocd/two"}))
        await house.hear("image.proposed", count=2)
    assert len(house.git.log(URL, "updates")) == 2
    assert "value: v2.0" in house.git.file(URL, OVERRIDE, "updates")
    assert "value: v2.0" in house.git.file(URL, TWO, "updates")


async def test_what_does_not_apply_any_more_leaves_the_branch_with_its_reason(house: House) -> None:
    house.cluster.put(helm_application("two", IMAGE, OWN))
    async with house.running():
        await house.hear("image.proposed", count=2)
        house.git.seed(URL, {TWO: "helm: [\n"})
        house.cluster.put(helm_application("three", IMAGE, OWN))
        failed = await house.hear("image.write_failed")
        await house.hear("image.proposed", count=3)
    assert failed["application"] == "argocd/two"
    assert "value: v2.0" in house.git.file(URL, OVERRIDE, "updates")


async def test_application_that_is_gone_leaves_the_branch(house: House) -> None:
    house.cluster.put(helm_application("two", IMAGE, OWN))
    async with house.running():
        await house.hear("image.proposed", count=2)
        house.cluster.delete(ApplicationName("argocd", "two"))
        await house.hear("application.gone")
        house.registry.push(IMAGE, "v3.0")
        await house.hear("image.proposed", count=3)
    assert TWO not in house.git.log(URL, "updates")[-1].files


async def test_each_application_may_have_a_branch_of_its_own(house: House) -> None:
    template = {"git-branch": ":update/{{ .AppName }}-{{ (index .Images 0).NewTag }}"}
    house.cluster.put(*(helm_application(name, IMAGE, template) for name in ("one", "two")))
    async with house.running():
        await house.hear("image.proposed", count=2)
    assert house.git.names(URL) == ["main", "update/one-v2.0", "update/two-v2.0"]
    assert TWO not in house.git.log(URL, "update/one-v2.0")[-1].files


async def test_change_whose_time_is_over_meanwhile_makes_no_empty_commit(house: House) -> None:
    yesterday = now() - timedelta(days=1)
    window = {"schedule": f"0 0 {yesterday.day} {yesterday.month} * 72h"}
    house.cluster.put(helm_application("one", IMAGE, OWN | window))
    times = chain([now()], repeat(now() + timedelta(days=10)))
    async with house.running() as pipeline:
        pipeline.writer.branches.now = lambda: next(times)
        await house.hear("image.held")
    assert house.git.names(URL) == ["main"]


@pytest.mark.parametrize("template", ["{{ .Nope }}", "{{ .AppName", "x-{{ nope .AppName }}"])
async def test_broken_template_is_said_at_once_and_stops_its_own_application_alone(house: House, template: str) -> None:
    house.cluster.put(helm_application("two", IMAGE, {"git-branch": f"main:{template}"}))
    async with house.running():
        wrong = await house.hear("image.misconfigured")
        await house.hear("image.proposed")
    assert wrong["application"] == "argocd/two"
    assert wrong["reason"].startswith(f"annotation git-branch is {template!r}: ")
    assert len(house.said("image.misconfigured")) == 1
    assert not house.said("image.write_failed")


async def test_template_that_leaves_no_name_stops_its_own_application_alone(house: House) -> None:
    house.cluster.put(helm_application("two", IMAGE, {"git-branch": "main:{{ if false }}x{{ end }}"}))
    async with house.running():
        failed = await house.hear("image.write_failed")
        await house.hear("image.proposed")
    assert failed["application"] == "argocd/two"
    assert "which no branch can have" in failed["reason"]


async def test_two_bases_cannot_share_a_branch(house: House) -> None:
    house.git.seed(URL, CHART, "dev")
    async with house.running():
        await house.hear("image.proposed")
        house.cluster.put(helm_application("two", IMAGE, {"git-branch": "dev:updates"}))
        failed = await house.hear("image.write_failed")
    assert "built on main already" in failed["reason"]


async def test_branch_that_somebody_moves_meanwhile_is_looked_at_again(house: House) -> None:
    def somebody_pushes() -> None:
        house.git.before_push = lambda: None
        house.git.seed(URL, {"README.md": "theirs\n"}, "updates")

    house.git.before_push = somebody_pushes
    async with house.running():
        failed = await house.hear("image.write_failed")
    assert "not ours" in failed["reason"]
    assert house.git.file(URL, "README.md", "updates") == "theirs\n"


async def test_restart_after_a_push_whose_answer_was_lost_pushes_nothing_again(house: House) -> None:
    house.git.lose_answers = 1
    house.pace = replace(house.pace, first_retry=3600)
    async with house.running():
        await house.hear("image.write_failed")
    async with house.running():
        await house.hear("image.proposed")
    assert house.git.pushes == 1


async def test_branch_that_applications_share_is_left_as_it_is_by_a_restart(house: House) -> None:
    house.cluster.put(helm_application("two", IMAGE, OWN))
    async with house.running():
        await house.hear("image.proposed", count=2)
    pushes = house.git.pushes
    async with house.running():
        await house.hear("image.proposed", count=2)
    assert house.git.pushes == pushes
    assert "value: v2.0" in house.git.file(URL, OVERRIDE, "updates")
    assert "value: v2.0" in house.git.file(URL, TWO, "updates")


OTHER = "registry.example.com/team/other"


async def shared(house: House) -> None:
    """Have another application's image on the branch too."""
    house.registry.push(OTHER, "v1.0", "v2.0")
    house.cluster.put(helm_application("two", OTHER, OWN))
    async with house.running():
        await house.hear("image.proposed", count=2)


async def test_restart_keeps_what_is_on_a_shared_branch_while_its_registry_does_not_answer(house: House) -> None:
    await shared(house)
    house.registry.fail(OTHER, RegistryError("is down"))
    house.registry.push(IMAGE, "v3.0")
    async with house.running():
        await house.hear("image.incomplete")
        await house.hear("image.proposed")
        assert "value: v3.0" in house.git.file(URL, OVERRIDE, "updates")
        assert "value: v2.0" in house.git.file(URL, TWO, "updates")
        house.registry.fail(OTHER, None)
        house.registry.push(OTHER, "v4.0")
        await eventually(lambda: "value: v4.0" in house.git.file(URL, TWO, "updates"), lambda: "v4.0")
    assert "value: v3.0" in house.git.file(URL, OVERRIDE, "updates")


async def test_outage_of_one_registry_takes_nothing_from_a_shared_branch(house: House) -> None:
    house.registry.push(OTHER, "v1.0", "v2.0")
    house.cluster.put(helm_application("two", OTHER, OWN))
    async with house.running():
        await house.hear("image.proposed", count=2)
        house.registry.fail(OTHER, RegistryError("is down"))
        await house.hear("image.incomplete")
        house.registry.push(IMAGE, "v3.0")
        await house.hear("image.proposed", count=3)
    assert "value: v3.0" in house.git.file(URL, OVERRIDE, "updates")
    assert "value: v2.0" in house.git.file(URL, TWO, "updates")


async def test_what_was_proposed_after_an_outage_stays_on_a_shared_branch(house: House) -> None:
    """Also where nothing tells what it is at, so that it is expected rather than decided until it is proposed."""
    house.registry.push(OTHER, "v1.0", "v2.0")
    house.registry.fail(OTHER, RegistryError("is down"))
    house.cluster.put(helm_application("two", OTHER, {**OWN, "app.force-update": "true"}, live=None))
    async with house.running():
        await house.hear("image.incomplete")
        await house.hear("image.proposed")
        house.registry.fail(OTHER, None)
        await house.hear("image.proposed", count=2)
        house.registry.push(IMAGE, "v3.0")
        await house.hear("image.proposed", count=3)
    assert "value: v3.0" in house.git.file(URL, OVERRIDE, "updates")
    assert "value: v2.0" in house.git.file(URL, TWO, "updates")


async def test_what_is_held_leaves_a_shared_branch_at_once(house: House) -> None:
    await shared(house)
    async with house.running():
        await house.hear("image.proposed", count=2)
        house.cluster.put(helm_application("two", OTHER, {**OWN, "app.skip-tags": "v2.0"}))
        await eventually(lambda: TWO not in house.git.log(URL, "updates")[-1].files, lambda: "the branch to lose v2.0")
    assert "value: v2.0" in house.git.file(URL, OVERRIDE, "updates")


async def test_settings_that_rule_it_out_take_a_change_from_a_shared_branch_by_a_restart(house: House) -> None:
    await shared(house)
    house.registry.fail(OTHER, RegistryError("is down"))
    house.registry.push(IMAGE, "v3.0")
    house.cluster.put(helm_application("two", OTHER, {**OWN, "app.skip-tags": "v2.0"}))
    async with house.running():
        await house.hear("image.incomplete")
        await eventually(lambda: TWO not in house.git.log(URL, "updates")[-1].files, lambda: "the branch to lose v2.0")
    assert "value: v3.0" in house.git.file(URL, OVERRIDE, "updates")


async def test_base_is_no_branch_of_its_own(house: House) -> None:
    house.cluster.put(helm_application("one", IMAGE, {"git-branch": "main:{{ if .AppName }}main{{ end }}"}))
    async with house.running():
        failed = await house.hear("image.write_failed")
    assert failed["reason"] == "annotation git-branch gives the name of the base, main: name another branch"


async def test_dry_run_makes_no_branch(house: House) -> None:
    async with house.running(dry_run=True):
        await house.hear("image.would_update")
    assert house.git.names(URL) == ["main"]


async def test_rollback_of_a_merged_change_is_respected(house: House) -> None:
    async with house.running():
        await house.hear("image.proposed")
        house.git.merge(URL, "updates", "main")
        house.registry.push(IMAGE, "v1.1")
        await house.hear("write_back.merged")
        house.git.delete(URL, "updates")
        house.git.seed(URL, {OVERRIDE: house.git.file(URL, OVERRIDE).replace("v2.0", "v1.0")})
        house.registry.push(IMAGE, "v2.1")
        await eventually(lambda: "updates" in house.git.names(URL), lambda: "a branch for v2.1")
    assert "value: v2.1" in house.git.file(URL, OVERRIDE, "updates")
