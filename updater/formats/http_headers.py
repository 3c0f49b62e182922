"""The structured headers of HTTP that registries use: `Link`, `WWW-Authenticate`, `Retry-After` and rate limits."""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

_LONGEST = 16_384
_LINK = re.compile(r"<([^<>\s]*)>([^<]*)")
_REL = re.compile(r";\s*rel\s*=\s*\"?([^\";]*)\"?", re.IGNORECASE)
_WORD = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_PARAMETER = re.compile(
    r"""[\s,]*([!#$%&'*+.^_`|~0-9A-Za-z-]+)\s*=\s*(?:"((?:[^"\\]|\\.)*)"|([^\s,"]+))""",
    re.DOTALL,
)
_ESCAPE = re.compile(r"\\(.)", re.DOTALL)
_SECONDS = re.compile(r"[0-9]{1,9}")
_ALLOWANCE = re.compile(r"\s*([0-9]{1,9})(?![0-9])(?:[^;]*;\s*w=([0-9]{1,9}))?.*", re.DOTALL)
_MOMENT = re.compile(r"[0-9]{1,11}")
_EPOCH_BEGINS = 1_000_000_000
"""A reset that is greater is a moment, not a number of seconds."""


@dataclass(frozen=True, slots=True)
class Challenge:
    """One way in which a server wants its clients to say who they are."""

    scheme: str
    """In lower case."""
    parameters: Mapping[str, str]
    """By names in lower case."""


def next_link(headers: Sequence[str]) -> str:
    """Return where a `Link` header says that the next page is, as it is written; empty when there is none.

    A link that says nothing of its relation is the next page, as registries have it.
    """
    for header in headers:
        for found in _LINK.finditer(header[:_LONGEST]):
            relation = _REL.search(found[2])
            if relation is None or "next" in relation[1].lower().split():
                return found[1]
    return ""


def parse_challenges(headers: Sequence[str]) -> tuple[Challenge, ...]:
    """Read `WWW-Authenticate`, as far as it can be understood."""
    return tuple(challenge for header in headers for challenge in _challenges(header[:_LONGEST]))


def _challenges(header: str) -> Iterator[Challenge]:
    position = 0
    while scheme := _WORD.search(header, position):
        parameters: dict[str, str] = {}
        position = scheme.end()
        while parameter := _PARAMETER.match(header, position):
            name, quoted, plain = parameter.groups()
            parameters.setdefault(name.lower(), plain if quoted is None else _ESCAPE.sub(r"\1", quoted))
            position = parameter.end()
        yield Challenge(scheme[0].lower(), parameters)


def retry_after(header: str, now: datetime) -> float | None:
    """Return how many seconds a server asks to wait; None when it does not say so understandably."""
    text = header.strip()
    if _SECONDS.fullmatch(text):
        return float(text)
    try:
        moment = parsedate_to_datetime(text)
    except (ValueError, TypeError, IndexError):
        return None
    return max((moment.replace(tzinfo=moment.tzinfo or UTC) - now).total_seconds(), 0.0)


@dataclass(frozen=True, slots=True)
class Allowance:
    """What a server says is left of what it allows."""

    limit: int
    remaining: int
    window: float
    """Seconds in which `limit` is allowed; 0 when that is not said."""
    reset: float | None
    """Seconds until there is more; None when that is not said."""


def allowance(headers: Mapping[str, str], now: datetime) -> Allowance | None:
    """Read `RateLimit-*` as Docker Hub and the IETF's drafts have them, or `X-RateLimit-*`; None without such headers.

    Names of headers are expected to be found in any case.
    """
    for prefix in ("RateLimit", "X-RateLimit"):
        remaining = _ALLOWANCE.fullmatch(headers.get(f"{prefix}-Remaining", ""))
        if remaining is not None:
            limit = _ALLOWANCE.fullmatch(headers.get(f"{prefix}-Limit", ""))
            return Allowance(
                limit=int(limit[1]) if limit else 0,
                remaining=int(remaining[1]),
                window=float(remaining[2] or (limit[2] if limit else None) or 0),
                reset=_reset(headers.get(f"{prefix}-Reset", ""), now),
            )
    return None


def _reset(text: str, now: datetime) -> float | None:
    if not _MOMENT.fullmatch(text.strip()):
        return None
    number = float(text.strip())
    return max(number - now.timestamp(), 0.0) if number >= _EPOCH_BEGINS else number
