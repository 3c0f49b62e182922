"""What forges send when something became of a pull request: in which repository, and nothing more is believed of it."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from updater.formats.webhook_events import (
    AzureDevOpsEvent,
    BadWebhook,
    BitbucketEvent,
    GitLabEvent,
    PullRequestEvent,
    decode,
)

_Headers = Mapping[str, str]


@dataclass(frozen=True, slots=True)
class ReviewNudge:
    """A repository with a pull request that is not what it was."""

    urls: tuple[str, ...]
    """All that it is known by: a forge may be reached under one name by HTTP and under another by SSH."""


def github(body: bytes, headers: _Headers, query: Mapping[str, str]) -> Iterator[ReviewNudge]:
    """Read https://docs.github.com/en/webhooks/webhook-events-and-payloads#pull_request."""
    del query
    if headers.get("x-github-event", "pull_request") == "pull_request":
        yield _of_repository(body)


def gitea_event(headers: _Headers) -> str:
    """Name the event of Gitea or Forgejo: `package`, `pull_request`, `pull_request_sync`, …; empty: none."""
    return headers.get("x-gitea-event") or headers.get("x-forgejo-event") or headers.get("x-github-event", "")


def gitea(body: bytes, headers: _Headers) -> Iterator[ReviewNudge]:
    """Read https://docs.gitea.com/usage/webhooks; it is GitHub's shape."""
    if gitea_event(headers).startswith("pull_request"):
        yield _of_repository(body)


def gitlab(body: bytes) -> Iterator[ReviewNudge]:
    """Read the hook of a project, a group or the whole server.

    https://docs.gitlab.com/user/project/integrations/webhook_events/#merge-request-events
    """
    event = decode(body, GitLabEvent)
    if event.object_kind == "merge_request":
        yield _nudge(event.project.git_http_url, event.project.git_ssh_url, event.project.web_url)


def bitbucket(body: bytes, headers: _Headers, query: Mapping[str, str]) -> Iterator[ReviewNudge]:
    """Read https://support.atlassian.com/bitbucket-cloud/docs/event-payloads/#Pull-request-events."""
    del query
    if headers.get("x-event-key", "pullrequest:").startswith("pullrequest:"):
        yield _nudge(decode(body, BitbucketEvent).repository.links.html.href)


def azure_devops(body: bytes, headers: _Headers, query: Mapping[str, str]) -> Iterator[ReviewNudge]:
    """Read https://learn.microsoft.com/en-us/azure/devops/service-hooks/events#git.pullrequest.updated."""
    del headers, query
    event = decode(body, AzureDevOpsEvent)
    if event.event_type.startswith("git.pullrequest."):
        repository = event.resource.repository
        yield _nudge(repository.remote_url, repository.ssh_url, repository.web_url)


def _of_repository(body: bytes) -> ReviewNudge:
    repository = decode(body, PullRequestEvent).repository
    return _nudge(repository.clone_url, repository.ssh_url, repository.html_url)


def _nudge(*urls: str) -> ReviewNudge:
    known = tuple(dict.fromkeys(url for url in urls if url))
    if not known:
        raise BadWebhook("names no repository by its address")
    return ReviewNudge(known)
