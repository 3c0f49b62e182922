"""Annotations, resources and defaults laid together: who owns an image, and which value of a setting counts."""

from collections.abc import Mapping
from typing import Any

import pytest

from tests.domain.resources import image, ref, resource
from updater.domain.application import Application, ApplicationName, Source
from updater.domain.governing import govern
from updater.domain.messages import TrackedApplication
from updater.domain.policy import Output, Strategy
from updater.domain.resources import ImageUpdater, ResourceName, Verification
from updater.domain.selection import Selection
from updater.domain.target import ApplicationTarget, GitTarget, ImageKeys

NAME = ApplicationName("argocd", "demo")
TEAM = ResourceName("argocd", "team")


def laid_together(
    *resources: ImageUpdater, annotations: Mapping[str, str] | None = None, defaults: Mapping[str, str] | None = None
) -> TrackedApplication | None:
    source = Source("https://git.example.com/gitops.git", "apps/demo", "main", kind="Kustomize")
    application = Application(NAME, annotations or {}, sources=(source,))
    selection = Selection()
    selection.put_application(NAME, {})
    for each in resources:
        selection.put_resource(each)
    return govern(application, selection.claims(NAME), defaults or {}, "argocd")


def tracked(*resources: ImageUpdater, **arguments: Any) -> TrackedApplication:
    result = laid_together(*resources, **arguments)
    assert result is not None
    return result


def strategy(*resources: ImageUpdater, **arguments: Any) -> Strategy:
    (only,) = tracked(*resources, **arguments).images
    return only.policy.strategy


def common(strategy: str) -> dict[str, Any]:
    return {"commonUpdateSettings": {"updateStrategy": strategy}}


def test_an_application_that_nobody_speaks_of_is_left_alone() -> None:
    assert laid_together() is None


def test_a_resource_needs_no_annotations() -> None:
    (only,) = tracked(resource("team", ref("demo", image("app", "nginx:1.x")))).images
    assert (only.alias, only.image.written, only.policy.constraint) == ("app", "nginx", "1.x")


def test_precedence_goes_from_the_image_to_the_defaults() -> None:
    """Each level taken away uncovers the next one."""
    own = {"app.update-strategy": "newest-push", "update-strategy": "semver"}
    defaults = {"update-strategy": "newest-push"}
    of_image = image("app", "nginx", **common("numeric"))
    everything = resource("team", ref("demo", of_image, **common("alphabetical")), **common("newest-build"))
    without_image = resource("team", ref("demo", image("app", "nginx"), **common("name")), **common("newest-build"))
    without_ref = resource("team", ref("demo", image("app", "nginx")), **common("newest-build"))
    bare = resource("team", ref("demo", image("app", "nginx")))
    assert strategy(everything, annotations=own, defaults=defaults) is Strategy.NEWEST_PUSH
    assert strategy(everything, annotations={"update-strategy": "semver"}, defaults=defaults) is Strategy.SEMVER
    assert strategy(everything, defaults=defaults) is Strategy.NUMERIC
    assert strategy(without_image, defaults=defaults) is Strategy.ALPHABETICAL
    assert strategy(without_ref, defaults=defaults) is Strategy.NEWEST_BUILD
    assert strategy(bare, defaults=defaults) is Strategy.NEWEST_PUSH
    assert strategy(bare) is Strategy.SEMVER


def test_an_empty_list_overrides_what_is_less_specific() -> None:
    spec: dict[str, Any] = {"commonUpdateSettings": {"ignoreTags": ["*-rc"]}}
    made = resource("team", ref("demo", image(commonUpdateSettings={"ignoreTags": []})), **spec)
    defaults = {"ignore-tags": "latest"}
    (only,) = tracked(made, defaults=defaults).images
    assert only.policy.ignore_tags == ()


def test_write_back_is_merged_field_by_field() -> None:
    spec: dict[str, Any] = {
        "writeBackConfig": {"method": "git", "gitConfig": {"branch": "main", "repository": "https://x/y"}}
    }
    of_ref = {"writeBackConfig": {"method": "git", "gitConfig": {"branch": "release"}}}
    (only,) = tracked(resource("team", ref("demo", image(), **of_ref), **spec)).images
    assert isinstance(only.target, GitTarget)
    assert (only.target.branch.url, only.target.branch.branch) == ("https://x/y", "release")


def test_two_resources_write_the_same_application_each_in_its_own_way() -> None:
    git = resource("git", ref("demo", image("one"), writeBackConfig={"method": "git"}))
    patch = resource("patch", ref("d*", image("two")))
    targets = {each.alias: each.target for each in tracked(git, patch).images}
    assert isinstance(targets["one"], GitTarget)
    assert isinstance(targets["two"], ApplicationTarget)


def test_manifest_targets_become_the_images_keys() -> None:
    made = resource("team", ref("demo", image(manifestTargets={"helm": {"name": "a.name", "tag": "a.tag"}})))
    assert tracked(made).images[0].keys == ImageKeys(name="a.name", tag="a.tag")


def test_targets_of_the_annotations_replace_those_of_the_resource_as_a_whole() -> None:
    made = resource("team", ref("demo", image(manifestTargets={"kustomize": {"name": "x"}})))
    (only,) = tracked(made, annotations={"app.helm.image-tag": "b.tag"}).images
    assert only.keys == ImageKeys(tag="b.tag")


def test_a_range_with_a_comma_stays_one_image() -> None:
    (only,) = tracked(resource("team", ref("demo", image("app", "nginx:1.x, <1.5")))).images
    assert only.policy.constraint.split() == ["1.x", "<1.5"]


def test_the_annotations_own_what_their_image_list_names() -> None:
    made = resource("team", ref("demo", image("app", "nginx:1"), image("other", "redis:7")))
    result = tracked(made, annotations={"image-list": "app=httpd:2"})
    assert {each.alias: each.image.written for each in result.images} == {"app": "httpd", "other": "redis"}
    (outcome,) = result.claims
    assert outcome.aliases == ("other",)
    assert [(each.alias, each.owner) for each in outcome.conflicts] == [("app", "the annotations of the Application")]


def test_images_of_two_owners_that_have_one_place_are_stopped_and_both_are_told() -> None:
    name = {"manifestTargets": {"kustomize": {"name": "x"}}}
    made = resource("team", ref("demo", image("other", "redis:7", **name)))
    result = tracked(made, annotations={"image-list": "app=httpd:2", "app.kustomize.image-name": "x"})
    assert result.images == ()
    assert [problem.alias for problem in result.problems] == ["app", "other"]
    [outcome] = result.claims
    assert outcome.aliases == ()
    assert "images app and other would all be written to the entry of x" in outcome.failures[0]


def test_of_two_resources_the_more_specific_owns_the_image_and_the_other_is_told() -> None:
    exact = resource("exact", ref("demo", image("app", "nginx:1")))
    broad = resource("broad", ref("*", image("app", "httpd:2")))
    result = tracked(broad, exact)
    assert [each.image.written for each in result.images] == ["nginx"]
    (conflict,) = next(each.conflicts for each in result.claims if each.resource.name == "broad")
    assert conflict.owner == "ImageUpdater argocd/exact, spec.applicationRefs[0]"


def test_a_misconfigured_reference_is_reported_and_no_other_takes_over() -> None:
    git_pr = {"writeBackConfig": {"method": "git", "gitConfig": {"pullRequest": {}}}}
    result = tracked(resource("team", ref("*", image()), ref("demo", image(), **git_pr)))
    assert result.images == ()
    assert "spec.applicationRefs[1].writeBackConfig.gitConfig.pullRequest" in result.problems[0].message


def test_use_annotations_reads_the_annotations_alone() -> None:
    """As Argo CD Image Updater documents it: the resource's own settings do not count then."""
    made = resource("team", {"namePattern": "*", "useAnnotations": True}, **common("numeric"))
    result = tracked(made, annotations={"image-list": "app=nginx:1"})
    assert result.images[0].policy.strategy is Strategy.SEMVER
    assert result.claims[0].aliases == ("app",)


def test_use_annotations_for_an_application_without_any_is_no_mistake() -> None:
    assert laid_together(resource("team", {"namePattern": "*", "useAnnotations": True})) is None


def test_use_annotations_without_an_image_list_is_reported_and_no_other_reference_takes_over() -> None:
    made = resource("team", {"namePattern": "demo", "useAnnotations": True}, ref("*", image()))
    result = tracked(made, annotations={"write-back-method": "git"})
    assert result.images == ()
    assert "image-list is missing or empty" in result.problems[0].message


def test_a_problem_names_the_resource_and_the_field() -> None:
    made = resource("team", ref("demo", image(commonUpdateSettings={"updateStrategy": "newest"})))
    (problem,) = tracked(made).problems
    place = "ImageUpdater argocd/team, spec.applicationRefs[0].images[0].commonUpdateSettings.updateStrategy"
    assert problem.message.startswith(f"{place} is 'newest': write one of")


def test_a_problem_of_a_default_names_the_default() -> None:
    (problem,) = tracked(resource("team", ref("demo", image())), defaults={"update-strategy": "newest"}).problems
    assert problem.message.startswith("the default of update-strategy is 'newest'")


def test_an_annotation_of_another_owners_image_is_no_unknown_one() -> None:
    made = resource("team", ref("demo", image("app")), namespace="argocd")
    result = tracked(made, annotations={"image-list": "web=nginx", "app.allow-tags": "any", "web.pause": "true"})
    assert result.warnings == ()


def test_an_annotation_that_nobody_understands_is_told_once() -> None:
    made = resource("team", ref("demo", image("app"), image("web", "nginx")))
    result = tracked(made, resource("more", ref("*", image("db", "redis"))), annotations={"nonsense": "x"})
    assert len(result.warnings) == 1


def test_one_bad_image_leaves_the_others() -> None:
    both = {"helm": {"tag": "t"}, "kustomize": {"name": "n"}}
    result = tracked(resource("team", ref("demo", image("bad", manifestTargets=both), image("good"))))
    assert [each.alias for each in result.images] == ["good"]
    assert "images[0].manifestTargets has helm and kustomize" in result.problems[0].message


KEY = {"cosignKey": {"secretName": "keys", "key": "cosign.pub"}}


@pytest.mark.parametrize(
    ("made", "verified"),
    [
        (resource("team", ref("demo", image()), imagesVerification=KEY), True),
        (resource("team", ref("demo", image(), imagesVerification=KEY)), True),
        (resource("team", ref("demo", image(imagesVerification=KEY))), True),
        (resource("team", ref("demo", image(imagesVerification={"enabled": False})), imagesVerification=KEY), False),
        (resource("team", ref("demo", image())), False),
    ],
)
def test_the_nearest_word_on_verification_counts(made: ImageUpdater, *, verified: bool) -> None:
    (only,) = tracked(made).images
    assert only.verification == (Verification(secret="keys", key="cosign.pub") if verified else None)


def test_a_verified_image_is_written_with_its_digest() -> None:
    (only,) = tracked(resource("team", ref("demo", image(imagesVerification=KEY)))).images
    assert only.policy.output is Output.TAG_DIGEST


def test_a_verified_image_keeps_the_output_that_was_asked_for() -> None:
    settings = {"output": "tag"}
    made = resource("team", ref("demo", image(imagesVerification=KEY, commonUpdateSettings=settings)))
    assert tracked(made).images[0].policy.output is Output.TAG


def test_annotations_cannot_take_a_demanded_signature_back() -> None:
    made = resource("team", ref("demo", image("app", imagesVerification=KEY)))
    (only,) = tracked(made, annotations={"image-list": "app=nginx"}).images
    assert only.verification is not None


def test_plugin_targets_become_variables_of_the_plugin() -> None:
    made = resource("team", ref("demo", image(manifestTargets={"plugin": {"spec": "IMAGE"}})))
    assert tracked(made).images[0].keys == ImageKeys(spec="IMAGE", source_type="Plugin")


def test_another_alias_does_not_get_around_a_demanded_signature() -> None:
    made = resource("team", ref("demo", image("app", "nginx:1.x", imagesVerification=KEY)))
    annotations = {"image-list": "z=docker.io/library/nginx", "z.kustomize.image-name": "z"}
    (_, other) = sorted(tracked(made, annotations=annotations).images, key=str)
    assert other.verification is not None


def test_a_signature_is_demanded_of_every_image_that_a_wildcard_covers() -> None:
    source = Source("https://git.example.com/gitops.git", "apps/demo", "main", kind="Kustomize")
    application = Application(NAME, sources=(source,), live_images=("quay.io/team/app:v1",))
    selection = Selection()
    selection.put_application(NAME, {})
    selection.put_resource(resource("team", ref("demo", image("all", "quay.io/team/*", imagesVerification=KEY))))
    found = govern(application, selection.claims(NAME), {}, "argocd")
    assert found is not None
    (only,) = found.images
    assert (only.alias, only.verification) == ("team_app", Verification(secret="keys", key="cosign.pub"))
