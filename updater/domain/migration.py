"""From annotations to ImageUpdaters, and back: the same settings at another place.

What has no place there is said, and never dropped in silence.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from updater.domain.application import Application, ApplicationName
from updater.domain.errors import Misconfigured
from updater.domain.governing import written_as_annotations
from updater.domain.image_settings import DEPRECATED, IMAGE_KEYS, POLICY_KEYS, PREFIX
from updater.domain.references import parse_entry, split_image_list
from updater.domain.resources import GROUP, ImageUpdater
from updater.domain.selection import Claim, Selection

_LISTS = frozenset({"ignore-tags", "skip-tags", "platforms"})
_FLAGS = frozenset({"force-update", "allow-downgrade", "semver-loose", "pause"})
_TRUE = frozenset({"1", "t", "T", "TRUE", "true", "True"})
_GIT = {"git-repository": "repository", "git-branch": "branch", "write-back-target": "writeBackTarget"}
_CARRIED = frozenset({"image-list", "write-back-method", "rollback", "pull-request", "pull-request.labels", *_GIT})
"""Annotations of an application as a whole that have a field."""
_KINDS = ("helm", "kustomize", "plugin")

Manifest = dict[str, Any]


@dataclass(slots=True)
class Migration:
    """What to apply, and what could not be carried."""

    manifests: list[Manifest] = field(default_factory=list)
    left: list[str] = field(default_factory=list)


def to_resources(applications: Iterable[Application], name: str = "updater") -> Migration:
    """Make one ImageUpdater for each namespace, with a reference for each annotated Application."""
    result = Migration()
    by_namespace: dict[str, list[Manifest]] = {}
    for application in applications:
        if application.annotations:
            reference = _reference(application, result.left)
            if reference is not None:
                by_namespace.setdefault(application.name.namespace, []).append(reference)
    result.manifests = [
        {
            "apiVersion": f"{GROUP}/v1alpha1",
            "kind": "ImageUpdater",
            "metadata": {"name": name, "namespace": namespace},
            "spec": {"applicationRefs": references},
        }
        for namespace, references in sorted(by_namespace.items())
    ]
    return result


def to_annotations(applications: Iterable[Application], resources: Sequence[ImageUpdater]) -> Migration:
    """Write down for each Application that resources select what they say, as annotations."""
    result = Migration()
    selection = Selection()
    for resource in resources:
        selection.put_resource(resource)
        result.left += [f"ImageUpdater {resource.name}: {text}" for text in resource.spec.problems]
    for application in applications:
        selection.put_application(application.name, application.labels)
        claims = [claim for claim in selection.claims(application.name) if not claim.ref.use_annotations]
        written = written_as_annotations(application, claims)
        if written:
            annotations = _annotations(application, written, result.left)
            result.manifests.append(_annotated(application.name, annotations))
    return result


def _reference(application: Application, left: list[str]) -> Manifest | None:
    annotations = application.annotations
    images = []
    aliases = []
    for item in split_image_list(annotations.get("image-list", "")):
        try:
            entry = parse_entry(item)
        except Misconfigured as error:
            left.append(f"{application.name}: {error}")
            continue
        if entry.reference.written.endswith("/*"):
            left.append(f"{application.name}: {item.strip()} stands for several images: name each of them")
            continue
        aliases.append(entry.alias)
        constraint = f":{entry.constraint}" if entry.constraint else ""
        images.append(_image(annotations, entry.alias, f"{entry.reference.written}{constraint}"))
    if not images:
        left.append(f"{application.name}: annotation {PREFIX}image-list names no image that can be carried")
        return None
    left += [f"{application.name}: annotation {PREFIX}{key} has no field" for key in _unknown(annotations, aliases)]
    write_back = _write_back(annotations)
    common = _common(annotations, "")
    return {
        "namePattern": application.name.name,
        **({"commonUpdateSettings": common} if common else {}),
        **({"writeBackConfig": write_back} if write_back else {}),
        "images": images,
    }


def _image(annotations: Mapping[str, str], alias: str, name: str) -> Manifest:
    common = _common(annotations, f"{alias}.")
    targets = {kind: parts for kind in _KINDS if (parts := _targets(annotations, f"{alias}.{kind}.image-"))}
    return {
        "alias": alias,
        "imageName": name,
        **({"commonUpdateSettings": common} if common else {}),
        **({"manifestTargets": targets} if targets else {}),
    }


def _targets(annotations: Mapping[str, str], prefix: str) -> Manifest:
    return {part: text for part in ("name", "tag", "spec") if (text := annotations.get(f"{prefix}{part}", "").strip())}


def _common(annotations: Mapping[str, str], prefix: str) -> Manifest:
    keys = POLICY_KEYS | (IMAGE_KEYS if prefix else {"rollback"})
    texts = {key: _text(annotations, prefix, key) for key in sorted(keys) if "." not in key}
    return {field_of(key): _value(key, text) for key, text in texts.items() if text}


def _text(annotations: Mapping[str, str], prefix: str, key: str) -> str:
    spellings = [key, *(old for old, present in DEPRECATED.items() if present == key)]
    return next((text for each in spellings if (text := annotations.get(prefix + each, "").strip())), "")


def _value(key: str, text: str) -> str | bool | list[str]:
    if key in _FLAGS:
        return text in _TRUE
    return [item.strip() for item in text.split(",") if item.strip()] if key in _LISTS else text


def _write_back(annotations: Mapping[str, str]) -> Manifest:
    method = annotations.get("write-back-method", "").strip()
    git: Manifest = {field: text for key, field in _GIT.items() if (text := annotations.get(key, "").strip())}
    forge = annotations.get("pull-request", "").strip()
    if forge:
        labels = [label.strip() for label in annotations.get("pull-request.labels", "").split(",") if label.strip()]
        git["pullRequest"] = {forge: {}, **({"labels": labels} if labels else {})}
    return {**({"method": method} if method else {}), **({"gitConfig": git} if git else {})}


def _unknown(annotations: Mapping[str, str], aliases: Sequence[str]) -> list[str]:
    per_image = POLICY_KEYS | IMAGE_KEYS | DEPRECATED.keys()
    known = {
        *_CARRIED,
        *POLICY_KEYS,
        *DEPRECATED,
        *(f"{alias}.{key}" for alias in aliases for key in per_image),
    }
    return sorted(annotations.keys() - known)


def _annotations(
    application: Application, written: Sequence[tuple[Claim, Mapping[str, str]]], left: list[str]
) -> dict[str, str]:
    """Lay the claims' annotations beside those that are there; one Application has one way of writing back."""
    own = application.annotations
    merged = dict(own) if own.get("image-list", "").strip() else {}
    lists = [merged.pop("image-list", "")]
    for claim, texts in written:
        left += [f"{application.name}: {problem}" for problem in _uncarried(claim)]
        lists.append(texts.get("image-list", ""))
        for key, text in texts.items():
            if key != "image-list" and merged.setdefault(key, text) != text:
                two = f"{text!r} by ImageUpdater {claim.resource.name}, and {merged[key]!r} by another"
                left.append(f"{application.name}: {key} is {two}: one Application has one")
    return {**merged, "image-list": ", ".join(filter(None, lists))}


def _uncarried(claim: Claim) -> Iterator[str]:
    place = f"ImageUpdater {claim.resource.name}, {claim.ref.place}"
    yield from (f"{place}: {problem}" for problem in claim.ref.problems)
    images = claim.ref.images
    levels = [claim.resource.spec.verification, claim.ref.verification, *(each.verification for each in images)]
    if any(level is not None and level.enabled for level in levels):
        yield f"{place}: imagesVerification has no annotation: keep a resource for it"
    yield from (f"{place}: {each.problem}" for each in images if each.problem)


def _annotated(name: ApplicationName, annotations: Mapping[str, str]) -> Manifest:
    return {
        "apiVersion": "argoproj.io/v1alpha1",
        "kind": "Application",
        "metadata": {
            "name": name.name,
            "namespace": name.namespace,
            "annotations": {f"{PREFIX}{key}": text for key, text in sorted(annotations.items())},
        },
    }


def field_of(key: str) -> str:
    """Spell an annotation's key as the resource's field."""
    first, *others = key.split("-")
    return first + "".join(part.capitalize() for part in others)
