"""The name of a branch out of a template, for the changes of one application."""

import hashlib
from collections.abc import Sequence

from updater.domain.branches import legal_name
from updater.domain.change import Change
from updater.domain.target import GitTarget
from updater.formats.commit import repository_name
from updater.formats.gotemplate import Struct, Template

_KEY_DIGITS = 8


def branch_name(changes: Sequence[Change], target: GitTarget) -> str:
    """Render `target.branch.target`, and make it a name that Git allows.

    Raises:
        Misconfigured: the template is broken, or leaves no name.
    """
    images = [_image(change) for change in changes]
    data = Struct(
        Images=images,
        SHA256=_digest("".join(f"{image['Name']}-{image['OldTag']}-{image['NewTag']}," for image in images)),
        AppName=changes[0].application.name,
        AppNamespace=changes[0].application.namespace,
        TargetKey=target_key(target),
    )
    return legal_name(Template.parse(target.branch.target).render(data))


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


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()
