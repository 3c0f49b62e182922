"""The decider by itself, with a clock of the test's own: what it asks the writer for, and when it decides again."""

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

from structlog.testing import capture_logs

from tests.domain.builders import NOW, snapshot
from tests.fakes.cluster import helm_application
from tests.fakes.house import LogEvent, eventually
from tests.fakes.memory import MemoryStore
from tests.fakes.signatures import FakeSignatures
from updater.domain.annotations import track
from updater.domain.candidates import TagRecord
from updater.domain.decision import Memory
from updater.domain.image import ImageVersion
from updater.domain.messages import (
    ApplicationGone,
    ApplicationSeen,
    ImageIdentity,
    ImageObserved,
    SignatureChecked,
    TrackedApplication,
    UpdateDecided,
    WriterMessage,
)
from updater.stages.board import Board
from updater.stages.decider import Decider
from updater.stages.signature_gate import SignatureGate

IMAGE = "registry.example.com/team/app"
API = "registry.example.com/team/api"


def tracked(annotations: Mapping[str, str]) -> TrackedApplication:
    found = track(helm_application("one", IMAGE, annotations), "argocd")
    assert found is not None
    assert not found.problems
    return found


@dataclass
class Desk:
    """A decider, with what a test does to it and sees of it."""

    store: MemoryStore = field(default_factory=MemoryStore)
    now: datetime = NOW
    said: list[LogEvent] = field(default_factory=list)
    inbox: asyncio.Queue[ApplicationSeen | ApplicationGone | ImageObserved | SignatureChecked] = field(
        default_factory=asyncio.Queue
    )
    out: asyncio.Queue[WriterMessage] = field(default_factory=asyncio.Queue)
    board: Board = field(default_factory=Board)

    @asynccontextmanager
    async def working(self) -> AsyncIterator[None]:
        with capture_logs() as events:
            gate = SignatureGate(FakeSignatures(), lambda: self.now, self._wake)
            decider = Decider(self.store, self.board, self.inbox, self.out, lambda: self.now, gate, lambda *_: False)
            task = asyncio.create_task(decider.run())
            try:
                yield
                await self.inbox.join()
            finally:
                task.cancel()
                await asyncio.wait({task})
        self.said += events

    async def _wake(self, identity: ImageIdentity) -> None:
        await self.inbox.put(SignatureChecked(identity))

    async def see(self, application: TrackedApplication) -> None:
        self.board.application_seen(application)
        await self.inbox.put(ApplicationSeen(application))
        await self.inbox.join()

    async def observe(self, application: TrackedApplication, alias: str, *tags: str | TagRecord) -> None:
        (image,) = [image for image in application.images if image.alias == alias]
        seen = replace(snapshot(*tags), repository=image.image.repository)
        await self.inbox.put(ImageObserved(image.poll, seen))
        await self.inbox.join()

    def asked(self) -> list[str]:
        """Tell what the writer was asked for since the last question; `-` takes back what may still wait."""
        found = []
        while not self.out.empty():
            message = self.out.get_nowait()
            found.append(str(message.decision.version) if isinstance(message, UpdateDecided) else "-")
        return found

    def held(self) -> list[str]:
        return [str(event["reason"]) for event in self.said if event["event"] == "image.held"]


async def test_tag_is_taken_once_it_is_old_enough_though_nothing_else_changed() -> None:
    desk = Desk()
    application = tracked({"app.minimum-age": "24h"})
    async with desk.working():
        await desk.see(application)
        await desk.observe(application, "app", TagRecord("v2.0", first_seen=NOW - timedelta(hours=24, seconds=-0.1)))
        assert desk.asked() == []
        desk.now += timedelta(seconds=0.1)
        await eventually(lambda: not desk.out.empty(), lambda: "an update")
    assert desk.asked() == ["v2.0"]


async def test_wait_goes_on_after_a_restart_from_what_was_remembered() -> None:
    application = tracked({"app.minimum-age": "24h"})
    young = TagRecord("v2.0", first_seen=NOW - timedelta(hours=23))
    for now, asked in ((NOW, []), (NOW + timedelta(minutes=59), []), (NOW + timedelta(hours=1), ["v2.0"])):
        desk = Desk(now=now)
        async with desk.working():
            await desk.see(application)
            await desk.observe(application, "app", young)
        assert desk.asked() == asked


async def test_window_that_opens_lets_the_update_go_and_one_that_closes_takes_it_back() -> None:
    desk = Desk(now=NOW - timedelta(seconds=0.1))
    application = tracked({"schedule": "0 12 * * * 1h"})
    async with desk.working():
        await desk.see(application)
        await desk.observe(application, "app", "v2.0")
        assert desk.asked() == []
        desk.now = NOW + timedelta(minutes=60, seconds=-0.1)
        await eventually(lambda: not desk.out.empty(), lambda: "an update")
        assert desk.asked() == ["v2.0"]
        desk.now = NOW + timedelta(hours=1)
        await eventually(lambda: not desk.out.empty(), lambda: "its withdrawal")
    assert desk.asked() == ["-"]
    assert desk.held() == ["outside-schedule", "outside-schedule"]


async def test_group_waits_for_the_tag_of_its_last_member_and_then_moves_at_once() -> None:
    desk = Desk()
    groups = {"app.group": "web", "api.group": "web", "api.helm.image-tag": "api.tag"}
    application = tracked({"image-list": f"app={IMAGE},api={API}", **groups})
    async with desk.working():
        await desk.see(application)
        await desk.observe(application, "app", "v1.0", "v2.0")
        assert desk.asked() == []
        await desk.observe(application, "api", "v1.0")
        desk.asked()
        await desk.observe(application, "api", "v1.0", "v2.0")
        assert desk.asked() == ["v2.0", "v2.0"]


async def test_release_that_was_used_counts_again_once_its_annotation_was_gone() -> None:
    desk = Desk()
    plain, released = tracked({}), tracked({"app.release": "v2.0"})
    image = plain.images[0]
    key = (plain.name, "app", image.target)
    desk.store.memories[key] = Memory(written=ImageVersion("v2.0"), released=ImageVersion("v2.0"))
    async with desk.working():
        await desk.see(released)
        await desk.observe(released, "app", "v2.0")
        assert desk.store.memories[key].released == ImageVersion("v2.0")
        await desk.see(plain)
        assert not desk.store.memories[key].released
