"""Be the one that writes, among several: a Lease that is renewed as long as we live, and taken over when nobody does.

The rules are those of client-go's leader election, so that both may stand for the same Lease:

- Who holds the Lease is believed until it has not changed for its own duration, by our clock: clocks are never
  compared.
- Who holds it counts on it for less than that, from before its last renewal was sent. A process that was frozen, or
  cut off from the API server, therefore stops counting on it before anybody else may take it.
- Every write carries the resourceVersion that was read, so that of two who are equally fast one gets 409.
"""

import asyncio
import random
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime

import msgspec
import structlog

from updater.adapters.kubernetes.connection import LEASES, ApiError, Connection
from updater.domain.errors import ClusterError

log = structlog.get_logger()

_NOT_FOUND = 404
_CONFLICT = 409
_LONGEST_DURATION = 600


@dataclass(frozen=True, slots=True)
class LeasePace:
    """Seconds; each has to be clearly shorter than the one before it."""

    duration: float = 15
    """Without a change for this long, a Lease is anybody's."""
    counted_on: float = 10
    """For this long after a renewal was sent, its holder counts on it."""
    retry: float = 2
    """Between two tries to renew or to take it."""


class _Metadata(msgspec.Struct, rename="camel"):
    name: str
    namespace: str
    resource_version: str = ""


class _Spec(msgspec.Struct, rename="camel", frozen=True):
    holder_identity: str | None = None
    lease_duration_seconds: int | None = None
    acquire_time: str | None = None
    renew_time: str | None = None
    lease_transitions: int | None = None


class _Lease(msgspec.Struct, rename="camel"):
    metadata: _Metadata
    spec: _Spec | None = None
    api_version: str = "coordination.k8s.io/v1"
    kind: str = "Lease"


_decode = msgspec.json.Decoder(_Lease).decode


def _boot_time() -> float:
    """Return seconds that also pass while the machine sleeps."""
    return time.clock_gettime(time.CLOCK_BOOTTIME)


class LeaseElection:
    """Stands for one Lease under one name; implements `Leadership`."""

    def __init__(
        self,
        connection: Connection,
        namespace: str,
        name: str,
        identity: str,
        pace: LeasePace | None = None,
        clock: Callable[[], float] = _boot_time,
    ) -> None:
        self._connection = connection
        self._metadata = _Metadata(name, namespace)
        self._identity = identity
        self._pace = pace or LeasePace()
        self._clock = clock
        self._counted_on_until = float("-inf")
        self._known: _Lease | None = None
        """As it was last read or written."""
        self._changed_at = 0.0
        """When what is known of it last changed, by our clock."""
        self._woken = asyncio.Event()
        self._ending = False
        self._failing = False

    def holds(self) -> bool:
        """Tell whether we may write at this moment; asked again right before each write."""
        return self._clock() < self._counted_on_until

    async def held(self) -> bool:
        while not self.holds():
            if self._ending:
                return False
            self._woken.clear()
            await self._woken.wait()
        return True

    def stop_waiting(self) -> None:
        self._ending = True
        self._woken.set()

    async def run(self) -> None:
        """Stand for the Lease for ever; when cancelled, give it back."""
        leading = False
        try:
            while True:
                await self.stand()
                if self.holds() != leading:
                    leading = not leading
                    self._say(leading)
                await asyncio.sleep(self._pace.retry * random.uniform(0.9, 1.1))  # noqa: S311 - not a secret
        finally:
            await asyncio.shield(self._release())

    def _say(self, leading: bool) -> None:  # noqa: FBT001 - it is all there is to say
        holder = self._known.spec.holder_identity if self._known and self._known.spec else ""
        event = "leadership.gained" if leading else "leadership.lost"
        log.info(
            event, lease=f"{self._metadata.namespace}/{self._metadata.name}", identity=self._identity, holder=holder
        )

    async def stand(self) -> None:
        """Renew the Lease, or take it when it is free; say once when the API server does not let us."""
        try:
            async with asyncio.timeout(self._pace.counted_on / 2):
                await self._renew() if self.holds() and self._known else await self._take()
        except (ClusterError, TimeoutError) as error:
            if not self._failing:
                log.warning("leadership.failed", reason=str(error) or "the API server did not answer in time")
            self._failing = True
        else:
            self._failing = False

    async def _renew(self) -> None:
        """Write at once what was written last; somebody else's write shows by a conflict."""
        assert self._known is not None  # noqa: S101 - asked by the caller
        if not await self._write(self._known):
            await self._take()

    async def _take(self) -> None:
        lease = await self._read()
        if lease is None:
            await self._write(_Lease(self._metadata))
            return
        if self._known is None or self._known.spec != lease.spec:
            self._changed_at = self._clock()
        self._known = lease
        if self._is_free(lease.spec or _Spec()):
            await self._write(lease)
        else:
            self._counted_on_until = float("-inf")

    def _is_free(self, spec: _Spec) -> bool:
        if spec.holder_identity in (None, "", self._identity):
            return True
        duration = min(spec.lease_duration_seconds or self._pace.duration, _LONGEST_DURATION)
        return self._clock() >= self._changed_at + duration

    async def _read(self) -> _Lease | None:
        try:
            return _lease(await self._connection.get(LEASES, self._metadata.namespace, self._metadata.name))
        except ApiError as error:
            if error.status == _NOT_FOUND:
                return None
            raise

    async def _write(self, before: _Lease) -> bool:
        """Make the Lease ours, from `before` on; False when somebody was faster, and it is not ours then."""
        sent, now = self._clock(), _micro_time()
        old = before.spec or _Spec()
        ours_already = old.holder_identity == self._identity
        spec = _Spec(
            holder_identity=self._identity,
            lease_duration_seconds=max(round(self._pace.duration), 1),
            acquire_time=old.acquire_time if ours_already else now,
            renew_time=now,
            lease_transitions=(old.lease_transitions or 0) + (not ours_already and bool(before.spec)),
        )
        try:
            self._known = await self._send(_Lease(before.metadata, spec))
        except ApiError as error:
            if error.status not in (_CONFLICT, _NOT_FOUND):
                raise
            self._known = None
            self._counted_on_until = float("-inf")
            return False
        self._changed_at = self._clock()
        self._counted_on_until = sent + self._pace.counted_on
        self._woken.set()
        return True

    async def _send(self, lease: _Lease) -> _Lease:
        body = msgspec.to_builtins(lease)
        namespace, name = self._metadata.namespace, self._metadata.name
        if lease.metadata.resource_version:
            return _lease(await self._connection.replace(LEASES, namespace, name, body))
        return _lease(await self._connection.create(LEASES, namespace, body))

    async def _release(self) -> None:
        """Let somebody else have it at once, rather than when it has run out."""
        if not self.holds() or self._known is None:
            return
        self._counted_on_until = float("-inf")
        free = _Spec(
            holder_identity="",
            lease_duration_seconds=1,
            renew_time=_micro_time(),
            lease_transitions=self._known.spec.lease_transitions if self._known.spec else None,
        )
        try:
            async with asyncio.timeout(self._pace.counted_on / 5):
                await self._give_back(self._known.metadata, free)
        except (ClusterError, TimeoutError) as error:
            log.info("leadership.not_released", reason=str(error))
        else:
            log.info("leadership.released", identity=self._identity)

    async def _give_back(self, metadata: _Metadata, free: _Spec) -> None:
        try:
            await self._send(_Lease(metadata, free))
        except ApiError as error:
            # A renewal that was under way when the end came may have arrived without our knowing.
            lease = await self._read() if error.status == _CONFLICT else None
            if lease is None or lease.spec is None or lease.spec.holder_identity != self._identity:
                raise
            await self._send(_Lease(lease.metadata, free))


def renewal_of(body: bytes) -> str:
    """Say when a Lease was last renewed, as its holder wrote it; empty when nobody holds it.

    Raises:
        ClusterError: it is no Lease.
    """
    spec = _lease(body).spec or _Spec()
    return (spec.renew_time or "") if spec.holder_identity else ""


def _lease(body: bytes) -> _Lease:
    try:
        return _decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise ClusterError(f"the API server's answer is no Lease: {error}") from None


def _micro_time() -> str:
    """Spell the present as Kubernetes' MicroTime, which is UTC."""
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
