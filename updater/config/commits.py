"""How commits are worded: the template of the settings, or of the file that AIU's manifests mount."""

from pathlib import Path

import structlog

from updater.domain.application import ApplicationName
from updater.domain.change import Change
from updater.domain.errors import Misconfigured
from updater.domain.image import ImageVersion
from updater.formats.commit import CommitStyle
from updater.formats.gotemplate import Template, TemplateError
from updater.settings.daemon import DEFAULT_COMMIT_TEMPLATE, Git

log = structlog.get_logger()


_SAMPLE = [
    Change(ApplicationName("argocd", name), "app", "ghcr.io/team/app", ImageVersion("v1.0"), ImageVersion("v2.0"))
    for name in ("one", "other")
]


def load_commit_style(git: Git) -> CommitStyle:
    """Read the template, and try it; one that is no good is said, and the built-in message stands in for it."""
    try:
        return read_commit_style(git)
    except Misconfigured as error:
        log.warning("git.template_failed", reason=str(error), remedy="the built-in message is used")
        return CommitStyle(signed_off_by=_signed_off_by(git))


def read_commit_style(git: Git) -> CommitStyle:
    """Read the template, and try it.

    Raises:
        Misconfigured: it is no good.
    """
    style = CommitStyle(signed_off_by=_signed_off_by(git))
    file = git.commit_message_file or DEFAULT_COMMIT_TEMPLATE
    place = "git.commit_message_template" if git.commit_message_template else f"commit message template {file}"
    try:
        text = git.commit_message_template or _text(file, asked_for=git.commit_message_file is not None)
        if not text.strip():
            return style
        written = CommitStyle(Template.parse(text), style.signed_off_by)
        for changes in (_SAMPLE[:1], _SAMPLE):
            written.message(changes)
    except (TemplateError, OSError, UnicodeDecodeError) as error:
        raise Misconfigured(f"{place}: {error}") from None
    return written


def _signed_off_by(git: Git) -> str:
    return f"{git.user} <{git.email}>" if git.commit_sign_off else ""


def _text(file: Path, *, asked_for: bool) -> str:
    return file.read_text("utf-8") if asked_for or file.is_file() else ""
