"""Applications and ImageUpdaters out of the files that a command names."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from updater.adapters.manifests import ManifestFile, load_manifest, load_manifests
from updater.domain.application import Application
from updater.domain.resources import ImageUpdater

DEFAULT_NAMESPACE = "argocd"


@dataclass(slots=True)
class Found:
    """What there is, and what could not be read."""

    applications: list[Application] = field(default_factory=list)
    resources: list[ImageUpdater] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)


def manifest_files(paths: Iterable[Path]) -> Iterator[ManifestFile]:
    """Read files, and all manifests below directories."""
    for path in paths:
        if path.is_dir():
            yield from load_manifests(path, {}, DEFAULT_NAMESPACE).values()
        else:
            yield load_manifest(path, DEFAULT_NAMESPACE)


def find_manifests(paths: Iterable[Path]) -> Found:
    found = Found()
    for file in manifest_files(paths):
        found.applications += file.applications.values()
        found.resources += file.resources.values()
        found.problems += [*file.unreadable.values(), *([file.broken] if file.broken else [])]
    return found
