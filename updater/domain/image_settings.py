"""The annotations as one image sees them: its own before the application's, and these before the defaults."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TypeVar

from updater.domain.errors import Misconfigured

PREFIX = "argocd-image-updater.argoproj.io/"

POLICY_KEYS = frozenset(
    {
        "update-strategy",
        "allow-tags",
        "ignore-tags",
        "force-update",
        "pull-secret",
        "skip-tags",
        "minimum-age",
        "extract",
        "sort",
        "allow-downgrade",
        "semver-loose",
        "pause",
        "schedule",
    },
)
"""Of one image (`<alias>.<key>`), or of all images of the application."""
IMAGE_KEYS = frozenset(
    {
        "platforms",
        "helm.image-name",
        "helm.image-tag",
        "helm.image-spec",
        "kustomize.image-name",
        "plugin.image-name",
        "plugin.image-tag",
        "plugin.image-spec",
        "pin",
        "output",
        "source",
        "group",
        "release",
    },
)
DEPRECATED = {"tag-match": "allow-tags"}
_BOOLEANS = dict.fromkeys(("1", "t", "T", "TRUE", "true", "True"), True) | dict.fromkeys(
    ("0", "f", "F", "FALSE", "false", "False"),
    False,
)

Read = TypeVar("Read")


@dataclass(frozen=True, slots=True)
class ImageSettings:
    """The annotations as one image sees them."""

    annotations: Mapping[str, str]
    alias: str
    defaults: Mapping[str, str]

    def __getitem__(self, key: str) -> str:
        """Return the image's own value of a key, else the application's where the key may be given there, else ours."""
        spellings = [key, *(old for old, present in DEPRECATED.items() if present == key)]
        keys = [f"{self.alias}.{each}" for each in spellings] + (spellings if key not in IMAGE_KEYS else [])
        own = next((self.annotations[key].strip() for key in keys if self.annotations.get(key, "").strip()), "")
        return own or self.defaults.get(key, "")

    def flag(self, key: str) -> bool:
        text = self[key]
        if text and text not in _BOOLEANS:
            raise self.wrong(key, text, "write true or false")
        return _BOOLEANS.get(text, False)

    def listed(self, key: str) -> tuple[str, ...]:
        return tuple(item.strip() for item in self[key].split(",") if item.strip())

    def read(self, key: str, parse: Callable[[str], Read]) -> Read:
        """Make something of a value.

        Raises:
            Misconfigured: `parse` does not understand it; the text names the place.
        """
        try:
            return parse(self[key])
        except Misconfigured as error:
            raise Misconfigured(f"annotation {PREFIX}{self._place(key)}: {error}") from None

    def wrong(self, key: str, value: str, remedy: str) -> Misconfigured:
        return Misconfigured(f"annotation {PREFIX}{self._place(key)} is {value!r}: {remedy}")

    def _place(self, key: str) -> str:
        return f"{self.alias}.{key}" if f"{self.alias}.{key}" in self.annotations else key
