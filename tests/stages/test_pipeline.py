"""The whole pipeline around ports in memory: what is true at all times, whatever the world does."""

import asyncio
from dataclasses import dataclass, field, replace
from typing import cast

import msgspec
import pytest

from tests.fakes.cluster import helm_application
from tests.fakes.house import SETTINGS, House, eventually, now
from tests.fakes.registry_port import InMemoryRegistry
from updater.domain.application import Application, ApplicationName, Parameter
from updater.domain.candidates import Snapshot
from updater.domain.election import elect
from updater.domain.errors import GitAuthError, GitError, PushRefused, RegistryError
from updater.domain.polling import PollKey, Wants
from updater.ports.cluster import Unreadable
from updater.settings.daemon import Polling
from updater.settings.units import Interval
from updater.stages.reporter import Reporter

IMAGE = "registry.example.com/team/app"
OTHER = "other.example.com/team/app"
URL = "https://git.example.com/gitops.git"
CHART = {"apps/one/Chart.yaml": "name: one\n", "apps/one/values.yaml": "image:\n  tag: v1.0\n"}
OVERRIDE = "apps/one/.argocd-source-one.yaml"


@pytest.fixture
def house() -> House:
    """One application at v1.0, its chart in Git, and a registry that has v2.0 as well."""
    house = House()
    house.git.seed(URL, CHART)
    house.registry.push(IMAGE, "v1.0", "v2.0")
    house.cluster.put(helm_application("one", IMAGE))
    return house


async def test_new_tag_is_committed_to_the_override_file(house: House) -> None:
    async with house.running():
        await house.hear("image.updated")
    assert house.git.file(URL, OVERRIDE) == (
        "helm:\n  parameters:\n  - name: image.tag\n    value: v2.0\n    forcestring: true\n"
    )


async def test_updated_application_is_refreshed(house: House) -> None:
    async with house.running():
        await house.hear("application.refreshed")
    assert house.cluster.refreshed == [ApplicationName("argocd", "one")]


async def test_images_that_only_the_files_tell_to_have_one_place_are_written_for_neither(house: House) -> None:
    """Before Argo CD has said what type a source is, nothing else tells that both go to image.tag."""
    house.registry.push("registry.example.com/team/web", "v3.0")
    application = helm_application("one", IMAGE, live=None)
    images = {"image-list": f"app={IMAGE},web=registry.example.com/team/web", "write-back-method": "git"}
    source = replace(application.sources[0], kind="")
    house.cluster.put(replace(application, annotations=images, sources=(source,)))
    async with house.running():
        event = await house.hear("image.write_failed", count=2)
    assert "images app and web would all be written to the parameter image.tag" in event["reason"]
    assert len(house.git.log(URL)) == 1


async def test_image_does_not_write_over_another_that_spells_the_same_key_differently(house: House) -> None:
    house.git.seed(URL, {"shared.yaml": "image:\n  tag: v1.0\n"})
    shared = {"write-back-target": "helmvalues:/shared.yaml"}
    house.cluster.put(helm_application("one", IMAGE, shared))
    house.cluster.put(
        helm_application("two", f"{IMAGE}:~1", {**shared, "app.helm.image-tag": "image['tag']"}, live="v0.9")
    )
    house.registry.push(IMAGE, "v1.1")
    async with house.running():
        failed = await house.hear("image.write_failed")
        updated = await house.hear("image.updated")
    assert {failed["application"], updated["application"]} == {"argocd/one", "argocd/two"}
    assert house.git.file(URL, "shared.yaml") == f"image:\n  tag: {updated['to']}\n"


async def test_key_that_holds_another_image_does_not_name_ours(house: House) -> None:
    before = "image: registry.example.com/team/web:v1.0\n"
    house.git.seed(URL, {"apps/one/values.yaml": before})
    spec = {"write-back-target": "helmvalues", "image-list": f"app={IMAGE}", "app.helm.image-spec": "image"}
    application = helm_application("one", IMAGE, method="git")
    annotations = {**spec, "write-back-method": "git"}
    live = ("registry.example.com/team/web:v1.0",)
    house.cluster.put(replace(application, annotations=annotations, live_images=live))
    async with house.running():
        event = await house.hear("image.skipped")
    assert event["reason"] == "not-found"
    assert house.git.file(URL, "apps/one/values.yaml") == before


async def test_update_is_logged_with_everything_an_operator_asks_for(house: House) -> None:
    async with house.running():
        event = await house.hear("image.updated")
    assert event == {
        "event": "image.updated",
        "log_level": "info",
        "application": "argocd/one",
        "alias": "app",
        "image": IMAGE,
        "from": "v1.0",
        "to": "v2.0",
        "commit": house.git.log(URL)[-1].hash,
    }


async def test_tag_pushed_while_running_is_found_at_the_next_poll(house: House) -> None:
    async with house.running():
        await house.hear("image.updated")
        house.registry.push(IMAGE, "v3.0")
        await house.hear("image.updated", count=2)
    assert "value: v3.0" in house.git.file(URL, OVERRIDE)


async def test_restart_writes_nothing_again(house: House) -> None:
    async with house.running():
        await house.hear("image.updated")
    commits = len(house.git.log(URL))
    async with house.running():
        await house.hear("image.up_to_date")
    assert len(house.git.log(URL)) == commits


async def test_push_whose_answer_was_lost_is_recognised_and_not_repeated(house: House) -> None:
    house.git.lose_answers = 1
    async with house.running():
        event = await house.hear("write_back.recovered")
    assert event["commit"] == house.git.log(URL)[-1].hash
    assert len(house.git.log(URL)) == 2


async def test_restart_without_memory_recognises_what_is_in_the_target(house: House) -> None:
    """A lost database costs a look at the target, and no commit."""
    async with house.running():
        await house.hear("image.updated")
    fresh = House(house.cluster, house.registry, house.git)
    async with fresh.running():
        await fresh.hear("image.up_to_date")
    assert len(house.git.log(URL)) == 2


async def test_all_applications_of_a_branch_share_one_commit(house: House) -> None:
    names = [f"app{number}" for number in range(20)]
    house.cluster.put(*(helm_application(name, IMAGE) for name in names))
    async with house.running():
        await house.hear("image.updated", count=21)
    assert len(house.git.log(URL)) == 2
    message = house.git.log(URL)[-1].message
    assert all(f"Image-Updated: argocd/{name} app v2.0" in message for name in names)


@pytest.mark.parametrize("url", ["https://git.example.com/gitops", "https://bot@GIT.example.com/gitops.git/"])
async def test_spellings_of_a_repository_share_one_commit(house: House, url: str) -> None:
    house.cluster.put(helm_application("two", IMAGE, url=url))
    async with house.running():
        await house.hear("image.updated", count=2)
    assert len(house.git.log(URL)) == 2


async def test_spelling_that_the_server_does_not_know_stops_its_own_application_alone(house: House) -> None:
    bad = "https://git.example.com/gitops"
    house.git.unknown_urls.add(bad)
    house.cluster.delete(ApplicationName("argocd", "one"))
    house.cluster.put(helm_application("bad", IMAGE, url=bad), helm_application("two", IMAGE))
    async with house.running():
        failed = await house.hear("image.write_failed")
        updated = await house.hear("image.updated")
    assert (failed["application"], updated["application"]) == ("argocd/bad", "argocd/two")


async def test_other_credentials_are_another_commit_of_the_same_queue(house: House) -> None:
    """Were they two queues, one of them would be beaten by the other's push."""
    house.cluster.put(helm_application("two", IMAGE, method="git:secret:argocd/two"))
    async with house.running():
        await house.hear("image.updated", count=2)
    assert house.git.logins == ["repocreds", "secret:argocd/two"]
    assert len(house.git.log(URL)) == 3
    assert not house.said("write_back.stale")


async def test_credentials_that_fail_stop_their_own_applications_alone(house: House) -> None:
    house.cluster.put(helm_application("two", IMAGE, method="git:secret:argocd/two"))
    house.git.refused_logins.add("repocreds")
    async with house.running():
        failed = await house.hear("image.write_failed")
        updated = await house.hear("image.updated")
    assert (failed["application"], updated["application"]) == ("argocd/one", "argocd/two")


async def test_head_and_the_branch_it_stands_for_are_one_queue_once_it_is_known(house: House) -> None:
    house.cluster.put(helm_application("two", IMAGE, {"git-branch": "HEAD"}))
    async with house.running():
        await house.hear("image.updated", count=2)
        commits = len(house.git.log(URL))
        house.registry.push(IMAGE, "v3.0")
        await house.hear("image.updated", count=4)
        heads = [commit.hash for commit in house.git.log(URL)[commits - 1 :]]
    assert len(house.git.log(URL)) == commits + 2
    assert not [event for event in house.said("write_back.stale") if event["head"] in heads]


async def test_stale_push_is_redone_on_the_new_head(house: House) -> None:
    def somebody_pushes() -> None:
        house.git.before_push = lambda: None
        house.git.seed(URL, {"README.md": "theirs\n"})

    house.git.before_push = somebody_pushes
    async with house.running():
        await house.hear("image.updated")
    assert house.git.file(URL, "README.md") == "theirs\n"
    assert "value: v2.0" in house.git.file(URL, OVERRIDE)
    assert len(house.git.log(URL)) == 3


async def test_override_file_that_is_no_yaml_stops_its_own_application_alone(house: House) -> None:
    house.git.seed(URL, {"apps/two/.argocd-source-two.yaml": "helm: [\n"})
    house.cluster.put(helm_application("two", IMAGE))
    async with house.running():
        failed = await house.hear("image.write_failed")
        await house.hear("image.updated")
    assert failed["application"] == "argocd/two"
    assert failed["alias"] == "app"
    assert "apps/two/.argocd-source-two.yaml" in failed["reason"]
    assert "value: v2.0" in house.git.file(URL, OVERRIDE)


async def test_branch_that_others_never_leave_alone_is_said_and_tried_later(house: House) -> None:
    def somebody_pushes() -> None:
        if len(house.git.log(URL)) <= house.settings.git.push_tries:
            house.git.seed(URL, {"README.md": f"{len(house.git.log(URL))}\n"})

    house.git.before_push = somebody_pushes
    async with house.running():
        failed = await house.hear("image.write_failed")
        await house.hear("image.updated")
    assert failed["reason"].endswith("(5 tries in a row)")
    assert len(house.said("write_back.stale")) == 5
    assert house.git.pushes == 1


async def test_path_that_cannot_be_read_stops_its_own_application_alone(house: House) -> None:
    house.git.broken_paths.add("apps/two/.argocd-source-two.yaml")
    house.cluster.put(helm_application("two", IMAGE))
    async with house.running():
        failed = await house.hear("image.write_failed")
        await house.hear("image.updated")
    assert "symlink" in failed["reason"]


async def test_path_that_cannot_be_read_is_found_in_a_large_batch_with_few_reads(house: House) -> None:
    names = [f"app{number}" for number in range(64)]
    house.git.seed(URL, {f"apps/{name}/Chart.yaml": "name: x\n" for name in names})
    house.git.broken_paths.add("apps/app40/.argocd-source-app40.yaml")
    house.cluster.put(*(helm_application(name, IMAGE) for name in names))
    house.pace = replace(house.pace, linger=0.2, first_retry=3600)
    async with house.running():
        await house.hear("image.write_failed")
        await house.hear("image.updated", count=64)
    assert house.git.pushes == 1
    assert house.git.reads <= 2 * 7 + 1


async def test_failing_application_does_not_delay_later_updates_of_its_branch(house: House) -> None:
    house.git.seed(URL, {"apps/two/.argocd-source-two.yaml": "helm: [\n"})
    house.cluster.put(helm_application("two", IMAGE))
    house.pace = replace(house.pace, first_retry=3600)
    async with house.running():
        await house.hear("image.write_failed")
        house.registry.push(IMAGE, "v3.0")
        await house.hear("image.updated", count=2)
    assert "value: v3.0" in house.git.file(URL, OVERRIDE)


async def test_failed_look_at_a_registry_decides_nothing(house: House) -> None:
    house.registry.fail(IMAGE, RegistryError("registry.example.com answered 500"))
    async with house.running():
        event = await house.hear("image.incomplete")
    assert "answered 500" in event["message"]
    assert len(house.git.log(URL)) == 1


async def test_failing_registry_is_said_once_and_recovers(house: House) -> None:
    house.registry.fail(IMAGE, RegistryError("registry.example.com answered 500"))
    async with house.running():
        await house.hear("image.incomplete")
        await eventually(lambda: sum(house.registry.looks.values()) > 2, lambda: "a second look")
        house.registry.fail(IMAGE, None)
        await house.hear("image.updated")
    assert len(house.said("image.incomplete")) == 1


async def test_failing_registry_leaves_others_alone(house: House) -> None:
    house.registry.fail(OTHER, RegistryError("other.example.com is down"))
    house.cluster.put(helm_application("two", OTHER))
    async with house.running():
        await house.hear("image.incomplete")
        await house.hear("image.updated")


async def test_crash_inside_an_adapter_leaves_others_alone(house: House) -> None:
    house.registry.fail(OTHER, ZeroDivisionError("a bug"))
    house.cluster.put(helm_application("two", OTHER))
    async with house.running():
        await house.hear("registry.poll_crashed")
        await house.hear("image.updated")


@pytest.mark.parametrize(
    "error",
    [GitAuthError("secret:argocd/git-creds may not push"), PushRefused("protected branch"), GitError("timeout")],
)
async def test_push_that_fails_is_said_once_and_tried_again(house: House, error: GitError) -> None:
    house.git.push_error = error
    async with house.running():
        failed = await house.hear("image.write_failed")
        looks = house.git.looks
        await eventually(lambda: house.git.looks > looks + 2, lambda: "more tries")
        house.git.push_error = None
        await house.hear("image.updated")
    assert failed["reason"] == str(error)
    assert len(house.said("image.write_failed")) == 1


async def test_missing_branch_is_said(house: House) -> None:
    house.cluster.put(helm_application("two", IMAGE, url="https://git.example.com/other.git"))
    async with house.running():
        failed = await house.hear("image.write_failed")
    assert "no branch" in failed["reason"]


async def test_misconfigured_image_is_loud_and_local(house: House) -> None:
    house.cluster.put(helm_application("two", f"{IMAGE}:>>1", live=None))
    async with house.running():
        warning = await house.hear("image.misconfigured")
        await house.hear("image.updated")
    assert (warning["application"], warning["alias"]) == ("argocd/two", "app")


async def test_unreadable_application_is_said_and_counted(house: House) -> None:
    async with house.running():
        await house.hear("applications.listed")
        house.cluster.tell(Unreadable("argocd/three", "spec is a list"))
        event = await house.hear("application.unreadable")
    assert event["reason"] == "spec is a list"


async def test_image_that_does_not_run_is_not_managed(house: House) -> None:
    application = helm_application("two", OTHER)
    house.registry.push(OTHER, "v1.0", "v2.0")
    house.git.seed(URL, {"apps/two/Chart.yaml": "name: two\n"})
    house.cluster.put(replace(application, live_images=("registry.example.com/else:v1",)))
    async with house.running():
        skipped = await house.hear("image.skipped")
    assert skipped["reason"] == "not-found"
    assert len([commit for commit in house.git.log(URL) if "two" in commit.message]) == 0


async def test_downgrade_never_happens_when_the_newer_tag_left_the_registry(house: House) -> None:
    house.cluster.put(helm_application("one", IMAGE, live="v9.0"))
    async with house.running():
        await house.hear("image.up_to_date")
    assert len(house.git.log(URL)) == 1


async def test_rollback_by_a_person_is_held_until_something_newer_appears(house: House) -> None:
    async with house.running():
        await house.hear("image.updated")
        old = house.git.file(URL, OVERRIDE).replace("v2.0", "v1.0")
        house.git.seed(URL, {OVERRIDE: old})
    fresh = House(house.cluster, house.registry, house.git, house.store)
    fresh.registry.push(IMAGE, "v3.0")
    async with fresh.running():
        event = await fresh.hear("image.updated")
    assert (event["from"], event["to"]) == ("v1.0", "v3.0")


async def test_rollback_in_the_target_is_noticed_by_what_runs_and_held(house: House) -> None:
    async with house.running():
        await house.hear("image.updated")
        house.git.seed(URL, {OVERRIDE: house.git.file(URL, OVERRIDE).replace("v2.0", "v1.0")})
        house.cluster.put(helm_application("one", IMAGE, live="v0.9"))
        held = await house.hear("image.held")
    assert (held["reason"], held["to"]) == ("rolled-back", "v2.0")
    assert "value: v1.0" in house.git.file(URL, OVERRIDE)


@pytest.mark.parametrize("before", ["", "replicas: 1\n"])
async def test_revert_of_the_commit_that_added_an_image_is_held_until_something_newer_appears(
    house: House, before: str
) -> None:
    target = {"write-back-target": "helmvalues:/shared.yaml"}
    house.git.seed(URL, {"shared.yaml": before})
    house.cluster.put(helm_application("one", IMAGE, target))
    async with house.running():
        await house.hear("image.updated")
        house.git.seed(URL, {"shared.yaml": before})
        house.cluster.put(helm_application("one", IMAGE, target, live="v0.9"))
        held = await house.hear("image.held")
    assert (held["reason"], held["to"]) == ("rolled-back", "v2.0")
    assert house.git.file(URL, "shared.yaml") == before
    house.registry.push(IMAGE, "v3.0")
    async with house.running():
        event = await house.hear("image.updated")
    assert (event["from"], event["to"]) == ("v0.9", "v3.0")


async def test_parameter_that_somebody_removed_from_the_application_is_held(house: House) -> None:
    house.cluster.put(helm_application("one", IMAGE, method="argocd"))
    async with house.running():
        await house.hear("image.updated")
        house.cluster.put(helm_application("one", IMAGE, method="argocd", live="v0.9"))
        held = await house.hear("image.held")
    assert (held["reason"], held["to"]) == ("rolled-back", "v2.0")
    house.registry.push(IMAGE, "v3.0")
    async with house.running():
        event = await house.hear("image.updated")
    assert (event["from"], event["to"]) == ("v0.9", "v3.0")


async def test_released_version_is_written_again_and_a_second_rollback_is_held(house: House) -> None:
    async with house.running():
        await house.hear("image.updated")
    old = house.git.file(URL, OVERRIDE).replace("v2.0", "v1.0")
    house.git.seed(URL, {OVERRIDE: old})
    house.cluster.put(helm_application("one", IMAGE, {"app.release": "v2.0"}))
    async with house.running():
        await house.hear("image.updated")
    house.git.seed(URL, {OVERRIDE: old})
    async with house.running():
        await house.hear("image.held")
    async with house.running():
        await house.hear("image.held")
    assert house.git.file(URL, OVERRIDE) == old


async def test_group_is_not_parted_by_what_the_target_holds(house: House) -> None:
    """One member was rolled back by hand, which the target alone tells: the other one waits too."""
    annotations = {
        "image-list": f"app={IMAGE},api={OTHER}",
        "api.helm.image-tag": "api.tag",
        "app.group": "web",
        "api.group": "web",
    }
    house.registry.push(OTHER, "v1.0", "v2.0")
    house.cluster.put(
        replace(helm_application("one", IMAGE, annotations), live_images=(f"{IMAGE}:v1.0", f"{OTHER}:v1.0"))
    )
    async with house.running():
        await house.hear("image.updated", count=2)
    house.git.seed(URL, {OVERRIDE: house.git.file(URL, OVERRIDE).replace("v2.0", "v1.0", 1)})
    house.registry.push(IMAGE, "v3.0")
    house.registry.push(OTHER, "v3.0")
    async with house.running():
        await house.hear("image.updated", count=2)
    assert house.git.file(URL, OVERRIDE).count("v3.0") == 2


async def test_group_is_not_parted_by_a_file_that_cannot_be_edited(house: House) -> None:
    values = "app: {tag: v1.0}\nbase: &shared {tag: v1.0}\napi: *shared\n"
    annotations = {
        "write-back-target": "helmvalues",
        "image-list": f"app={IMAGE},api={OTHER}",
        "app.helm.image-tag": "app.tag",
        "api.helm.image-tag": "api.tag",
        "app.group": "web",
        "api.group": "web",
    }
    house.git.seed(URL, {"apps/one/values.yaml": values})
    house.registry.push(OTHER, "v1.0", "v2.0")
    live = (f"{IMAGE}:v1.0", f"{OTHER}:v1.0")
    house.cluster.put(replace(helm_application("one", IMAGE, annotations), live_images=live))
    async with house.running():
        failed, held = await house.hear("image.write_failed"), await house.hear("image.held")
    assert (failed["alias"], held["alias"], held["reason"]) == ("api", "app", "group-differs")
    assert house.git.file(URL, "apps/one/values.yaml") == values


@dataclass
class FrugalRegistry(InMemoryRegistry):
    """Tells the digests alone that were asked for by name, or are of the best tag of a policy; it never changes."""

    _frugal: dict[tuple[PollKey, Wants], Snapshot] = field(default_factory=dict)

    async def observe(self, key: PollKey, wants: Wants) -> Snapshot:
        snapshot = await super().observe(key, wants)
        best = {elect(policy, snapshot, now()).candidates[0].record.name for policy in wants.winners}
        asked = wants.digests | best
        tags = tuple(tag if tag.name in asked else replace(tag, digest="") for tag in snapshot.tags)
        return self._frugal.setdefault((key, wants), replace(snapshot, tags=tags))


@pytest.mark.parametrize("once", [True, False])
async def test_group_gets_the_digest_of_a_tag_that_is_nobodys_best(house: House, *, once: bool) -> None:
    house.registry = FrugalRegistry()
    house.registry.push(IMAGE, "v1.0", "v2.0", "v2.1")
    house.registry.push(OTHER, "v1.0", "v2.0", "v2.2")
    of_both = {"output": "tag@digest", "group": "web"}
    annotations = {
        "image-list": f"app={IMAGE},api={OTHER}",
        "api.helm.image-tag": "api.tag",
        **{f"{alias}.{key}": value for alias in ("app", "api") for key, value in of_both.items()},
    }
    live = (f"{IMAGE}:v1.0", f"{OTHER}:v1.0")
    house.cluster.put(replace(helm_application("one", IMAGE, annotations), live_images=live))
    if once:
        assert await house.run_once()
    else:
        async with house.running():
            await house.hear("image.updated", count=2)
    assert house.git.file(URL, OVERRIDE).count("v2.0@sha256:") == 2
    assert not house.said("image.incomplete")


async def test_image_that_begins_to_run_is_tracked_by_a_wildcard(house: House) -> None:
    web = "registry.example.com/team/web"
    house.registry.push(web, "v1.0", "v2.0")
    annotations = {"image-list": "all=registry.example.com/team/*", "all.kustomize.image-name": ""}
    application = helm_application("two", IMAGE, {**annotations, "app.helm.image-tag": ""}, method="argocd")
    application = replace(application, sources=(replace(application.sources[0], kind="Kustomize"),))
    house.cluster.put(application)
    async with house.running():
        await house.hear("image.updated", count=2)
        running = replace(house.cluster.applications[application.name], live_images=(f"{IMAGE}:v2.0", f"{web}:v1.0"))
        house.cluster.put(running)
        await house.hear("image.updated", count=3)
    assert house.cluster.applications[application.name].sources[0].kustomize_images == (f"{IMAGE}:v2.0", f"{web}:v2.0")


async def test_argocd_method_patches_the_application(house: House) -> None:
    house.cluster.put(helm_application("two", IMAGE, method="argocd"))
    async with house.running():
        await house.hear("image.updated", count=2)
    two = house.cluster.applications[ApplicationName("argocd", "two")]
    assert two.sources[0].helm_parameters == (Parameter("image.tag", "v2.0", force_string=True),)


async def test_patched_application_is_not_patched_again(house: House) -> None:
    house.cluster.put(helm_application("two", IMAGE, method="argocd"))
    async with house.running():
        await house.hear("image.updated", count=2)
        await house.hear("round.finished", count=3)
    assert house.cluster.patched == [ApplicationName("argocd", "two")]


async def test_dry_run_says_what_it_would_do_and_does_nothing(house: House) -> None:
    house.cluster.put(helm_application("two", IMAGE, method="argocd"))
    async with house.running(dry_run=True):
        await house.hear("image.would_update", count=2)
    assert len(house.git.log(URL)) == 1
    assert house.cluster.patched == []


async def test_stop_writes_what_still_lingers(house: House) -> None:
    house.pace = replace(house.pace, linger=3600, longest_linger=3600)
    async with house.running():
        await house.hear("image.update_decided")
        assert len(house.git.log(URL)) == 1
    assert "value: v2.0" in house.git.file(URL, OVERRIDE)


async def test_application_deleted_before_the_write_is_not_written(house: House) -> None:
    house.pace = replace(house.pace, linger=3600, longest_linger=3600)
    async with house.running():
        await house.hear("image.update_decided")
        house.cluster.delete(ApplicationName("argocd", "one"))
        await house.hear("application.gone")
    assert len(house.git.log(URL)) == 1


async def test_once_writes_and_ends_well(house: House) -> None:
    assert await house.run_once()
    assert "value: v2.0" in house.git.file(URL, OVERRIDE)


async def test_once_ends_badly_when_something_is_in_error(house: House) -> None:
    house.registry.fail(IMAGE, RegistryError("down"))
    assert not await house.run_once()


async def test_version_that_a_person_sets_while_a_patch_is_under_way_is_respected(house: House) -> None:
    """The decision is of a moment ago: the person has to be heard first."""

    def person() -> None:
        house.cluster.before_write = lambda: None
        house.cluster.put(patched("v9.0"))

    def patched(version: str) -> Application:
        return helm_application("two", IMAGE, method="argocd", parameters=(Parameter("image.tag", version),))

    house.cluster.put(patched("v1.0"))
    house.cluster.before_write = person
    async with house.running():
        await eventually(
            lambda: any(each["application"] == "argocd/two" for each in house.said("image.up_to_date")),
            lambda: "the person's version to be seen",
        )
    assert house.cluster.applications[ApplicationName("argocd", "two")] == patched("v9.0")


async def test_round_is_summarised_in_the_words_operators_know(house: House) -> None:
    house.cluster.put(helm_application("two", OTHER))
    await house.run_once()
    summary = house.said("round.finished")[-1]
    assert {key: summary[key] for key in summary if key not in ("event", "log_level")} == {
        "applications": 2,
        "images_considered": 2,
        "images_skipped": 0,
        "images_updated": 1,
        "errors": 1,
    }


async def test_applications_of_one_repository_share_its_polls(house: House) -> None:
    house.settings = msgspec.structs.replace(SETTINGS, polling=Polling(interval=Interval(3600)))
    house.cluster.put(*(helm_application(f"app{number}", IMAGE) for number in range(50)))
    await house.run_once()
    assert sum(house.registry.looks.values()) == 1


async def test_report_tells_all_about_an_image_that_is_held(house: House) -> None:
    house.cluster.put(helm_application("one", IMAGE, {"app.pause": "true"}))
    async with house.running() as pipeline:
        await house.hear("image.held")
        report = await Reporter(pipeline.board, house.registry, house.store).application(
            ApplicationName("argocd", "one")
        )
    assert report is not None
    assert report["problems"] == []
    (image,) = cast("list[dict[str, object]]", report["images"])
    times = {key: image.pop(key) for key in ("checked_at", "next_check_at")}
    assert all(times.values())
    assert image == {
        "application": "argocd/one",
        "alias": "app",
        "image": IMAGE,
        "strategy": "semver",
        "constraint": "",
        "decision": "hold",
        "tag": "v2.0",
        "reason": "paused",
        "message": "v2.0 waits while updates are paused: the annotation pause is set",
        "released_by": "the end of the pause: remove the annotation pause, or set updates.pause to false",
        "verdicts": [
            {"tag": "v2.0", "kept": True, "reason": "kept", "rank": 1},
            {"tag": "v1.0", "kept": True, "reason": "kept", "rank": 2},
        ],
        "current": {"version": "v1.0", "read_from": "live"},
        "target": f"{URL}@main:{OVERRIDE}",
        "credentials": None,
    }


async def test_report_of_what_cannot_be_written_says_what_was_to_be_written(house: House) -> None:
    house.cluster.put(helm_application("one", IMAGE, live=None))
    house.git.push_error = PushRefused("protected branch")
    async with house.running() as pipeline:
        await house.hear("image.write_failed")
        reporter = Reporter(pipeline.board, house.registry, house.store)
        report = await reporter.application(ApplicationName("argocd", "one"))
    assert report is not None
    (image,) = cast("list[dict[str, object]]", report["images"])
    assert (image["decision"], image["tag"], image["write_error"]) == ("update", "v2.0", "protected branch")


async def test_report_of_an_application_nobody_knows_is_none(house: House) -> None:
    async with house.running() as pipeline:
        reporter = Reporter(pipeline.board, house.registry, house.store)
        assert await reporter.application(ApplicationName("argocd", "nobody")) is None


async def test_decision_is_logged_as_its_record_with_the_verdicts_counted(house: House) -> None:
    house.registry.push(IMAGE, "latest")
    async with house.running():
        decided = await house.hear("image.update_decided")
    assert decided["decision"] == "update"
    assert decided["verdicts"] == {"kept": 2, "not-a-version": 1}


async def test_fault_of_a_companion_is_said_and_ends_nothing_else(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("updater.pipeline._BEFORE_ANOTHER_RUN", 0.01)

    class Faulty:
        runs = 0

        async def run(self) -> None:
            self.runs += 1
            if self.runs == 1:
                raise KeyError("a fault")
            await asyncio.Event().wait()

    faulty = Faulty()
    house.companions = [faulty]
    async with house.running():
        assert (await house.hear("daemon.task_crashed"))["task"] == "Faulty"
        await house.hear("image.updated")
        await eventually(lambda: faulty.runs == 2, lambda: "another run")
