"""Durations as Go spells them: `90s`, `1h30m`, `1.5h`, `-2m`."""

import re

from updater.domain.errors import Misconfigured

_PART = re.compile(r"([0-9]*)(?:\.([0-9]*))?(ns|us|µs|μs|ms|s|m|h)")
_NANOSECONDS = {
    "ns": 1,
    "us": 10**3,
    "µs": 10**3,
    "μs": 10**3,
    "ms": 10**6,
    "s": 10**9,
    "m": 60 * 10**9,
    "h": 3600 * 10**9,
}
_SECOND = _NANOSECONDS["s"]
_LONGEST = 2**63 - 1
_DIGITS = 19
"""Of the longest duration in nanoseconds; no digit behind as many decimals matters."""
_PARTS = 10**19
_REMEDY = "write a number with its unit, such as 500ms, 2m or 1h30m"


def parse_go_duration(text: str) -> float:
    """Read what Go's `time.ParseDuration` reads, in seconds; below zero with a leading minus.

    Raises:
        Misconfigured: it is no duration, or longer than 292 years.
    """
    unsigned = text[1:] if text[:1] in ("+", "-") else text
    nanoseconds = 0 if unsigned == "0" else _nanoseconds(unsigned)
    if nanoseconds is None:
        raise Misconfigured(f"duration {text!r} is not understood: {_REMEDY}")
    if nanoseconds > _LONGEST:
        raise Misconfigured(f"duration {text!r} is longer than 292 years: write a shorter one, such as 720h")
    seconds = nanoseconds / _SECOND
    return -seconds if text.startswith("-") else seconds


def _nanoseconds(text: str) -> int | None:
    total = position = 0
    while part := _PART.match(text, position):
        whole, fraction, unit = part.groups(default="")
        if not whole and not fraction:
            return None
        total += _scaled(whole, fraction, _NANOSECONDS[unit])
        position = part.end()
    return total if position and position == len(text) else None


def _scaled(whole: str, fraction: str, unit: int) -> int:
    """Multiply a decimal, without converting more digits than can matter."""
    digits = whole.lstrip("0")
    if len(digits) > _DIGITS:
        return _LONGEST + 1
    parts = int(fraction[:_DIGITS].ljust(_DIGITS, "0"))
    return int(digits or "0") * unit + parts * unit // _PARTS
