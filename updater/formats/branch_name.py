"""The name of a branch out of a template, for the changes of one application."""

import hashlib
from collections.abc import Sequence
from functools import lru_cache

from updater.domain.branches import legal_name
from updater.domain.change import Change
from updater.domain.errors import Misconfigured
from updater.domain.pull_requests import Grouping
from updater.domain.target import GitTarget
from updater.formats.commit import repository_name
from updater.formats.gotemplate import Struct, Template, TemplateError

_KEY_DIGITS = 8
_parse = lru_cache(maxsize=256)(Template.parse)
_PREFIX = "image-updater-"


def proposal_name(change: Change, target: GitTarget, group: Grouping) -> str:
    """Name the branch of a pull request that no template names: always the same for what shares it."""
    branch = target.branch
    if group is Grouping.TARGET:
        return f"{_PREFIX}{target_key(target)}"
    what = {
        Grouping.REPOSITORY: branch.branch or "all",
        Grouping.APPLICATION: str(change.application),
        Grouping.IMAGE: change.image,
    }[group]
    return legal_name(f"{_PREFIX}{what.rpartition('/')[2]}-{_digest(f'{branch.branch}|{what}')[:_KEY_DIGITS]}")


def aiu_name(changes: Sequence[Change], key: str) -> str:
    """Name the branch on which Argo CD Image Updater proposes changes."""
    return f"{_PREFIX}{key}-{_digest(_joined([_image(change) for change in changes]))}"


def aiu_keys(target: GitTarget) -> frozenset[str]:
    """Give the keys that Argo CD Image Updater has for a target: by its branch as configured, or by none.

    It names a kustomization by the override file that the Application would have without.
    """
    branch, path = target.branch, target.override_path or target.path
    return frozenset(_digest(f"{branch.url}|{base}|{path}")[:_KEY_DIGITS] for base in (branch.branch, ""))


def branch_name(changes: Sequence[Change], target: GitTarget) -> str:
    """Render `target.branch.target`, and make it a name that Git allows.

    Raises:
        Misconfigured: the template is broken, or leaves no name.
    """
    return legal_name(_rendered(changes, target))


def check_branch_template(changes: Sequence[Change], target: GitTarget) -> None:
    """Render it for changes that might come; whether a name is left can be told of real ones alone.

    Raises:
        Misconfigured: the template is broken, or asks for what is not there.
    """
    _rendered(changes, target)


def _rendered(changes: Sequence[Change], target: GitTarget) -> str:
    images = [_image(change) for change in changes]
    data = Struct(
        Images=images,
        SHA256=_digest(_joined(images)),
        AppName=changes[0].application.name,
        AppNamespace=changes[0].application.namespace,
        TargetKey=target_key(target),
    )
    try:
        return _parse(target.branch.target).render(data)
    except TemplateError as error:
        raise Misconfigured(f"annotation git-branch is {target.branch.target!r}: {error}") from None


def target_key(target: GitTarget) -> str:
    """Tell in 8 digits where changes go, whatever they are: repository, base branch and file."""
    branch = target.branch
    return _digest(f"{branch.url}|{branch.branch}|{target.path}")[:_KEY_DIGITS]


def _image(change: Change) -> Struct:
    return Struct(
        Name=repository_name(change.image),
        Alias=change.alias,
        OldTag=str(change.previous),
        NewTag=str(change.version),
    )


def _joined(images: Sequence[Struct]) -> str:
    return "".join(f"{image['Name']}-{image['OldTag']}-{image['NewTag']}," for image in images)


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()
