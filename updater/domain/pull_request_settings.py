"""What annotations say of pull requests."""

from collections.abc import Mapping
from typing import TypeVar
from urllib.parse import urlsplit

from updater.domain.errors import Misconfigured
from updater.domain.pull_requests import ForgeKind, Grouping, PullRequestSettings
from updater.domain.target import repository_key

_Choice = TypeVar("_Choice")
KEY = "pull-request"
KEYS = frozenset(
    {KEY, *(f"{KEY}.{part}" for part in ("labels", "title", "body", "reviewers", "draft", "automerge", "group"))}
)
_ON, _OFF = ("true", "auto"), ("", "false")
_SWITCH = {"": False, "false": False, "true": True}
_MERGES = {"": "", "false": "", "true": "merge", "merge": "merge", "squash": "squash", "rebase": "rebase"}
_KNOWN_BY = {
    "github": ForgeKind.GITHUB,
    "gitlab": ForgeKind.GITLAB,
    "gitea": ForgeKind.GITEA,
    "forgejo": ForgeKind.GITEA,
    "codeberg": ForgeKind.GITEA,
    "azure": ForgeKind.AZURE,
    "visualstudio": ForgeKind.AZURE,
}
_BITBUCKET = "bitbucket.org"
_LONGEST_LABEL = 255
_MOST_LABELS = 100


def read_settings(annotations: Mapping[str, str], url: str) -> PullRequestSettings | None:
    """Read how changes to a repository are proposed; None when they are not.

    Raises:
        Misconfigured: an annotation cannot be followed.
    """
    said = annotations.get(KEY, "").strip().lower()
    if said in _OFF:
        return None
    labels = _listed(annotations, "labels")
    if len(labels) > _MOST_LABELS or any(len(label) > _LONGEST_LABEL for label in labels):
        raise Misconfigured(f"annotation {KEY}.labels has more than {_MOST_LABELS} labels, or one that is too long")
    forge = forge_of(url) if said in _ON else _chosen(annotations, "", {str(kind): kind for kind in ForgeKind})
    automerge = _chosen(annotations, "automerge", _MERGES)
    if automerge and forge is ForgeKind.BITBUCKET:
        raise Misconfigured(f"annotation {KEY}.automerge: Bitbucket merges nothing by itself: remove it")
    return PullRequestSettings(
        forge=forge,
        group=_chosen(annotations, "group", {"": Grouping.TARGET} | {str(each): each for each in Grouping}),
        title=annotations.get(f"{KEY}.title", "").strip(),
        body=annotations.get(f"{KEY}.body", "").strip(),
        labels=labels,
        reviewers=_listed(annotations, "reviewers"),
        draft=_chosen(annotations, "draft", _SWITCH),
        automerge=automerge,
    )


def forge_of(url: str) -> ForgeKind:
    """Tell by its host which forge a repository is on.

    Raises:
        Misconfigured: it does not tell.
    """
    kind = forge_by_name(url)
    if kind is None:
        raise Misconfigured(
            f"annotation {KEY} does not name the forge, and the host {_host(url)} does not tell it: "
            f"write one of {', '.join(ForgeKind)}"
        )
    return kind


def forge_by_name(url: str) -> ForgeKind | None:
    """Tell by its host which forge a repository is on; None when that says nothing."""
    host = _host(url)
    if host.endswith(_BITBUCKET):
        return ForgeKind.BITBUCKET
    known = (
        kind
        for word, kind in _KNOWN_BY.items()
        if any(part.startswith(word) or part.endswith(word) for part in host.split("."))
    )
    return next(known, None)


def _host(url: str) -> str:
    return urlsplit(f"//{repository_key(url)}").hostname or ""


def _listed(annotations: Mapping[str, str], part: str) -> tuple[str, ...]:
    items = (item.strip() for item in annotations.get(f"{KEY}.{part}", "").split(","))
    return tuple(dict.fromkeys(item for item in items if item))


def _chosen(annotations: Mapping[str, str], part: str, choices: Mapping[str, _Choice]) -> _Choice:
    key = f"{KEY}.{part}" if part else KEY
    text = annotations.get(key, "").strip().lower()
    if text not in choices:
        raise Misconfigured(f"annotation {key} is {text!r}: write one of {', '.join(filter(None, choices))}")
    return choices[text]
