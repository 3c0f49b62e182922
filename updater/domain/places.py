"""Who writes where: images of several applications may have the same place for their versions.

Those that want the same of it share it. Of others the first application by name has it, so that they do not replace
each other's version for ever. What images of one application do to each other is told where annotations are read.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from datetime import timedelta

from updater.domain.annotations import live_reference
from updater.domain.application import ApplicationName
from updater.domain.messages import ImageIdentity, Problem, TrackedApplication, TrackedImage


@dataclass
class Places:
    """The places that all tracked applications write to."""

    _tracked: dict[ApplicationName, TrackedApplication] = field(default_factory=dict)
    """As their annotations have it."""
    _settled: dict[ApplicationName, TrackedApplication] = field(default_factory=dict)
    """Without the images whose place another has."""
    _places: dict[str, dict[ImageIdentity, TrackedImage]] = field(default_factory=dict)

    def put(self, tracked: TrackedApplication) -> list[TrackedApplication]:
        """Take in an application; return it settled, and the others whose images its change gives or takes a place."""
        writing = [image for image in tracked.images if _may_write(tracked, image)]
        touched = self._drop(tracked.name) | {image.target.place for image in writing}
        self._tracked[tracked.name] = tracked
        for image in writing:
            self._places.setdefault(image.target.place, {})[ImageIdentity(tracked.name, image.alias)] = image
        settled = self._settled[tracked.name] = self._settle(tracked)
        return [settled, *self._changed(touched, besides=tracked.name)]

    def remove(self, name: ApplicationName) -> list[TrackedApplication]:
        """Forget an application; return those whose images its end gives a place."""
        return self._changed(self._drop(name), besides=name)

    def _drop(self, name: ApplicationName) -> set[str]:
        self._settled.pop(name, None)
        tracked = self._tracked.pop(name, None)
        left = {image.target.place for image in tracked.images} if tracked else set()
        for place in left & self._places.keys():
            rest = {each: image for each, image in self._places[place].items() if each.application != name}
            if rest:
                self._places[place] = rest
            else:
                del self._places[place]
        return left

    def _changed(self, places: Iterable[str], besides: ApplicationName) -> list[TrackedApplication]:
        names = {each.application: None for place in sorted(places) for each in self._places.get(place, ())}
        changed: list[TrackedApplication] = []
        for name in names:
            settled = self._settle(self._tracked[name])
            if name != besides and settled != self._settled[name]:
                self._settled[name] = settled
                changed.append(settled)
        return changed

    def _settle(self, tracked: TrackedApplication) -> TrackedApplication:
        conflicts = {image.alias: self._conflict(tracked.name, image) for image in tracked.images}
        if not any(conflicts.values()):
            return tracked
        images = tuple(image for image in tracked.images if not conflicts[image.alias])
        problems = tuple(Problem(alias, message) for alias, message in conflicts.items() if message)
        return replace(tracked, images=images, problems=(*tracked.problems, *problems))

    def _conflict(self, name: ApplicationName, image: TrackedImage) -> str:
        """Say why an image does not have its place; empty when it has."""
        claims = self._places.get(image.target.place, {})
        first = min((each.application for each in claims), default=name)
        rivals = {each: rival for each, rival in claims.items() if each.application == first}
        if first >= name or any(_wish(rival) == _wish(image) for rival in rivals.values()):
            return ""
        identity, rival = next(iter(rivals.items()))
        other = f"{identity.alias} of application {first}"
        return (
            f"{image.target} has one place, {image.target.key}, for this image and {other} ({rival.image.written}); "
            f"they want different things of it: {other} has it, whose application is the first by name; "
            "give each a key or a file of its own, or the same image and settings"
        )


def _may_write(tracked: TrackedApplication, image: TrackedImage) -> bool:
    """Tell whether an image is ours to manage, as far as that is known without its target."""
    live = tracked.application.live_images
    if live is None or image.force_update:
        return True
    return any(reference.repository == image.image.repository for reference in map(live_reference, live) if reference)


def _wish(image: TrackedImage) -> object:
    """Tell what decides about the version that an image is given; when it is written is another matter."""
    whenever = replace(image.policy, paused="", schedule="", release="", minimum_age=timedelta())
    return image.image.repository, whenever
