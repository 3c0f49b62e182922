"""The words of a pull request, and what programs read out of them again.

What a pull request proposes stands at its end, in a comment that people do not see; on Azure DevOps at its beginning,
for its listings tell no more than that.
"""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from urllib.parse import urlsplit

from updater.domain.change import Change
from updater.domain.pull_requests import ForgeKind, Proposed, PullRequestSettings
from updater.formats.commit import CommitStyle, batch_data
from updater.formats.gotemplate import Template

_LONGEST_TITLE = 255
_LONGEST_BODY = 65_000
"""Characters; GitHub takes 65,536, and what is proposed, at the end, may not be cut off."""
_LONGEST_OF = {ForgeKind.AZURE: 4_000, ForgeKind.BITBUCKET: 32_000}
"""Of forges that take less."""
_MARK = "<!-- updater proposes"
_END = "-->"
_COMMENT = re.compile(rf"\n*{_MARK}\n(.*?)\n{_END}", re.DOTALL)
_LINE = re.compile(r"(\S+) (\S+) (\S+) in ([0-9a-f]{8})")
_SOURCE = "org.opencontainers.image.source"
_REVISION = "org.opencontainers.image.revision"
_CHANGELOG = "org.opencontainers.image.documentation"
_HELP = """\
Merge this to have it deployed. Until then it is kept up to date: a newer version replaces what is proposed here.

- **Not now, not this version**: close it without merging. It comes back with something newer, or with the annotation
  `<alias>.release: <version>`.
- **Never this version**: the annotation `<alias>.skip-tags`. **None at all**: `<alias>.pause`.
- Commits that you add to the branch are kept: from then on it is left alone."""


@dataclass(frozen=True, slots=True)
class Words:
    """What a pull request says."""

    title: str
    body: str


def word(
    changes: Sequence[Change],
    proposes: Iterable[Proposed],
    style: CommitStyle,
    settings: PullRequestSettings,
    pending: Sequence[str] = (),
) -> Words:
    """Word a pull request: by its own templates, else as the commit message, else by a table.

    Args:
        changes: in the order of their applications and aliases.
        proposes: the same, as it will be read again.
        style: of the commit.
        settings: with the templates.
        pending: what else there is to know of the applications, a line for each.

    Raises:
        TemplateError: a template does not fit.
    """
    subject, _, rest = style.text(changes).partition("\n")
    if settings.title:
        subject = Template.parse(settings.title).render(batch_data(changes))
    if settings.body:
        body = Template.parse(settings.body).render(batch_data(changes))
    else:
        body = _table(changes, pending) if style.is_built_in else rest
    marker = "\n".join([_MARK, *map(_line, sorted(proposes)), _END])
    longest = _LONGEST_OF.get(settings.forge, _LONGEST_BODY)
    text = body.strip()[: max(longest - len(marker) - 2, 0)]
    whole = f"{marker}\n\n{text}" if settings.forge is ForgeKind.AZURE else f"{text}\n\n{marker}"
    return Words(" ".join(subject.split())[:_LONGEST_TITLE], whole)


def is_marked(body: str) -> bool:
    """Tell whether a text begins with what it proposes."""
    return body.startswith(_MARK)


def proposals_in(body: str) -> frozenset[Proposed]:
    """Read what a pull request proposes out of its text."""
    comment = _COMMENT.search(body.replace("\r\n", "\n"))
    lines = comment[1].splitlines() if comment else ()
    return frozenset(Proposed(*found.groups()) for line in lines if (found := _LINE.fullmatch(line.strip())))


def without_proposals(body: str) -> str:
    """Take out of a text what it proposes: closing the pull request says nothing about that any more."""
    return _COMMENT.sub("", body.replace("\r\n", "\n"))


def _line(each: Proposed) -> str:
    return f"{each.application} {each.alias} {each.version} in {each.target}"


def _table(changes: Sequence[Change], pending: Sequence[str]) -> str:
    rows = ["| application | image | from | to |", "|---|---|---|---|"]
    rows += [
        f"| {_code(change.application)} | {_code(change.image)} | {_code(change.previous)} | {_code(change.version)}"
        f"{_links(change)} |"
        for change in changes
    ]
    waits = ["", "Also to be had:", "", *(f"- {line}" for line in pending)] if pending else []
    return "\n".join([*rows, *waits, "", _HELP])


def _code(value: object) -> str:
    text = str(value).replace("`", "").replace("|", "\\|")
    return f"`{text}`" if text else ""


def _links(change: Change) -> str:
    """Link to the commit that the image was built of, and what else its labels name."""
    source, revision = change.labels.get(_SOURCE, ""), change.labels.get(_REVISION, "")
    found = {"source": _web(f"{source.removesuffix('.git').rstrip('/')}/commit/{revision}" if revision else source)}
    found["documentation"] = _web(change.labels.get(_CHANGELOG, ""))
    links = ", ".join(f"[{name}]({url})" for name, url in found.items() if url)
    return f" ({links})" if links else ""


def _web(url: str) -> str:
    safe = re.fullmatch(r"https?://[^\s()<>|`]+", url)
    return url if safe and urlsplit(url).hostname else ""
