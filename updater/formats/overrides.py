"""The parameters of a source that say which image it uses, and the override files that hold them.

Argo CD takes Helm parameters and a plugin's environment variables as lists of names and values; an override file
(`.argocd-source-<app>.yaml`) and the Application itself hold them alike.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from updater.domain.application import Parameter
from updater.domain.change import Edit
from updater.domain.errors import EditError, Misconfigured
from updater.domain.image import ImageReference, ImageVersion
from updater.domain.references import parse_reference
from updater.domain.target import FileKind
from updater.formats.yaml_layout import Content
from updater.formats.yaml_lookup import as_mapping, find, items_at, only_root_of, own_items, put, text_at
from updater.formats.yaml_splice import Draft
from updater.formats.yaml_tree import NOTHING, MappingNode, ScalarNode, parse

FORCE_STRING = "forceString"
"""As the Application's schema has it."""
FORCE_STRING_IN_FILE = "forcestring"
"""As AIU writes it into override files; Argo CD reads either."""


@dataclass(frozen=True, slots=True)
class ParameterList:
    """Where a list of parameters stands in a mapping, and what marks a value as a string there."""

    path: tuple[str, ...]
    force_string: str = ""
    """The key that marks it; empty for environment variables, which are strings all."""


def override_kind(text: str) -> FileKind:
    """Tell whether an override file is for a chart, or has a plugin's variables instead.

    Raises:
        EditError: it is no YAML of one mapping.
    """
    root = only_root_of(parse(text)) or NOTHING
    plugin = find(root, "plugin") is not None and find(root, "helm") is None
    return FileKind.OVERRIDE_PLUGIN if plugin else FileKind.OVERRIDE_HELM


def wanted_values(edits: Sequence[Edit]) -> dict[str, str]:
    """Tell which Helm parameter, values path or environment variable takes which value.

    Raises:
        EditError: an edit has no version or no place for it, or two edits want different values in one place.
    """
    wanted: dict[str, str] = {}
    for edit in edits:
        for key, value in values_of(edit).items():
            if wanted.setdefault(key, value) != value:
                raise EditError(
                    f"{key} is to hold both {wanted[key]!r} and {value!r}: give each image keys of its own with the "
                    "annotations <alias>.helm.image-name and <alias>.helm.image-tag",
                )
    return wanted


def values_of(edit: Edit) -> dict[str, str]:
    """Tell which key takes which value for one image."""
    keys, image = edit.keys, edit.image
    if not image.version:
        raise EditError(f"image {image.written} has neither tag nor digest to write: this is a fault of the updater")
    if keys.spec:
        return {keys.spec: str(image)}
    if not keys.tag:
        raise EditError(
            f"nothing says where the version of image {image.written} is written: set the annotation "
            "<alias>.helm.image-tag or <alias>.helm.image-spec",
        )
    named = {keys.name: image.written} if keys.name else {}
    return {**named, keys.tag: str(image.version)}


def merge_parameters(parameters: Sequence[Parameter], edits: Sequence[Edit]) -> tuple[Parameter, ...]:
    """Return Helm parameters with the edits made: those of a wanted name changed in place, or appended.

    Raises:
        EditError: the edits contradict each other, or have nothing to write.
    """
    return _merged(parameters, wanted_values(edits), force_string=True)


def merge_environment(env: Sequence[Parameter], edits: Sequence[Edit]) -> tuple[Parameter, ...]:
    """Return a plugin's environment variables with the edits made, as `merge_parameters` does."""
    return _merged(env, wanted_values(edits), force_string=False)


def _merged(current: Sequence[Parameter], wanted: dict[str, str], *, force_string: bool) -> tuple[Parameter, ...]:
    kept = [Parameter(each.name, wanted[each.name], force_string) if each.name in wanted else each for each in current]
    present = {each.name for each in current}
    added = [Parameter(name, value, force_string) for name, value in wanted.items() if name not in present]
    return (*kept, *added)


def version_in(text: str, edit: Edit) -> ImageVersion | None:
    """Read the version out of what stands under an edit's spec or tag key; None for nothing, or for another image.

    Raises:
        EditError: the spec key holds no image reference.
    """
    text = text.strip()
    if not text:
        return None
    if not edit.keys.spec:
        return ImageVersion.parse(text)
    try:
        reference = parse_reference(text)
    except Misconfigured:
        raise no_image(edit.keys.spec) from None
    return reference.version or None if is_named(edit.image, reference) else None


def is_named(image: ImageReference, reference: ImageReference) -> bool:
    """Tell whether a reference means an image; one without a registry may get that from another key of its chart."""
    return reference.repository == image.repository or reference.written == image.repository.name


def no_image(key: str) -> EditError:
    return EditError(f"{key} holds no image: name the right key in the annotation <alias>.helm.image-spec, or empty it")


def read_parameters(root: MappingNode, place: ParameterList, edit: Edit) -> ImageVersion | None:
    """Read an image's version from a list of parameters; of several with one name the last counts."""
    wanted = edit.keys.spec or edit.keys.tag
    values = [
        text_at(item, "value")
        for item in map(as_mapping, items_at(root, *place.path))
        if wanted and text_at(item, "name") == wanted
    ]
    return version_in(values[-1], edit) if values else None


def put_parameters(draft: Draft, root: MappingNode, place: ParameterList, edits: Sequence[Edit]) -> list[Content]:
    """Change the parameters that are there; return those that are missing, sorted by name."""
    wanted = wanted_values(edits)
    items = [as_mapping(item) for item in own_items(root, *place.path)]
    marks = [key for item in items if (key := _mark(item))]
    mark = marks[0] if marks else place.force_string
    for item in items:
        name = text_at(item, "name")
        if name in wanted:
            _put_parameter(draft, item, wanted[name], mark if place.force_string else "")
    present = {text_at(item, "name") for item in items}
    return new_parameters({name: value for name, value in wanted.items() if name not in present}, mark)


def new_parameters(wanted: dict[str, str], mark: str) -> list[Content]:
    marked: dict[str, Content] = {mark: True} if mark else {}
    return [{"name": name, "value": value, **marked} for name, value in sorted(wanted.items())]


def _put_parameter(draft: Draft, item: MappingNode, value: str, mark: str) -> None:
    put(draft, item, ["value"], value)
    if mark:
        put(draft, item, [_mark(item) or mark], content=True)


def _mark(item: MappingNode) -> str:
    """Tell how a parameter spells `forceString`; empty when it does not have it."""
    keys = (key.value for key, _ in item.pairs if isinstance(key, ScalarNode))
    return next((key for key in keys if key.lower() == FORCE_STRING_IN_FILE), "")
