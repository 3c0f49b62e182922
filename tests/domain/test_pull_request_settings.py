"""What annotations and resources say of pull requests, and what cannot be followed."""

import pytest

from tests.domain.resources import image, ref, resource
from tests.fakes.cluster import helm_application
from updater.domain.annotations import track
from updater.domain.errors import Misconfigured
from updater.domain.pull_request_settings import forge_of, read_settings
from updater.domain.pull_requests import ForgeKind, Grouping, PullRequestSettings
from updater.domain.target import GitTarget

URL = "https://git.example.com/team/gitops.git"
IMAGE = "registry.example.com/team/app"


def read(url: str = URL, **said: str) -> PullRequestSettings | None:
    keys = {"pull-request" if key == "kind" else f"pull-request.{key}": text for key, text in said.items()}
    return read_settings(keys, url)


@pytest.mark.parametrize("said", ["", "false", " "])
def test_nothing_is_proposed_unless_it_is_asked_for(said: str) -> None:
    assert read(kind=said, labels="deps") is None


@pytest.mark.parametrize(
    ("url", "kind"),
    [
        ("https://github.com/team/gitops", ForgeKind.GITHUB),
        ("git@github.com:team/gitops.git", ForgeKind.GITHUB),
        ("https://github.example.com/team/gitops", ForgeKind.GITHUB),
        ("https://gitlab.com/team/sub/gitops.git", ForgeKind.GITLAB),
        ("ssh://git@my-gitlab.example.com:2222/team/gitops", ForgeKind.GITLAB),
        ("https://codeberg.org/team/gitops", ForgeKind.GITEA),
        ("https://forgejo.example.com:3000/team/gitops", ForgeKind.GITEA),
        ("git@bitbucket.org:team/gitops.git", ForgeKind.BITBUCKET),
        ("https://team@dev.azure.com/team/platform/_git/gitops", ForgeKind.AZURE),
        ("git@ssh.dev.azure.com:v3/team/platform/gitops", ForgeKind.AZURE),
        ("https://team.visualstudio.com/platform/_git/gitops", ForgeKind.AZURE),
    ],
)
def test_host_tells_the_forge(url: str, kind: ForgeKind) -> None:
    for word in ("true", "auto", "True"):
        settings = read(url, kind=word)
        assert settings is not None
        assert settings.forge is kind


def test_host_that_tells_nothing_asks_for_a_name() -> None:
    with pytest.raises(Misconfigured, match=r"git\.example\.com does not tell it: write one of github, gitlab"):
        read(kind="true")


def test_everything_that_can_be_said() -> None:
    assert read(
        kind="gitea",
        group="image",
        title="t",
        body="b",
        labels="a, b,,a",
        reviewers="ada,org/ops",
        draft="true",
        automerge="true",
    ) == PullRequestSettings(
        ForgeKind.GITEA, Grouping.IMAGE, "t", "b", ("a", "b"), ("ada", "org/ops"), draft=True, automerge="merge"
    )


@pytest.mark.parametrize(
    ("key", "value"),
    [("kind", "svn"), ("group", "all"), ("draft", "yes"), ("automerge", "now"), ("labels", "x" * 256)],
)
def test_what_cannot_be_followed_names_its_place(key: str, value: str) -> None:
    said = {"kind": "github", key: value}
    with pytest.raises(Misconfigured, match="pull-request" if key == "kind" else rf"pull-request\.{key}"):
        read(**said)


def test_automatic_merging_is_refused_where_there_is_none() -> None:
    with pytest.raises(Misconfigured, match="Bitbucket merges nothing by itself"):
        read(kind="bitbucket", automerge="squash")


def test_bitbucket_data_center_is_not_taken_for_the_cloud() -> None:
    with pytest.raises(Misconfigured, match="does not tell it"):
        forge_of("https://bitbucket.example.com/scm/team/gitops.git")


def test_pull_request_needs_git() -> None:
    tracked = track(helm_application("one", IMAGE, {"pull-request": "github"}, method="argocd"), "argocd")
    assert tracked is not None
    assert "needs write-back-method git" in tracked.problems[0].message


def test_keys_are_known() -> None:
    keys = {"pull-request": "github", "pull-request.labels": "deps", "pull-request.lables": "x"}
    tracked = track(helm_application("one", IMAGE, keys), "argocd")
    assert tracked is not None
    (warning,) = tracked.warnings
    assert "pull-request.lables is not understood: did you mean pull-request.labels" in warning.message


@pytest.mark.parametrize("kind", ForgeKind)
def test_resource_says_forge_and_labels(kind: str) -> None:
    git = {"pullRequest": {str(kind): {}, "labels": ["deps", "image"]}}
    made = resource("team", ref("*", image(), writeBackConfig={"method": "git", "gitConfig": git}))
    settings = made.spec.refs[0].settings
    assert {key: settings[key].text for key in ("pull-request", "pull-request.labels")} == {
        "pull-request": str(kind),
        "pull-request.labels": "deps, image",
    }


def test_settings_reach_the_branch() -> None:
    tracked = track(helm_application("one", IMAGE, {"pull-request": "github"}), "argocd")
    assert tracked is not None
    target = tracked.images[0].target
    assert isinstance(target, GitTarget)
    assert target.branch.pull_request == PullRequestSettings(ForgeKind.GITHUB)
