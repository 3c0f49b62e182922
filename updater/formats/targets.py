"""The one door to files that say which image is wanted: read the version there, and make the file hold another.

Text goes in and text comes out; what is not part of an edit keeps every byte, and edits made twice change nothing more.
"""

from collections.abc import Sequence
from typing import assert_never

from updater.domain.change import Edit
from updater.domain.errors import EditError
from updater.domain.image import ImageVersion
from updater.domain.target import FileKind
from updater.formats.helm_values import edit_values, read_values
from updater.formats.kustomize import put_images, put_override_images, read_images, read_override_images
from updater.formats.overrides import FORCE_STRING_IN_FILE, ParameterList, put_parameters, read_parameters
from updater.formats.yaml_layout import Content
from updater.formats.yaml_lookup import only_root_of, put_in, root_of
from updater.formats.yaml_splice import Draft
from updater.formats.yaml_tree import NOTHING, MappingNode, parse

_PARAMETERS = ParameterList(("helm", "parameters"), FORCE_STRING_IN_FILE)
_ENVIRONMENT = ParameterList(("plugin", "env"))
_IMAGES = ("kustomize", "images")
_KUSTOMIZATION_IMAGES = ("images",)


def read_version(kind: FileKind, text: str | None, edit: Edit) -> ImageVersion | None:
    """Tell which version a file gives an edit's image; None when it says nothing of it, or is not there.

    Raises:
        EditError: the file cannot be understood.
    """
    if text is None:
        return None
    stream = parse(text)
    root = root_of(stream) if kind is FileKind.HELM_VALUES else only_root_of(stream)
    return None if root is None else _read(kind, root, edit)


def _read(kind: FileKind, root: MappingNode, edit: Edit) -> ImageVersion | None:
    match kind:
        case FileKind.HELM_VALUES:
            return read_values(root, edit)
        case FileKind.KUSTOMIZATION:
            return read_images(root, edit)
        case FileKind.OVERRIDE_HELM:
            return read_parameters(root, _PARAMETERS, edit)
        case FileKind.OVERRIDE_KUSTOMIZE:
            return read_override_images(root, _IMAGES, edit)
        case FileKind.OVERRIDE_PLUGIN:
            return read_parameters(root, _ENVIRONMENT, edit)
        case FileKind.OVERRIDE | FileKind.MANIFESTS:
            raise _unsupported(kind)
        case _:
            assert_never(kind)


def apply_edits(kind: FileKind, text: str | None, edits: Sequence[Edit]) -> str:
    """Return the file with all edits made; a missing one is written anew.

    Raises:
        EditError: that cannot be done without touching other values.
    """
    if kind is FileKind.HELM_VALUES:
        return edit_values(text or "", edits)
    if kind is FileKind.KUSTOMIZATION and text is None:
        raise EditError("there is no kustomization: correct the annotation write-back-target")
    stream = parse(text or "")
    draft, root = Draft(stream), only_root_of(stream)
    path, missing = _edit(kind, draft, root or NOTHING, edits)
    if missing:
        put_in(draft, stream, path, missing)
    return draft.finish().text


def _edit(
    kind: FileKind,
    draft: Draft,
    root: MappingNode,
    edits: Sequence[Edit],
) -> tuple[tuple[str, ...], list[Content]]:
    """Change what the file has; return what it does not have, and where that goes."""
    match kind:
        case FileKind.KUSTOMIZATION:
            return _KUSTOMIZATION_IMAGES, put_images(draft, root, edits)
        case FileKind.OVERRIDE_HELM:
            return _PARAMETERS.path, put_parameters(draft, root, _PARAMETERS, edits)
        case FileKind.OVERRIDE_KUSTOMIZE:
            return _IMAGES, put_override_images(draft, root, _IMAGES, edits)
        case FileKind.OVERRIDE_PLUGIN:
            return _ENVIRONMENT.path, put_parameters(draft, root, _ENVIRONMENT, edits)
        case FileKind.OVERRIDE | FileKind.MANIFESTS | FileKind.HELM_VALUES:
            raise _unsupported(kind)
        case _:
            assert_never(kind)


def _unsupported(kind: FileKind) -> EditError:
    return EditError(f"files of the kind {kind} cannot be edited yet: name another write-back-target")
