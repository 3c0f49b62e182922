"""Counters and histograms, fed by what the board notices and by what is measured where it happens."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field

from prometheus_client import (
    CONTENT_TYPE_LATEST,
    CollectorRegistry,
    Counter,
    Histogram,
    ProcessCollector,
    disable_created_metrics,
)
from prometheus_client.exposition import generate_latest

from updater.adapters.metrics.labels import Bounded, owner_labels
from updater.domain.application import ApplicationName
from updater.domain.measurements import (
    BatchPushed,
    Measurement,
    NotificationEnded,
    PollEnded,
    RequestEnded,
    WebhookAnswered,
)
from updater.domain.messages import Happening, Noticed

_OWNER = ("image_updater_cr_namespace", "image_updater_cr_name")
_WAITS = (0.001, 0.01, 0.1, 0.5, 1, 2, 5, 10, 30, 60, 120)
_PUSHES = (0.1, 0.25, 0.5, 1, 2, 5, 10, 30, 60)
_BATCHES = (1, 2, 5, 10, 25, 50, 100, 250, 500)
_LAGS = (0.001, 0.005, 0.01, 0.05, 0.1, 0.5, 1, 5)
_BETWEEN_PROBES = 1.0
"""Seconds between two measurements of the event loop's lag."""

Owner = Callable[[ApplicationName, str], str]
"""Tells for which ImageUpdater, as `namespace/name`, an image is kept up to date; empty for annotations."""


def _no_owner(_: ApplicationName, __: str) -> str:
    return ""


@dataclass
class Metrics:
    """All series of this process."""

    registry: CollectorRegistry = field(default_factory=lambda: CollectorRegistry(auto_describe=False))
    hosts: Bounded = field(default_factory=Bounded)
    owner: Owner = _no_owner

    def __post_init__(self) -> None:
        disable_created_metrics()  # type: ignore[no-untyped-call] # a series beside each other one, which nobody asks for

        def counter(name: str, text: str, *labels: str) -> Counter:
            return Counter(name, text, labels, registry=self.registry)

        def histogram(name: str, text: str, buckets: tuple[float, ...], *labels: str) -> Histogram:
            return Histogram(name, text, labels, buckets=buckets, registry=self.registry)

        self._updated = counter("argocd_image_updater_images_updated_total", "Images written anew.", *_OWNER)
        self._errors = counter("argocd_image_updater_images_errors_total", "Times an image began to fail.", *_OWNER)
        for each in (self._updated, self._errors):
            each.labels(*owner_labels(""))
        self._polls = counter("updater_polls_total", "Looks at repositories.", "registry", "outcome")
        self._requests = counter("updater_registry_requests_total", "Requests to registries.", "registry", "outcome")
        self._waits = histogram("updater_registry_wait_seconds", "Waits for a request's turn.", _WAITS, "registry")
        self._batches = histogram("updater_batch_changes", "Changes in one commit.", _BATCHES)
        self._pushes = histogram("updater_push_seconds", "From a push's start to the server's word.", _PUSHES)
        self._lag = histogram("updater_event_loop_lag_seconds", "How late the loop fires a timer.", _LAGS)
        self._webhooks = counter("updater_webhooks_total", "Webhooks answered.", "type", "status")
        self._notifications = counter(
            "updater_notifications_total", "Notifications by what became of them.", "destination", "outcome"
        )
        ProcessCollector(registry=self.registry)

    def notice(self, noticed: Noticed) -> None:
        """Take in what the board tells."""
        if noticed.happening is Happening.UPDATED:
            self._updated.labels(*owner_labels(self.owner(noticed.application, noticed.alias))).inc()
        elif noticed.happening in (Happening.FAILED, Happening.MISCONFIGURED):
            self._errors.labels(*owner_labels(self.owner(noticed.application, noticed.alias))).inc()

    def measure(self, measurement: Measurement) -> None:
        match measurement:
            case RequestEnded(registry, outcome, waited):
                self._requests.labels(self.hosts(registry), outcome).inc()
                self._waits.labels(self.hosts(registry)).observe(waited)
            case PollEnded(registry, outcome):
                self._polls.labels(self.hosts(registry), outcome).inc()
            case BatchPushed(changes, seconds):
                self._batches.observe(changes)
                self._pushes.observe(seconds)
            case WebhookAnswered(kind, status):
                self._webhooks.labels(kind, str(status)).inc()
            case NotificationEnded(destination, outcome, count):
                self._notifications.labels(destination, outcome).inc(count)

    async def run(self) -> None:
        """Measure the event loop's lag, for ever."""
        loop = asyncio.get_running_loop()
        while True:
            due = loop.time() + _BETWEEN_PROBES
            await asyncio.sleep(_BETWEEN_PROBES)
            self._lag.observe(max(loop.time() - due, 0.0))

    def exposition(self) -> tuple[bytes, str]:
        """Return the text for Prometheus, and its content type."""
        return generate_latest(self.registry), CONTENT_TYPE_LATEST
