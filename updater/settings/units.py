"""Values with a unit, spelled as Go and Kubernetes spell them, and numbers in the base unit once they are read."""

import re
from typing import ClassVar, Self

from updater.domain.durations import parse_go_duration
from updater.domain.errors import Misconfigured

_QUANTITY = re.compile(r"([0-9]{1,15}(?:\.[0-9]{1,9})?)(k|M|G|T|Ki|Mi|Gi|Ti)?")
_FACTORS = {
    None: 1,
    "k": 10**3,
    "M": 10**6,
    "G": 10**9,
    "T": 10**12,
    "Ki": 2**10,
    "Mi": 2**20,
    "Gi": 2**30,
    "Ti": 2**40,
}


class Duration(float):
    """Seconds, read from a duration such as `2m` or `1h30m`; may be nothing."""

    remedy: ClassVar[str] = "write a duration with its unit, such as 500ms, 2m or 1h30m"

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read Go's spelling of a duration.

        Raises:
            Misconfigured: it is none, or below zero.
        """
        seconds = parse_go_duration(text)
        if seconds < 0:
            raise Misconfigured(f"duration {text!r} is below zero: {cls.remedy}")
        return cls(seconds)


class Interval(Duration):
    """A duration that takes some time."""

    remedy: ClassVar[str] = "write a duration above zero with its unit, such as 500ms, 2m or 1h30m"

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read Go's spelling of a duration.

        Raises:
            Misconfigured: it is none, or not above zero.
        """
        interval = super().parse(text)
        if not interval:
            raise Misconfigured(f"duration {text!r} is nothing: {cls.remedy}")
        return interval


class Size(int):
    """Bytes, read from a quantity such as `64Mi`."""

    remedy: ClassVar[str] = "write a size of at least one byte, such as 64Mi, 500k or 1048576"

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read Kubernetes' spelling of a quantity of bytes, rounded down.

        Raises:
            Misconfigured: it is none, or less than a byte.
        """
        matched = _QUANTITY.fullmatch(text)
        size = int(float(matched[1]) * _FACTORS[matched[2]]) if matched else 0
        if not size:
            raise Misconfigured(f"size {text!r} is none: {cls.remedy}")
        return cls(size)
