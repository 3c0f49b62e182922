"""Who writes where: images of several applications may have the same place for their versions.

Those that want the same of it share it. Of others the first application by name has it, so that they do not replace
each other's version for ever; one that does not run comes after all that do. What images of one application do to each
other is told in `clashes`.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import NamedTuple

from updater.domain.application import ApplicationName
from updater.domain.clashes import may_run, wish
from updater.domain.messages import ImageIdentity, Problem, TrackedApplication, TrackedImage
from updater.domain.target import FileKind, GitTarget

_REMEDY = "give each a key or a file of its own"
_REMEDIES = {
    FileKind.MANIFESTS: "give each lines of its own with the comment `# updater: <alias>`, its alias being another"
}


@dataclass
class Places:
    """The places that all tracked applications write to."""

    _tracked: dict[ApplicationName, TrackedApplication] = field(default_factory=dict)
    """As their annotations have it."""
    _settled: dict[ApplicationName, TrackedApplication] = field(default_factory=dict)
    """Without the images whose place another has, and those that move together with one of them."""
    _places: dict[str, dict[ImageIdentity, "_Writer"]] = field(default_factory=dict)

    def put(self, tracked: TrackedApplication) -> list[TrackedApplication]:
        """Take in an application; return it settled, and the others whose images its change gives or takes a place."""
        before = self._holders(self._places_of(tracked.name) | {image.target.place for image in tracked.images})
        self._drop(tracked.name)
        self._tracked[tracked.name] = tracked
        for image in tracked.images:
            writer = _Writer(image, may_run(tracked.application, image))
            self._places.setdefault(image.target.place, {})[ImageIdentity(tracked.name, image.alias)] = writer
        settled = self._settled[tracked.name] = self._settle(tracked)
        return [settled, *self._changed(before, besides=tracked.name)]

    def remove(self, name: ApplicationName) -> list[TrackedApplication]:
        """Forget an application; return those whose images its end gives a place."""
        before = self._holders(self._places_of(name))
        self._drop(name)
        return self._changed(before, besides=name)

    def _places_of(self, name: ApplicationName) -> set[str]:
        tracked = self._tracked.get(name)
        return {image.target.place for image in tracked.images} if tracked else set()

    def _drop(self, name: ApplicationName) -> None:
        for place in self._places_of(name) & self._places.keys():
            rest = {each: writer for each, writer in self._places[place].items() if each.application != name}
            if rest:
                self._places[place] = rest
            else:
                del self._places[place]
        self._tracked.pop(name, None)
        self._settled.pop(name, None)

    def _holders(self, places: Iterable[str]) -> dict[str, "_Holder"]:
        return {place: self._holder(place) for place in places}

    def _holder(self, place: str) -> "_Holder":
        """Tell who has a place: the first application by name of those that run, with its images there."""
        writers = self._places.get(place, {})
        ranks = ((not writer.runs, each.application) for each, writer in writers.items())
        _, first = min(ranks, default=(True, None))
        return _Holder(first, {each.alias: writer for each, writer in writers.items() if each.application == first})

    def _changed(self, before: Mapping[str, "_Holder"], besides: ApplicationName) -> list[TrackedApplication]:
        """Settle those again that share a place whose holder is another, or wants something else."""
        moved = [place for place, holder in sorted(before.items()) if self._holder(place) != holder]
        names = {each.application: None for place in moved for each in self._places.get(place, ())}
        changed: list[TrackedApplication] = []
        for name in names:
            settled = self._settle(self._tracked[name])
            if name != besides and settled != self._settled[name]:
                self._settled[name] = settled
                changed.append(settled)
        return changed

    def _settle(self, tracked: TrackedApplication) -> TrackedApplication:
        contested = {image.alias: self._conflict(tracked.name, image) for image in tracked.images}
        if not any(contested.values()):
            return tracked
        problems = [
            Problem(image.alias, contested[image.alias])
            for image in tracked.images
            if contested[image.alias] and not self._may_be_apart(image)
        ]
        problems += _left_alone(tracked.images, [problem.alias for problem in problems])
        stopped = {problem.alias for problem in problems}
        images = tuple(
            replace(image, contested=contested[image.alias]) for image in tracked.images if image.alias not in stopped
        )
        return replace(tracked, images=images, problems=(*tracked.problems, *problems))

    def _may_be_apart(self, image: TrackedImage) -> bool:
        """Tell whether marks may give each its own lines of the same manifests: only the files can tell."""
        is_manifest = isinstance(image.target, GitTarget) and image.target.kind is FileKind.MANIFESTS
        return is_manifest and image.alias not in self._holder(image.target.place).images

    def _conflict(self, name: ApplicationName, image: TrackedImage) -> str:
        """Say why an image does not have its place; empty when it has."""
        holder = self._holder(image.target.place)
        wishes = [wish(writer.image) for writer in holder.images.values()]
        if holder.application in (None, name) or wish(image) in wishes:
            return ""
        alias, rival = next(iter(holder.images.items()))
        other = f"{alias} of application {holder.application}"
        why = "whose application is the first by name" if self._runs(name, image) == rival.runs else "which runs"
        return (
            f"{image.target} has one place, {image.target.key}, for this image and {other} "
            f"({rival.image.image.written}); they want different things of it: {other} has it, {why}; "
            f"{_REMEDIES.get(image.target.kind, _REMEDY)}, or the same image and settings"
        )

    def _runs(self, name: ApplicationName, image: TrackedImage) -> bool:
        return self._places[image.target.place][ImageIdentity(name, image.alias)].runs


class _Writer(NamedTuple):
    """An image at a place."""

    image: TrackedImage
    runs: bool


class _Holder(NamedTuple):
    """Who has a place."""

    application: ApplicationName | None
    images: Mapping[str, _Writer]


def _left_alone(images: Sequence[TrackedImage], stopped: Sequence[str]) -> list[Problem]:
    """Stop the images of a group of which another has no place: they would move without it."""
    by_group = {image.group: image.alias for image in images if image.group and image.alias in stopped}
    return [
        Problem(image.alias, f"group {image.group} waits until {by_group[image.group]} has a place of its own")
        for image in images
        if image.group in by_group and image.alias not in stopped
    ]
