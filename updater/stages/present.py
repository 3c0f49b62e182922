"""What an image's version is at present, by the best witness there is.

The target itself comes first; while it is silent, the Application's own parameters, then the live state, then what the
override would override (the chart's values). Whether we manage the image at all follows from the same witnesses.
"""

from dataclasses import replace

from updater.domain.application import Application, Parameter
from updater.domain.change import Edit
from updater.domain.chart_versions import from_tag
from updater.domain.decision import Current, Memory, Origin, Reason, UpToDate
from updater.domain.errors import Misconfigured
from updater.domain.image import ImageReference, ImageVersion
from updater.domain.messages import TrackedImage
from updater.domain.references import parse_reference
from updater.domain.rollback import same_version
from updater.domain.target import ApplicationTarget, FileKind, GitTarget
from updater.formats.kustomize import read_overrides
from updater.formats.overrides import is_named


def edit_for(image: TrackedImage, version: ImageVersion) -> Edit:
    """Say what an image's target has to hold to have a version."""
    target = image.target
    manifest_of = target.manifest_of if isinstance(target, GitTarget) else None
    return Edit(image.image.at(version), image.keys, image.alias, manifest_of, target.source)


def assumed(application: Application, image: TrackedImage, memory: Memory) -> Current:
    """Tell the present version without reading a Git target: by what we wrote, else by the other witnesses."""
    if isinstance(image.target, ApplicationTarget):
        current = witnessed(application, image, None)
        return replace(current, removed=bool(memory.written) and current.origin is not Origin.TARGET)
    if memory.written and not memory.rejected:
        return Current(memory.written, Origin.TARGET)
    if memory.rejected:
        return Current()
    return witnessed(application, image, None)


def doubtful(application: Application, image: TrackedImage, memory: Memory) -> bool:
    """Tell whether a Git target may not hold any more what we wrote there: something else of this image runs."""
    running = live_versions(application, image)
    remembered = isinstance(image.target, GitTarget) and memory.written and not memory.rejected
    return bool(remembered and running) and not any(same_version(each, memory.written) for each in running)


def witnessed(
    application: Application,
    image: TrackedImage,
    in_target: ImageVersion | None,
    in_base: ImageVersion | None = None,
) -> Current:
    """Tell the present version, given what the target (and what it overrides) says; None where it is silent."""
    if in_target is not None:
        return Current(in_target, Origin.TARGET)
    in_parameters = parameter_version(application, image)
    if in_parameters is not None:
        origin = Origin.TARGET if isinstance(image.target, ApplicationTarget) else Origin.APPLICATION
        return Current(in_parameters, origin)
    live = live_versions(application, image)
    if live:
        return Current(live[0], Origin.LIVE)
    if in_base is not None:
        return Current(in_base, Origin.BASE)
    return Current()


def unmanaged(application: Application, image: TrackedImage, current: Current) -> UpToDate | None:
    """Say why an image is not ours to manage: something runs, but not this, and nothing names it; else None."""
    if current.origin is not Origin.UNKNOWN or image.force_update or not application.live_images:
        return None
    live = ", ".join(sorted(application.live_images)[:5])
    return UpToDate(
        reason=Reason.NOT_FOUND,
        message=f"image {image.image.written} is not among the live images ({live}) and {image.target} does not name "
        f"it: correct the image-list, or set {image.alias}.force-update: true",
    )


def live_versions(application: Application, image: TrackedImage) -> list[ImageVersion]:
    """Find the image among the live ones; nothing when it is not there, or nothing is known."""
    repositories = {image.image.repository}
    if image.keys.kustomize_name:
        original = _reference(image.keys.kustomize_name)
        repositories |= {original.repository} if original else set()
    references = (_reference(text) for text in application.live_images or ())
    return [each.version for each in references if each is not None and each.repository in repositories]


def parameter_version(application: Application, image: TrackedImage) -> ImageVersion | None:
    """Read the version out of the Application's own source parameters; None when they are silent."""
    target = image.target
    source = application.sources[target.source]
    match target.kind:
        case FileKind.OVERRIDE_HELM | FileKind.OVERRIDE:
            return _parameter(source.helm_parameters, image)
        case FileKind.OVERRIDE_PLUGIN:
            return _parameter(source.plugin_env, image)
        case FileKind.OVERRIDE_KUSTOMIZE:
            return read_overrides(source.kustomize_images, edit_for(image, ImageVersion()))
        case FileKind.CHART:
            return ImageVersion(from_tag(source.target_revision))
        case _:
            return None


def _parameter(parameters: tuple[Parameter, ...], image: TrackedImage) -> ImageVersion | None:
    values = {parameter.name: parameter.value for parameter in parameters}
    if image.keys.spec:
        reference = _reference(values.get(image.keys.spec, ""))
        return reference.version if reference and is_named(image.image, reference) else None
    tag = values.get(image.keys.tag, "")
    return ImageVersion.parse(tag) if tag else None


def _reference(text: str) -> ImageReference | None:
    try:
        return parse_reference(text)
    except Misconfigured:
        return None
