"""Applications, ImageUpdaters and Secrets as manifests in a directory: found, read, and edited in place.

Everything here blocks, and is meant for a thread.
"""

import os
import re
import stat
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import msgspec
from ruamel.yaml import YAML
from ruamel.yaml.constructor import SafeConstructor
from ruamel.yaml.error import YAMLError

from updater.adapters.argocd import convert_application
from updater.adapters.imageupdaters import convert_image_updater
from updater.adapters.secret_data import conceal, decode_secret
from updater.domain.application import Application, ApplicationName
from updater.domain.errors import ApplicationConflict, Misconfigured
from updater.domain.resources import GROUP, ImageUpdater, ResourceName
from updater.ports.secrets import LabelledSecret

_SUFFIXES = frozenset({".yaml", ".yml", ".json"})
_LARGEST_FILE = 10 * 2**20
_OF_INTEREST = re.compile(rb"\b(?:Application|ImageUpdater|Secret)\b")

Signature = tuple[int, ...]
"""Changes when the file does."""


@dataclass(frozen=True, slots=True)
class ManifestFile:
    """What one file holds."""

    path: Path
    signature: Signature
    applications: Mapping[ApplicationName, Application] = field(default_factory=dict)
    resources: Mapping[ResourceName, ImageUpdater] = field(default_factory=dict)
    unreadable: Mapping[ApplicationName | str, str] = field(default_factory=dict)
    """Why an Application cannot be understood, or something else in the file."""
    secrets: Sequence[LabelledSecret] = ()
    broken: str = ""
    """Why the file as a whole cannot be read; it holds then what it held before."""


Files = Mapping[Path, ManifestFile]


class _SecretMetadata(msgspec.Struct):
    name: str
    namespace: str = ""
    labels: dict[str, str] | None = None


class _Secret(msgspec.Struct, rename="camel"):
    metadata: _SecretMetadata
    data: dict[str, str | None] | None = None
    string_data: dict[str, str] | None = None


class _Constructor(SafeConstructor):
    """Reads what looks like a date as the text that it is for Kubernetes."""


_Constructor.add_constructor("tag:yaml.org,2002:timestamp", SafeConstructor.construct_yaml_str)


def load_manifests(root: Path, known: Files, default_namespace: str) -> dict[Path, ManifestFile]:
    """Read all manifests below a directory; those that did not change since `known` are taken from there.

    Hidden files and directories are left out: a mounted ConfigMap keeps its versions in them, and links to the present
    one.

    Raises:
        OSError: the directory cannot be listed.
    """
    files: dict[Path, ManifestFile] = {}
    for path in sorted(_walk(root)):
        try:
            signature = _signature(path.stat())
        except OSError:
            continue
        before = known.get(path)
        if before is not None and before.signature == signature:
            files[path] = before
        else:
            files[path] = _load(ManifestFile(path, signature), before, default_namespace)
    return files


def load_manifest(path: Path, default_namespace: str) -> ManifestFile:
    """Read one file; what is wrong with it is in what is returned."""
    return _load(ManifestFile(path, ()), None, default_namespace)


def rewrite(path: Path, change: Callable[[str], str]) -> bool:
    """Replace a file by a changed one, whole or not at all; False when the change changes nothing.

    Raises:
        ApplicationConflict: somebody else changed the file in between.
        OSError: it cannot be read, or not be written.
    """
    real = path.resolve(strict=True)
    before = real.stat()
    text = real.read_bytes().decode()
    changed = change(text)
    if changed == text:
        return False
    handle, temporary = tempfile.mkstemp(prefix=f".{real.name}.", suffix=".tmp", dir=real.parent)
    try:
        with os.fdopen(handle, "wb") as file:
            _copy_owner(handle, before)
            file.write(changed.encode())
            file.flush()
            os.fsync(handle)
        if _signature(real.stat()) != _signature(before):
            raise ApplicationConflict(f"{path} was changed by somebody else")
        Path(temporary).replace(real)
    finally:
        Path(temporary).unlink(missing_ok=True)
    return True


def _copy_owner(handle: int, before: os.stat_result) -> None:
    present = os.fstat(handle)
    if (present.st_uid, present.st_gid) != (before.st_uid, before.st_gid):
        os.fchown(handle, before.st_uid, before.st_gid)
    os.fchmod(handle, stat.S_IMODE(before.st_mode))


def _walk(root: Path) -> Iterator[Path]:
    """Find manifests; each directory once, however links lead to it; one that cannot be listed stands for itself."""
    seen: set[tuple[int, int]] = set()
    waiting = [root]
    while waiting:
        directory = waiting.pop()
        try:
            found = directory.stat()
            if (found.st_dev, found.st_ino) in seen:
                continue
            seen.add((found.st_dev, found.st_ino))
            with os.scandir(directory) as entries:
                shown = [entry for entry in entries if not entry.name.startswith(".")]
        except OSError:
            if directory == root:
                raise
            yield directory
            continue
        waiting += [Path(entry.path) for entry in shown if entry.is_dir()]
        yield from (Path(entry.path) for entry in shown if entry.is_file() and Path(entry.name).suffix in _SUFFIXES)


def _signature(found: os.stat_result) -> Signature:
    return (found.st_mtime_ns, found.st_ctime_ns, found.st_size, found.st_ino, found.st_dev)


def _load(empty: ManifestFile, before: ManifestFile | None, default_namespace: str) -> ManifestFile:
    try:
        return _sorted_out(empty, _documents(empty.path), default_namespace)
    except OSError as error:
        reason = error.strerror or type(error).__name__
    except (YAMLError, ValueError, RecursionError) as error:
        reason = _first_line(error)
    kept = before or empty
    return replace(kept, signature=empty.signature, broken=f"{empty.path} cannot be read: {reason}")


def _first_line(error: Exception) -> str:
    """Say what is wrong and where; never the text that is there, which may be a Secret's."""
    mark = getattr(error, "problem_mark", None)
    problem = getattr(error, "problem", None)
    if mark is not None and problem:
        return f"line {mark.line + 1}: {problem}"
    return type(error).__name__ if isinstance(error, YAMLError) else str(error)


def _documents(path: Path) -> Iterator[object]:
    """Parse the file's documents, or none when it cannot hold any of ours."""
    with path.open("rb") as file:
        content = file.read(_LARGEST_FILE + 1)
    if len(content) > _LARGEST_FILE:
        raise ValueError(f"it is larger than {_LARGEST_FILE >> 20} MiB")
    if not _OF_INTEREST.search(content):
        return
    if path.suffix == ".json":
        yield msgspec.json.decode(content)
        return
    yaml = YAML(typ="safe", pure=True)
    yaml.Constructor = _Constructor
    yield from yaml.load_all(content.decode())


def _sorted_out(empty: ManifestFile, documents: Iterator[object], default_namespace: str) -> ManifestFile:
    """Read what concerns us; the same Application or Secret twice in a file is nobody's wish, and the first counts."""
    applications: dict[ApplicationName, Application] = {}
    resources: dict[ResourceName, ImageUpdater] = {}
    unreadable: dict[ApplicationName | str, str] = {}
    secrets: list[LabelledSecret] = []
    for manifest in documents:
        for kind, each in _manifests(manifest):
            try:
                if kind == "Application":
                    application = convert_application(each, default_namespace)
                    applications.setdefault(application.name, application)
                elif kind == "ImageUpdater":
                    resource = convert_image_updater(each, default_namespace)
                    resources.setdefault(resource.name, resource)
                else:
                    secrets.append(_secret(each, default_namespace))
            except (Misconfigured, ValueError, RecursionError) as error:
                name = _name(each, default_namespace)
                place: ApplicationName | str = name if kind == "Application" and name.name else str(empty.path)
                unreadable[place] = f"{empty.path}: {kind} {name}: {error}"
    return replace(empty, applications=applications, resources=resources, unreadable=unreadable, secrets=secrets)


def _manifests(document: object) -> Iterator[tuple[str, object]]:
    """Give the objects that concern us which a document is, or lists."""
    if not isinstance(document, dict):
        return
    kind, version = document.get("kind"), document.get("apiVersion")
    if kind == "Application" and str(version).startswith("argoproj.io/"):
        yield "Application", document
    elif kind == "ImageUpdater" and str(version).startswith(f"{GROUP}/"):
        yield "ImageUpdater", document
    elif kind == "Secret" and version == "v1":
        yield "Secret", document
    elif kind == "List" and isinstance(document.get("items"), list):
        for item in document["items"]:
            if isinstance(item, dict) and item.get("kind") != "List":
                yield from _manifests(item)


def _secret(manifest: object, default_namespace: str) -> LabelledSecret:
    secret = msgspec.convert(manifest, _Secret)
    plain = {key: value.encode() for key, value in (secret.string_data or {}).items()}
    conceal(plain)
    metadata = secret.metadata
    namespace = metadata.namespace or default_namespace
    return LabelledSecret(namespace, metadata.name, metadata.labels or {}, {**decode_secret(secret.data), **plain})


def _name(manifest: object, default_namespace: str) -> ApplicationName:
    metadata = manifest.get("metadata") if isinstance(manifest, dict) else None
    metadata = metadata if isinstance(metadata, dict) else {}
    return ApplicationName(str(metadata.get("namespace") or default_namespace), str(metadata.get("name") or ""))
