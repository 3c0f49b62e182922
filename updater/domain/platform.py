"""Platforms of images, as containerd spells them."""

import re
from dataclasses import dataclass

from updater.domain.errors import Misconfigured

_PART = re.compile(r"[A-Za-z0-9_.-]+")
_REMEDY = "write operating system and architecture, and the variant if it matters, such as linux/amd64 or linux/arm/v7"
_ARCHITECTURES = {
    "i386": ("386", ""),
    "i486": ("386", ""),
    "i586": ("386", ""),
    "i686": ("386", ""),
    "x86_64": ("amd64", ""),
    "x86-64": ("amd64", ""),
    "aarch64": ("arm64", ""),
    "armhf": ("arm", "v7"),
    "armel": ("arm", "v6"),
    "loongarch64": ("loong64", ""),
}
"""Other names of architectures, the kernel's among them; those of 32-bit ARM say which variant they mean."""
_VARIANTS = {
    ("amd64", "v1"): "",
    ("arm64", "8"): "",
    ("arm64", "v8"): "",
    ("arm64", "v8.0"): "",
    ("arm64", "9"): "v9",
    ("arm64", "9.0"): "v9",
    ("arm64", "v9.0"): "v9",
    ("arm", "5"): "v5",
    ("arm", "6"): "v6",
    ("arm", "7"): "v7",
    ("arm", "8"): "v8",
}
_SYSTEMS = {"macos": "darwin"}
_UNNAMED_VARIANT = {"arm": "v7"}
"""What an image is built for that does not say; of other architectures the least variant has no name."""


@dataclass(frozen=True, slots=True, order=True)
class Platform:
    """An operating system and architecture, normalised as containerd does (`linux/arm64/v8` is `linux/arm64`)."""

    os: str
    architecture: str
    variant: str = ""

    def __str__(self) -> str:
        return "/".join(filter(None, (self.os, self.architecture, self.variant)))


def normalised_platform(os: str, architecture: str, variant: str = "") -> Platform:
    """Make the one platform that all spellings of it have, from what a person or an image's config says."""
    os, architecture, variant = os.lower(), architecture.lower(), variant.lower()
    architecture, meant = _ARCHITECTURES.get(architecture, (architecture, ""))
    variant = meant or variant
    return Platform(_SYSTEMS.get(os, os), architecture, _VARIANTS.get((architecture, variant), variant))


def parse_platform(text: str) -> Platform:
    """Read `os/architecture[/variant]`.

    Raises:
        Misconfigured: it has fewer parts or more, or an empty one.
    """
    parts = text.strip().split("/")
    if len(parts) not in (2, 3) or not all(_PART.fullmatch(part) for part in parts):
        raise Misconfigured(f"platform {text!r} is not understood: {_REMEDY}")
    return normalised_platform(*parts)


def matches(available: Platform, wanted: Platform) -> bool:
    """Say whether an image serves a platform: a wanted platform without a variant takes any."""
    if (available.os, available.architecture) != (wanted.os, wanted.architecture):
        return False
    built_for = available.variant or _UNNAMED_VARIANT.get(available.architecture, "")
    return wanted.variant in ("", built_for)


def own_platform(system: str, machine: str) -> Platform:
    """Name the platform of a machine by what its kernel says (`Linux`, `x86_64`), any variant of it.

    macOS runs containers in a Linux of its own.
    """
    os = "linux" if system.lower() == "darwin" else system
    architecture = "arm" if machine.startswith("armv") else machine
    return Platform(os.lower(), normalised_platform(os, architecture).architecture)
