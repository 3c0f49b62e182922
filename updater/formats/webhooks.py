"""What registries send when an image was pushed: which repository, which tag; and whether it was they who sent it.

Forges send the same way what became of pull requests. A webhook is a hint. It says where to look, never what is there:
whoever gets one reads the registry again. Several repositories may be meant by one (Artifactory serves an image under
more than one name); those that nobody tracks are passed over by who looks. Types and their authentication are AIU's
where AIU has them.
"""

import hmac
from base64 import b64decode
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from hashlib import sha256
from urllib.parse import urlsplit

from updater.domain.docker_hub import DOCKER_HUB
from updater.domain.errors import Misconfigured
from updater.domain.image import Repository
from updater.domain.references import parse_reference
from updater.formats.forge_webhooks import (
    ReviewNudge,
    azure_devops,
    bitbucket,
    gitea,
    gitea_event,
    github,
    gitlab,
)
from updater.formats.webhook_events import (
    AcrEvent,
    AliyunEvent,
    ArtifactoryEvent,
    BadWebhook,
    CloudEvent,
    CloudEventData,
    DistributionEvents,
    DockerHubEvent,
    EventBridgeEvent,
    GhcrEvent,
    GiteaEvent,
    HarborEvent,
    PubSubEvent,
    PubSubNotice,
    QuayEvent,
    decode,
)

_LARGEST = 1024 * 1024
_MOST_NUDGES = 100
"""Of one webhook: a registry sends its notifications in small batches."""


class WebhookType(StrEnum):
    """Who sends it; the spelling in the webhook's address."""

    DOCKER_HUB = "docker.io"
    GHCR = "ghcr.io"
    QUAY = "quay.io"
    HARBOR = "harbor"
    AZURE = "acr"
    ALIYUN = "aliyun-acr"
    ECR = "ecr"
    GOOGLE = "gar"
    GITLAB = "gitlab"
    GITEA = "gitea"
    JFROG = "jfrog"
    DISTRIBUTION = "distribution"
    CLOUD_EVENTS = "cloudevents"
    GITHUB = "github"
    BITBUCKET = "bitbucket"
    AZURE_DEVOPS = "azure-devops"


@dataclass(frozen=True, slots=True)
class Nudge:
    """A repository that has something new."""

    repository: Repository
    tag: str = ""
    """Empty when the sender does not say."""


Nudges = tuple[Nudge | ReviewNudge, ...]
Query = Mapping[str, str]
Headers = Mapping[str, str]
"""With names in lower case."""


def read_webhook(kind: WebhookType, body: bytes, headers: Headers, query: Query) -> Nudges:
    """Return what a webhook says is new; nothing for events other than pushes and pull requests.

    Raises:
        BadWebhook: it is not what its type sends.
    """
    if len(body) > _LARGEST:
        raise BadWebhook(f"body has more than {_LARGEST} bytes")
    found = dict.fromkeys(_READERS[kind](body, headers, query))
    return tuple(found)[:_MOST_NUDGES]


def is_authentic(kind: WebhookType, secret: str, body: bytes, headers: Headers, query: Query) -> bool:
    """Tell whether a webhook carries the secret in the way that its sender can; compared in constant time."""
    expected = _expected(kind, secret, body)
    given = (headers.get(name, "") for name in _CARRIERS[kind]) if kind in _CARRIERS else ()
    presented = [*map(_bare, given), *([query.get("secret", "")] if kind in _IN_QUERY else [])]
    matches = [
        hmac.compare_digest(text.strip().encode("utf-8", "surrogateescape"), value.encode())
        for text in presented
        if text
        for value in expected
    ]
    return bool(secret) and any(matches)


def _bare(text: str) -> str:
    """Give the password in a header of basic authentication; all else is shown as it is."""
    scheme, _, value = text.strip().partition(" ")
    if scheme.lower() != "basic":
        return text
    try:
        return b64decode(value, validate=True).decode().partition(":")[2]
    except ValueError:
        return ""


_CARRIERS: Mapping[WebhookType, tuple[str, ...]] = {
    WebhookType.GHCR: ("x-hub-signature-256",),
    WebhookType.GITEA: ("x-gitea-signature", "x-forgejo-signature", "x-hub-signature-256"),
    WebhookType.HARBOR: ("authorization",),
    WebhookType.AZURE: ("authorization",),
    WebhookType.DISTRIBUTION: ("authorization",),
    WebhookType.GITLAB: ("authorization", "x-gitlab-token"),
    WebhookType.JFROG: ("x-jfrog-event-auth",),
    WebhookType.CLOUD_EVENTS: ("x-webhook-secret", "authorization"),
    WebhookType.ECR: ("x-webhook-secret", "authorization"),
    WebhookType.GITHUB: ("x-hub-signature-256",),
    WebhookType.BITBUCKET: ("x-hub-signature",),
    WebhookType.AZURE_DEVOPS: ("authorization",),
}
_SIGNING = frozenset({WebhookType.GHCR, WebhookType.GITHUB, WebhookType.BITBUCKET})
_IN_QUERY = frozenset(
    {WebhookType.DOCKER_HUB, WebhookType.QUAY, WebhookType.ALIYUN, WebhookType.CLOUD_EVENTS, WebhookType.GOOGLE},
)
"""Their senders can be given an address, and nothing else."""


def _expected(kind: WebhookType, secret: str, body: bytes) -> tuple[str, ...]:
    """Return all that proves the knowledge of the secret."""
    signature = hmac.new(secret.encode(), body, sha256).hexdigest()
    if kind in _SIGNING:
        return (f"sha256={signature}",)
    if kind is WebhookType.GITEA:
        return f"sha256={signature}", signature
    if kind is WebhookType.JFROG:
        return secret, f"sha256={signature}"
    return secret, f"Bearer {secret}"


def _docker_hub(body: bytes, headers: Headers, query: Query) -> Iterator[Nudge]:
    del headers, query
    event = decode(body, DockerHubEvent)
    name = event.repository.repo_name or f"{event.repository.namespace}/{event.repository.name}"
    yield _nudge(DOCKER_HUB, name, event.push_data.tag)


def _ghcr(body: bytes, headers: Headers, query: Query) -> Iterator[Nudge]:
    del query
    if headers.get("x-github-event", "package") not in ("package", "registry_package"):
        return
    event = decode(body, GhcrEvent)
    package = event.package or event.registry_package
    if package is None:
        raise BadWebhook("holds no package: let GitHub send the event `package`")
    if event.action not in ("published", "updated") or package.package_type.lower() != "container":
        return
    owner = package.namespace or package.owner.login
    version = package.package_version
    tag = version.container_metadata.tag if version and version.container_metadata else None
    yield _nudge("ghcr.io", f"{owner}/{package.name}".lower(), tag.name if tag else "")


def _quay(body: bytes, headers: Headers, query: Query) -> Iterator[Nudge]:
    del headers, query
    event = decode(body, QuayEvent)
    host = event.docker_url.partition("/")[0] or "quay.io"
    for tag in event.updated_tags or ("",):
        yield _nudge(host, event.repository, tag)


def _harbor(body: bytes, headers: Headers, query: Query) -> Iterator[Nudge]:
    del headers, query
    event = decode(body, HarborEvent)
    if event.type not in ("PUSH_ARTIFACT", "harbor.artifact.pushed"):
        return
    data = event.data or event.event_data
    if data is None:
        raise BadWebhook("holds no event_data: choose the payload format Default or CloudEvents in Harbor")
    for resource in data.resources:
        yield _nudge(resource.resource_url.partition("/")[0], data.repository.repo_full_name, resource.tag)


def _azure(body: bytes, headers: Headers, query: Query) -> Iterator[Nudge]:
    del headers, query
    event = decode(body, AcrEvent)
    if event.action == "push":
        yield _nudge(event.request.host, event.target.repository, event.target.tag)


def _aliyun(body: bytes, headers: Headers, query: Query) -> Iterator[Nudge]:
    """Read what both editions of ACR send; an Enterprise instance's own host has to be said in the address."""
    del headers
    event = decode(body, AliyunEvent)
    if query.get("registry_url"):
        hosts = [query["registry_url"]]
    elif event.repository.region:
        host = f"{event.repository.region}.aliyuncs.com"
        hosts = [f"registry.{host}", f"registry-vpc.{host}"]
    else:
        raise BadWebhook("names no region: add registry_url=<host> to the webhook's address")
    for host in hosts:
        yield _nudge(host, event.repository.repo_full_name, event.push_data.tag)


def _event_bridge(body: bytes, headers: Headers, query: Query) -> Iterator[Nudge]:
    """Read ECR's events as EventBridge's API destinations deliver them."""
    del headers, query
    event = decode(body, EventBridgeEvent)
    detail = event.detail
    if event.source == "aws.ecr" and detail.action_type == "PUSH" and detail.result == "SUCCESS":
        yield _nudge(_ecr_host(event.account, event.region), detail.repository_name, detail.image_tag)


def _ecr_host(account: str, region: str) -> str:
    if not (account.isdigit() and region):
        raise BadWebhook("names no account and region of AWS")
    return f"{account}.dkr.ecr.{region}.amazonaws.com{'.cn' if region.startswith('cn-') else ''}"


def _google(body: bytes, headers: Headers, query: Query) -> Iterator[Nudge]:
    """Read what Pub/Sub pushes from the topic `gcr` of Artifact Registry."""
    del headers, query
    try:
        notice = decode(b64decode(decode(body, PubSubEvent).message.data, validate=True), PubSubNotice)
    except ValueError as error:
        raise BadWebhook(f"message.data is no notice of a registry: {error}") from None
    if notice.action.upper() != "INSERT":
        return
    text = notice.tag or notice.digest
    try:
        reference = parse_reference(text)
    except Misconfigured as error:
        raise BadWebhook(str(error)) from None
    yield Nudge(reference.repository, reference.version.tag)


def _distribution(body: bytes, headers: Headers, query: Query) -> Iterator[Nudge]:
    """Read the notifications of CNCF Distribution; GitLab's own registry sends the same."""
    del headers
    for event in decode(body, DistributionEvents).events:
        if event.action == "push" and event.target.tag:
            host = query.get("registry_url") or event.request.host or urlsplit(event.target.url).netloc
            yield _nudge(host, event.target.repository, event.target.tag)


def _gitlab(body: bytes, headers: Headers, query: Query) -> Iterator[Nudge | ReviewNudge]:
    """Read what GitLab sends of merge requests, and its registry of images."""
    yield from gitlab(body) if "x-gitlab-event" in headers else _distribution(body, headers, query)


def _gitea(body: bytes, headers: Headers, query: Query) -> Iterator[Nudge | ReviewNudge]:
    if gitea_event(headers) not in ("", "package"):
        yield from gitea(body, headers)
        return
    event = decode(body, GiteaEvent)
    package = event.package
    if event.action == "created" and package.type == "container":
        host = query.get("registry_url") or urlsplit(package.html_url).netloc
        name = f"{package.owner.login or package.owner.username}/{package.name}"
        yield _nudge(host, name.lower(), "" if package.version.startswith("sha256:") else package.version)


def _jfrog(body: bytes, headers: Headers, query: Query) -> Iterator[Nudge]:
    """Read Artifactory's `docker` events; its repository may be a path, a sub-domain or the host's only one."""
    del headers
    event = decode(body, ArtifactoryEvent)
    if event.domain not in ("", "docker") or event.event_type not in ("pushed", "promoted"):
        return
    data = event.data
    host = query.get("registry_url") or urlsplit(event.jpd_origin).netloc
    yield _nudge(host, f"{data.repo_key}/{data.image_name}", data.tag)
    yield _nudge(host, data.image_name, data.tag)
    if not query.get("registry_url"):
        yield _nudge(f"{data.repo_key}.{host}", data.image_name, data.tag)
        yield _nudge(f"{data.repo_key}-{host}", data.image_name, data.tag)
        server, _, domain = host.partition(".")
        yield _nudge(f"{server}-{data.repo_key}.{domain}", data.image_name, data.tag)


def _cloud_events(body: bytes, headers: Headers, query: Query) -> Iterator[Nudge]:
    """Read a CloudEvent in structured or binary mode: ECR's in AIU's form, and any that speaks of an image."""
    del query
    event = decode(body, CloudEvent) if "ce-type" not in headers else _binary(body, headers)
    if not event.specversion or not event.type:
        raise BadWebhook("has no specversion or type: send a CloudEvent of version 1.0")
    kind, data = event.type.lower(), event.data
    name = data.repository_name or data.repository or event.subject.partition(":")[0]
    tag = data.image_tag or data.tag or event.subject.partition(":")[2]
    if kind.startswith("com.amazon.ecr."):
        account, region = _arn(event.source)
        yield _nudge(_ecr_host(data.registry_id or account, region), name, tag)
    elif "container" in kind or "image" in kind:
        yield _nudge(data.registry_url or data.registry or urlsplit(event.source).netloc, name, tag)


def _binary(body: bytes, headers: Headers) -> CloudEvent:
    return CloudEvent(
        specversion=headers.get("ce-specversion", ""),
        type=headers.get("ce-type", ""),
        source=headers.get("ce-source", ""),
        subject=headers.get("ce-subject", ""),
        data=decode(body, CloudEventData),
    )


def _arn(source: str) -> tuple[str, str]:
    """Read account and region out of `urn:aws:ecr:<region>:<account>:…` or `arn:…`."""
    parts = [*source.split(":"), *[""] * 5]
    return parts[4], parts[3]


def _nudge(host: str, name: str, tag: str) -> Nudge:
    """Name the repository as images name it; what no image can name is refused here."""
    host = host.removeprefix("https://").removeprefix("http://").rstrip("/")
    try:
        reference = parse_reference(f"{host}/{name}" if host else name)
    except Misconfigured as error:
        raise BadWebhook(str(error)) from None
    if not host or reference.version:
        raise BadWebhook(f"names no repository: registry {host[:100]!r}, repository {name[:100]!r}")
    return Nudge(reference.repository, tag)


_READERS: Mapping[WebhookType, Callable[[bytes, Headers, Query], Iterator[Nudge | ReviewNudge]]] = {
    WebhookType.DOCKER_HUB: _docker_hub,
    WebhookType.GHCR: _ghcr,
    WebhookType.QUAY: _quay,
    WebhookType.HARBOR: _harbor,
    WebhookType.AZURE: _azure,
    WebhookType.ALIYUN: _aliyun,
    WebhookType.ECR: _event_bridge,
    WebhookType.GOOGLE: _google,
    WebhookType.GITLAB: _gitlab,
    WebhookType.GITEA: _gitea,
    WebhookType.JFROG: _jfrog,
    WebhookType.DISTRIBUTION: _distribution,
    WebhookType.CLOUD_EVENTS: _cloud_events,
    WebhookType.GITHUB: github,
    WebhookType.BITBUCKET: bitbucket,
    WebhookType.AZURE_DEVOPS: azure_devops,
}
