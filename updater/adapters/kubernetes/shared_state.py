"""What replicas tell each other, in ConfigMaps beside the Lease: a handful of small objects, and no server to run.

Whoever leads publishes what changed; whoever starts, or becomes the leader, reads it first. The parts are written
before the first one, which says how many there are and what they make together, so that half of a change is
recognised and the reader tries again.
"""

import asyncio
import base64
import hashlib
from collections.abc import Sequence
from typing import Protocol

import msgspec
import structlog

from updater.adapters.kubernetes.connection import CONFIG_MAPS, ApiError, Connection
from updater.domain.errors import ClusterError, StoreError, UpdaterError
from updater.ports.cluster import Leadership

log = structlog.get_logger()

_NOT_FOUND = 404
_CONFLICT = 409
_FORBIDDEN = 403
_PART_BYTES = 700_000
"""Of the 1 MiB that an object may have, with base64's third on top."""
_MOST_PARTS = 32
_TRIES = 3
_SECONDS_TO_END = 3.0
_DATA = "state"


class SharedMemory(Protocol):
    """Remembers what all replicas have to know."""

    @property
    def handover_version(self) -> int:
        """Changes whenever there is something new to hand over."""
        ...

    async def hand_over(self) -> bytes: ...

    async def take_over(self, handed: bytes) -> None:
        """Learn what another replica knew.

        Raises:
            StoreError: it cannot be read, or not be stored.
        """
        ...


class _Metadata(msgspec.Struct, rename="camel"):
    name: str
    namespace: str
    resource_version: str = ""
    annotations: dict[str, str] | None = None


class _ConfigMap(msgspec.Struct, rename="camel"):
    metadata: _Metadata
    binary_data: dict[str, str] | None = None
    api_version: str = "v1"
    kind: str = "ConfigMap"


_ANNOTATION = "updater/parts"
_decode = msgspec.json.Decoder(_ConfigMap).decode


class SharedState:
    """Publishes what is new while we lead, and learns what others published; implements `Leadership`.

    Leadership begins here once both are true: the Lease is ours, and what its last holder knew was learned.
    """

    def __init__(
        self,
        connection: Connection,
        namespace: str,
        name: str,
        memory: SharedMemory,
        election: Leadership,
        pause: float,
    ) -> None:
        self._connection = connection
        self._namespace = namespace
        self._name = name
        self._memory = memory
        self._election = election
        self._pause = pause
        """Seconds between two looks for something new to publish."""
        self._published = -1
        self._learned = False
        """Whether what others published was read since the Lease is ours."""
        self._learning = asyncio.Lock()
        self._failing = False

    def holds(self) -> bool:
        if not self._election.holds():
            self._learned = False
        return self._learned

    async def held(self) -> bool:
        while await self._election.held():
            async with self._learning:
                if self.holds():
                    return True
                if await self.learn():
                    self._learned = self._election.holds()
                else:
                    await asyncio.sleep(self._pause)
        return False

    def stop_waiting(self) -> None:
        self._election.stop_waiting()

    async def run(self) -> None:
        """Publish for ever; when cancelled, what is new once more, for whoever leads next."""
        try:
            while True:
                await asyncio.sleep(self._pause)
                await self._publish()
        finally:
            await asyncio.shield(self._publish_in_time())

    async def learn(self) -> bool:
        """Learn what others published; False when it could not be read now, which is said once.

        What may not be read, or was written by another version, is said and passed over: our own memory has to do.
        """
        try:
            handed = await self._read()
            if handed is not None:
                await self._memory.take_over(handed)
        except ApiError as error:
            self._say(error)
            return error.status == _FORBIDDEN
        except StoreError as error:
            self._say(error)
            return True
        except ClusterError as error:
            self._say(error)
            return False
        self._failing = False
        return True

    async def _publish_in_time(self) -> None:
        try:
            async with asyncio.timeout(_SECONDS_TO_END):
                await self._publish()
        except TimeoutError:
            log.warning("replicas.not_told", reason="the API server did not answer in time")

    async def _publish(self) -> None:
        version = self._memory.handover_version
        if version == self._published or not self.holds():
            return
        try:
            await self._write(await self._memory.hand_over())
        except UpdaterError as error:
            self._say(error)
        else:
            self._published = version
            self._failing = False

    def _say(self, error: UpdaterError) -> None:
        if not self._failing:
            log.warning("replicas.not_told", reason=str(error))
        self._failing = True

    async def _write(self, handed: bytes) -> None:
        parts = [handed[start : start + _PART_BYTES] for start in range(0, len(handed), _PART_BYTES)]
        if len(parts) > _MOST_PARTS:
            raise ClusterError(f"there is more to tell other replicas than {_MOST_PARTS} ConfigMaps can hold")
        for number, part in reversed(list(enumerate(parts))):
            mark = f"{len(parts)} {hashlib.sha256(handed).hexdigest()}"
            await self._put(number, base64.b64encode(part).decode(), mark)

    async def _put(self, number: int, data: str, mark: str) -> None:
        name = self._part(number)
        for _ in range(_TRIES):
            present = await self._get(number)
            version = present.metadata.resource_version if present else ""
            metadata = _Metadata(name, self._namespace, version, {_ANNOTATION: mark})
            body = msgspec.to_builtins(_ConfigMap(metadata, {_DATA: data}))
            try:
                if present:
                    await self._connection.replace(CONFIG_MAPS, self._namespace, name, body)
                else:
                    await self._connection.create(CONFIG_MAPS, self._namespace, body)
            except ApiError as error:
                if error.status not in (_CONFLICT, _NOT_FOUND):
                    raise
            else:
                return
        raise ClusterError(f"ConfigMap {self._namespace}/{name} was changed by somebody else {_TRIES} times")

    async def _read(self) -> bytes | None:
        for _ in range(_TRIES):
            first = await self._get(0)
            if first is None:
                return None
            count, _, digest = (first.metadata.annotations or {}).get(_ANNOTATION, "").partition(" ")
            if not count.isdecimal() or not 0 < int(count) <= _MOST_PARTS:
                raise StoreError(f"ConfigMap {self._namespace}/{self._name} was not written by an updater: delete it")
            others = [await self._get(number) for number in range(1, int(count))]
            handed = _joined([first, *others])
            if hashlib.sha256(handed).hexdigest() == digest:
                return handed
        raise ClusterError(f"ConfigMap {self._namespace}/{self._name} and its parts do not fit together yet")

    async def _get(self, number: int) -> _ConfigMap | None:
        try:
            return _decode(await self._connection.get(CONFIG_MAPS, self._namespace, self._part(number)))
        except ApiError as error:
            if error.status == _NOT_FOUND:
                return None
            raise
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            raise ClusterError(f"the API server's answer is no ConfigMap: {error}") from None

    def _part(self, number: int) -> str:
        return f"{self._name}-{number}" if number else self._name


def _joined(parts: Sequence[_ConfigMap | None]) -> bytes:
    texts = [((part.binary_data or {}).get(_DATA, "") if part else "") for part in parts]
    try:
        return b"".join(base64.b64decode(text, validate=True) for text in texts)
    except ValueError:
        return b""
