"""An API server and the adapter before it, with the patience of a test."""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from tests.fakes.apiserver import ApiServer
from updater.adapters.kubernetes.cluster import KubernetesCluster
from updater.adapters.kubernetes.reflector import Pace
from updater.ports.cluster import ClusterEvent, Gone, Seen, Unreadable

PACE = Pace(page=3, watch=30, idle=5, first_pause=0.01, longest_pause=0.1)


class Listener:
    """Takes the events of a cluster."""

    def __init__(self, cluster: KubernetesCluster) -> None:
        events = cluster.events()
        assert isinstance(events, AsyncGenerator)
        self.events = events

    async def until(self, last: type[ClusterEvent]) -> list[ClusterEvent]:
        """Take events up to the first of a kind."""
        taken: list[ClusterEvent] = []
        async with asyncio.timeout(30):
            while not taken or not isinstance(taken[-1], last):
                taken.append(await anext(self.events))
        return taken

    async def close(self) -> None:
        await self.events.aclose()


@pytest.fixture
async def server() -> AsyncIterator[ApiServer]:
    """Serve without the ImageUpdater kind: what is watched are Applications alone."""
    async with ApiServer(missing={"imageupdaters"}) as server:
        yield server


@pytest.fixture
async def cluster(server: ApiServer, tmp_path: Path) -> AsyncIterator[KubernetesCluster]:
    cluster = await KubernetesCluster.open(["argocd"], server.kubeconfig(tmp_path / "kubeconfig"), pace=PACE)
    yield cluster
    await cluster.close()


@pytest.fixture
async def listener(cluster: KubernetesCluster) -> AsyncIterator[Listener]:
    listener = Listener(cluster)
    yield listener
    await listener.close()


def application(name: str = "demo", tag: str = "v1", namespace: str = "argocd", **spec: Any) -> dict[str, Any]:
    return {
        "apiVersion": "argoproj.io/v1alpha1",
        "kind": "Application",
        "metadata": {"name": name, "namespace": namespace},
        "spec": {"source": {"repoURL": "https://git.example.com/a.git", "targetRevision": tag}, **spec},
    }


def told(events: list[ClusterEvent]) -> list[str]:
    """Say in short what was told."""
    words = []
    for event in events:
        match event:
            case Seen(seen):
                words.append(f"{seen.name.name} {seen.sources[0].target_revision}")
            case Gone(name):
                words.append(f"{name.name} gone")
            case Unreadable(name):
                words.append(f"{name} unreadable")
            case _:
                words.append(type(event).__name__)
    return words
