"""References to credentials, and whose Secrets an application may use."""

import pytest

from updater.domain.errors import Misconfigured
from updater.domain.secrets import CredentialSource, SecretAccess, SecretKind, parse_credential_source

ACCESS = SecretAccess("argocd", frozenset({"shared"}), "default")


@pytest.mark.parametrize(
    "text",
    [
        "secret:argocd/acr#acr",
        "pullsecret:argocd/hub",
        "serviceaccount:argocd/default",
        "github:argocd/app",
        "env:HUB",
        "ext:/app/scripts/login.sh",
        "aws",
        "gcp",
        "azure",
        "alibaba",
        "none",
        "argocd:team/default",
        "argocd:team/default#builder",
    ],
)
def test_each_form_is_read_and_spelled_alike(text: str) -> None:
    assert str(parse_credential_source(text)) == text
    assert parse_credential_source(f"registry.example.com={text.replace(':', ': ')}") == parse_credential_source(text)


@pytest.mark.parametrize("text", ["", "alice:hunter2", "secret:argocd/acr", "github:app", "aws:key", "ext:login.sh"])
def test_what_is_none_of_the_forms_is_refused(text: str) -> None:
    with pytest.raises(Misconfigured, match="write secret:<namespace>/<name>#<field>"):
        parse_credential_source(text)


@pytest.mark.parametrize(
    ("text", "namespace", "allowed"),
    [
        ("secret:team/acr#acr", "team", True),
        ("secret:other/acr#acr", "team", False),
        ("Secret: other/acr#acr", "team", False),
        ("registry.example.com=secret:other/acr#acr", "team", False),
        ("pullsecret:other/hub", "team", False),
        ("github:other/app", "team", False),
        ("serviceaccount:other/default", "team", False),
        ("pullsecret:shared/hub", "team", True),
        ("env:HUB", "argocd", True),
        ("env:HUB", "team", False),
        ("ext:/app/scripts/login.sh", "team", False),
        ("aws", "team", False),
        ("none", "team", True),
        ("argocd:team/theirs", "team", False),
        ("argocd:argocd/theirs", "argocd", False),
    ],
)
def test_a_secret_of_another_namespace_is_refused_in_every_spelling(
    text: str, namespace: str, *, allowed: bool
) -> None:
    assert (ACCESS.refusal_of(parse_credential_source(text), namespace) == "") == allowed


def test_a_refusal_has_a_remedy() -> None:
    said = ACCESS.refusal_of(parse_credential_source("pullsecret:other/hub"), "team")
    assert said.endswith("own namespace team, or add other to applications.secret_namespaces")


def test_images_fall_back_on_the_service_account_of_their_application() -> None:
    assert ACCESS.fallback("team") == CredentialSource(SecretKind.SERVICE_ACCOUNT, "default", "team")
    assert SecretAccess().fallback("team") is None


@pytest.mark.parametrize("project", ["default", "team-a", "a.b"])
def test_charts_fall_back_on_what_argo_cd_reads_them_with(project: str) -> None:
    found = ACCESS.fallback_of_chart("team", project)
    assert str(found) == f"argocd:team/{project}#default"
    assert parse_credential_source(str(found)) == found


@pytest.mark.parametrize("project", ["", "a/b", "a#b", " ", "A=b:c"])
def test_a_project_that_cannot_exist_has_no_credentials(project: str) -> None:
    assert ACCESS.fallback_of_chart("team", project) == ACCESS.fallback("team")
