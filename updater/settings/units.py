"""Values with a unit, spelled as Go and Kubernetes spell them, and numbers in the base unit once they are read."""

import re
from typing import ClassVar, Self

from updater.domain.durations import parse_go_duration
from updater.domain.errors import Misconfigured

_QUANTITY = re.compile(r"([0-9]{1,15}(?:\.[0-9]{1,9})?)(k|M|G|T|Ki|Mi|Gi|Ti)?")
_HIGHEST_PORT = 65_535
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


class Listen(str):
    """Where a server listens, as `host:port`; empty for nowhere."""

    __slots__ = ()
    remedy: ClassVar[str] = (
        "write a port such as 8082, a host and a port such as 127.0.0.1:8082 or [::1]:8082, or 0 for nowhere"
    )

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read a port, or a host and a port.

        Raises:
            Misconfigured: it is neither.
        """
        host, _, port = text.rpartition(":")
        bracketed = host.startswith("[") and host.endswith("]")
        if text and (not port.isdecimal() or int(port) > _HIGHEST_PORT or (":" in host and not bracketed)):
            raise Misconfigured(f"address {text!r} is none: {cls.remedy}")
        return cls(f"{host}:{port}" if text not in ("", "0") else "")

    @property
    def host(self) -> str | None:
        """None: all addresses of this machine."""
        return self.rpartition(":")[0].strip("[]") or None

    @property
    def port(self) -> int:
        return int(self.rpartition(":")[2] or 0)
