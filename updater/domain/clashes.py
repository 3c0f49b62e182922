"""Images of one application that have one place for their versions: they would write over each other for ever."""

from collections.abc import Iterable, Sequence
from dataclasses import replace
from datetime import timedelta

from updater.domain.application import Application
from updater.domain.errors import Misconfigured
from updater.domain.image import ImageReference
from updater.domain.messages import Problem, TrackedImage
from updater.domain.references import parse_reference
from updater.domain.target import FileKind

_KUSTOMIZE = ("the entry of {key}", "name one for each in the annotation <alias>.kustomize.image-name")
_HELM = ("the parameter {key}", "name one for each in the annotation <alias>.helm.image-tag")
_PLACES = {
    FileKind.HELM_VALUES: ("the key {key}", _HELM[1]),
    FileKind.OVERRIDE_PLUGIN: ("the variable {key}", "name one for each in the annotation <alias>.plugin.image-tag"),
    FileKind.OVERRIDE_KUSTOMIZE: _KUSTOMIZE,
    FileKind.KUSTOMIZATION: _KUSTOMIZE,
    FileKind.CHART: ("{key} of one source", "keep one of them in the image-list"),
}
"""What a place is called, and how to have another; of kinds that are not among them it is a Helm parameter."""


def clashes(
    application: Application, images: Iterable[TrackedImage], broken: Sequence[TrackedImage] = ()
) -> list[Problem]:
    """Stop images that want different things of one place, but for the only one of them that runs.

    `broken` are images that are not followed, and have their places all the same. Marks may give each of several images
    its own lines of the same manifests: only the files can tell.
    """
    writers: dict[str, list[TrackedImage]] = {}
    for image in (*images, *broken):
        if image.target.kind is not FileKind.MANIFESTS:
            writers.setdefault(image.target.place, []).append(image)
    told = {image.alias for image in broken}
    return [
        problem
        for same in writers.values()
        if any(wish(each) != wish(same[0]) for each in same[1:])
        for problem in _problems(application, same)
        if problem.alias not in told
    ]


def _problems(application: Application, same: Sequence[TrackedImage]) -> list[Problem]:
    place, remedy = _PLACES.get(same[0].target.kind, _HELM)
    place = place.format(key=same[0].target.key)
    running = [image for image in same if may_run(application, image)]
    if application.live_images is None or len(running) != 1:
        names = " and ".join(dict.fromkeys(image.alias for image in same))
        return [Problem(image.alias, f"images {names} would all be written to {place}: {remedy}") for image in same]
    [owner] = running
    why = f"does not run, and would be written to {place}, which is that of {owner.alias}: {remedy}"
    return [Problem(image.alias, f"image {image.alias} {why}") for image in same if image is not owner]


def may_run(application: Application, image: TrackedImage) -> bool:
    """Tell whether an image is ours to manage, as far as that is known without its target."""
    live = application.live_images
    if live is None or image.force_update:
        return True
    names = [live_reference(image.keys.kustomize_name) if image.keys.kustomize_name else None, image.image]
    wanted = {name.repository for name in names if name}
    return any(reference.repository in wanted for reference in map(live_reference, live) if reference)


def wish(image: TrackedImage) -> object:
    """Tell what decides about the version that an image is given; when it is written is another matter."""
    whenever = replace(image.policy, paused="", schedule="", release="", minimum_age=timedelta())
    return image.image.repository, whenever


def live_reference(text: str) -> ImageReference | None:
    """Parse an entry of `status.summary.images`; None for what is no image reference."""
    try:
        return parse_reference(text)
    except Misconfigured:
        return None
