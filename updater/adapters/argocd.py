"""Argo CD's Application as the API server or a manifest tells it, decoded to the few fields that matter here.

Kubernetes says `null` where it could say nothing, so every field may be missing or null.
"""

import sys
from collections.abc import Iterable, Mapping, Sequence

import msgspec

from updater.domain.application import Application, ApplicationName, Parameter, Source
from updater.domain.application_sets import ApplicationSetRules, IgnoreRule
from updater.domain.errors import ApplicationConflict, ClusterError, Misconfigured
from updater.domain.target import without_login
from updater.ports.cluster import Still

ANNOTATION_PREFIX = "argocd-image-updater.argoproj.io/"
_REFRESH = "argocd.argoproj.io/refresh"
_HYDRATE = "argocd.argoproj.io/hydrate"

_BLOCKS = {"helm": "Helm", "kustomize": "Kustomize", "plugin": "Plugin", "directory": "Directory"}


class _Wire(msgspec.Struct, rename="camel", gc=False):
    """A JSON object; fields that are not named here are skipped unread."""


class _Owner(_Wire):
    kind: str = ""
    name: str = ""


class _Metadata(_Wire):
    name: str = ""
    namespace: str = ""
    annotations: dict[str, str | None] | None = None
    labels: dict[str, str | None] | None = None
    owner_references: list[_Owner] | None = None


class _Parameter(_Wire):
    name: str = ""
    value: str | None = None
    force_string: bool | None = None


class _Helm(_Wire):
    parameters: list[_Parameter] | None = None
    value_files: list[str] | None = None


class _Kustomize(_Wire):
    images: list[str] | None = None


class _Plugin(_Wire):
    env: list[_Parameter] | None = None


class _Directory(_Wire):
    pass


class _Source(_Wire):
    repo_url: str | None = msgspec.field(default=None, name="repoURL")
    path: str | None = None
    target_revision: str | None = None
    chart: str | None = None
    ref: str | None = None
    name: str | None = None
    helm: _Helm | None = None
    kustomize: _Kustomize | None = None
    plugin: _Plugin | None = None
    directory: _Directory | None = None


class _Hydrator(_Wire):
    dry_source: _Source | None = None


class _Spec(_Wire):
    project: str | None = None
    source: _Source | None = None
    sources: list[_Source] | None = None
    source_hydrator: _Hydrator | None = None


class _Summary(_Wire):
    images: list[str] | None = None


class _Status(_Wire):
    source_type: str | None = None
    source_types: list[str] | None = None
    summary: _Summary | None = None


class _Manifest(_Wire):
    metadata: _Metadata
    spec: _Spec | None = None
    status: _Status | None = None


class _IgnoreRule(_Wire):
    name: str | None = None
    json_pointers: list[str] | None = None
    jq_path_expressions: list[str] | None = None


class _SyncPolicy(_Wire):
    applications_sync: str | None = None


class _ApplicationSetSpec(_Wire):
    sync_policy: _SyncPolicy | None = None
    ignore_application_differences: list[_IgnoreRule] | None = None


class _ApplicationSet(_Wire):
    spec: _ApplicationSetSpec


_decoder = msgspec.json.Decoder(_Manifest)


def decode_application(raw: bytes | msgspec.Raw) -> Application:
    """Read an Application from JSON.

    Raises:
        Misconfigured: it is no Application; the text says which field is wrong.
    """
    try:
        return _application(_decoder.decode(raw), "")
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise _unreadable(error) from None


def convert_application(manifest: object, default_namespace: str) -> Application:
    """Read an Application from a parsed manifest; one without a namespace is in the default one.

    Raises:
        Misconfigured: it is no Application; the text says which field is wrong.
    """
    try:
        return _application(msgspec.convert(manifest, _Manifest), default_namespace)
    except (msgspec.ValidationError, RecursionError) as error:
        raise _unreadable(error) from None


def check_unchanged(application: Application, still: Still) -> None:
    """Refuse to write to an Application that is not what the change was decided for.

    Raises:
        ApplicationConflict
    """
    if not still(application):
        raise ApplicationConflict(
            f"Application {application.name} holds something else by now than what was decided about: "
            "it is decided again as soon as that is heard of"
        )


def decode_application_set(raw: bytes) -> ApplicationSetRules:
    """Read from an ApplicationSet's JSON what it says of changes by others.

    Raises:
        ClusterError: it is none.
    """
    try:
        spec = msgspec.json.decode(raw, type=_ApplicationSet).spec
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise ClusterError(f"the ApplicationSet cannot be read: {error}") from None
    rules = (
        IgnoreRule(each.name or "", tuple(each.json_pointers or ()), tuple(each.jq_path_expressions or ()))
        for each in spec.ignore_application_differences or ()
    )
    return ApplicationSetRules((spec.sync_policy or _SyncPolicy()).applications_sync or "", tuple(rules))


def refresh_annotations(*, hydrate: bool) -> dict[str, str]:
    """Return the annotations that ask Argo CD to look at Git now, and to render what it finds; it removes them."""
    return {_REFRESH: "normal", **({_HYDRATE: "normal"} if hydrate else {})}


def _unreadable(error: Exception) -> Misconfigured:
    return Misconfigured(f"the Application cannot be read: {error}")


def _application(manifest: _Manifest, default_namespace: str) -> Application:
    metadata, spec, status = manifest.metadata, manifest.spec or _Spec(), manifest.status or _Status()
    if not metadata.name:
        raise Misconfigured("the Application cannot be read: it has no metadata.name")
    return Application(
        name=ApplicationName(sys.intern(metadata.namespace or default_namespace), metadata.name),
        annotations=_own_annotations(metadata.annotations or {}),
        labels={sys.intern(key): _text(value) for key, value in (metadata.labels or {}).items()},
        project=_text(spec.project) or "default",
        sources=_sources(spec, status),
        hydrated=spec.source_hydrator is not None,
        generated_by=_application_set(metadata.owner_references or ()),
        live_images=None if status.summary is None else _texts(status.summary.images),
    )


def _application_set(owners: Iterable[_Owner]) -> str:
    return next((sys.intern(owner.name) for owner in owners if owner.kind == "ApplicationSet"), "")


def _own_annotations(annotations: Mapping[str, str | None]) -> dict[str, str]:
    return {
        sys.intern(key.removeprefix(ANNOTATION_PREFIX)): _text(value)
        for key, value in annotations.items()
        if key.startswith(ANNOTATION_PREFIX)
    }


def _sources(spec: _Spec, status: _Status) -> tuple[Source, ...]:
    """Give the sources in Argo CD's order of precedence: hydrator, then the list, then the single one."""
    status_type = status.source_type or ""
    if spec.source_hydrator is not None:
        dry = spec.source_hydrator.dry_source
        # The status speaks of what was hydrated: plain manifests, whatever they were made of.
        inherited = "" if status_type == "Directory" else status_type
        return (_source(dry, inherited, "/spec/sourceHydrator/drySource"),) if dry is not None else ()
    if spec.sources:
        types: Sequence[str] = status.source_types or ()
        known = types if len(types) == len(spec.sources) else [""] * len(spec.sources)
        numbered = enumerate(zip(spec.sources, known, strict=True))
        return tuple(_source(source, kind, f"/spec/sources/{index}") for index, (source, kind) in numbered)
    return (_source(spec.source, status_type, "/spec/source"),) if spec.source is not None else ()


def _source(source: _Source, status_type: str, pointer: str) -> Source:
    helm, kustomize, plugin = source.helm or _Helm(), source.kustomize or _Kustomize(), source.plugin or _Plugin()
    return Source(
        repo_url=_text(without_login(source.repo_url or "")),
        path=_text(source.path),
        target_revision=_text(source.target_revision),
        chart=_text(source.chart),
        ref=_text(source.ref),
        name=_text(source.name),
        kind=_kind(source, status_type),
        helm_parameters=_parameters(helm.parameters),
        value_files=_texts(helm.value_files),
        kustomize_images=_texts(kustomize.images),
        plugin_env=_parameters(plugin.env),
        pointer=sys.intern(pointer),
    )


def _kind(source: _Source, status_type: str) -> str:
    """Tell a source's type: its one explicit block decides, as it does for Argo CD; the status may lag behind it."""
    explicit = [kind for block, kind in _BLOCKS.items() if getattr(source, block) is not None]
    if len(explicit) == 1:
        return explicit[0]
    return sys.intern(status_type) or ("Helm" if source.chart else "")


def _parameters(parameters: Iterable[_Parameter] | None) -> tuple[Parameter, ...]:
    return tuple(
        Parameter(sys.intern(each.name), _text(each.value), bool(each.force_string)) for each in parameters or ()
    )


def _text(text: str | None) -> str:
    return sys.intern(text or "")


def _texts(texts: Iterable[str] | None) -> tuple[str, ...]:
    return tuple(sys.intern(text) for text in texts or ())
