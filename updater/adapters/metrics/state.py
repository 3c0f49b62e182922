"""Gauges that are read from the stages' state when Prometheus asks, so that none can be out of date.

Two of Argo CD Image Updater's series are gauges named as counters. They have its names here, and no type: a linter
objects to a gauge of that name.
"""

from collections import Counter as Tally
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from prometheus_client.core import GaugeMetricFamily, Metric, UntypedMetricFamily
from prometheus_client.registry import Collector

from updater import __version__
from updater.adapters.metrics.labels import Bounded, owner_labels
from updater.domain.application import ApplicationName
from updater.domain.messages import TrackedApplication
from updater.domain.polling import RegistryState
from updater.domain.record import ImageView, decision_kind, is_failing
from updater.ports.cluster import Leadership

_OWNER = ("image_updater_cr_namespace", "image_updater_cr_name")
_HOLD = "hold"


class Views(Protocol):
    """Knows what is known of each image."""

    def views(self, name: ApplicationName) -> list[ImageView]: ...


class Looks(Protocol):
    """Knows when repositories were looked at."""

    def registries(self) -> Sequence[RegistryState]: ...


@dataclass(frozen=True, eq=False)
class State(Collector):
    """What is read at each scrape."""

    tracked: Mapping[ApplicationName, TrackedApplication]
    board: Views
    looks: Looks
    leadership: Leadership
    queues: Callable[[], Mapping[str, int]]
    """Tells how much waits, by the queue's name."""
    hosts: Bounded

    def collect(self) -> Iterator[Metric]:
        yield from self._watched()
        yield from self._images()
        yield self._ages()
        depths = _labelled("updater_queue_depth", "What waits between two stages.", "queue")
        for name, depth in self.queues().items():
            depths.add_metric((name,), depth)
        yield depths
        yield _gauge("updater_leader", "Whether this replica is the one that writes.", self.leadership.holds())
        build = _labelled("updater_build_info", "The version that runs.", "version")
        build.add_metric((__version__,), 1)
        yield build

    def owner(self, name: ApplicationName, alias: str) -> str:
        """Tell for which ImageUpdater an image is kept up to date; empty for annotations."""
        tracked = self.tracked.get(name)
        claims = tracked.claims if tracked else ()
        return next((str(claim.resource) for claim in claims if alias in claim.aliases or not alias), "")

    def _watched(self) -> Iterator[Metric]:
        applications, images = Tally({"": 0}), Tally({"": 0})
        for tracked in self.tracked.values():
            claimed = {alias: str(claim.resource) for claim in tracked.claims for alias in claim.aliases}
            owners = [claimed.get(image.alias, "") for image in tracked.images]
            images.update(owners)
            applications.update({*owners} or {""})
        yield _untyped("argocd_image_updater_applications_watched_total", "Applications kept up to date.", applications)
        yield _untyped("argocd_image_updater_images_watched_total", "Images kept up to date.", images)

    def _images(self) -> Iterator[Metric]:
        views = [view for name in self.tracked for view in self.board.views(name)]
        decided = Tally((decision_kind(view.decision), str(view.decision.reason)) for view in views if view.decision)
        images = _labelled("updater_images", "Images by decision and reason.", "decision", "reason")
        for labels, count in decided.items():
            images.add_metric(labels, count)
        yield images
        held = sum(count for (kind, _), count in decided.items() if kind == _HOLD)
        yield _gauge("updater_images_held", "Images for which something is held back.", held)
        failing = sum(is_failing(view.decision, view.write_error) for view in views)
        stopped = sum(len(tracked.problems) for tracked in self.tracked.values())
        yield _gauge("updater_images_failing", "Images that cannot be kept up to date for now.", failing + stopped)

    def _ages(self) -> Metric:
        oldest: dict[str, float] = {}
        for each in self.looks.registries():
            host = self.hosts(each.host)
            oldest[host] = max(each.oldest_look, oldest.get(host, 0.0))
        ages = _labelled("updater_snapshot_age_seconds", "Age of the oldest complete look.", "registry")
        for host, age in oldest.items():
            ages.add_metric((host,), age)
        return ages


def _gauge(name: str, text: str, value: float) -> Metric:
    return GaugeMetricFamily(name, text, value=float(value))


def _labelled(name: str, text: str, *labels: str) -> GaugeMetricFamily:
    return GaugeMetricFamily(name, text, labels=labels)


def _untyped(name: str, text: str, counts: Mapping[str, int]) -> Metric:
    family = UntypedMetricFamily(name, text, labels=_OWNER)
    for resource, count in counts.items():
        family.add_metric(owner_labels(resource), count)
    return family
