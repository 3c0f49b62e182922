"""Platforms of images, as containerd spells them."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, order=True)
class Platform:
    """An operating system and architecture, normalised as containerd does (`linux/arm64/v8` is `linux/arm64`)."""

    os: str
    architecture: str
    variant: str = ""

    def __str__(self) -> str:
        return "/".join(filter(None, (self.os, self.architecture, self.variant)))
