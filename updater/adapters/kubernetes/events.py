"""Events of Kubernetes, as Argo CD Image Updater attaches them to Applications."""

from datetime import UTC

from updater.ports.cluster import ApplicationEvent

_API_VERSION = "argoproj.io/v1alpha1"
_COMPONENT = "ArgocdImageUpdater"


def event_manifest(event: ApplicationEvent) -> dict[str, object]:
    """Spell an Event; its name is made as Kubernetes' own clients make it."""
    namespace, name = event.application
    nanoseconds = int(event.at.timestamp() * 10**6) * 1000 + len(event.reason)  # no reason is as long as another
    time = event.at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    return {
        "apiVersion": "v1",
        "kind": "Event",
        "metadata": {
            "name": f"{name}.{nanoseconds:x}",
            "namespace": namespace,
            "annotations": dict(event.annotations),
        },
        "involvedObject": {"apiVersion": _API_VERSION, "kind": "Application", "name": name, "namespace": namespace},
        "type": "Warning" if event.warning else "Normal",
        "reason": event.reason,
        "message": event.message,
        "source": {"component": _COMPONENT},
        "reportingComponent": _COMPONENT,
        "firstTimestamp": time,
        "lastTimestamp": time,
        "count": 1,
    }
