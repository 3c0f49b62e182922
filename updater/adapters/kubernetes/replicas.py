"""One replica among several: the Lease that decides who writes, and the state that all of them share."""

import socket
import uuid
from dataclasses import dataclass

from updater.adapters.kubernetes.connection import Connection
from updater.adapters.kubernetes.lease import LeaseElection, LeasePace
from updater.adapters.kubernetes.shared_state import SharedMemory, SharedState

STATE = "updater-state"
"""Name of the ConfigMap, and of its further parts with a number behind it."""
_LONGEST_PAUSE = 5.0


@dataclass(frozen=True, slots=True)
class Replica:
    """Both have to run; the state is published a last time before the Lease is given back."""

    election: LeaseElection
    state: SharedState


def replica_of(connection: Connection, namespace: str, lease: str, duration: float, memory: SharedMemory) -> Replica:
    """Stand for a Lease that is taken over `duration` seconds after its holder died."""
    identity = f"{socket.gethostname()}_{uuid.uuid4()}"
    pace = LeasePace(duration, counted_on=duration * 2 / 3, retry=duration / 7.5)
    election = LeaseElection(connection, namespace, lease, identity, pace)
    pause = min(duration / 3, _LONGEST_PAUSE)
    return Replica(election, SharedState(connection, namespace, STATE, memory, election, pause))
