"""`updater lint`: what is wrong with Applications, ImageUpdaters and settings, before anything runs."""

import re
import sys
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import click
from ruamel.yaml import YAML, MappingNode, Node, ScalarNode, SequenceNode
from ruamel.yaml.error import YAMLError

from updater.adapters.manifests import ManifestFile
from updater.cli import EXIT_FAILED, EXIT_USAGE
from updater.cli.manifest_files import DEFAULT_NAMESPACE, manifest_files
from updater.config.daemon import load_settings
from updater.config.options import SECTIONS
from updater.config.registries_conf import parse_registries_conf
from updater.domain.application import Application
from updater.domain.errors import Misconfigured
from updater.domain.governing import govern
from updater.domain.messages import TrackedApplication
from updater.domain.resources import ImageUpdater
from updater.domain.selection import Selection

_ANNOTATION = re.compile(r"annotation ((?:argocd-image-updater\.argoproj\.io/)?[A-Za-z0-9._/-]*[A-Za-z0-9])")
_PREFIX = "argocd-image-updater.argoproj.io/"
_PLACE = re.compile(r"spec(?:\.[A-Za-z]+|\[[0-9]+\])+")
_STEP = re.compile(r"[A-Za-z]+|[0-9]+")
_REGISTRIES = "registries.conf"


@click.command()
@click.argument("files", nargs=-1, type=click.Path(exists=True, path_type=Path))
@click.option("--argocd-namespace", default=DEFAULT_NAMESPACE, help="Where Argo CD runs.")
def lint(files: tuple[Path, ...], argocd_namespace: str) -> None:
    """Check FILES (manifests, registries.conf, updater.yaml, or directories of them) without asking anybody.

    Each mistake is named with its file, its line and a remedy; the exit code is 1 when there is any.
    """
    if not files:
        click.echo("updater: name files or directories to check", err=True)
        sys.exit(EXIT_USAGE)
    mistakes = sorted(set(_check(files, argocd_namespace)))
    for mistake in mistakes:
        click.echo(str(mistake))
    click.echo(f"{len(mistakes)} mistake{'' if len(mistakes) == 1 else 's'}", err=True)
    sys.exit(EXIT_FAILED if mistakes else 0)


@dataclass(frozen=True, slots=True, order=True)
class Mistake:
    """Something that would not do what its author means."""

    path: str
    line: int
    message: str

    def __str__(self) -> str:
        return f"{self.path}:{self.line}: {self.message}" if self.line else f"{self.path}: {self.message}"


def _check(paths: Sequence[Path], argocd_namespace: str) -> Iterator[Mistake]:
    files = list(manifest_files(paths))
    for path in paths:
        if path.is_file():
            yield from _settings_mistakes(path)
    selection = Selection()
    for file in files:
        for resource in file.resources.values():
            selection.put_resource(resource)
        for application in file.applications.values():
            selection.put_application(application.name, application.labels)
    for file in files:
        yield from _broken(file)
        yield from _config_maps(file.path)
        for resource in file.resources.values():
            yield from _resource_mistakes(file.path, resource)
        for application in file.applications.values():
            tracked = govern(application, selection.claims(application.name), {}, argocd_namespace)
            if tracked is not None:
                yield from _application_mistakes(file.path, application, tracked, files)


def _broken(file: ManifestFile) -> Iterator[Mistake]:
    texts = [*file.unreadable.values(), *([file.broken] if file.broken else [])]
    for text in texts:
        yield Mistake(str(file.path), 0, text.removeprefix(f"{file.path}: "))


def _settings_mistakes(path: Path) -> Iterator[Mistake]:
    """Check a file of settings, of ours or of registries, by what it holds."""
    keys = _top_keys(path)
    try:
        if path.name == _REGISTRIES or (keys == {"registries"} and _is_list(path, "registries")):
            parse_registries_conf(path.read_text("utf-8"), str(path))
        elif keys and keys <= SECTIONS.keys() and "kind" not in keys:
            load_settings(path, {})
    except Misconfigured as error:
        yield from _lines_of(path, error)
    except (OSError, UnicodeDecodeError) as error:
        yield Mistake(str(path), 0, f"cannot be read: {error}")


def _lines_of(path: Path, error: Misconfigured) -> Iterator[Mistake]:
    """Take apart an error that names several places."""
    for line in str(error).splitlines():
        placed = re.fullmatch(rf"\s*{re.escape(str(path))}(?::(\d+))?: (.*)", line)
        if placed:
            yield Mistake(str(path), int(placed[1] or 0), placed[2])
        elif not line.endswith("settings are wrong:"):
            yield Mistake(str(path), 0, line.strip())


def _config_maps(path: Path) -> Iterator[Mistake]:
    """Check the registries.conf that a ConfigMap of Argo CD Image Updater holds."""
    for document in _documents(path):
        text = _at(document, ["data", _REGISTRIES])
        if _value(document, "kind") == "ConfigMap" and isinstance(text, ScalarNode):
            begins = text.start_mark.line + 1
            try:
                parse_registries_conf(text.value, _REGISTRIES)
            except Misconfigured as error:
                for each in _lines_of(Path(_REGISTRIES), error):
                    yield Mistake(str(path), begins + each.line, f"{_REGISTRIES}: {each.message}")


def _resource_mistakes(path: Path, resource: ImageUpdater) -> Iterator[Mistake]:
    spec = resource.spec
    texts = [*spec.problems, *spec.warnings]
    for ref in spec.refs:
        texts += [*ref.problems, *(image.problem for image in ref.images if image.problem)]
    root = _document(path, "ImageUpdater", resource.name.name)
    for text in texts:
        yield Mistake(str(path), _line_of_place(root, text), f"ImageUpdater {resource.name}: {text}")


def _application_mistakes(
    path: Path, application: Application, tracked: TrackedApplication, files: Iterable[ManifestFile]
) -> Iterator[Mistake]:
    root = _document(path, "Application", application.name.name)
    for problem in [*tracked.problems, *tracked.warnings]:
        if not any(problem.message.endswith(text) for claim in tracked.claims for text in claim.problems):
            line = _line_of_annotation(root, problem.message)
            alias = f" {problem.alias}:" if problem.alias else ""
            yield Mistake(str(path), line, f"Application {application.name}:{alias} {problem.message}")
    places = {resource.name: file.path for file in files for resource in file.resources.values()}
    for claim in tracked.claims:
        for conflict in claim.conflicts:
            whose = f"{conflict.alias} of {application.name} belongs to {conflict.owner}"
            yield Mistake(str(places[claim.resource]), 0, f"ImageUpdater {claim.resource}: {whose}")


def _line_of_place(root: Node | None, text: str) -> int:
    """Find where a field stands that a text names, or the nearest above it that is there."""
    found = _PLACE.search(text)
    steps = _STEP.findall(found[0]) if found else []
    return _line(root, steps)


def _line_of_annotation(root: Node | None, text: str) -> int:
    found = _ANNOTATION.search(text)
    key = found[1].removeprefix(_PREFIX) if found else "image-list"
    return _line(root, ["metadata", "annotations", f"{_PREFIX}{key}"])


def _line(node: Node | None, steps: Sequence[str]) -> int:
    line = node.start_mark.line + 1 if node is not None else 0
    for step in steps:
        if isinstance(node, MappingNode):
            pair = next((pair for pair in node.value if pair[0].value == step), None)
            if pair is None:
                break
            line, node = pair[0].start_mark.line + 1, pair[1]
        elif isinstance(node, SequenceNode) and step.isdecimal() and int(step) < len(node.value):
            node = node.value[int(step)]
            line = node.start_mark.line + 1
        else:
            break
    return line


def _document(path: Path, kind: str, name: str) -> Node | None:
    for document in _documents(path):
        named = _at(document, ["metadata", "name"])
        if _value(document, "kind") == kind and isinstance(named, ScalarNode) and named.value == name:
            return document
    return None


def _documents(path: Path) -> list[Node]:
    """Parse a file's documents with their lines; those in a List are documents of their own."""
    try:
        documents = list(YAML(typ="safe", pure=True).compose_all(path.read_text("utf-8")))
    except (YAMLError, OSError, UnicodeDecodeError):
        return []
    items = [item for document in documents for item in _items(document)]
    return [document for document in [*documents, *items] if isinstance(document, MappingNode)]


def _items(document: Node) -> list[Node]:
    items = _at(document, ["items"])
    return list(items.value) if isinstance(items, SequenceNode) else []


def _at(node: Node | None, keys: Sequence[str]) -> Node | None:
    for key in keys:
        pairs = node.value if isinstance(node, MappingNode) else []
        node = next((value for name, value in pairs if name.value == key), None)
    return node


def _value(node: Node, key: str) -> str:
    found = _at(node, [key])
    return str(found.value) if isinstance(found, ScalarNode) else ""


def _top_keys(path: Path) -> set[str]:
    if path.suffix not in (".yaml", ".yml", ".conf"):
        return set()
    return {str(name.value) for document in _documents(path)[:1] for name, _ in document.value}


def _is_list(path: Path, key: str) -> bool:
    return any(isinstance(_at(document, [key]), SequenceNode) for document in _documents(path)[:1])
