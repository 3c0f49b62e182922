"""ImageUpdater resources as the API server or a manifest tells them, decoded to what they mean.

What is wrong in a resource stops no more than it concerns: an image, a reference, or the whole. Kubernetes says `null`
where it could say nothing, so every field may be missing or null.
"""

import difflib
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from types import UnionType
from typing import Any, Union, get_args, get_origin, get_type_hints

import msgspec

from updater.domain.annotations import APPLICATION_KEYS
from updater.domain.errors import Misconfigured
from updater.domain.image_settings import IMAGE_KEYS, POLICY_KEYS
from updater.domain.migration import field_of
from updater.domain.pull_requests import ForgeKind
from updater.domain.resources import (
    ApplicationRef,
    ImageUpdater,
    LabelRequirement,
    LabelSelector,
    ResourceImage,
    ResourceName,
    ResourceSpec,
    Setting,
    Verification,
)
from updater.domain.selection import check_pattern, check_selector

_Values = dict[str, str | bool | list[str] | None]

_NO_FIELD = ("helm.", "kustomize.", "plugin.", "image-list", "write-back-", "git-")
"""How the keys begin that a resource says in a structure of their own."""


class _Wire(msgspec.Struct, rename="camel", gc=False):
    """A JSON object; fields that are not named here are skipped unread."""


class _CosignKey(_Wire):
    secret_name: str | None = None
    key: str | None = None


class _Keyless(_Wire):
    issuer: str | None = None
    identity: str | None = None


class _Verification(_Wire):
    enabled: bool | None = None
    cosign_key: _CosignKey | None = None
    keyless: _Keyless | None = None


class _Helm(_Wire):
    name: str | None = None
    tag: str | None = None
    spec: str | None = None


class _Kustomize(_Wire):
    name: str | None = None


class _Targets(_Wire):
    helm: _Helm | None = None
    kustomize: _Kustomize | None = None
    plugin: _Helm | None = None


class _Image(_Wire):
    alias: str | None = None
    image_name: str | None = None
    common_update_settings: _Values | None = None
    manifest_targets: _Targets | None = None
    images_verification: _Verification | None = None


class _PullRequest(_Wire):
    github: dict[str, Any] | None = None
    gitlab: dict[str, Any] | None = None
    gitea: dict[str, Any] | None = None
    bitbucket: dict[str, Any] | None = None
    azure: dict[str, Any] | None = None
    labels: list[str] | None = None


class _Git(_Wire):
    repository: str | None = None
    branch: str | None = None
    write_back_target: str | None = None
    pull_request: _PullRequest | None = None


class _WriteBack(_Wire):
    method: str | None = None
    git_config: _Git | None = None


class _Requirement(_Wire):
    key: str = ""
    operator: str = ""
    values: list[str] | None = None


class _Selector(_Wire):
    match_labels: dict[str, str] | None = None
    match_expressions: list[_Requirement] | None = None


class _Ref(_Wire):
    name_pattern: str | None = None
    label_selectors: _Selector | None = None
    use_annotations: bool | None = None
    common_update_settings: _Values | None = None
    write_back_config: _WriteBack | None = None
    images_verification: _Verification | None = None
    images: list[_Image] | None = None


class _Spec(_Wire):
    application_refs: list[_Ref] | None = None
    common_update_settings: _Values | None = None
    write_back_config: _WriteBack | None = None
    images_verification: _Verification | None = None


class _Metadata(_Wire):
    name: str = ""
    namespace: str = ""
    generation: int | None = None
    creation_timestamp: str | None = None


class _Manifest(_Wire):
    metadata: _Metadata
    spec: _Spec | None = None
    status: dict[str, Any] | None = None


_decode = msgspec.json.Decoder(dict[str, Any]).decode


def decode_image_updater(raw: bytes | msgspec.Raw) -> ImageUpdater:
    """Read an ImageUpdater from JSON.

    Raises:
        Misconfigured: it is none; the text says which field is wrong.
    """
    try:
        return convert_image_updater(_decode(raw), "")
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise _unreadable(error) from None


def convert_image_updater(manifest: object, default_namespace: str) -> ImageUpdater:
    """Read an ImageUpdater from a parsed manifest; one without a namespace is in the default one.

    Raises:
        Misconfigured: it is none; the text says which field is wrong.
    """
    try:
        wire = msgspec.convert(manifest, _Manifest)
    except (msgspec.ValidationError, RecursionError) as error:
        raise _unreadable(error) from None
    if not wire.metadata.name:
        raise Misconfigured("the ImageUpdater cannot be read: it has no metadata.name")
    spec = manifest.get("spec") if isinstance(manifest, Mapping) else None
    return ImageUpdater(
        name=ResourceName(wire.metadata.namespace or default_namespace, wire.metadata.name),
        spec=_spec(wire.spec or _Spec(), tuple(_unknown(spec or {}, _Spec, "spec"))),
        created=wire.metadata.creation_timestamp or "",
        generation=wire.metadata.generation or 0,
        status=wire.status or {},
    )


def _unreadable(error: Exception) -> Misconfigured:
    return Misconfigured(f"the ImageUpdater cannot be read: {error}")


COMMON_FIELDS: Mapping[str, str] = {
    field_of(key): key
    for key in sorted(POLICY_KEYS | IMAGE_KEYS | (APPLICATION_KEYS & {"rollback"}))
    if not key.startswith(_NO_FIELD)
}
"""Fields of `commonUpdateSettings`, with the annotation that says the same."""


def _spec(wire: _Spec, warnings: tuple[str, ...]) -> ResourceSpec:
    common = _Settings("spec.")
    common.take_common(wire.common_update_settings)
    common.take_write_back(wire.write_back_config)
    refs = tuple(_ref(index, ref) for index, ref in enumerate(wire.application_refs or ()))
    problems = [f"{ref.place}.namePattern {problem}" for ref in refs if (problem := check_pattern(ref.pattern))]
    if not refs:
        problems.append("spec.applicationRefs is empty: name the Applications, such as namePattern: team-*")
    verification, wrong = _verification(wire.images_verification, "spec.")
    return ResourceSpec(
        settings=common.found,
        verification=verification,
        refs=refs,
        problems=(*problems, *common.problems, *wrong),
        warnings=(*warnings, *_unread(wire.application_refs or ())),
    )


def _unread(refs: Sequence[_Ref]) -> Iterator[str]:
    """Name what `useAnnotations` makes nobody read."""
    for index, ref in enumerate(refs):
        if ref.use_annotations:
            for field in ("images", "common_update_settings", "write_back_config"):
                if getattr(ref, field):
                    name = msgspec.structs.fields(_Ref)[_Ref.__struct_fields__.index(field)].encode_name
                    yield (
                        f"spec.applicationRefs[{index}].{name} is not read, because useAnnotations is true: "
                        "remove one of them"
                    )


def _ref(index: int, wire: _Ref) -> ApplicationRef:
    place = f"spec.applicationRefs[{index}]."
    common = _Settings(place)
    common.take_common(wire.common_update_settings)
    common.take_write_back(wire.write_back_config)
    verification, problems = _verification(wire.images_verification, place)
    selector = _selector(wire.label_selectors) if wire.label_selectors is not None else None
    if selector is not None and (problem := check_selector(selector)):
        problems.append(f"{place}labelSelectors: {problem}")
    if not wire.images and not wire.use_annotations:
        problems.append(f"{place}images is empty: name the images, or write useAnnotations: true")
    return ApplicationRef(
        index=index,
        pattern=wire.name_pattern or "",
        selector=selector,
        use_annotations=bool(wire.use_annotations),
        settings=common.found,
        verification=verification,
        images=tuple(_images(place, wire.images or ())),
        problems=(*common.problems, *problems),
    )


def _selector(wire: _Selector) -> LabelSelector:
    return LabelSelector(
        labels=tuple((wire.match_labels or {}).items()),
        expressions=tuple(
            LabelRequirement(each.key, each.operator, tuple(each.values or ())) for each in wire.match_expressions or ()
        ),
    )


def _images(place: str, wires: Iterable[_Image]) -> Iterator[ResourceImage]:
    wires = list(wires)
    often = Counter(wire.alias for wire in wires)
    told: set[str] = set()
    for index, wire in enumerate(wires):
        image = _image(f"{place}images[{index}].", wire)
        if often[wire.alias] == 1:
            yield image
        elif image.alias not in told:
            told.add(image.alias)
            problem = f"{place}images has {often[wire.alias]} entries of the alias {image.alias!r}: give each its own"
            yield ResourceImage(image.alias, image.image, problem=problem)


def _image(place: str, wire: _Image) -> ResourceImage:
    settings = _Settings(place)
    settings.take_common(wire.common_update_settings)
    settings.take_targets(wire.manifest_targets)
    verification, problems = _verification(wire.images_verification, place)
    for field, text in (("alias", wire.alias), ("imageName", wire.image_name)):
        if not (text or "").strip():
            problems.append(f"{place}{field} is missing: write one")
    return ResourceImage(
        alias=(wire.alias or "").strip(),
        image=(wire.image_name or "").strip(),
        settings=settings.found,
        verification=verification,
        problem="; ".join([*settings.problems, *problems]),
    )


def _verification(wire: _Verification | None, place: str) -> tuple[Verification | None, list[str]]:
    if wire is None:
        return None, []
    if wire.enabled is False:
        return Verification(enabled=False), []
    key, keyless = wire.cosign_key or _CosignKey(), wire.keyless or _Keyless()
    verification = Verification(
        secret=key.secret_name or "",
        key=key.key or "",
        issuer=keyless.issuer or "",
        identity=keyless.identity or "",
    )
    by_key, by_identity = bool(verification.secret and verification.key), bool(keyless.issuer and keyless.identity)
    if by_key == by_identity or (wire.cosign_key and wire.keyless):
        problem = (
            f"{place}imagesVerification names no key: write cosignKey with secretName and key, "
            "or keyless with issuer and identity, or enabled: false"
        )
        return verification, [problem]
    return verification, []


class _Settings:
    """Collects the settings of one level under their annotations' keys."""

    def __init__(self, place: str) -> None:
        self.found: dict[str, Setting] = {}
        self.problems: list[str] = []
        self._place = place

    def take_common(self, values: _Values | None) -> None:
        for field, value in (values or {}).items():
            if value is not None and field in COMMON_FIELDS:
                self._put(COMMON_FIELDS[field], f"commonUpdateSettings.{field}", value)

    def take_write_back(self, wire: _WriteBack | None) -> None:
        if wire is None:
            return
        git = wire.git_config or _Git()
        self._put("write-back-method", "writeBackConfig.method", wire.method)
        self._put("git-repository", "writeBackConfig.gitConfig.repository", git.repository)
        self._put("git-branch", "writeBackConfig.gitConfig.branch", git.branch)
        self._put("write-back-target", "writeBackConfig.gitConfig.writeBackTarget", git.write_back_target)
        if git.pull_request is not None:
            self._take_pull_request(git.pull_request)

    def _take_pull_request(self, wire: _PullRequest) -> None:
        field = "writeBackConfig.gitConfig.pullRequest"
        kinds = [kind for kind in map(str, ForgeKind) if getattr(wire, kind) is not None]
        if len(kinds) != 1:
            named = " and ".join(kinds) or "none"
            self.problems.append(f"{self._place}{field} has {named}: write one of {', '.join(ForgeKind)}")
            return
        self._put("pull-request", f"{field}.{kinds[0]}", kinds[0])
        self._put("pull-request.labels", f"{field}.labels", wire.labels or [])

    def take_targets(self, wire: _Targets | None) -> None:
        if wire is None:
            return
        kinds = [kind for kind in ("helm", "kustomize", "plugin") if getattr(wire, kind) is not None]
        if len(kinds) != 1:
            named = " and ".join(kinds) or "none"
            self.problems.append(f"{self._place}manifestTargets has {named}: write one of helm, kustomize, plugin")
            return
        for kind in kinds:
            target = getattr(wire, kind)
            for part in ("name", "tag", "spec"):
                self._put(f"{kind}.image-{part}", f"manifestTargets.{kind}.{part}", getattr(target, part, None))

    def _put(self, key: str, field: str, value: str | bool | list[str] | None) -> None:  # noqa: FBT001 - of the wire
        place = f"{self._place}{field}"
        match value:
            case None:
                return
            case bool():
                text = "true" if value else "false"
            case str():
                text = value.strip()
            case _:
                if any("," in item for item in value):
                    self.problems.append(f"{place} has an item with a comma: write one item for each")
                text = ", ".join(item.strip() for item in value)
        self.found[key] = Setting(text, place)


def _unknown(node: object, kind: Any, place: str) -> Iterator[str]:  # noqa: ANN401 - a type
    """Name the fields that nobody reads, as far down as structures go."""
    kind = next((each for each in get_args(kind) if each is not type(None)), kind) if _is_union(kind) else kind
    if get_origin(kind) is list and isinstance(node, list):
        for index, item in enumerate(node):
            yield from _unknown(item, get_args(kind)[0], f"{place}[{index}]")
    elif kind == _Values and isinstance(node, Mapping):
        yield from _unknown_names(node, COMMON_FIELDS, place)
    elif isinstance(kind, type) and issubclass(kind, msgspec.Struct) and isinstance(node, Mapping):
        hints = get_type_hints(kind)
        known = {each.encode_name: hints[each.name] for each in msgspec.structs.fields(kind)}
        yield from _unknown_names(node, known, place)
        for name, inner in known.items():
            yield from _unknown(node.get(name), inner, f"{place}.{name}")


def _is_union(kind: Any) -> bool:  # noqa: ANN401 - a type
    origin = get_origin(kind)
    return (origin is UnionType or origin is Union) and kind is not None


def _unknown_names(node: Mapping[str, object], known: Iterable[str], place: str) -> Iterator[str]:
    names = sorted(known)
    for name in sorted(set(node).difference(names)):
        close = difflib.get_close_matches(name, names, n=1)
        hint = f"did you mean {close[0]}?" if close else f"known are {', '.join(names)}"
        yield f"{place}.{name} is not understood: {hint}"
