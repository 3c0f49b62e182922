"""Annotations, read: AIU's keys mean what they meant, and what is wrong is said of the image it concerns."""

from collections.abc import Mapping
from dataclasses import replace
from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from updater.domain.annotations import track
from updater.domain.application import Application, ApplicationName, Source
from updater.domain.messages import TrackedApplication, TrackedImage
from updater.domain.platform import Platform
from updater.domain.policy import Output, Policy, Strategy
from updater.domain.secrets import CredentialSource, SecretAccess, SecretKind
from updater.domain.target import ImageKeys

IMAGE = "registry.example.com/team/app"


def application(annotations: Mapping[str, str], live: tuple[str, ...] = (), kind: str = "Helm") -> Application:
    return Application(
        name=ApplicationName("argocd", "demo"),
        annotations=annotations,
        sources=(Source("https://git.example.com/gitops.git", "apps/demo", "main", kind=kind),),
        live_images=live,
    )


def read(annotations: Mapping[str, str], live: tuple[str, ...] = (), kind: str = "Helm") -> TrackedApplication:
    tracked = track(application(annotations, live, kind), "argocd")
    assert tracked is not None
    return tracked


def image(annotations: Mapping[str, str], live: tuple[str, ...] = ()) -> TrackedImage:
    tracked = read({"image-list": f"app={IMAGE}", **annotations}, live)
    assert not tracked.problems
    return tracked.images[0]


def problem(annotations: Mapping[str, str]) -> str:
    (found,) = read({"image-list": f"app={IMAGE}", **annotations}).problems
    return found.message


def test_application_without_annotations_is_none_of_our_business() -> None:
    assert track(application({}), "argocd") is None


def test_missing_image_list_is_said() -> None:
    (found,) = read({"write-back-method": "git"}).problems
    assert "image-list is missing or empty" in found.message


def test_each_entry_of_the_image_list_is_tracked_by_its_alias() -> None:
    tracked = read({"image-list": f"one={IMAGE}:~1.2, two=nginx, registry.example.com/three"}, kind="Kustomize")
    assert [each.alias for each in tracked.images] == ["one", "two", "three"]


def test_bad_entry_stops_itself_alone() -> None:
    tracked = read({"image-list": "good=nginx, bad=UPPER CASE, other=redis"}, kind="Kustomize")
    assert [each.alias for each in tracked.images] == ["good", "other"]
    assert len(tracked.problems) == 1


def test_alias_that_stands_twice_is_followed_for_neither() -> None:
    tracked = read({"image-list": "app=nginx, app=redis, other=postgres"}, kind="Kustomize")
    assert [each.alias for each in tracked.images] == ["other"]
    assert [each.alias for each in tracked.problems] == ["app"]


def test_wildcard_tracks_each_live_image_that_it_covers() -> None:
    live = (f"{IMAGE}:v1", "registry.example.com/team/web:v1", "registry.example.com/teams/x:v1", "nginx:1")
    annotations = {
        "image-list": "all=registry.example.com/team/*",
        "all.update-strategy": "name",
        "write-back-target": "kustomization",
        "write-back-method": "git",
    }
    tracked = read(annotations, live, kind="Kustomize")
    assert [(each.alias, each.image.written) for each in tracked.images] == [
        ("team_app", IMAGE),
        ("team_web", "registry.example.com/team/web"),
    ]
    assert {each.policy.strategy for each in tracked.images} == {Strategy.ALPHABETICAL}


def test_defaults_are_semver_and_the_common_helm_parameters() -> None:
    assert image({}).policy == Policy()
    assert image({}).keys == ImageKeys(name="image.name", tag="image.tag")


def test_constraint_stands_behind_the_image() -> None:
    assert read({"image-list": f"app={IMAGE}:~1.2"}).images[0].policy.constraint == "~1.2"


@pytest.mark.parametrize(
    ("written", "strategy"),
    [
        ("semver", Strategy.SEMVER),
        ("latest", Strategy.NEWEST_BUILD),
        ("newest-build", Strategy.NEWEST_BUILD),
        ("name", Strategy.ALPHABETICAL),
        ("alphabetical", Strategy.ALPHABETICAL),
        ("Numeric", Strategy.NUMERIC),
    ],
)
def test_strategies_in_all_their_spellings(written: str, strategy: Strategy) -> None:
    assert image({"app.update-strategy": written}).policy.strategy is strategy


def test_setting_of_the_image_comes_before_that_of_the_application() -> None:
    policy = image({"app.update-strategy": "numeric", "update-strategy": "name"}).policy
    assert policy.strategy is Strategy.NUMERIC


def test_setting_of_the_application_holds_for_all_images() -> None:
    assert image({"allow-tags": "regexp:^v"}).policy.allow_tags == "regexp:^v"


def test_deprecated_spelling_means_what_it_meant() -> None:
    assert image({"app.tag-match": "regexp:^v"}).policy.allow_tags == "regexp:^v"


def test_digest_without_a_tag_follows_the_deployed_one() -> None:
    tracked = image({"app.update-strategy": "digest"}, live=(f"{IMAGE}:edge",))
    assert tracked.policy.constraint == "edge"


def test_every_setting_reaches_the_policy() -> None:
    tracked = image(
        {
            "app.ignore-tags": "*-rc*, *-beta",
            "app.skip-tags": "v1.3",
            "app.platforms": "linux/arm64/v8",
            "app.output": "tag@digest",
            "app.extract": r"(?P<year>\d+)",
            "app.sort": "year desc",
            "app.minimum-age": "72h",
            "app.allow-downgrade": "true",
            "app.semver-loose": "true",
            "app.pin": "v1",
            "app.release": "v0",
            "app.pause": "true",
            "app.schedule": "0 22 * * * 4h",
            "rollback": "overwrite",
            "app.update-strategy": "numeric",
        },
    )
    assert tracked.policy == Policy(
        strategy=Strategy.NUMERIC,
        ignore_tags=("*-rc*", "*-beta"),
        skip_tags=("v1.3",),
        platforms=(Platform("linux", "arm64"),),
        output=Output.TAG_DIGEST,
        extract=r"(?P<year>\d+)",
        sort="year desc",
        minimum_age=timedelta(hours=72),
        allow_downgrade=True,
        semver_loose=True,
        rollback_overwrite=True,
        pin="v1",
        release="v0",
        schedule="0 22 * * * 4h",
        paused="the annotation pause is set",
    )


def test_image_comes_before_application_and_that_before_the_settings() -> None:
    defaults = {"schedule": "0 1 * * * 1h"}
    schedules = [
        track(application({"image-list": f"app={IMAGE}", **annotations}), "argocd", defaults)
        for annotations in ({}, {"schedule": "0 2 * * * 1h"}, {"schedule": "x", "app.schedule": "0 3 * * * 1h"})
    ]
    found = [tracked.images[0].policy.schedule if tracked else "" for tracked in schedules]
    assert found == ["0 1 * * * 1h", "0 2 * * * 1h", "0 3 * * * 1h"]


def test_pause_of_the_settings_holds_whatever_annotations_say() -> None:
    found = track(application({"image-list": f"app={IMAGE}", "app.pause": "false"}), "argocd", {"pause": "true"})
    assert found is not None
    assert found.images[0].policy.paused == "updates.pause is set for all of them"


def test_pause_of_the_application_is_lifted_for_one_image_by_its_own() -> None:
    annotations = {"image-list": "one=nginx,two=redis", "pause": "true", "two.pause": "false"}
    tracked = read(annotations, kind="Kustomize")
    assert [each.policy.paused for each in tracked.images] == ["the annotation pause is set", ""]


def test_group_does_not_move_without_a_member_that_cannot_be_followed() -> None:
    groups = {f"{alias}.group": "web" for alias in ("one", "two")}
    images = "one=nginx,two=redis,three=postgres"
    tracked = read({"image-list": images, "one.update-strategy": "newest", **groups}, kind="Kustomize")
    assert [each.alias for each in tracked.images] == ["three"]
    assert [each.alias for each in tracked.problems] == ["one", "two"]
    assert tracked.problems[1].message == "group web waits until the settings of one are corrected"


def test_group_is_read() -> None:
    assert image({"app.group": "web"}).group == "web"


def test_tag_parameter_alone_leaves_the_name_unwritten() -> None:
    assert image({"app.helm.image-tag": "image.tag"}).keys == ImageKeys(tag="image.tag")


def test_an_image_without_credentials_falls_back_on_the_service_account() -> None:
    access = SecretAccess("argocd", service_account="builder")
    tracked = track(application({"image-list": f"app={IMAGE}"}), "argocd", None, access)
    assert tracked is not None
    assert str(tracked.images[0].poll.credentials) == "serviceaccount:argocd/builder"


def test_a_chart_without_credentials_is_read_as_argo_cd_reads_it() -> None:
    access = SecretAccess("argocd", service_account="builder")
    found = application({"image-list": "chart=https://charts.example.com/shop", "write-back-method": "argocd"})
    chart = Source("https://charts.example.com", chart="shop", target_revision="1.0.0")
    tracked = track(replace(found, project="shops", sources=(chart,)), "argocd", None, access)
    assert tracked is not None
    assert str(tracked.images[0].poll.credentials) == "argocd:argocd/shops#builder"


def test_a_shared_namespaces_secrets_may_be_used() -> None:
    access = SecretAccess("argocd", frozenset({"other"}))
    annotations = {"image-list": f"app={IMAGE}", "app.pull-secret": "pullsecret:other/hub"}
    tracked = track(application(annotations), "argocd", None, access)
    assert tracked is not None
    assert not tracked.problems


def test_pull_secret_is_part_of_the_poll() -> None:
    found = image({"app.pull-secret": "pullsecret:argocd/hub"}).poll.credentials
    assert found == CredentialSource(SecretKind.PULL_SECRET, "hub", "argocd")


@pytest.mark.parametrize(
    ("annotations", "said"),
    [
        ({"app.update-strategy": "newest"}, "app.update-strategy is 'newest': write one of semver"),
        ({"app.allow-tags": "regexp:("}, "("),
        ({"app.force-update": "maybe"}, "app.force-update is 'maybe': write true or false"),
        ({"app.output": "name"}, "app.output is 'name': write one of tag"),
        ({"rollback": "never"}, "rollback is 'never': write respect or overwrite"),
        ({"app.minimum-age": "3 days"}, "3 days"),
        ({"app.platforms": "linux"}, "linux"),
        ({"app.update-strategy": "digest"}, "names no tag, and none is deployed"),
        ({"app.pull-secret": "secret:other/name#field"}, "own namespace argocd"),
        ({"app.pull-secret": "gibberish"}, "'gibberish'"),
        ({"app.helm.image-tag": "t", "app.kustomize.image-name": "x"}, "exclude each other"),
        ({"write-back-method": "svn"}, "write-back-method is 'svn'"),
    ],
)
def test_value_that_cannot_be_followed_names_itself_and_its_remedy(annotations: Mapping[str, str], said: str) -> None:
    assert said in problem(annotations)


def test_problem_of_one_image_leaves_the_others_tracked() -> None:
    tracked = read({"image-list": "one=nginx,two=redis", "one.update-strategy": "newest"}, kind="Kustomize")
    assert [each.alias for each in tracked.images] == ["two"]
    assert [each.alias for each in tracked.problems] == ["one"]


def test_unknown_key_is_a_warning_with_the_nearest_known_one() -> None:
    (warning,) = read({"image-list": f"app={IMAGE}", "app.update-stategy": "semver"}).warnings
    assert warning.alias == "app"
    assert "did you mean app.update-strategy?" in warning.message


KEYS = st.sampled_from(["image-list", "app.update-strategy", "app.allow-tags", "app.platforms", "app.minimum-age"])


@given(st.dictionaries(KEYS, st.text()))
def test_no_annotation_can_break_the_reader(annotations: dict[str, str]) -> None:
    track(application({"image-list": "app=nginx", **annotations}), "argocd")


CHART = Source("https://charts.example.com", chart="shop", target_revision="1.2.0", kind="Helm")


def chart_problem(**annotations: str) -> str:
    given = {"image-list": "shop=https://charts.example.com/shop:~1", **annotations}
    given = {key.replace("__", ".").replace("_", "-"): value for key, value in given.items()}
    read = track(Application(ApplicationName("argocd", "demo"), given, sources=(CHART,)), "argocd")
    assert read is not None
    return " ".join(problem.message for problem in read.problems)


def test_chart_is_tracked_by_its_versions() -> None:
    assert chart_problem() == ""
    assert chart_problem(shop__update_strategy="newest-push", image_list="shop=https://charts.example.com/shop") == ""


@pytest.mark.parametrize(
    ("key", "value", "said"),
    [
        ("shop__update_strategy", "digest", "use semver or newest-push"),
        ("shop__output", "digest", "is a chart: write tag"),
        ("shop__helm__image_tag", "image.tag", "have no meaning for the chart"),
    ],
)
def test_what_has_no_meaning_for_a_chart_is_refused(key: str, value: str, said: str) -> None:
    assert said in chart_problem(**{key: value})


def test_old_spelling_of_the_image_comes_before_a_new_one_of_the_application() -> None:
    assert image({"app.tag-match": "regexp:^a", "allow-tags": "regexp:^b"}).policy.allow_tags == "regexp:^a"


@pytest.mark.parametrize("strategy", ["latest", "newest-build", "name", "alphabetical"])
def test_constraint_that_a_strategy_of_aiu_passes_over_is_told_and_stops_nothing(strategy: str) -> None:
    found = read({"image-list": f"app={IMAGE}:~1", "app.update-strategy": strategy})
    assert [each.policy.constraint for each in found.images] == [""]
    assert not found.problems
    (warning,) = found.warnings
    assert (warning.alias, warning.message.partition(",")[0]) == ("app", f"constraint '~1' of {IMAGE} is not followed")


def test_constraint_of_a_strategy_that_aiu_has_not_stops_its_image() -> None:
    assert "has no meaning" in problem({"image-list": f"app={IMAGE}:~1", "app.update-strategy": "numeric"})


@pytest.mark.parametrize(
    ("key", "value"),
    [("app.minimum-age", "3 days"), ("minimum-age", "3 days"), ("app.platforms", "linux"), ("app.pull-secret", "x")],
)
def test_value_that_cannot_be_read_is_told_with_its_place(key: str, value: str) -> None:
    message = problem({key: value})
    assert message.startswith(f"annotation argocd-image-updater.argoproj.io/{key}: ")
    assert repr(value) in message
