"""Applications, ImageUpdaters and Secrets from a directory of manifests: for a laptop, for CI, and for the demo.

The directory is looked at now and then; files are read again when they change. Where Argo CD would patch an
Application, its manifest is edited, and not one byte of it more than is needed.
"""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from pathlib import Path

import structlog

from updater.adapters.argocd import check_unchanged, refresh_annotations
from updater.adapters.manifests import Files, load_manifests, rewrite
from updater.domain.application import Application, ApplicationName
from updater.domain.application_sets import ApplicationSetRules
from updater.domain.change import Edit
from updater.domain.errors import ApplicationConflict, ClusterError, SecretNotFound
from updater.domain.resources import ImageUpdater, ResourceName
from updater.domain.target import ApplicationTarget
from updater.formats.application_manifest import annotate_application, edit_application
from updater.ports.cluster import (
    ApplicationEvent,
    ClusterEvent,
    Gone,
    Listed,
    Readable,
    ResourceGone,
    ResourceSeen,
    Seen,
    Still,
    Unreadable,
    always,
)
from updater.ports.secrets import LabelledSecret

log = structlog.get_logger()

_LONGEST_HINT = 1_000

_Key = ApplicationName | tuple[str, ResourceName] | str
_Told = dict[_Key, Application | ImageUpdater | str]
"""What there is: an ImageUpdater, an Application, or why it (or a file) is unreadable."""


class DirectoryCluster:
    """Implements `ApplicationSource`, `RepositorySecrets` and `ApplicationWriter`."""

    def __init__(self, root: Path, *, default_namespace: str = "argocd", interval: float = 0.5) -> None:
        self._root = root
        self._default_namespace = default_namespace
        self._interval = interval
        self._files: Files = {}
        self._writing = asyncio.Lock()
        self._failure = ""

    async def events(self) -> AsyncIterator[ClusterEvent]:
        told: _Told = {}
        listed = False
        while True:
            try:
                files = await self._load()
            except ClusterError as error:
                self._failed(str(error))
            else:
                self._worked()
                for event in _changes(told, _present(files)):
                    yield event
                if not listed:
                    listed = True
                    yield Listed()
            await asyncio.sleep(self._interval)

    async def secret(self, namespace: str, name: str) -> Mapping[str, bytes]:
        files = await self._load()
        for secret in _secrets(files):
            if (secret.namespace, secret.name) == (namespace, name):
                return secret.data
        problems = [file.broken or "; ".join(file.unreadable.values()) for file in files.values()]
        told = "; ".join(filter(None, problems))[:_LONGEST_HINT]
        hint = f" (what cannot be read: {told})" if told else ""
        raise SecretNotFound(f"Secret {namespace}/{name} is in no manifest of {self._root}{hint}: add it")

    async def secrets_labelled(self, namespace: str, label: str, values: Sequence[str]) -> Sequence[LabelledSecret]:
        return [
            secret
            for secret in _secrets(await self._load())
            if secret.namespace == namespace and secret.labels.get(label) in values
        ]

    async def config_map(self, namespace: str, name: str) -> Mapping[str, str]:  # noqa: ARG002 - the port's
        """Return nothing: what a laptop believes of servers is in git.ca_file and in files that are mounted."""
        return {}

    async def pull_secrets(self, namespace: str, service_account: str) -> Sequence[str]:  # noqa: ARG002 - the port's
        """ServiceAccounts are of a cluster; a manifest of one is not looked for."""
        return ()

    async def set_images(self, target: ApplicationTarget, edits: Sequence[Edit], still: Still = always) -> bool:
        name = target.application
        if await self.holds(target, edits):
            return False
        files = await self._load()
        check_unchanged(files[self._path(name, files)].applications[name], still)

        def change(text: str) -> str:
            return edit_application(text, name, target.source, target.kind, edits, self._default_namespace)

        return await self._edit(name, change)

    async def holds(self, target: ApplicationTarget, edits: Sequence[Edit]) -> bool:
        name = target.application
        path = self._path(name, await self._load())
        try:
            text = await asyncio.to_thread(path.read_text, "utf-8")
        except (OSError, UnicodeDecodeError) as error:
            raise ClusterError(f"{path} cannot be read: {error}") from error
        return edit_application(text, name, target.source, target.kind, edits, self._default_namespace) == text

    async def application_set(self, namespace: str, name: str) -> ApplicationSetRules:  # noqa: ARG002 - see below
        """Promise that what is written stays: a directory has no controller that takes it back."""
        return ApplicationSetRules(sync="create-only")

    async def renewal(self, namespace: str, name: str) -> str:  # noqa: ARG002 - the port's
        return ""

    async def write_status(self, name: ResourceName, status: Mapping[str, object]) -> None:
        """Write nothing: a manifest has no status."""

    async def record_event(self, event: ApplicationEvent) -> None:
        """Write nothing: there is nobody to look at Events."""

    async def refresh(self, name: ApplicationName, *, hydrate: bool = False) -> None:
        def change(text: str) -> str:
            for key, value in refresh_annotations(hydrate=hydrate).items():
                text = annotate_application(text, name, key, value, self._default_namespace)
            return text

        await self._edit(name, change)

    async def _edit(self, name: ApplicationName, change: Callable[[str], str]) -> bool:
        async with self._writing:
            try:
                return await self._try(name, change)
            except ApplicationConflict:
                return await self._try(name, change)

    async def _try(self, name: ApplicationName, change: Callable[[str], str]) -> bool:
        path = self._path(name, await self._load())
        try:
            return await asyncio.to_thread(rewrite, path, change)
        except (OSError, UnicodeDecodeError) as error:
            raise ClusterError(f"{path} cannot be edited: {error}; let the updater write it") from error

    def _path(self, name: ApplicationName, files: Files) -> Path:
        for path, file in files.items():
            if name in file.applications:
                return path
        raise ClusterError(f"Application {name} is in no manifest of {self._root} any more")

    async def _load(self) -> Files:
        try:
            files = await asyncio.to_thread(load_manifests, self._root, self._files, self._default_namespace)
        except OSError as error:
            raise ClusterError(
                f"directory {self._root} cannot be read: {error.strerror}; set applications.directory"
            ) from error
        self._files = files
        return files

    def _failed(self, reason: str) -> None:
        if self._failure != reason:
            self._failure = reason
            log.warning("cluster.unreachable", directory=str(self._root), reason=reason)

    def _worked(self) -> None:
        if self._failure:
            self._failure = ""
            log.info("cluster.reachable", directory=str(self._root))


def _present(files: Files) -> _Told:
    """Say what there is; of what is in several files the first counts, and the others are unreadable.

    ImageUpdaters come first: without them Applications cannot be understood.
    """
    present: _Told = {}
    for path, file in files.items():
        for resource in file.resources.values():
            _add(present, path, _resource_key(resource.name), resource, f"ImageUpdater {resource.name}")
    for path, file in files.items():
        if file.broken:
            present[str(path)] = file.broken
        for name, application in file.applications.items():
            _add(present, path, name, application, f"Application {name}")
        for key, reason in file.unreadable.items():
            present[key] = reason
    return present


def _resource_key(name: ResourceName) -> tuple[str, ResourceName]:
    """Keep an ImageUpdater apart from an Application of the same name."""
    return "ImageUpdater", name


def _add(present: _Told, path: Path, key: _Key, thing: Application | ImageUpdater, words: str) -> None:
    if key in present:
        present[str(path)] = f"{path}: {words} is in another file too: remove one of them"
    present.setdefault(key, thing)


def _changes(told: _Told, present: _Told) -> Iterator[ClusterEvent]:
    """Tell what is new since it was told last, and remember it as told."""
    for name in [name for name in told if name not in present]:
        del told[name]
        yield _gone(name)
    for name, thing in present.items():
        if told.get(name) != thing:
            told[name] = thing
            yield _seen(name, thing)


def _gone(key: _Key) -> ClusterEvent:
    match key:
        case ApplicationName():
            return Gone(key)
        case str():
            return Readable(key)
        case (_, name):
            return ResourceGone(name)


def _seen(key: _Key, thing: Application | ImageUpdater | str) -> ClusterEvent:
    match thing:
        case Application():
            return Seen(thing)
        case ImageUpdater():
            return ResourceSeen(thing)
        case str():
            return Unreadable(str(key), thing)


def _secrets(files: Files) -> Iterator[LabelledSecret]:
    for file in files.values():
        yield from file.secrets
