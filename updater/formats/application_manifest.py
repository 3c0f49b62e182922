"""Edit an Application where it is a manifest in a file, maybe one of many documents: only our own parameters."""

from collections.abc import Sequence
from typing import assert_never

from updater.domain.application import ApplicationName
from updater.domain.change import Edit
from updater.domain.chart_versions import from_tag, to_revision
from updater.domain.errors import EditError
from updater.domain.image import ImageVersion
from updater.domain.target import FileKind
from updater.formats.kustomize import put_override_images, read_override_images
from updater.formats.overrides import FORCE_STRING, ParameterList, put_parameters, read_parameters
from updater.formats.yaml_layout import Content
from updater.formats.yaml_lookup import as_mapping, find, own_items, put, text_at
from updater.formats.yaml_splice import Draft
from updater.formats.yaml_tree import MappingNode, Stream, parse, refusal

_GROUP = "argoproj.io/"
_DEFAULT_NAMESPACE = "argocd"
_PARAMETERS = ParameterList(("helm", "parameters"), FORCE_STRING)
_ENVIRONMENT = ParameterList(("plugin", "env"))
_IMAGES = ("kustomize", "images")


def edit_application(
    text: str,
    application: ApplicationName,
    source: int | None,
    kind: FileKind,
    edits: Sequence[Edit],
    default_namespace: str = _DEFAULT_NAMESPACE,
) -> str:
    """Make the parameters of one source of an Application hold the edits.

    Args:
        text: the whole file.
        application: which of the file's documents is meant.
        source: index into the Application's sources; None where there is only one.
        kind: one of the `OVERRIDE_…` kinds: which parameters.
        edits: what they shall hold.
        default_namespace: of manifests that name none.

    Raises:
        EditError: the Application is not there, or cannot be edited without touching other values.
    """
    stream = parse(text)
    draft = Draft(stream)
    place = _source(_find(stream, application, default_namespace), source)
    if kind is FileKind.CHART:
        for each in edits:
            _check_chart(place, each)
            put(draft, place, ["targetRevision"], to_revision(str(each.image.version), text_at(place, "chart")))
        return draft.finish().text
    path, missing = _edit(draft, place, kind, edits)
    if missing:
        put(draft, place, path, missing)
    return draft.finish().text


def read_application(
    text: str,
    application: ApplicationName,
    source: int | None,
    kind: FileKind,
    edit: Edit,
    default_namespace: str = _DEFAULT_NAMESPACE,
) -> ImageVersion | None:
    """Tell which version a source of an Application gives an edit's image; None when it says nothing of it.

    Raises:
        EditError: the Application is not there, or cannot be understood.
    """
    place = _source(_find(parse(text), application, default_namespace), source)
    match kind:
        case FileKind.OVERRIDE_HELM:
            return read_parameters(place, _PARAMETERS, edit)
        case FileKind.OVERRIDE_PLUGIN:
            return read_parameters(place, _ENVIRONMENT, edit)
        case FileKind.OVERRIDE_KUSTOMIZE:
            return read_override_images(place, _IMAGES, edit)
        case FileKind.CHART:
            _check_chart(place, edit)
            revision = text_at(place, "targetRevision")
            return ImageVersion(from_tag(revision)) if revision else None
        case FileKind.OVERRIDE | FileKind.HELM_VALUES | FileKind.KUSTOMIZATION | FileKind.MANIFESTS:
            raise _no_parameters(kind)
        case _:
            assert_never(kind)


def _check_chart(place: MappingNode, edit: Edit) -> None:
    chart = text_at(place, "chart")
    if chart and edit.image.repository.name.rpartition("/")[2] != chart:
        raise refusal(place.line, f"the source is the chart {chart}", f"correct {edit.image.written}")


def _no_parameters(kind: FileKind) -> EditError:
    return EditError(f"an Application has no parameters of the kind {kind}: use write-back-method git")


def annotate_application(
    text: str,
    application: ApplicationName,
    key: str,
    value: str,
    default_namespace: str = _DEFAULT_NAMESPACE,
) -> str:
    """Set an annotation of an Application.

    Raises:
        EditError: the Application is not there, or cannot be edited without touching other values.
    """
    stream = parse(text)
    draft = Draft(stream)
    put(draft, _find(stream, application, default_namespace), ["metadata", "annotations", key], value)
    return draft.finish().text


def applications_in(text: str, default_namespace: str = _DEFAULT_NAMESPACE) -> list[ApplicationName]:
    """Name the Applications of a file.

    Raises:
        EditError: it is no YAML.
    """
    return [_name(document, default_namespace) for document in _applications(parse(text))]


def parameters_kind(
    text: str,
    application: ApplicationName,
    source: int | None,
    default_namespace: str = _DEFAULT_NAMESPACE,
) -> FileKind:
    """Tell which parameters a source takes that is no kustomization: Helm's, or a plugin's where it has one.

    Raises:
        EditError: the Application is not there, or has no such source.
    """
    place = _source(_find(parse(text), application, default_namespace), source)
    return FileKind.OVERRIDE_HELM if find(place, "plugin") is None else FileKind.OVERRIDE_PLUGIN


def _edit(
    draft: Draft,
    place: MappingNode,
    kind: FileKind,
    edits: Sequence[Edit],
) -> tuple[tuple[str, ...], list[Content]]:
    """Change what the source has; return what it does not have, and where that goes."""
    match kind:
        case FileKind.OVERRIDE_HELM:
            return _PARAMETERS.path, put_parameters(draft, place, _PARAMETERS, edits)
        case FileKind.OVERRIDE_PLUGIN:
            return _ENVIRONMENT.path, put_parameters(draft, place, _ENVIRONMENT, edits)
        case FileKind.OVERRIDE_KUSTOMIZE:
            return _IMAGES, put_override_images(draft, place, _IMAGES, edits)
        case FileKind.OVERRIDE | FileKind.HELM_VALUES | FileKind.KUSTOMIZATION | FileKind.MANIFESTS | FileKind.CHART:
            raise _no_parameters(kind)
        case _:
            assert_never(kind)


def _find(stream: Stream, application: ApplicationName, default_namespace: str) -> MappingNode:
    found = [each for each in _applications(stream) if _name(each, default_namespace) == application]
    if len(found) != 1:
        how_often = "is not in this file" if not found else f"is in this file {len(found)} times"
        raise EditError(f"Application {application} {how_often}: correct its metadata")
    return found[0]


def _applications(stream: Stream) -> list[MappingNode]:
    return [
        document
        for document in stream.documents
        if isinstance(document, MappingNode)
        and text_at(document, "kind") == "Application"
        and text_at(document, "apiVersion").startswith(_GROUP)
    ]


def _name(document: MappingNode, default_namespace: str) -> ApplicationName:
    namespace = text_at(document, "metadata", "namespace") or default_namespace
    return ApplicationName(namespace, text_at(document, "metadata", "name"))


def _source(application: MappingNode, index: int | None) -> MappingNode:
    """Find the source to change, in Argo CD's order of precedence: hydrator, then the list, then the single one."""
    spec = _child(application, "spec")
    if find(spec, "sourceHydrator") is not None:
        return _child(_child(spec, "sourceHydrator"), "drySource")
    sources = own_items(spec, "sources")
    if not sources:
        return _child(spec, "source")
    if index is None and len(sources) > 1:
        raise refusal(sources[0].line, f"the Application has {len(sources)} sources", "set <alias>.source to one")
    if (index or 0) >= len(sources):
        problem = f"the Application has {len(sources)} sources, not one of number {index}"
        raise refusal(sources[0].line, problem, "correct the annotation <alias>.source")
    return as_mapping(sources[index or 0])


def _child(mapping: MappingNode, key: str) -> MappingNode:
    index = find(mapping, key)
    if index is None:
        raise refusal(mapping.line, f"{key} is missing", "complete the Application")
    return as_mapping(mapping.pairs[index][1])
