"""Who writes where: images of several applications may have the same place for their versions.

Those that want the same of it share it. Of others the first application by name has it, so that they do not replace
each other's version for ever; one that does not run comes after all that do. What images of one application do to each
other is told in `clashes`.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import NamedTuple, TypeGuard

from updater.domain.application import ApplicationName
from updater.domain.clashes import may_run, wish
from updater.domain.messages import Contest, ImageIdentity, Problem, TrackedApplication, TrackedImage
from updater.domain.overlaps import Overlaps
from updater.domain.target import FileKind, GitTarget, Target

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
    _overlaps: Overlaps = field(default_factory=Overlaps)
    """Of the places that are globs."""

    def put(self, tracked: TrackedApplication) -> list[TrackedApplication]:
        """Take in an application; return it settled, and the others whose images its change gives or takes a place."""
        before = self._held([*self._targets_of(tracked.name), *(image.target for image in tracked.images)])
        self._drop(tracked.name)
        self._tracked[tracked.name] = tracked
        for image in tracked.images:
            self._add(ImageIdentity(tracked.name, image.alias), _Writer(image, may_run(tracked.application, image)))
        settled = self._settled[tracked.name] = self._settle(tracked)
        return [settled, *self._changed(before, besides=tracked.name)]

    def remove(self, name: ApplicationName) -> list[TrackedApplication]:
        """Forget an application; return those whose images its end gives a place."""
        before = self._held(self._targets_of(name))
        self._drop(name)
        return self._changed(before, besides=name)

    def _add(self, identity: ImageIdentity, writer: "_Writer") -> None:
        target = writer.image.target
        if target.place not in self._places and _is_glob(target):
            self._overlaps.add(target)
        self._places.setdefault(target.place, {})[identity] = writer

    def _targets_of(self, name: ApplicationName) -> list[Target]:
        tracked = self._tracked.get(name)
        return [image.target for image in tracked.images] if tracked else []

    def _drop(self, name: ApplicationName) -> None:
        for place, target in {target.place: target for target in self._targets_of(name)}.items():
            rest = {each: writer for each, writer in self._places[place].items() if each.application != name}
            if rest:
                self._places[place] = rest
            else:
                del self._places[place]
                if _is_glob(target):
                    self._overlaps.remove(target)
        self._tracked.pop(name, None)
        self._settled.pop(name, None)

    def _near(self, target: Target) -> set[str]:
        """Give the places that may be the same as a target's, or have files in common with it."""
        return self._overlaps.of(target) if _is_glob(target) else {target.place}

    def _held(self, targets: Iterable[Target]) -> dict[str, tuple[Target, "_Holder"]]:
        return {target.place: (target, self._holder(target.place)) for target in targets}

    def _holder(self, place: str) -> "_Holder":
        """Tell who has a place: the first application by name of those that run, with its images there."""
        writers = self._places.get(place, {})
        ranks = ((not writer.runs, each.application) for each, writer in writers.items())
        _, first = min(ranks, default=(True, None))
        return _Holder(first, {each.alias: writer for each, writer in writers.items() if each.application == first})

    def _changed(
        self, before: Mapping[str, tuple[Target, "_Holder"]], besides: ApplicationName
    ) -> list[TrackedApplication]:
        """Settle those again that share a place whose holder is another, or wants something else."""
        moved = [target for place, (target, holder) in sorted(before.items()) if self._holder(place) != holder]
        near = {place: None for target in moved for place in sorted(self._near(target))}
        names = {each.application: None for place in near for each in self._places.get(place, ())}
        changed: list[TrackedApplication] = []
        for name in names:
            settled = self._settle(self._tracked[name])
            if name != besides and settled != self._settled[name]:
                self._settled[name] = settled
                changed.append(settled)
        return changed

    def _settle(self, tracked: TrackedApplication) -> TrackedApplication:
        contests = {image.alias: self._contests(tracked.name, image) for image in tracked.images}
        if not any(contests.values()):
            return tracked
        problems = [
            Problem(image.alias, contest.why)
            for image in tracked.images
            for contest in contests[image.alias][:1]
            if not _is_glob(image.target) or (contest.glob == image.target.path and not contest.by_marks)
        ]
        problems += _left_alone(tracked.images, [problem.alias for problem in problems])
        stopped = {problem.alias for problem in problems}
        images = tuple(
            replace(image, contests=contests[image.alias]) for image in tracked.images if image.alias not in stopped
        )
        return replace(tracked, images=images, problems=(*tracked.problems, *problems))

    def _contests(self, name: ApplicationName, image: TrackedImage) -> tuple[Contest, ...]:
        """Tell who has an image's place before it, then who has files that its glob may match."""
        own, near = image.target.place, self._near(image.target)
        me = _Holder(name, {image.alias: self._places[own][ImageIdentity(name, image.alias)]})
        holders = [self._holder(place) for place in sorted(near, key=lambda each: (each != own, each))]
        others = [_contest(me, holder) for holder in holders if holder.application != name and _contends(holder, me)]
        first = next(each for each in self._tracked[name].images if each.target.place in near)
        if _is_glob(image.target) and wish(first) != wish(image):
            others.append(_contest_within(image, first))
        return tuple(others)


class _Writer(NamedTuple):
    """An image at a place."""

    image: TrackedImage
    runs: bool


class _Holder(NamedTuple):
    """Who has a place."""

    application: ApplicationName | None
    images: Mapping[str, _Writer]

    @property
    def runs(self) -> bool:
        return any(writer.runs for writer in self.images.values())


def _contends(holder: _Holder, me: _Holder) -> bool:
    """Tell whether a holder comes before me and wants something else."""
    if holder.application is None or me.application is None:
        return False
    [mine] = me.images.values()
    first = (not holder.runs, holder.application) < (not me.runs, me.application)
    return first and wish(mine.image) not in [wish(writer.image) for writer in holder.images.values()]


def _contest(me: _Holder, holder: _Holder) -> Contest:
    [(own, mine)] = me.images.items()
    alias, rival = next(iter(holder.images.items()))
    target, theirs = mine.image.target, rival.image.target
    other = f"{alias} of application {holder.application} ({rival.image.image.written})"
    what = f"{target} has one place, {target.key}, for this image and {other}; they want different things of it"
    if theirs.place != target.place and isinstance(theirs, GitTarget):
        what = (
            f"{target} matches it, and so does {theirs.path} for {other}, which wants another version of {target.key}"
        )
    why = "which runs" if holder.runs and not me.runs else "whose application is the first by name"
    return Contest(
        glob=theirs.path if isinstance(theirs, GitTarget) else "",
        why=f"{what}: {alias} of application {holder.application} has it, {why}; "
        f"{_REMEDIES.get(target.kind, _REMEDY)}, or the same image and settings",
        by_marks=own not in holder.images,
    )


def _contest_within(image: TrackedImage, first: TrackedImage) -> Contest:
    """Say that an image comes before another of the same application in the same manifests."""
    why = (
        f"{image.target} has one place, {image.target.key}, for this image and {first.alias} of the same application; "
        f"they want different things of it: {first.alias} has it, which comes first in the image-list; "
        f"{_REMEDIES[FileKind.MANIFESTS]}, or the same settings"
    )
    return Contest(first.target.path if isinstance(first.target, GitTarget) else "", why, by_marks=True)


def _is_glob(target: Target) -> TypeGuard[GitTarget]:
    return target.kind is FileKind.MANIFESTS


def _left_alone(images: Sequence[TrackedImage], stopped: Sequence[str]) -> list[Problem]:
    """Stop the images of a group of which another has no place: they would move without it."""
    by_group = {image.group: image.alias for image in images if image.group and image.alias in stopped}
    return [
        Problem(image.alias, f"group {image.group} waits until {by_group[image.group]} has a place of its own")
        for image in images
        if image.group in by_group and image.alias not in stopped
    ]
