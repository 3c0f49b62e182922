"""Which of the changes that wait for a repository become one commit."""

from collections.abc import Hashable, Mapping

from updater.domain.messages import UpdateDecided
from updater.domain.target import Branch, GitTarget, repository_key


def by_branch(batch: Mapping[Hashable, UpdateDecided]) -> dict[Branch, dict[Hashable, UpdateDecided]]:
    """Part what is written with different credentials, or to different branches; spellings of a URL part nothing."""
    spelled: dict[Branch, Branch] = {}
    groups: dict[Branch, dict[Hashable, UpdateDecided]] = {}
    for identity, decided in batch.items():
        branch = git_target(decided).branch
        alike = branch._replace(url=f"{_transport(branch.url)} {repository_key(branch.url)}")
        groups.setdefault(spelled.setdefault(alike, branch), {})[identity] = decided
    return groups


def by_spelling(batch: Mapping[Hashable, UpdateDecided]) -> dict[Branch, dict[Hashable, UpdateDecided]]:
    """Part what is spelled in different ways, which a server may know no more than one of."""
    groups: dict[Branch, dict[Hashable, UpdateDecided]] = {}
    for identity, decided in batch.items():
        groups.setdefault(git_target(decided).branch, {})[identity] = decided
    return groups


def _transport(url: str) -> str:
    """Name the way to a repository: the scheme, and the user that SSH logs in."""
    scheme, found, rest = url.strip().partition("://")
    if found and scheme.lower() != "ssh":
        return scheme.lower()
    return f"ssh {(rest if found else url).partition('/')[0].rpartition('@')[0]}"


def git_target(decided: UpdateDecided) -> GitTarget:
    target = decided.image.target
    assert isinstance(target, GitTarget)  # noqa: S101 - the writer sends Application targets another way
    return target
