"""One replica among several: the Lease that decides who writes, and the state that all of them share."""

import socket
import uuid
from dataclasses import dataclass

from updater.adapters.kubernetes.connection import Connection
from updater.adapters.kubernetes.lease import LeaseElection, LeasePace
from updater.adapters.kubernetes.shared_state import SharedMemory, SharedState
from updater.settings.daemon import LeaderElection

_STATE = "updater-state"
_LONGEST_PAUSE = 5.0


@dataclass(frozen=True, slots=True)
class Replica:
    """Both have to run; the state is published a last time before the Lease is given back."""

    election: LeaseElection
    state: SharedState


def state_name(lease: str) -> str:
    """Name the ConfigMap of those who stand for a Lease, and of its further parts with a number behind it."""
    return _STATE if lease == LeaderElection().lease else f"{_STATE}.{lease}"


def replica_of(connection: Connection, namespace: str, lease: str, duration: float, memory: SharedMemory) -> Replica:
    """Stand for a Lease that is taken over `duration` seconds after its holder died."""
    identity = f"{socket.gethostname()}_{uuid.uuid4()}"
    pace = LeasePace(duration, counted_on=duration * 2 / 3, retry=duration / 7.5)
    election = LeaseElection(connection, namespace, lease, identity, pace)
    pause = min(duration / 3, _LONGEST_PAUSE)
    return Replica(election, SharedState(connection, namespace, state_name(lease), memory, election, pause))
