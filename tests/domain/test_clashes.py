"""Images of one application that have one place: who of them is followed."""

import pytest

from updater.domain.annotations import track
from updater.domain.application import Application, ApplicationName, Source
from updater.domain.messages import TrackedApplication

APP = "registry.example.com/team/app"
WEB = "registry.example.com/team/web"


def read(images: str, live: tuple[str, ...] | None = (), kind: str = "Helm", **annotations: str) -> TrackedApplication:
    source = Source("https://git.example.com/gitops.git", "apps/demo", "main", kind=kind)
    written = {key.replace("__", ".").replace("_", "-"): value for key, value in annotations.items()}
    tracked = track(
        Application(
            ApplicationName("argocd", "demo"), {"image-list": images, **written}, sources=(source,), live_images=live
        ),
        "argocd",
    )
    assert tracked is not None
    return tracked


def followed(tracked: TrackedApplication) -> list[str]:
    return [image.alias for image in tracked.images]


def told(tracked: TrackedApplication) -> list[str]:
    return [problem.message for problem in tracked.problems]


@pytest.mark.parametrize("live", [(f"{APP}:v1", f"{WEB}:v1"), (), None])
@pytest.mark.parametrize("images", [f"all={APP.rpartition('/')[0]}/*", f"app={APP},web={WEB}"])
def test_images_of_which_all_run_or_none_are_followed_for_neither(images: str, live: tuple[str, ...] | None) -> None:
    if "*" in images and not live:
        return
    tracked = read(images, live)
    assert followed(tracked) == []
    assert len(told(tracked)) == 2
    assert "parameter image.tag: name one for each in the annotation <alias>.helm.image-tag" in told(tracked)[0]


def test_only_image_that_runs_has_the_place() -> None:
    tracked = read(f"app={APP},web={WEB}", (f"{APP}:v1",))
    assert followed(tracked) == ["app"]
    [message] = told(tracked)
    assert message.startswith("image web does not run, and would be written to the parameter image.tag, ")
    assert message.endswith("which is that of app: name one for each in the annotation <alias>.helm.image-tag")


def test_image_that_is_forced_counts_as_running() -> None:
    assert followed(read(f"app={APP},web={WEB}", (f"{APP}:v1",), web__force_update="true")) == []


def test_keys_of_their_own_part_images() -> None:
    keys = {"web__helm__image_tag": "web.tag"}
    assert followed(read(f"app={APP},web={WEB}", None, **keys)) == ["app", "web"]


def test_two_wishes_for_one_entry_of_a_kustomization_are_refused() -> None:
    tracked = read(f"one={APP}:~1,two={APP}:~2", (f"{APP}:v1",), kind="Kustomize")
    assert followed(tracked) == []
    assert f"the entry of {APP}: name one for each in the annotation <alias>.kustomize.image-name" in told(tracked)[0]


def test_entry_has_one_place_however_its_name_is_spelled() -> None:
    images = "one=nginx,two=quay.io/mirror/nginx"
    tracked = read(images, ("nginx:1", "quay.io/mirror/nginx:1"), kind="Kustomize", two__kustomize__image_name="nginx")
    assert followed(tracked) == []


def test_one_wish_under_two_aliases_is_followed() -> None:
    assert followed(read(f"one={APP}:~1,two={APP}:~1", (f"{APP}:v1",), kind="Kustomize")) == ["one", "two"]


def test_marks_may_part_two_wishes_for_the_same_manifests() -> None:
    manifests = {"write_back_method": "git", "write_back_target": "manifests:*.yaml"}
    assert followed(read(f"one={APP}:~1,two={APP}:~2", (f"{APP}:v1",), kind="Directory", **manifests)) == ["one", "two"]


def test_image_runs_under_the_name_that_it_has_in_the_kustomization() -> None:
    images = f"one={APP}:~1,two={APP}:~2"
    names = {"one__kustomize__image_name": "app", "two__kustomize__image_name": "app"}
    assert followed(read(images, ("app:v1",), kind="Kustomize", **names)) == []


def test_image_that_cannot_be_followed_keeps_its_place() -> None:
    """Else its version would become that of another image as soon as somebody mistypes a setting of its own."""
    tracked = read(f"app={APP},web={WEB}", (f"{APP}:v1",), app__minimum_age="3 days")
    assert followed(tracked) == []
    assert "duration '3 days' is not understood" in told(tracked)[0]
    assert told(tracked)[1].startswith("image web does not run, and would be written to the parameter image.tag")
    assert len(told(tracked)) == 2


def test_images_of_an_ambiguous_alias_keep_their_place() -> None:
    tracked = read(f"app={APP},app=nginx,web={WEB}", (f"{APP}:v1",))
    assert followed(tracked) == []
    assert [problem.alias for problem in tracked.problems] == ["app", "web"]


def test_image_whose_place_cannot_be_told_has_none() -> None:
    keys = {"app__helm__image_tag": "a", "app__plugin__image_tag": "b"}
    assert followed(read(f"app={APP},web={WEB}", (f"{WEB}:v1",), **keys)) == ["web"]
