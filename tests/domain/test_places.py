"""Images that have one place for their versions: who writes there."""

from dataclasses import replace

import pytest

from updater.domain.annotations import track
from updater.domain.application import Application, ApplicationName, Source
from updater.domain.messages import TrackedApplication
from updater.domain.places import Places

URL = "https://git.example.com/gitops.git"
IMAGE = "quay.io/team/app"


def tracked(name: str, images: str = f"app={IMAGE}:~1", path: str = "shop", **more: str) -> TrackedApplication:
    """Read an Application whose images go to a values file that others may share."""
    annotations = {
        "image-list": images,
        "write-back-method": "git",
        "write-back-target": "helmvalues",
        **{key.replace("__", ".").replace("_", "-"): value for key, value in more.items()},
    }
    source = Source(URL, path, "main", kind="Helm")
    read = track(Application(ApplicationName("argocd", name), annotations, sources=(source,)), "argocd")
    assert read is not None
    return read


def writers(*settled: TrackedApplication) -> set[tuple[str, str]]:
    return {(each.name.name, image.alias) for each in settled for image in each.images}


def test_applications_with_places_of_their_own_all_write() -> None:
    places = Places()
    one, two = tracked("one", path="one"), tracked("two", path="two")
    assert places.put(one) == [one]
    assert places.put(two) == [two]


def test_applications_that_want_the_same_share_the_place() -> None:
    places = Places()
    places.put(tracked("one"))
    assert writers(*places.put(tracked("two"))) == {("two", "app")}


def test_of_different_wishes_the_first_by_name_is_followed_and_the_other_is_told() -> None:
    places = Places()
    places.put(tracked("one"))
    [two] = places.put(tracked("two", f"app={IMAGE}:~2"))
    assert not two.images
    [problem] = two.problems
    assert problem.alias == "app"
    assert "image.tag, for this image and app of application argocd/one" in problem.message


def test_first_by_name_that_comes_later_takes_the_place() -> None:
    places = Places()
    places.put(tracked("two", f"app={IMAGE}:~2"))
    settled = places.put(tracked("one"))
    assert [each.name.name for each in settled] == ["one", "two"]
    assert writers(*settled) == {("one", "app")}


def test_end_of_the_first_gives_the_place_to_the_second() -> None:
    places = Places()
    two = tracked("two", f"app={IMAGE}:~2")
    places.put(tracked("one"))
    places.put(two)
    assert places.remove(ApplicationName("argocd", "one")) == [two]


def test_first_that_moves_away_gives_the_place_to_the_second() -> None:
    places = Places()
    two = tracked("two", f"app={IMAGE}:~2")
    places.put(tracked("one"))
    places.put(two)
    assert places.put(tracked("one", path="elsewhere"))[1:] == [two]


def test_second_that_comes_to_agree_shares_the_place() -> None:
    places = Places()
    places.put(tracked("one"))
    places.put(tracked("two", f"app={IMAGE}:~2"))
    assert writers(*places.put(tracked("two"))) == {("two", "app")}


def idle(name: str, **more: str) -> TrackedApplication:
    read = tracked(name, **more)
    return replace(read, application=replace(read.application, live_images=("quay.io/team/other:v1",)))


def test_image_that_does_not_run_gives_way_to_one_that_does() -> None:
    places = Places()
    places.put(idle("one"))
    settled = places.put(tracked("two", f"app={IMAGE}:~2"))
    assert writers(*settled) == {("two", "app")}
    assert "app of application argocd/two has it, which runs" in settled[1].problems[0].message


def test_of_images_that_do_not_run_the_first_by_name_has_the_place() -> None:
    places = Places()
    places.put(idle("one"))
    [two] = places.put(idle("two", images=f"app={IMAGE}:~2"))
    assert "argocd/one has it, whose application is the first by name" in two.problems[0].message


def test_images_known_by_name_do_not_meet() -> None:
    images = f"{IMAGE}, quay.io/team/other"
    assert len(Places().put(tracked("one", images, write_back_target="kustomization"))[0].images) == 2


def test_images_of_a_source_whose_type_is_not_known_do_not_meet() -> None:
    source = Source(URL, "shop", "main")
    annotations = {"image-list": f"{IMAGE}, quay.io/team/other", "write-back-method": "git"}
    read = track(Application(ApplicationName("argocd", "one"), annotations, sources=(source,)), "argocd")
    assert read is not None
    assert len(Places().put(read)[0].images) == 2


@pytest.mark.parametrize("url", ["ssh://git@git.example.com/gitops", "https://bot@GIT.example.com:443/gitops.git"])
def test_one_repository_has_many_spellings(url: str) -> None:
    places = Places()
    places.put(tracked("one"))
    other = tracked("two", f"app={IMAGE}:~2", git_repository=url)
    assert writers(*places.put(other)) == set()


def test_pause_is_no_other_wish() -> None:
    places = Places()
    places.put(tracked("one"))
    assert writers(*places.put(tracked("two", app__pause="true"))) == {("two", "app")}


def test_nothing_is_kept_of_an_application_that_is_gone() -> None:
    places = Places()
    one = tracked("one")
    places.put(one)
    places.remove(one.name)
    assert places == Places()
    assert places.remove(one.name) == []
    assert places.put(replace(one)) == [one]


def test_group_keeps_together_when_one_of_it_has_no_place() -> None:
    places = Places()
    places.put(tracked("one"))
    images = f"app={IMAGE}:~2, api=quay.io/team/api, web=quay.io/team/web"
    of_group = {"api__helm__image_tag": "api.tag", "web__helm__image_tag": "web.tag"}
    [two] = places.put(tracked("two", images, app__group="release", api__group="release", **of_group))
    assert writers(two) == {("two", "web")}
    assert [problem.alias for problem in two.problems] == ["app", "api"]
    assert two.problems[1].message == "group release waits until app has a place of its own"


def manifests(name: str, images: str, glob: str = "*.yaml", path: str = "shop") -> TrackedApplication:
    return tracked(name, images, path, write_back_target=f"manifests:{glob}")


def rivals(settled: TrackedApplication) -> list[tuple[str, bool]]:
    """Name the globs of those who come before an application's image, and whether marks can part them."""
    return [(contest.glob, contest.by_marks) for image in settled.images for contest in image.contests]


def test_other_aliases_may_have_marked_lines_of_the_same_manifests() -> None:
    places = Places()
    [one] = places.put(manifests("one", f"blue={IMAGE}:~1"))
    [two] = places.put(manifests("two", f"green={IMAGE}:~2"))
    assert rivals(one) == []
    assert rivals(two) == [("shop/*.yaml", True)]
    assert "blue of application argocd/one has it" in two.images[0].contests[0].why
    assert not two.problems


def test_one_alias_cannot_have_two_wishes_for_the_same_manifests() -> None:
    places = Places()
    places.put(manifests("one", f"app={IMAGE}:~1"))
    [two] = places.put(manifests("two", f"app={IMAGE}:~2"))
    assert not two.images
    assert "its alias being another" in two.problems[0].message


@pytest.mark.parametrize(
    ("glob", "path"),
    [("web.*", "shop"), ("**/*.yaml", "shop"), ("*.yaml", "shop/deep"), ("/**/*.yaml", "any"), ("/*/*.yaml", "any")],
)
@pytest.mark.parametrize("later", ["one", "two"])
def test_globs_that_may_match_the_same_files_contest_them(glob: str, path: str, later: str) -> None:
    places, made = Places(), {"one": manifests("one", f"blue={IMAGE}:~1", "**")}
    made["two"] = manifests("two", f"green={IMAGE}:~2", glob, path)
    places.put(made["two" if later == "one" else "one"])
    settled = {each.name.name: each for each in places.put(made[later])}
    assert rivals(settled["two"]) == [("shop/**", True)]
    assert not settled["two"].problems
    assert places.remove(made["one"].name) == [made["two"]]


@pytest.mark.parametrize(
    ("images", "glob", "path"),
    [
        (f"green={IMAGE}:~1", "web.*", "shop"),
        ("green=quay.io/team/other:~2", "web.*", "shop"),
        (f"green={IMAGE}:~2", "*.yaml", "shopping"),
    ],
)
def test_globs_of_other_files_or_images_or_with_the_same_wish_do_not(images: str, glob: str, path: str) -> None:
    places = Places()
    places.put(manifests("one", f"blue={IMAGE}:~1", "**"))
    assert [rivals(each) for each in places.put(manifests("two", images, glob, path))] == [[]]


def test_alias_that_both_globs_have_cannot_be_told_apart_by_marks() -> None:
    places = Places()
    places.put(manifests("one", f"app={IMAGE}:~1", "**"))
    [two] = places.put(manifests("two", f"app={IMAGE}:~2", "web.*"))
    assert rivals(two) == [("shop/**", False)]


def test_of_two_aliases_in_the_same_manifests_the_first_has_the_lines_that_no_mark_gives_to_the_other() -> None:
    [one] = Places().put(manifests("one", f"blue={IMAGE}:~1, green={IMAGE}:~2, same={IMAGE}:~1, other=quay.io/team/x"))
    assert [(image.alias, [contest.by_marks for contest in image.contests]) for image in one.images] == [
        ("blue", []),
        ("green", [True]),
        ("same", []),
        ("other", []),
    ]
    assert "blue has it, which comes first in the image-list" in one.images[1].contests[0].why
