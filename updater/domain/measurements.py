"""What was measured where it happened, as frozen records: whoever counts subscribes to these."""

from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class RequestEnded:
    """A registry was asked, or was to be asked."""

    registry: str
    outcome: str
    """`2xx` to `5xx`, `throttled`, `no-answer`, or `left-alone` by us after many failures."""
    waited: float
    """Seconds for its turn."""


@dataclass(frozen=True, slots=True)
class PollEnded:
    """A repository was looked at."""

    registry: str
    """Its host."""
    outcome: str
    """`complete`, `throttled`, `failed`, `misconfigured` or `crashed`."""


@dataclass(frozen=True, slots=True)
class BatchPushed:
    """A commit arrived on a branch."""

    changes: int
    seconds: float
    """From the start of the push to the server's word."""


@dataclass(frozen=True, slots=True)
class WebhookAnswered:
    """A webhook was answered."""

    type: str
    """Empty for one that is none of ours."""
    status: int


@dataclass(frozen=True, slots=True)
class NotificationEnded:
    """Somebody was told, or could not be."""

    destination: str
    outcome: str
    """`sent`, `failed` or `dropped`."""
    count: int = 1


Measurement = RequestEnded | PollEnded | BatchPushed | WebhookAnswered | NotificationEnded
Measure = Callable[[Measurement], None]
"""Takes a measurement; it neither waits nor fails."""


def unmeasured(measurement: Measurement) -> None:
    """Count nothing."""
