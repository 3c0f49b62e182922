"""Migration: there and back again means the same, and what has no place is said."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.domain.resources import image, ref, resource
from updater.adapters.imageupdaters import convert_image_updater
from updater.domain.application import Application, ApplicationName, Source
from updater.domain.governing import govern
from updater.domain.image_settings import PREFIX
from updater.domain.messages import TrackedImage
from updater.domain.migration import to_annotations, to_resources
from updater.domain.resources import ImageUpdater
from updater.domain.selection import Selection


def application(annotations: Mapping[str, str] | None = None, name: str = "demo") -> Application:
    source = Source("https://git.example.com/gitops.git", "apps/demo", "main", kind="Helm")
    return Application(ApplicationName("argocd", name), annotations or {}, sources=(source,))


def tracked(made: Application, *resources: ImageUpdater) -> set[TrackedImage]:
    selection = Selection()
    selection.put_application(made.name, made.labels)
    for each in resources:
        selection.put_resource(each)
    found = govern(made, selection.claims(made.name), {}, "argocd")
    assert found is not None
    assert not found.problems
    return set(found.images)


def as_resources(made: Application) -> list[ImageUpdater]:
    migration = to_resources([made])
    assert migration.left == []
    return [convert_image_updater(manifest, "argocd") for manifest in migration.manifests]


def as_annotations(made: Application, *resources: ImageUpdater) -> dict[str, str]:
    migration = to_annotations([made], resources)
    assert migration.left == []
    (manifest,) = migration.manifests
    found: dict[str, str] = manifest["metadata"]["annotations"]
    return {key.removeprefix(PREFIX): text for key, text in found.items()}


SETTINGS = {
    "update-strategy": st.sampled_from(["semver", "newest-build", "name", "latest"]),
    "allow-tags": st.sampled_from(["any", "regexp:^v"]),
    "ignore-tags": st.sampled_from(["latest", "*-rc, *-beta"]),
    "force-update": st.sampled_from(["true", "false", "T"]),
    "pull-secret": st.just("pullsecret:argocd/harbor"),
    "minimum-age": st.just("72h"),
    "pause": st.sampled_from(["true", "0"]),
    "tag-match": st.just("regexp:^x"),
}
FOR_ONE = {
    "platforms": st.just("linux/amd64, linux/arm64"),
    "output": st.sampled_from(["tag", "digest"]),
    "pin": st.just("v1"),
    "helm.image-tag": st.just("one.tag"),
    "helm.image-name": st.just("one.name"),
    "source": st.just("0"),
}
FOR_ALL = {
    "write-back-method": st.sampled_from(["git", "argocd"]),
    "write-back-target": st.just("helmvalues:values.yaml"),
    "git-branch": st.just("main"),
    "rollback": st.just("overwrite"),
}


def prefixed(alias: str, settings: Mapping[str, Any]) -> dict[str, Any]:
    return {f"{alias}.{key}": value for key, value in settings.items()}


IMAGES = st.sampled_from(
    [
        {"image-list": "one=nginx"},
        {"image-list": "one=nginx, two=quay.io/team/app", "two.helm.image-tag": "two.tag"},
        {"image-list": "one=localhost:5000/a"},
    ]
)
ANNOTATIONS = st.builds(
    lambda images, settings: {**images, **settings},
    IMAGES,
    st.fixed_dictionaries(
        {}, optional={**SETTINGS, **FOR_ALL, **prefixed("one", SETTINGS), **prefixed("one", FOR_ONE)}
    ),
)


@given(ANNOTATIONS)
def test_a_resource_says_what_the_annotations_said(annotations: dict[str, str]) -> None:
    made = application(annotations)
    assert tracked(application(), *as_resources(made)) == tracked(made)


@given(ANNOTATIONS)
def test_annotations_say_what_the_resource_said(annotations: dict[str, str]) -> None:
    resources = as_resources(application(annotations))
    assert tracked(application(as_annotations(application(), *resources))) == tracked(application(), *resources)


def test_a_pull_request_is_carried_both_ways() -> None:
    annotations = {
        "image-list": "one=nginx",
        "write-back-method": "git",
        "pull-request": "gitlab",
        "pull-request.labels": "images, automated",
    }
    made = application(annotations)
    assert tracked(application(), *as_resources(made)) == tracked(made)
    assert as_annotations(application(), *as_resources(made)) == annotations


def test_each_namespace_gets_one_resource_with_a_reference_for_each_application() -> None:
    first, second = application({"image-list": "a=nginx"}), application({"image-list": "a=redis"}, "other")
    third = replace(application({"image-list": "a=redis"}), name=ApplicationName("team", "app"))
    migration = to_resources([first, second, third, application(name="plain")])
    assert [
        (manifest["metadata"]["namespace"], [each["namePattern"] for each in manifest["spec"]["applicationRefs"]])
        for manifest in migration.manifests
    ] == [("argocd", ["demo", "other"]), ("team", ["app"])]


@pytest.mark.parametrize(
    ("annotations", "left"),
    [
        (
            {"image-list": "a=nginx", "nonsense": "x"},
            "annotation argocd-image-updater.argoproj.io/nonsense has no field",
        ),
        ({"image-list": "a=nginx, all=quay.io/team/*"}, "all=quay.io/team/* stands for several images"),
        ({"image-list": "a=nginx, b=UPPER CASE"}, "image-list entry"),
        ({"image-list": "a=nginx", "pull-request.title": "x"}, f"annotation {PREFIX}pull-request.title has no field"),
        ({"write-back-method": "git"}, "image-list names no image that can be carried"),
    ],
)
def test_what_no_resource_can_say_is_told(annotations: dict[str, str], left: str) -> None:
    (told,) = to_resources([application(annotations)]).left
    assert left in told


def test_a_signature_that_is_demanded_has_no_annotation() -> None:
    key = {"cosignKey": {"secretName": "cosign", "key": "cosign.pub"}}
    migration = to_annotations([application()], [resource("team", ref("*", image()), imagesVerification=key)])
    assert "imagesVerification has no annotation: keep a resource for it" in migration.left[0]


def test_two_ways_to_write_one_application_are_told() -> None:
    git = resource("git", ref("demo", image("one"), writeBackConfig={"method": "git"}))
    patch = resource("patch", ref("d*", image("two"), writeBackConfig={"method": "argocd"}))
    (told,) = to_annotations([application()], [git, patch]).left
    assert "write-back-method is 'argocd' by ImageUpdater argocd/patch, and 'git' by another" in told


def test_images_that_are_annotated_already_stay_in_the_list() -> None:
    made = application({"image-list": "own=quay.io/team/own", "own.pause": "true"})
    own, other = image("own"), image("other")
    found = as_annotations(made, resource("team", ref("demo", own, other)))
    assert [each.partition("=")[0].strip() for each in found["image-list"].split(",")] == ["own", "other"]
    assert found["own.pause"] == "true"
    assert to_annotations([made], [resource("team", ref("demo", own))]).manifests == []
