"""The JSON of webhooks, as far as it says where something is new; each sender's documentation names the rest."""

from typing import TypeVar

import msgspec

_Kind = TypeVar("_Kind", bound=msgspec.Struct)


class BadWebhook(ValueError):
    """A webhook cannot be understood; the text says what was expected."""


def decode(body: bytes, kind: type[_Kind]) -> _Kind:
    """Read a webhook's body.

    Raises:
        BadWebhook: it is something else.
    """
    try:
        return msgspec.json.decode(body, type=kind)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise BadWebhook(f"cannot be read as JSON of its type: {str(error)[:120]}") from None


class _Event(msgspec.Struct, frozen=True):
    """Unknown fields are passed over: senders add them as they like."""


class _HubRepository(_Event, frozen=True):
    repo_name: str = ""
    namespace: str = ""
    name: str = ""


class _PushData(_Event, frozen=True):
    tag: str = ""


class DockerHubEvent(_Event, frozen=True):
    """Docker Hub, https://docs.docker.com/docker-hub/repos/manage/webhooks/."""

    push_data: _PushData
    repository: _HubRepository


class _Tag(_Event, frozen=True):
    name: str = ""


class _ContainerMetadata(_Event, frozen=True):
    tag: _Tag | None = None


class _PackageVersion(_Event, frozen=True):
    container_metadata: _ContainerMetadata | None = None


class _Owner(_Event, frozen=True):
    login: str = ""
    username: str = ""


class _Package(_Event, frozen=True):
    name: str
    package_type: str
    namespace: str = ""
    owner: _Owner = _Owner()
    package_version: _PackageVersion | None = None


class GhcrEvent(_Event, frozen=True):
    """GitHub's events `package` and `registry_package`."""

    action: str = ""
    package: _Package | None = None
    registry_package: _Package | None = None


class QuayEvent(_Event, frozen=True):
    """Quay's `Push to Repository`, https://docs.quay.io/guides/notifications.html."""

    repository: str
    docker_url: str = ""
    updated_tags: tuple[str, ...] | None = None


class _HarborResource(_Event, frozen=True):
    resource_url: str
    tag: str = ""


class _HarborRepository(_Event, frozen=True):
    repo_full_name: str


class _HarborData(_Event, frozen=True):
    resources: tuple[_HarborResource, ...]
    repository: _HarborRepository


class HarborEvent(_Event, frozen=True):
    """Harbor, in its format Default (`event_data`) or CloudEvents (`data`)."""

    type: str
    event_data: _HarborData | None = None
    data: _HarborData | None = None


class _AcrTarget(_Event, frozen=True):
    repository: str = ""
    tag: str = ""


class _Request(_Event, frozen=True):
    host: str = ""


class AcrEvent(_Event, frozen=True):
    """Azure Container Registry, its `webhook reference`."""

    action: str
    target: _AcrTarget = _AcrTarget()
    request: _Request = _Request()


class _AliyunRepository(_Event, frozen=True):
    repo_full_name: str
    region: str = ""


class AliyunEvent(_Event, frozen=True):
    """Alibaba Cloud ACR's triggers."""

    push_data: _PushData
    repository: _AliyunRepository


class _EcrDetail(_Event, frozen=True, rename="kebab"):
    repository_name: str = ""
    image_tag: str = ""
    action_type: str = ""
    result: str = ""


class EventBridgeEvent(_Event, frozen=True):
    """EventBridge's `ECR Image Action`."""

    source: str
    account: str = ""
    region: str = ""
    detail: _EcrDetail = _EcrDetail()


class _PubSubMessage(_Event, frozen=True):
    data: str


class PubSubEvent(_Event, frozen=True):
    """A push delivery of Pub/Sub."""

    message: _PubSubMessage


class PubSubNotice(_Event, frozen=True):
    """What Artifact Registry publishes on the topic `gcr`."""

    action: str = ""
    tag: str = ""
    digest: str = ""


class _DistributionTarget(_Event, frozen=True):
    repository: str = ""
    tag: str = ""
    url: str = ""


class _DistributionEvent(_Event, frozen=True):
    action: str = ""
    target: _DistributionTarget = _DistributionTarget()
    request: _Request = _Request()


class DistributionEvents(_Event, frozen=True):
    """Notifications of CNCF Distribution, its `docs/notifications`."""

    events: tuple[_DistributionEvent, ...]


class _GiteaPackage(_Event, frozen=True):
    name: str
    type: str
    version: str = ""
    owner: _Owner = _Owner()
    html_url: str = ""


class GiteaEvent(_Event, frozen=True):
    """The event `package` of Gitea and Forgejo."""

    action: str
    package: _GiteaPackage


class _ArtifactoryData(_Event, frozen=True):
    repo_key: str
    image_name: str
    tag: str = ""


class ArtifactoryEvent(_Event, frozen=True):
    """Artifactory's domain `docker`."""

    event_type: str
    data: _ArtifactoryData
    domain: str = ""
    jpd_origin: str = ""


class CloudEventData(_Event, frozen=True, rename="camel"):
    """What AIU's ECR template and senders of their own making put into `data`."""

    repository_name: str = ""
    repository: str = ""
    image_tag: str = ""
    tag: str = ""
    registry_id: str = ""
    registry_url: str = ""
    registry: str = ""


class CloudEvent(_Event, frozen=True):
    """CloudEvents 1.0, structured mode."""

    specversion: str = ""
    type: str = ""
    source: str = ""
    subject: str = ""
    data: CloudEventData = CloudEventData()


class _GitRepository(_Event, frozen=True):
    clone_url: str = ""
    ssh_url: str = ""
    html_url: str = ""


class PullRequestEvent(_Event, frozen=True):
    """The event `pull_request` of GitHub, Gitea and Forgejo."""

    repository: _GitRepository


class _Project(_Event, frozen=True):
    git_http_url: str = ""
    git_ssh_url: str = ""
    web_url: str = ""


class GitLabEvent(_Event, frozen=True):
    """What GitLab sends; the project of a merge request is the one that is merged into."""

    object_kind: str = ""
    project: _Project = _Project()


class _Link(_Event, frozen=True):
    href: str


class _Links(_Event, frozen=True):
    html: _Link


class _BitbucketRepository(_Event, frozen=True):
    links: _Links


class BitbucketEvent(_Event, frozen=True):
    """The events `pullrequest:…` of Bitbucket Cloud."""

    repository: _BitbucketRepository


class _AzureRepository(_Event, frozen=True, rename="camel"):
    remote_url: str = ""
    ssh_url: str = ""
    web_url: str = ""


class _AzureResource(_Event, frozen=True):
    repository: _AzureRepository = _AzureRepository()


class AzureDevOpsEvent(_Event, frozen=True, rename="camel"):
    """What a service hook of Azure DevOps sends."""

    event_type: str
    resource: _AzureResource = _AzureResource()
