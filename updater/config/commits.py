"""How commits are worded: the template of the settings, or of the file that AIU's manifests mount."""

from pathlib import Path

import structlog

from updater.formats.commit import CommitStyle
from updater.formats.gotemplate import Template, TemplateError
from updater.settings.daemon import DEFAULT_COMMIT_TEMPLATE, Git

log = structlog.get_logger()


def load_commit_style(git: Git) -> CommitStyle:
    """Read the template; one that cannot be read is said, and the built-in message stands in for it."""
    style = CommitStyle(signed_off_by=f"{git.user} <{git.email}>" if git.commit_sign_off else "")
    try:
        text = git.commit_message_template or _file(git.commit_message_file)
        return CommitStyle(Template.parse(text), style.signed_off_by) if text.strip() else style
    except (TemplateError, OSError, UnicodeDecodeError) as error:
        log.warning("git.template_failed", reason=str(error), remedy="the built-in message is used")
        return style


def _file(path: Path | None) -> str:
    if path is None and not DEFAULT_COMMIT_TEMPLATE.is_file():
        return ""
    return (path or DEFAULT_COMMIT_TEMPLATE).read_text("utf-8")
