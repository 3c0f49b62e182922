"""The Applications that are kept up to date, and where the tag of each stands."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

ONE, TWO = "team/one", "team/two"
VALUES = "# Kept by hand.\r\nimage:   {repository: one,   tag: '%s'}  # the tag\r\n\r\nother: {tag: v1.0.0}\r\n"
"""With line ends, quotes and spaces that no serializer would write."""
OVERRIDE = "helm:\n  parameters:\n  - name: image.tag\n    value: %s\n    forcestring: true\n"
FORBIDDEN = r"v2\.\d|-rc\.|-debug|\blatest\b|nightly|999999"
"""What is in all tags that may never be chosen, and in no other."""

_CHART = "name: chart\n"
Allowed = Mapping[str, Sequence[str]]
"""By repository: the tags that may be written, each better than the one before it."""


@dataclass(frozen=True, slots=True)
class Tracked:
    """An Application, and where its tag stands."""

    name: str
    repository: str
    path: str
    """In Git; empty: in the Application itself."""
    text: str
    """Of that file, with a place for the tag."""
    annotations: Mapping[str, str] = field(default_factory=dict, hash=False)
    """Beside those that all have."""

    @property
    def directory(self) -> str:
        return str(Path(self.path).parent)

    def tag_in(self, content: bytes, allowed: Allowed) -> str:
        """Give the allowed tag that makes a file's bytes what they are; empty when none does."""
        before, _, after = self.text.encode().partition(b"%s")
        tag = content.removeprefix(before).removesuffix(after).decode(errors="replace")
        exact = before + tag.encode() + after == content
        return tag if exact and tag in allowed[self.repository] else ""


def first_files(tracked: Sequence[Tracked]) -> dict[str, str]:
    """Give what is in Git before anything is written there."""
    charts = {f"{each.directory}/Chart.yaml": _CHART for each in tracked if each.path}
    return charts | {each.path: VALUES % "v1.0.0" for each in tracked if each.text is VALUES}
