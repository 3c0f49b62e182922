"""Webhooks of every sender: what they are read as, who is let in, and that no input can do harm."""

import hmac
import json
from contextlib import suppress
from hashlib import sha256
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from updater.domain.image import Repository
from updater.formats.webhook_events import BadWebhook
from updater.formats.webhooks import Nudge, WebhookType, is_authentic, read_webhook

_SAMPLES = Path(__file__).parent.parent / "samples/webhooks"


def sample(name: str) -> bytes:
    return (_SAMPLES / f"{name}.json").read_bytes()


def nudge(host: str, name: str = "team/app", tag: str = "v2.0") -> Nudge:
    return Nudge(Repository(host, name), tag)


@pytest.mark.parametrize(
    ("kind", "name", "expected"),
    [
        ("docker.io", "docker.io", [nudge("docker.io")]),
        ("ghcr.io", "ghcr.io", [nudge("ghcr.io")]),
        ("quay.io", "quay.io", [nudge("quay.io"), nudge("quay.io", tag="latest")]),
        ("harbor", "harbor", [nudge("harbor.example.com")]),
        ("harbor", "harbor-cloudevents", [nudge("harbor.example.com")]),
        ("acr", "acr", [nudge("myregistry.azurecr.io")]),
        (
            "aliyun-acr",
            "aliyun-acr",
            [nudge("registry.cn-hangzhou.aliyuncs.com"), nudge("registry-vpc.cn-hangzhou.aliyuncs.com")],
        ),
        ("ecr", "ecr", [nudge("123456789012.dkr.ecr.us-west-2.amazonaws.com")]),
        ("gar", "gar", [nudge("us-east1-docker.pkg.dev", "project/repo/app")]),
        ("distribution", "distribution", [nudge("registry.example.com:5000")]),
        ("gitlab", "distribution", [nudge("registry.example.com:5000")]),
        ("gitea", "gitea", [nudge("git.example.com")]),
        ("cloudevents", "cloudevents", [nudge("registry.example.com")]),
        ("cloudevents", "cloudevents-ecr", [nudge("123456789012.dkr.ecr.us-west-2.amazonaws.com")]),
    ],
)
def test_push_is_read(kind: str, name: str, expected: list[Nudge]) -> None:
    assert read_webhook(WebhookType(kind), sample(name), {}, {}) == tuple(expected)


def test_artifactory_image_is_looked_for_under_all_its_names() -> None:
    found = read_webhook(WebhookType.JFROG, sample("jfrog"), {}, {})
    assert nudge("example.jfrog.io", "docker-local/team/app") in found
    assert nudge("example-docker-local.jfrog.io") in found


def test_cloud_event_in_binary_mode_is_read_from_its_headers() -> None:
    headers = {"ce-specversion": "1.0", "ce-type": "image.pushed", "ce-source": "https://registry.example.com"}
    body = b'{"repository": "team/app", "tag": "v2.0"}'
    assert read_webhook(WebhookType.CLOUD_EVENTS, body, headers, {}) == (nudge("registry.example.com"),)


@pytest.mark.parametrize(("kind", "name"), [("aliyun-acr", "aliyun-acr"), ("distribution", "distribution")])
def test_registrys_own_host_can_be_said_in_the_address(kind: str, name: str) -> None:
    query = {"registry_url": "https://acr-ee.example.com"}
    assert read_webhook(WebhookType(kind), sample(name), {}, query) == (nudge("acr-ee.example.com"),)


@pytest.mark.parametrize(
    ("kind", "name", "change"),
    [
        ("ghcr.io", "ghcr.io", {"action": "deleted"}),
        ("harbor", "harbor", {"type": "DELETE_ARTIFACT"}),
        ("acr", "acr", {"action": "delete"}),
        ("ecr", "ecr", {"source": "aws.s3"}),
        ("gitea", "gitea", {"action": "deleted"}),
        ("jfrog", "jfrog", {"event_type": "deleted"}),
        ("distribution", "distribution", {"events": []}),
    ],
)
def test_other_events_nudge_nothing(kind: str, name: str, change: dict[str, object]) -> None:
    body = json.dumps(json.loads(sample(name)) | change).encode()
    assert read_webhook(WebhookType(kind), body, {}, {}) == ()


@pytest.mark.parametrize("kind", WebhookType)
@pytest.mark.parametrize("body", [b"", b"[]", b"{}", b"\xff", b'{"events": 5}', b"[" * 100_000], ids=repr)
def test_what_is_no_webhook_is_refused(kind: WebhookType, body: bytes) -> None:
    with pytest.raises(BadWebhook):
        read_webhook(kind, body, {}, {})


def test_repository_that_no_image_can_name_is_refused() -> None:
    body = json.dumps({"repository": "../../etc", "docker_url": "quay.io/x", "updated_tags": ["v1"]}).encode()
    with pytest.raises(BadWebhook, match="etc"):
        read_webhook(WebhookType.QUAY, body, {}, {})


def test_more_than_a_megabyte_is_not_read() -> None:
    with pytest.raises(BadWebhook, match="bytes"):
        read_webhook(WebhookType.QUAY, b" " * 2_000_000, {}, {})


@given(kind=st.sampled_from(WebhookType), body=st.binary(max_size=200))
def test_no_body_fails_in_another_way(kind: WebhookType, body: bytes) -> None:
    with suppress(BadWebhook):
        assert len(read_webhook(kind, body, {}, {})) <= 100


@pytest.mark.parametrize("kind", ["ghcr.io", "gitea"])
def test_signature_over_the_body_lets_in(kind: str) -> None:
    header = {"ghcr.io": "x-hub-signature-256", "gitea": "x-gitea-signature"}[kind]
    signature = hmac.new(b"s3cret", b"body", sha256).hexdigest()
    prefix = "sha256=" if kind == "ghcr.io" else ""
    headers = {header: f"{prefix}{signature}"}
    assert is_authentic(WebhookType(kind), "s3cret", b"body", headers, {})
    assert not is_authentic(WebhookType(kind), "s3cret", b"changed", headers, {})
    assert not is_authentic(WebhookType(kind), "other", b"body", headers, {})


@pytest.mark.parametrize("kind", ["ghcr.io", "gitea"])
def test_signature_does_not_become_the_secret_itself(kind: str) -> None:
    headers = {"x-hub-signature-256": "s3cret", "x-gitea-signature": "s3cret"}
    assert not is_authentic(WebhookType(kind), "s3cret", b"body", headers, {"secret": "s3cret"})


@pytest.mark.parametrize(
    ("kind", "header"),
    [
        ("harbor", "authorization"),
        ("acr", "authorization"),
        ("distribution", "authorization"),
        ("gitlab", "x-gitlab-token"),
        ("jfrog", "x-jfrog-event-auth"),
        ("cloudevents", "x-webhook-secret"),
        ("ecr", "x-webhook-secret"),
    ],
)
def test_secret_in_the_senders_header_lets_in(kind: str, header: str) -> None:
    assert is_authentic(WebhookType(kind), "s3cret", b"", {header: "s3cret"}, {})
    assert not is_authentic(WebhookType(kind), "s3cret", b"", {header: "s3cre"}, {})


@pytest.mark.parametrize("kind", ["docker.io", "quay.io", "aliyun-acr", "cloudevents", "gar"])
def test_secret_in_the_address_lets_in_who_can_say_it_nowhere_else(kind: str) -> None:
    assert is_authentic(WebhookType(kind), "s3cret", b"", {}, {"secret": "s3cret"})
    assert not is_authentic(WebhookType(kind), "s3cret", b"", {}, {"secret": "wrong"})


@pytest.mark.parametrize("kind", WebhookType)
def test_nobody_comes_in_without_a_secret(kind: WebhookType) -> None:
    assert not is_authentic(kind, "", b"", {"authorization": ""}, {"secret": ""})
    assert not is_authentic(kind, "s3cret", b"", {}, {})
