"""Which of Argo CD's Secrets a chart is read with; those of Git repositories are in `git/test_credentials.py`."""

import pytest

from updater.adapters.argocd_repositories import chart_login
from updater.domain.errors import Misconfigured
from updater.domain.image import Repository
from updater.domain.references import parse_entry
from updater.ports.secrets import LabelledSecret

LABEL = "argocd.argoproj.io/secret-type"
HELM = parse_entry("https://charts.example.com/stable/shop").reference.repository
OCI = parse_entry("oci://registry.example.com:5000/charts/shop").reference.repository


class Secrets:
    def __init__(self, *found: LabelledSecret) -> None:
        self.found = found

    async def secret(self, namespace: str, name: str) -> dict[str, bytes]:
        raise NotImplementedError

    async def secrets_labelled(self, namespace: str, label: str, values: object) -> list[LabelledSecret]:
        assert (namespace, label) == ("argocd", LABEL)
        return list(self.found)


def secret(url: str, user: str = "alice", kind: str = "repository", **more: str) -> LabelledSecret:
    texts = {"url": url, "username": user, "password": "secret", **more}
    return LabelledSecret("argocd", "charts", {LABEL: kind}, {key: value.encode() for key, value in texts.items()})


async def user_of(chart: Repository, *found: LabelledSecret, project: str = "shops") -> str:
    login = await chart_login(Secrets(*found), "argocd", project, chart)
    return login.username if login else ""


@pytest.mark.parametrize(
    ("chart", "url"),
    [
        (HELM, "https://charts.example.com/stable"),
        (HELM, "https://CHARTS.example.com/stable/"),
        (OCI, "registry.example.com:5000/charts"),
        (OCI, "oci://registry.example.com:5000/charts/shop"),
        (parse_entry("oci://docker.io/team/shop").reference.repository, "registry-1.docker.io/team"),
    ],
)
async def test_repository_is_known_by_its_address(chart: Repository, url: str) -> None:
    assert await user_of(chart, secret(url)) == "alice"


@pytest.mark.parametrize(
    ("chart", "url"),
    [
        (HELM, "https://charts.example.com"),
        (HELM, "http://charts.example.com/stable"),
        (HELM, "charts.example.com/stable"),
        (OCI, "registry.example.com:5000/chart"),
        (OCI, "registry.example.com/charts"),
        (OCI, "https://registry.example.com:5000/charts"),
    ],
)
async def test_credentials_of_another_address_stay_there(chart: Repository, url: str) -> None:
    assert await user_of(chart, secret(url)) == ""


async def test_template_serves_what_is_below_it_and_the_longest_wins() -> None:
    wide = secret("registry.example.com:5000", "wide", "repo-creds")
    near = secret("registry.example.com:5000/charts", "near", "repo-creds")
    assert await user_of(OCI, wide, near) == "near"
    assert await user_of(OCI, wide) == "wide"
    assert await user_of(OCI, secret("registry.example", "other", "repo-creds")) == ""


async def test_secret_of_a_project_serves_no_other() -> None:
    theirs = secret("https://charts.example.com/stable", project="theirs")
    assert await user_of(HELM, theirs) == ""
    assert await user_of(HELM, theirs, project="theirs") == "alice"


async def test_repository_without_a_password_takes_that_of_its_template() -> None:
    bare = secret("https://charts.example.com/stable", password="")
    assert await user_of(HELM, bare, secret("https://charts.example.com", "bob", "repo-creds")) == "bob"
    assert await user_of(HELM, bare) == ""


async def test_password_that_is_no_text_is_refused_by_the_secrets_name() -> None:
    broken = LabelledSecret(
        "argocd", "charts", {LABEL: "repository"}, {"url": str(HELM.host).encode(), "password": b"\xff"}
    )
    with pytest.raises(Misconfigured, match="Secret argocd/charts"):
        await chart_login(Secrets(broken), "argocd", "shops", HELM)
