"""The JSON patch that gives an Application's source other images.

It touches our own entries alone, and only while nobody else changed that source.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from updater.domain.application import Parameter
from updater.domain.change import Edit
from updater.domain.chart_versions import to_revision
from updater.domain.errors import EditError, Misconfigured
from updater.domain.target import ApplicationTarget, FileKind
from updater.formats.kustomize import merge_images
from updater.formats.overrides import merge_environment, merge_parameters

Json = Mapping[str, object]
Operation = dict[str, object]


@dataclass(frozen=True, slots=True)
class _Block:
    """The list in a source that holds images."""

    block: str
    field: str
    merge: Callable[[Sequence[object], Sequence[Edit]], list[object]]
    """From the entries as they are to the entries as they should be: changed in place, or appended."""


def image_patch(application: Json, target: ApplicationTarget, edits: Sequence[Edit]) -> list[Operation]:
    """Return the operations that make the target hold the edits; none when it does already.

    The source is tested to be as it was read, so that a concurrent change fails the whole patch, and no change of the
    Application's status does.

    Raises:
        Misconfigured: there is no such source, or it cannot take images.
        EditError: the edits contradict each other.
    """
    path, source = _source(application, target)
    if target.kind is FileKind.CHART:
        operations = _chart_operations(path, source, edits)
        return [{"op": "test", "path": path, "value": source}, *operations] if operations else []
    if target.kind not in _BLOCKS:
        raise Misconfigured(f"{target} cannot be written: its kind {target.kind} has no image parameters")
    operations = _operations(path, source, _BLOCKS[target.kind], edits)
    return [{"op": "test", "path": path, "value": source}, *operations] if operations else []


def _source(application: Json, target: ApplicationTarget) -> tuple[str, Json]:
    """Find the source to change, in Argo CD's order of precedence: hydrator, then the list, then the single one."""
    spec = _object(application.get("spec"), "spec")
    sources, hydrator = spec.get("sources"), spec.get("sourceHydrator")
    found: Sequence[object]
    if hydrator is not None:
        found, path = [_object(hydrator, "spec.sourceHydrator").get("drySource")], "/spec/sourceHydrator/drySource"
    elif not sources:
        found, path = [spec.get("source")], "/spec/source"
    elif isinstance(sources, list):
        found, path = sources, f"/spec/sources/{target.source}"
    else:
        raise Misconfigured("spec.sources is no list: mend the Application")
    if target.source >= len(found) or found[target.source] is None:
        raise Misconfigured(f"Application {target.application} has no source {target.source} any more")
    return path, _object(found[target.source], path)


def _operations(path: str, source: Json, kind: _Block, edits: Sequence[Edit]) -> list[Operation]:
    place = f"{path}/{kind.block}"
    block = source.get(kind.block)
    present = None if block is None else _object(block, place).get(kind.field)
    if not isinstance(present, list | None):
        raise Misconfigured(f"{place}/{kind.field} is no list: mend the Application")
    wanted = kind.merge(present or [], edits)
    if wanted == (present or []):
        return []
    if block is None:
        return [{"op": "add", "path": place, "value": {kind.field: wanted}}]
    if present is None:
        return [{"op": "add", "path": f"{place}/{kind.field}", "value": wanted}]
    return _entry_operations(f"{place}/{kind.field}", present, wanted)


def _chart_operations(path: str, source: Json, edits: Sequence[Edit]) -> list[Operation]:
    chart = str(source.get("chart") or "")
    for edit in edits:
        if chart and edit.image.repository.name.rpartition("/")[2] != chart:
            raise Misconfigured(f"{path} is the chart {chart} by now, not {edit.image.written}")
    versions = {str(edit.image.version) for edit in edits}
    if len(versions) != 1 or not all(versions):
        raise EditError(f"{path}/targetRevision is to hold {' and '.join(sorted(versions))}: name one version")
    revision = to_revision(versions.pop(), chart)
    if source.get("targetRevision") == revision:
        return []
    return [{"op": "add", "path": f"{path}/targetRevision", "value": revision}]


def _entry_operations(place: str, present: Sequence[object], wanted: Sequence[object]) -> list[Operation]:
    changed: list[Operation] = [
        {"op": "replace", "path": f"{place}/{index}", "value": new}
        for index, (old, new) in enumerate(zip(present, wanted, strict=False))
        if old != new
    ]
    added: list[Operation] = [{"op": "add", "path": f"{place}/-", "value": new} for new in wanted[len(present) :]]
    return changed + added


def _merge_helm(entries: Sequence[object], edits: Sequence[Edit]) -> list[object]:
    present = [_object(entry, "helm.parameters") for entry in entries]
    merged = merge_parameters([_parameter(entry) for entry in present], edits)
    return _with_changes(present, merged, lambda each: {"value": each.value, "forceString": each.force_string})


def _merge_plugin(entries: Sequence[object], edits: Sequence[Edit]) -> list[object]:
    present = [_object(entry, "plugin.env") for entry in entries]
    merged = merge_environment([_parameter(entry) for entry in present], edits)
    return _with_changes(present, merged, lambda each: {"value": each.value})


def _merge_kustomize(entries: Sequence[object], edits: Sequence[Edit]) -> list[object]:
    return list(merge_images([_string(entry) for entry in entries], edits))


def _with_changes(
    present: Sequence[Json], merged: Sequence[Parameter], changes: Callable[[Parameter], dict[str, object]]
) -> list[object]:
    """Keep each entry that means the same as before, to the letter."""
    kept: list[object] = [
        old if _parameter(old) == new else {**old, **changes(new)} for old, new in zip(present, merged, strict=False)
    ]
    return kept + [{"name": each.name, **changes(each)} for each in merged[len(present) :]]


def _parameter(entry: Json) -> Parameter:
    name, value = entry.get("name"), entry.get("value")
    return Parameter(_string(name), "" if value is None else _string(value), entry.get("forceString") is True)


def _object(value: object, place: str) -> Json:
    if not isinstance(value, dict):
        raise Misconfigured(f"{place} is no object: mend the Application")
    return value


def _string(value: object) -> str:
    if not isinstance(value, str):
        raise Misconfigured("an entry among the source's images is no text: mend the Application")
    return value


_BLOCKS: Mapping[FileKind, _Block] = {
    FileKind.OVERRIDE_HELM: _Block("helm", "parameters", _merge_helm),
    FileKind.OVERRIDE_KUSTOMIZE: _Block("kustomize", "images", _merge_kustomize),
    FileKind.OVERRIDE_PLUGIN: _Block("plugin", "env", _merge_plugin),
}
