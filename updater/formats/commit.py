"""The message of a commit: the user's template or AIU's words, and trailers that say whose it is."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import NamedTuple

from updater.domain.application import ApplicationName
from updater.domain.change import Change
from updater.domain.image import ImageVersion
from updater.formats.gotemplate import Struct, Template, TemplateError

TRAILER = "Image-Updated"
"""One per change: `Image-Updated: <namespace>/<application> <alias> <version> was <previous>`."""
BRANCH_TRAILER = "Image-Updater-Branch"
"""Of a branch that is ours to rebuild: its name."""
DEFAULT_TEMPLATE = """\
build: automatic update of {{ .AppName }}

{{ range .AppChanges -}}
updates image {{ .Image }} tag '{{ .OldTag }}' to '{{ .NewTag }}'
{{ end -}}
"""
_BATCH_FIELD = "Applications"
_DEFAULT = Template.parse(DEFAULT_TEMPLATE)
_TRAILER_LINE = re.compile(r"[A-Za-z0-9-]+: \S.*")
_CHANGE_LINE = re.compile(rf"{TRAILER}: ([^\s/]+)/(\S+) (\S+) (\S+)(?: was .*)?")


@dataclass(frozen=True, slots=True)
class CommitStyle:
    """How messages are worded."""

    template: Template = _DEFAULT
    signed_off_by: str = ""
    """`name <address>`; empty: nobody."""

    def message(self, changes: Sequence[Change], branch: str = "") -> str:
        """Word the message for a batch.

        Args:
            changes: of one application or of many.
            branch: the name of the branch that the commit alone makes up; empty for a commit on the base.

        Raises:
            TemplateError: the template does not fit, or leaves nothing to say.
        """
        ordered = sorted(changes, key=lambda change: (change.application, change.alias))
        text = self.text(ordered)
        trailers = [trailer(change) for change in ordered]
        trailers += [f"{BRANCH_TRAILER}: {branch}"] if branch else []
        trailers += [f"Signed-off-by: {self.signed_off_by}"] if self.signed_off_by else []
        gap = "" if _ends_in_trailers(text) else "\n"
        return f"{text}\n{gap}" + "\n".join(trailers) + "\n"

    def text(self, ordered: Sequence[Change]) -> str:
        """Word the message without trailers, for changes in the order of their applications and aliases.

        Raises:
            TemplateError
        """
        text = tidied(self._text(ordered))
        if not text:
            raise TemplateError("the message is empty: write at least a subject")
        return text

    @property
    def is_built_in(self) -> bool:
        """Nobody has written a template."""
        return self.template is _DEFAULT

    def _text(self, ordered: Sequence[Change]) -> str:
        """Render the template: once for one application or when it asks for `.Applications`, else for each in turn."""
        sections = by_application(ordered)
        if len(sections) == 1 or self.template.asks_for(_BATCH_FIELD):
            return self.template.render(batch_data(ordered))
        subject = f"build: automatic update of {len(sections)} applications"
        if self.template is _DEFAULT:
            listed = [f"{name}:\n{_lines(changes)}" for name, changes in sections]
        else:
            listed = [self.template.render(batch_data(changes)) for _, changes in sections]
        return "\n\n".join([subject, *map(str.strip, listed)])


def by_application(changes: Sequence[Change]) -> list[tuple[ApplicationName, list[Change]]]:
    """Part changes, which are in the order of their applications."""
    return [(name, list(group)) for name, group in groupby(changes, key=lambda change: change.application)]


def batch_data(changes: Sequence[Change]) -> Struct:
    """Give what a template can ask for: AIU's fields, and `.Applications` with the same fields for each of many.

    `.AppName` is empty, and `.AppChanges` holds all changes, when there are several applications.
    """
    sections = by_application(changes)
    applications = [_application(name, own) for name, own in sections]
    name = sections[0][0] if len(sections) == 1 else ApplicationName("", "")
    return Struct(_application(name, changes), Applications=applications)


def trailer(change: Change) -> str:
    """Name a change in one line that a program finds again, whatever a file had for a version."""
    previous = f" was {change.previous}" if change.previous else ""
    return " ".join(f"{TRAILER}: {change.application} {change.alias} {change.version}{previous}".split())


class ChangeTold(NamedTuple):
    """A change, as far as the message of its commit names it."""

    application: ApplicationName
    alias: str
    version: ImageVersion


def trailers_in(message: str) -> set[str]:
    """Give the lines that name changes."""
    return {line for line in message.splitlines() if line.startswith(f"{TRAILER}: ")}


def changes_told(message: str) -> list[ChangeTold]:
    """Read out of a message which changes its commit holds."""
    found = filter(None, map(_CHANGE_LINE.fullmatch, sorted(trailers_in(message))))
    return [ChangeTold(ApplicationName(each[1], each[2]), each[3], ImageVersion.parse(each[4])) for each in found]


def tidied(text: str) -> str:
    """Clean a message as `git commit` does: no white space at the ends of lines, no more than one blank line."""
    lines = [line.rstrip() for line in text.replace("\0", "").splitlines()]
    return re.sub(r"\n{3,}", "\n\n", "\n".join(lines)).strip("\n")


def _application(name: ApplicationName, changes: Sequence[Change]) -> Struct:
    return Struct(AppName=name.name, AppNamespace=name.namespace, AppChanges=[_change(each) for each in changes])


def _change(change: Change) -> Struct:
    return Struct(
        Image=repository_name(change.image),
        OldTag=str(change.previous),
        NewTag=str(change.version),
        Labels=dict(change.labels),
        Alias=change.alias,
    )


def repository_name(image: str) -> str:
    """Drop the registry of an image's name, as AIU's templates have it."""
    first, slash, rest = image.partition("/")
    return rest if slash and ("." in first or ":" in first or first == "localhost") else image


def _ends_in_trailers(text: str) -> bool:
    """Tell whether the last paragraph, other than the subject, consists of trailers, which ours have to join."""
    subject, _, body = text.partition("\n\n")
    last = body.rpartition("\n\n")[2]
    return bool(subject and last) and all(_TRAILER_LINE.fullmatch(line) for line in last.split("\n"))


def _lines(changes: Sequence[Change]) -> str:
    return "\n".join(
        f"updates image {repository_name(change.image)} tag '{change.previous}' to '{change.version}'"
        for change in changes
    )
