"""How versions of charts are spelled: Helm's `1.2.0+1` is the tag `1.2.0_1` in a registry, where no `+` may stand."""

import re

_VERSION = re.compile(r"[A-Za-z0-9][A-Za-z0-9.+-]{0,127}")


def is_chart_version(text: str) -> bool:
    """Check what may be the version of a chart; what else a repository may say goes into no file."""
    return _VERSION.fullmatch(text) is not None


def from_tag(text: str) -> str:
    """Return the version that a tag, or the `targetRevision` of a source, stands for."""
    return text.replace("_", "+")


def to_tag(version: str) -> str:
    return version.replace("+", "_")


def to_revision(version: str, chart: str) -> str:
    """Spell a version as a source has to: one without a `chart` is an artifact of a registry, known by its tag."""
    return version if chart else to_tag(version)
