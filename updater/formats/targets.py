"""The one door to files that say which image is wanted: read the version there, and make the file hold another.

Text goes in and text comes out; what is not part of an edit keeps every byte, and edits made twice change nothing more.
"""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import assert_never

from updater.domain.application import ApplicationName
from updater.domain.change import Edit
from updater.domain.errors import EditError
from updater.domain.image import ImageVersion
from updater.domain.messages import Contest
from updater.domain.target import FileKind
from updater.formats.application_manifest import edit_application, read_application
from updater.formats.helm_values import edit_values, read_values
from updater.formats.kustomize import put_images, put_override_images, read_images, read_override_images
from updater.formats.manifests import edit_manifests, nowhere, only_marked, read_manifests
from updater.formats.overrides import FORCE_STRING_IN_FILE, ParameterList, put_parameters, read_parameters
from updater.formats.yaml_layout import Content
from updater.formats.yaml_lookup import only_root_of, put_in, root_of
from updater.formats.yaml_splice import Draft
from updater.formats.yaml_tree import NOTHING, MappingNode, parse

_PARAMETERS = ParameterList(("helm", "parameters"), FORCE_STRING_IN_FILE)
_ENVIRONMENT = ParameterList(("plugin", "env"))
_IMAGES = ("kustomize", "images")
_KUSTOMIZATION_IMAGES = ("images",)


Texts = Mapping[str, str | None]
"""Files by their paths; None for one that is not there."""


def read_versions(kind: FileKind, texts: Texts, edit: Edit) -> tuple[ImageVersion, ...]:
    """Tell which versions the files of a target give an edit's image, each once; only manifests can have several.

    Raises:
        EditError: a file cannot be understood; the text names it.
    """
    found: dict[ImageVersion, None] = {}
    for path, text in texts.items():
        with _naming(path):
            if kind is FileKind.MANIFESTS:
                found |= dict.fromkeys(read_manifests(text or "", edit))
            elif version := read_version(kind, text, edit):
                found[version] = None
    return tuple(found)


def check_free(texts: Texts, edit: Edit, contest: Contest) -> None:
    """Refuse manifests in which another has an edit's image, but for lines that are marked for it alone.

    Raises:
        EditError: they name the image elsewhere; or a file cannot be understood.
    """
    for path, text in texts.items():
        with _naming(path):
            marked_alone = contest.by_marks and only_marked(text or "", edit)
            if not marked_alone and read_manifests(text or "", edit):
                raise EditError(contest.why)


def apply_to_all(kind: FileKind, texts: Texts, edits: Sequence[Edit]) -> dict[str, str]:
    """Make all edits in the files of a target; return those that changed.

    Raises:
        EditError: that cannot be done without touching other values, or nowhere at all; the text names the file.
    """
    changed: dict[str, str] = {}
    for path, text in texts.items():
        with _naming(path):
            after = apply_edits(kind, text, edits)
        if after != text:
            changed[path] = after
    for edit in edits if kind is FileKind.MANIFESTS else ():
        if not read_versions(kind, texts, edit):
            raise nowhere(edit)
    return changed


@contextmanager
def _naming(path: str) -> Iterator[None]:
    try:
        yield
    except EditError as error:
        raise EditError(f"{path}: {error}") from None


def read_version(kind: FileKind, text: str | None, edit: Edit) -> ImageVersion | None:
    """Tell which version a file gives an edit's image; None when it says nothing of it, or is not there.

    Raises:
        EditError: the file cannot be understood, or is a manifest with several versions.
    """
    if text is None:
        return None
    if edit.manifest_of:
        return read_application(text, edit.manifest_of, edit.source, kind, edit, edit.manifest_of.namespace)
    if kind is FileKind.MANIFESTS:
        versions = read_manifests(text, edit)
        if len(versions) > 1:
            raise EditError(f"{edit.image.written} is there at {' and '.join(map(str, versions))}: make them equal")
        return versions[0] if versions else None
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
        case FileKind.OVERRIDE | FileKind.MANIFESTS | FileKind.CHART:
            raise _unsupported(kind)
        case _:
            assert_never(kind)


def apply_edits(kind: FileKind, text: str | None, edits: Sequence[Edit]) -> str:
    """Return the file with all edits made; a missing one is written anew.

    What was written is read again: it has to be YAML that holds the wanted versions, and everything else as before.

    Raises:
        EditError: that cannot be done without touching other values.
    """
    after = _edited(kind, text, edits)
    if after != text:
        for edit in edits:
            _check_holds(kind, after, edit)
    return after


def _edit_applications(kind: FileKind, text: str | None, edits: Sequence[Edit]) -> str:
    """Edit each Application of a file that is meant, each source once."""
    if text is None:
        raise EditError("there is no such file: correct the annotation write-back-target")
    places: dict[tuple[ApplicationName, int], list[Edit]] = {}
    for edit in edits:
        if edit.manifest_of:
            places.setdefault((edit.manifest_of, edit.source), []).append(edit)
    for (name, source), of_source in places.items():
        text = edit_application(text, name, source, kind, of_source, name.namespace)
    return text


def _check_holds(kind: FileKind, text: str, edit: Edit) -> None:
    held = read_versions(kind, {"the edited file": text}, edit)
    if any(str(version) != str(edit.image.version) for version in held) or not (held or kind is FileKind.MANIFESTS):
        found = ", ".join(map(str, held)) or "nothing"
        raise EditError(
            f"the edit to {edit.image.version} would be read as {found}: change {edit.image.written} by hand once",
        )


def _edited(kind: FileKind, text: str | None, edits: Sequence[Edit]) -> str:
    if any(edit.manifest_of for edit in edits):
        return _edit_applications(kind, text, edits)
    if kind is FileKind.HELM_VALUES:
        return edit_values(text or "", edits)
    if kind is FileKind.MANIFESTS:
        return edit_manifests(text or "", edits)
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
        case FileKind.OVERRIDE | FileKind.MANIFESTS | FileKind.HELM_VALUES | FileKind.CHART:
            raise _unsupported(kind)
        case _:
            assert_never(kind)


def _unsupported(kind: FileKind) -> EditError:
    return EditError(f"files of the kind {kind} cannot be edited yet: name another write-back-target")
