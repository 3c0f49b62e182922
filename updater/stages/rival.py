"""Warn while Argo CD Image Updater runs at the same time: two that write undo each other's work.

Its controller holds a Lease of a fixed name and renews it every few seconds; a Lease that changes between two looks is
somebody at work. Versions before 1.0 hold none, and cannot be told without reading Deployments.
"""

import asyncio
from dataclasses import dataclass

import structlog

from updater.domain.errors import ClusterError
from updater.ports.cluster import LeaseReader
from updater.settings.daemon import LeaderElection

log = structlog.get_logger()

LEASE = "c21b75f2.argoproj.io"
_LOOK_EVERY = 30.0


def is_own_lease(election: LeaderElection, argocd_namespace: str) -> bool:
    """Tell whether we stand for that Lease ourselves: only one of the two writes, then, and it changes by us too."""
    return election.enabled and (election.namespace or argocd_namespace, election.lease) == (argocd_namespace, LEASE)


@dataclass
class RivalWatch:
    """Looks at the other's Lease now and then."""

    leases: LeaseReader
    namespace: str
    look_every: float = _LOOK_EVERY
    _renewed: str = ""
    _running: bool = False

    async def run(self) -> None:
        while True:
            await self._look()
            await asyncio.sleep(self.look_every)

    async def _look(self) -> None:
        try:
            renewed = await self.leases.renewal(self.namespace, LEASE)
        except ClusterError as error:
            log.debug("rival.unknown", namespace=self.namespace, reason=str(error))
            return
        running = bool(renewed and self._renewed and renewed != self._renewed)
        self._renewed = renewed
        if running and not self._running:
            log.warning(
                "rival.running",
                namespace=self.namespace,
                lease=LEASE,
                reason="Argo CD Image Updater runs too, and both write: scale it down, or run this with --dry-run",
            )
        elif self._running and not running:
            log.info("rival.stopped", namespace=self.namespace, lease=LEASE)
        self._running = running
