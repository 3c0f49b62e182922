"""Applications, ImageUpdaters and Secrets of a Kubernetes cluster."""

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from pathlib import Path

import msgspec
import structlog

from updater.adapters.argocd import check_unchanged, decode_application, decode_application_set, refresh_annotations
from updater.adapters.argocd_patch import image_patch
from updater.adapters.imageupdaters import decode_image_updater
from updater.adapters.kubernetes.connection import (
    APPLICATION_SETS,
    APPLICATIONS,
    CONFIG_MAPS,
    EVENTS,
    IMAGE_UPDATERS,
    LEASES,
    SECRETS,
    SERVICE_ACCOUNTS,
    ApiError,
    Connection,
    Resource,
)
from updater.adapters.kubernetes.enabled import enabled_namespaces
from updater.adapters.kubernetes.events import event_manifest
from updater.adapters.kubernetes.lease import renewal_of
from updater.adapters.kubernetes.reflector import APPLICATION, Kind, Pace, Reflector
from updater.adapters.kubernetes.replicas import Replica, replica_of
from updater.adapters.kubernetes.shared_state import SharedMemory
from updater.adapters.secret_data import decode_secret
from updater.domain.application import ApplicationName
from updater.domain.application_sets import ApplicationSetRules
from updater.domain.change import Edit
from updater.domain.errors import ApplicationConflict, ClusterError, SecretNotFound
from updater.domain.namespaces import Namespaces
from updater.domain.resources import ResourceName
from updater.domain.target import ApplicationTarget
from updater.ports.cluster import ApplicationEvent, ClusterEvent, Listed, ResourceGone, ResourceSeen, Still, always
from updater.ports.secrets import LabelledSecret

log = structlog.get_logger()

_QUEUE_SIZE = 1_000
_WRITE_TRIES = 2
_NOT_FOUND = 404
_FORBIDDEN = 403
_CONFLICTS = frozenset({409, 422})
"""422 is how a failed `test` of a JSON patch is answered."""
_PAGE = 500
_MOST_PAGES = 200
_IMAGE_UPDATER = Kind(
    IMAGE_UPDATERS,
    decode_image_updater,
    ResourceSeen,
    lambda name: ResourceGone(ResourceName(*name)),
    label="ImageUpdater ",
    optional=True,
)


class _SecretMetadata(msgspec.Struct):
    name: str = ""
    namespace: str = ""
    labels: dict[str, str] | None = None


class _Secret(msgspec.Struct):
    metadata: _SecretMetadata
    data: dict[str, str | None] | None = None


class _ListMetadata(msgspec.Struct):
    next_page: str | None = msgspec.field(default=None, name="continue")


class _SecretList(msgspec.Struct):
    metadata: _ListMetadata
    items: list[_Secret] | None = None


class _ConfigMap(msgspec.Struct):
    data: dict[str, str] | None = None


class _Reference(msgspec.Struct):
    name: str = ""


class _ServiceAccount(msgspec.Struct, rename="camel"):
    image_pull_secrets: list[_Reference] | None = None


_decode_secret = msgspec.json.Decoder(_Secret).decode
_decode_secrets = msgspec.json.Decoder(_SecretList).decode
_decode_service_account = msgspec.json.Decoder(_ServiceAccount).decode
_decode_config_map = msgspec.json.Decoder(_ConfigMap).decode
_decode_object = msgspec.json.Decoder(dict[str, object]).decode


class KubernetesCluster:
    """Implements `ApplicationSource`, `RepositorySecrets` and `ApplicationWriter`."""

    def __init__(self, connection: Connection, namespaces: Sequence[str], pace: Pace, argocd: str = "") -> None:
        self._connection = connection
        self._namespaces = Namespaces.of(namespaces)
        self._argocd = argocd
        self._pace = pace
        self._reflectors: set[asyncio.Task[None]] = set()
        self._forbidden: set[str] = set()
        """What RBAC keeps from us and we can do without; each is said once."""

    @classmethod
    async def open(
        cls, namespaces: Sequence[str], kubeconfig: Path | None = None, context: str = "", pace: Pace | None = None
    ) -> "KubernetesCluster":
        """Read how the cluster is reached; whether it is, the first request tells.

        Args:
            namespaces: whose Applications are told, by names and patterns; empty: all.
            kubeconfig: None: as the pod that this is, else what kubectl would use.
            context: of the kubeconfig; empty: its current one.
            pace: None: that of production.

        Raises:
            Misconfigured: there is no configuration, or it cannot be used.
        """
        Namespaces.of(namespaces)
        return cls(await Connection.open(kubeconfig, context), namespaces, pace or Pace())

    @classmethod
    async def open_beside(
        cls, argocd: str, kubeconfig: Path | None = None, context: str = "", pace: Pace | None = None
    ) -> "KubernetesCluster":
        """Do the same for the namespaces that an Argo CD looks after, which are read when events are asked for.

        Raises:
            Misconfigured: there is no configuration, or it cannot be used.
        """
        return cls(await Connection.open(kubeconfig, context), [argocd], pace or Pace(), argocd)

    async def close(self) -> None:
        await self._end(self._reflectors)
        await self._connection.close()

    def replica(self, namespace: str, lease: str, duration: float, memory: SharedMemory) -> Replica:
        """Be one of several that stand for a Lease of this cluster; the caller runs what belongs to it."""
        return replica_of(self._connection, namespace, lease, duration, memory)

    async def events(self) -> AsyncIterator[ClusterEvent]:
        if self._argocd:
            self._namespaces = await enabled_namespaces(self._connection, self._argocd, self._pace)
        queue: asyncio.Queue[ClusterEvent | Exception] = asyncio.Queue(_QUEUE_SIZE)
        unlisted = set(self._namespaces.watched)
        tasks = {asyncio.create_task(self._reflect(each, queue, unlisted), name=f"watch {each}") for each in unlisted}
        self._reflectors |= tasks
        try:
            while True:
                event = await queue.get()
                if isinstance(event, Exception):
                    raise event
                yield event
        finally:
            await self._end(tasks)

    async def _reflect(
        self, namespace: str, queue: asyncio.Queue[ClusterEvent | Exception], unlisted: set[str]
    ) -> None:
        """Pass on what happens in one namespace: its ImageUpdaters, and from when these are known its Applications.

        `Listed` is passed on only when all namespaces have been.
        """
        governed = asyncio.Event()

        async def tell_resource(event: ClusterEvent) -> None:
            if isinstance(event, Listed):
                governed.set()
            else:
                await queue.put(event)

        async def tell(event: ClusterEvent) -> None:
            if isinstance(event, Listed):
                unlisted.discard(namespace)
            if not isinstance(event, Listed) or not unlisted:
                await queue.put(event)

        async def reflect_applications() -> None:
            await governed.wait()
            await Reflector(self._connection, namespace, tell, self._pace, APPLICATION, wanted).run()

        wanted = self._namespaces.include
        resources = Reflector(self._connection, namespace, tell_resource, self._pace, _IMAGE_UPDATER, wanted)
        try:
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(resources.run(), name=f"watch ImageUpdaters of {namespace or '*'}")
                tasks.create_task(reflect_applications(), name=f"watch Applications of {namespace or '*'}")
        except Exception as error:  # noqa: BLE001 - a fault of ours, to be raised where events are taken
            await queue.put(error)

    async def _end(self, tasks: set[asyncio.Task[None]]) -> None:
        ending = list(tasks)
        self._reflectors.difference_update(ending)
        for task in ending:
            task.cancel()
        await asyncio.gather(*ending, return_exceptions=True)

    async def secret(self, namespace: str, name: str) -> Mapping[str, bytes]:
        try:
            body = await self._connection.get(SECRETS, namespace, name)
        except ApiError as error:
            if error.status == _NOT_FOUND:
                raise SecretNotFound(f"Secret {namespace}/{name} does not exist: create it") from error
            raise
        try:
            return decode_secret(_decode_secret(body).data)
        except (ValueError, msgspec.DecodeError) as error:
            raise ClusterError(f"Secret {namespace}/{name} cannot be read: {error}") from None

    async def pull_secrets(self, namespace: str, service_account: str) -> Sequence[str]:
        body = await self._dispensable(SERVICE_ACCOUNTS, namespace, service_account)
        try:
            references = _decode_service_account(body or b"{}").image_pull_secrets or ()
        except msgspec.DecodeError as error:
            raise ClusterError(f"ServiceAccount {namespace}/{service_account} cannot be read: {error}") from None
        return [reference.name for reference in references if reference.name]

    async def _dispensable(self, resource: Resource, namespace: str, name: str) -> bytes | None:
        """Read an object; None when there is none, or when RBAC keeps it from us."""
        try:
            return await self._connection.get(resource, namespace, name)
        except ApiError as error:
            if error.status == _FORBIDDEN:
                self._say_forbidden(str(error))
            elif error.status != _NOT_FOUND:
                raise
            return None

    def _say_forbidden(self, reason: str) -> None:
        if reason not in self._forbidden:
            self._forbidden.add(reason)
            log.info("cluster.forbidden", reason=reason)

    async def secrets_labelled(self, namespace: str, label: str, values: Sequence[str]) -> Sequence[LabelledSecret]:
        selector = ("labelSelector", f"{label} in ({','.join(values)})")
        found: list[LabelledSecret] = []
        next_page = ""
        for _ in range(_MOST_PAGES):
            query = [selector, ("limit", str(_PAGE)), *([("continue", next_page)] if next_page else [])]
            body = await self._connection.get(SECRETS, namespace, query=query)
            try:
                page = _decode_secrets(body)
                found += [_labelled(secret) for secret in page.items or ()]
            except (ValueError, msgspec.DecodeError) as error:
                raise ClusterError(f"the Secrets of namespace {namespace} cannot be read: {error}") from None
            next_page = page.metadata.next_page or ""
            if not next_page:
                return found
        raise ClusterError(f"namespace {namespace} has more than {_MOST_PAGES * _PAGE} Secrets with the label {label}")

    async def application_set(self, namespace: str, name: str) -> ApplicationSetRules:
        return decode_application_set(await self._connection.get(APPLICATION_SETS, namespace, name))

    async def holds(self, target: ApplicationTarget, edits: Sequence[Edit]) -> bool:
        return not image_patch(
            self._object(await self._connection.get(APPLICATIONS, *target.application)), target, edits
        )

    async def config_map(self, namespace: str, name: str) -> Mapping[str, str]:
        try:
            body = await self._connection.get(CONFIG_MAPS, namespace, name)
        except ApiError as error:
            if error.status == _NOT_FOUND:
                return {}
            raise
        try:
            return _decode_config_map(body).data or {}
        except msgspec.DecodeError as error:
            raise ClusterError(f"ConfigMap {namespace}/{name} cannot be read: {error}") from None

    async def set_images(self, target: ApplicationTarget, edits: Sequence[Edit], still: Still = always) -> bool:
        namespace, name = target.application
        conflict: ApiError | None = None
        for _ in range(_WRITE_TRIES):
            body = await self._connection.get(APPLICATIONS, namespace, name)
            patch = image_patch(self._object(body), target, edits)
            if not patch:
                return False
            check_unchanged(decode_application(body), still)
            try:
                answer = await self._connection.patch(
                    APPLICATIONS, namespace, name, "application/json-patch+json", patch
                )
            except ApiError as error:
                if error.status not in _CONFLICTS:
                    raise
                conflict = error
            else:
                self._confirm(answer, target, edits)
                return True
        raise ApplicationConflict(f"Application {target.application} was changed by somebody else: {conflict}")

    def _confirm(self, answer: bytes, target: ApplicationTarget, edits: Sequence[Edit]) -> None:
        if image_patch(self._object(answer), target, edits):
            raise ClusterError(
                f"Application {target.application} did not keep the change: its schema or an admission webhook of the "
                "cluster took it back"
            )

    def _object(self, body: bytes) -> dict[str, object]:
        try:
            return _decode_object(body)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
            raise ClusterError(f"the API server's answer is no object: {error}") from error

    async def renewal(self, namespace: str, name: str) -> str:
        try:
            return renewal_of(await self._connection.get(LEASES, namespace, name))
        except ApiError as error:
            if error.status == _NOT_FOUND:
                return ""
            raise

    async def write_status(self, name: ResourceName, status: Mapping[str, object]) -> None:
        try:
            await self._connection.patch_status(IMAGE_UPDATERS, *name, status)
        except ApiError as error:
            if error.status != _NOT_FOUND:
                raise

    async def record_event(self, event: ApplicationEvent) -> None:
        await self._connection.create(EVENTS, event.application.namespace, event_manifest(event))

    async def refresh(self, name: ApplicationName, *, hydrate: bool = False) -> None:
        patch = {"metadata": {"annotations": refresh_annotations(hydrate=hydrate)}}
        await self._connection.patch(APPLICATIONS, *name, "application/merge-patch+json", patch)


def _labelled(secret: _Secret) -> LabelledSecret:
    metadata = secret.metadata
    return LabelledSecret(metadata.namespace, metadata.name, metadata.labels or {}, decode_secret(secret.data))
