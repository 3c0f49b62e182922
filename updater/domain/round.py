"""What a round came to, in the words operators know from AIU."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class RoundSummary:
    """Counts over one poll interval."""

    applications: int
    """Tracked now."""
    images_considered: int
    """Tracked now, and with a look at their registry behind them."""
    images_skipped: int
    """Of those: not live and not in their target, without a candidate, or held."""
    images_updated: int
    """Written and confirmed since the last summary."""
    errors: int
    """Images that are misconfigured, or whose registry or write target fails, now."""
