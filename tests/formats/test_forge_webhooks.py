"""Webhooks of forges: which repository they speak of, and how their senders prove themselves."""

import hmac
import json
from base64 import b64encode
from hashlib import sha256
from pathlib import Path

import pytest

from updater.formats.forge_webhooks import ReviewNudge
from updater.formats.webhook_events import BadWebhook
from updater.formats.webhooks import WebhookType, is_authentic, read_webhook

_SAMPLES = Path(__file__).parent.parent / "samples/webhooks"
MERGED = [
    ("github", "github-pull-request", {"x-github-event": "pull_request"}),
    ("gitea", "gitea-pull-request", {"x-gitea-event": "pull_request"}),
    ("gitea", "gitea-pull-request", {"x-forgejo-event": "pull_request_sync"}),
    ("gitlab", "gitlab-merge-request", {"x-gitlab-event": "Merge Request Hook"}),
    ("gitlab", "gitlab-merge-request", {"x-gitlab-event": "System Hook"}),
    ("bitbucket", "bitbucket-pull-request", {"x-event-key": "pullrequest:fulfilled"}),
    ("azure-devops", "azure-pull-request", {}),
]
ADDRESSES = {
    "github": ("https://github.com/team/gitops.git", "git@github.com:team/gitops.git"),
    "gitea": ("https://git.example.com/team/gitops.git", "ssh://git@ssh.example.com:2222/team/gitops.git"),
    "gitlab": ("https://gitlab.example.com/team/gitops.git", "git@gitlab.example.com:team/gitops.git"),
    "bitbucket": ("https://bitbucket.org/team/gitops",),
    "azure-devops": (
        "https://team@dev.azure.com/team/platform/_git/gitops",
        "git@ssh.dev.azure.com:v3/team/platform/gitops",
    ),
}


def sample(name: str) -> bytes:
    return (_SAMPLES / f"{name}.json").read_bytes()


@pytest.mark.parametrize(("kind", "name", "headers"), MERGED)
def test_merge_names_its_repository_by_all_its_addresses(kind: str, name: str, headers: dict[str, str]) -> None:
    (nudge,) = read_webhook(WebhookType(kind), sample(name), headers, {})
    assert isinstance(nudge, ReviewNudge)
    assert set(ADDRESSES[kind]) <= set(nudge.urls)


@pytest.mark.parametrize(
    ("kind", "name", "headers"),
    [
        ("github", "github-pull-request", {"x-github-event": "push"}),
        ("bitbucket", "bitbucket-pull-request", {"x-event-key": "repo:push"}),
        ("gitea", "gitea-pull-request", {"x-gitea-event": "push", "x-github-event": "push"}),
    ],
)
def test_other_events_of_forges_nudge_nothing(kind: str, name: str, headers: dict[str, str]) -> None:
    assert read_webhook(WebhookType(kind), sample(name), headers, {}) == ()


@pytest.mark.parametrize(
    ("kind", "name", "change"),
    [
        ("azure-devops", "azure-pull-request", {"eventType": "git.push"}),
        ("gitlab", "gitlab-merge-request", {"object_kind": "push"}),
        ("gitlab", "gitlab-merge-request", {"object_kind": None, "project": None}),
    ],
)
def test_other_events_are_told_by_their_body(kind: str, name: str, change: dict[str, object]) -> None:
    event = {key: value for key, value in (json.loads(sample(name)) | change).items() if value is not None}
    headers = {"x-gitlab-event": "System Hook"} if kind == "gitlab" else {}
    assert read_webhook(WebhookType(kind), json.dumps(event).encode(), headers, {}) == ()


@pytest.mark.parametrize(("kind", "name", "headers"), MERGED)
def test_event_of_no_repository_is_refused(kind: str, name: str, headers: dict[str, str]) -> None:
    event = json.loads(sample(name))
    for key in ("repository", "project", "resource"):
        event.pop(key, None)
    with pytest.raises(BadWebhook):
        read_webhook(WebhookType(kind), json.dumps(event).encode(), headers, {})


@pytest.mark.parametrize(("kind", "header"), [("github", "x-hub-signature-256"), ("bitbucket", "x-hub-signature")])
def test_signature_over_the_body_lets_a_forge_in(kind: str, header: str) -> None:
    headers = {header: f"sha256={hmac.new(b's3cret', b'body', sha256).hexdigest()}"}
    assert is_authentic(WebhookType(kind), "s3cret", b"body", headers, {})
    assert not is_authentic(WebhookType(kind), "s3cret", b"changed", headers, {})
    assert not is_authentic(WebhookType(kind), "s3cret", b"body", {header: "s3cret"}, {"secret": "s3cret"})


def test_password_of_basic_authentication_lets_azure_in() -> None:
    def basic(text: str) -> dict[str, str]:
        return {"authorization": f"Basic {b64encode(text.encode()).decode()}"}

    assert is_authentic(WebhookType.AZURE_DEVOPS, "s3:cret", b"", basic("anybody:s3:cret"), {})
    assert not is_authentic(WebhookType.AZURE_DEVOPS, "s3cret", b"", basic("s3cret:other"), {})
    assert not is_authentic(WebhookType.AZURE_DEVOPS, "s3cret", b"", {"authorization": "Basic s3cret"}, {})
