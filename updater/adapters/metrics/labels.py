"""Labels whose number is bounded, however many registries there are."""

from dataclasses import dataclass, field

_MOST = 100
_OTHER = "other"


@dataclass
class Bounded:
    """Lets the first hundred values stand; every other is `other`."""

    _known: set[str] = field(default_factory=set)

    def __call__(self, value: str) -> str:
        if value in self._known or len(self._known) < _MOST:
            self._known.add(value)
            return value
        return _OTHER


def owner_labels(resource: str) -> tuple[str, str]:
    """Return namespace and name of an ImageUpdater; empty ones for what annotations ask for."""
    namespace, _, name = resource.partition("/")
    return namespace, name
