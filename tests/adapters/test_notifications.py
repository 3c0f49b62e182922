"""Sending notices to a real HTTP server: in batches, again when it fails, and never at anybody's expense."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer
from structlog.testing import capture_logs

from tests.fakes.house import eventually
from tests.formats.test_notices import notice
from updater.adapters.notifications import Destinations, HttpDestination
from updater.domain.errors import ClusterError
from updater.domain.measurements import Measurement, NotificationEnded
from updater.formats.gotemplate import Template
from updater.formats.notices import cloud_event, json_body, templated_body


class Receiver:
    """Takes what is posted, and answers as it is told."""

    def __init__(self) -> None:
        self.bodies: list[bytes] = []
        self.headers: list[Any] = []
        self.statuses: list[int] = []
        """Of the next answers; then 200."""
        self.url = ""
        self.answering = asyncio.Event()
        self.answering.set()

    async def receive(self, request: web.Request) -> web.Response:
        self.bodies.append(await request.read())
        self.headers.append(request.headers)
        await self.answering.wait()
        status = self.statuses.pop(0) if self.statuses else 200
        headers = {"Retry-After": "0"} if status == 429 else {"Location": self.url} if status == 302 else {}
        return web.Response(status=status, headers=headers)


@pytest.fixture
async def receiver() -> AsyncIterator[Receiver]:
    found = Receiver()
    app = web.Application()
    app.router.add_post("/t0psecret", found.receive)
    async with TestServer(app, host="127.0.0.1") as server:
        found.url = str(server.make_url("/t0psecret"))
        yield found


def destination(receiver: Receiver, measured: list[Measurement], **more: Any) -> HttpDestination:
    async def url() -> str:
        return receiver.url

    given = {"word": lambda batch: [json_body(batch)], "linger": 0, "first_pause": 0.001, **more}
    return HttpDestination("webhook", url, measure=measured.append, **given)


@asynccontextmanager
async def running(sending: HttpDestination | Destinations) -> AsyncIterator[None]:
    task = asyncio.create_task(sending.run())
    await asyncio.sleep(0)
    try:
        yield
    finally:
        task.cancel()
        await asyncio.wait({task})


async def sent(measured: list[Measurement], *expected: NotificationEnded) -> None:
    await eventually(lambda: measured == list(expected), lambda: f"{expected}; was {measured}")


async def test_what_gathers_is_one_request(receiver: Receiver) -> None:
    measured: list[Measurement] = []
    sending = destination(receiver, measured)
    for _ in range(3):
        sending.put(notice())
    async with running(sending):
        await sent(measured, NotificationEnded("webhook", "sent", 3))
    assert [len(json.loads(body)["events"]) for body in receiver.bodies] == [3]


@pytest.mark.parametrize("status", [500, 503, 429])
async def test_server_that_fails_is_tried_again(receiver: Receiver, status: int) -> None:
    measured: list[Measurement] = []
    receiver.statuses = [status, status]
    sending = destination(receiver, measured)
    sending.put(notice())
    async with running(sending):
        await sent(measured, NotificationEnded("webhook", "sent"))
    assert len(receiver.bodies) == 3


async def test_server_that_always_fails_is_given_up_and_the_next_batch_goes_on(receiver: Receiver) -> None:
    measured: list[Measurement] = []
    receiver.statuses = [500] * 3
    sending = destination(receiver, measured, tries=3)
    with capture_logs() as logs:
        async with running(sending):
            sending.put(notice())
            await sent(measured, NotificationEnded("webhook", "failed"))
            sending.put(notice())
            await sent(measured, NotificationEnded("webhook", "failed"), NotificationEnded("webhook", "sent"))
    assert [log["event"] for log in logs if log["log_level"] == "warning"] == ["notifications.failed"]
    assert "t0psecret" not in str(logs)


@pytest.mark.parametrize("status", [400, 401, 404, 302])
async def test_refusal_is_final_and_a_redirect_is_not_followed(receiver: Receiver, status: int) -> None:
    measured: list[Measurement] = []
    receiver.statuses = [status]
    sending = destination(receiver, measured)
    sending.put(notice())
    async with running(sending):
        await sent(measured, NotificationEnded("webhook", "failed"))
    assert len(receiver.bodies) == 1


async def test_server_that_is_not_there_is_said_without_its_address(receiver: Receiver) -> None:
    measured: list[Measurement] = []
    receiver.url = "http://127.0.0.1:1/t0psecret"
    sending = destination(receiver, measured, tries=2)
    sending.put(notice())
    with capture_logs() as logs:
        async with running(sending):
            await sent(measured, NotificationEnded("webhook", "failed"))
    assert "cannot be reached" in str(logs)
    assert "t0psecret" not in str(logs)


@pytest.mark.parametrize("url", ["", "hooks.example.com/x", "file:///etc/passwd", "http://"])
async def test_address_that_is_none_is_said(receiver: Receiver, url: str) -> None:
    measured: list[Measurement] = []
    receiver.url = url
    sending = destination(receiver, measured)
    sending.put(notice())
    with capture_logs() as logs:
        async with running(sending):
            await sent(measured, NotificationEnded("webhook", "failed"))
    assert "notifications.webhook_url is no address" in str(logs)


async def test_secret_that_cannot_be_read_costs_one_batch(receiver: Receiver) -> None:
    async def unreadable() -> str:
        raise ClusterError("the API server does not answer")

    measured: list[Measurement] = []
    sending = destination(receiver, measured, authorization=unreadable)
    sending.put(notice())
    async with running(sending):
        await sent(measured, NotificationEnded("webhook", "failed"))


async def test_authorization_is_sent(receiver: Receiver) -> None:
    async def proof() -> str:
        return "Bearer w0rd"

    measured: list[Measurement] = []
    sending = destination(receiver, measured, authorization=proof)
    sending.put(notice())
    async with running(sending):
        await sent(measured, NotificationEnded("webhook", "sent"))
    assert receiver.headers[0]["Authorization"] == "Bearer w0rd"


async def test_authorization_that_cannot_be_sent_stops_nothing(receiver: Receiver) -> None:
    async def proof() -> str:
        return "Bearer a\r\nX-Evil: b"

    measured: list[Measurement] = []
    sending = destination(receiver, measured, authorization=proof)
    sending.put(notice())
    async with running(sending):
        await sent(measured, NotificationEnded("webhook", "failed"))
    assert receiver.bodies == []


async def test_too_many_are_dropped_counted_and_said_once(receiver: Receiver) -> None:
    measured: list[Measurement] = []
    sending = destination(receiver, measured)
    with capture_logs() as logs:
        for _ in range(1005):
            sending.put(notice())
    assert sending.waiting() == 1000
    assert measured == [NotificationEnded("webhook", "dropped")] * 5
    assert [log["event"] for log in logs] == ["notifications.dropping"]


async def test_what_waits_at_the_end_is_sent(receiver: Receiver) -> None:
    measured: list[Measurement] = []
    sending = destination(receiver, measured, linger=3600)
    async with running(sending):
        sending.put(notice())
        await eventually(lambda: not sending.waiting(), lambda: "the notice to be taken")
        sending.put(notice())
    assert measured == [NotificationEnded("webhook", "sent", 2)]


async def test_end_is_not_kept_waiting_by_a_server_that_hangs(
    receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("updater.adapters.notifications._SECONDS_TO_END", 0.01)
    receiver.answering.clear()
    sending = destination(receiver, [], linger=3600)
    with capture_logs() as logs:
        async with running(sending):
            sending.put(notice())
            await eventually(lambda: not sending.waiting(), lambda: "the notice to be taken")
    receiver.answering.set()
    assert [log["event"] for log in logs] == ["notifications.failed"]


async def test_each_cloud_event_is_a_request(receiver: Receiver) -> None:
    measured: list[Measurement] = []
    sending = destination(
        receiver,
        measured,
        word=lambda batch: [cloud_event(each) for each in batch],
        content_type="application/cloudevents+json",
    )
    sending.put(notice())
    sending.put(notice("held"))
    async with running(sending):
        await sent(measured, NotificationEnded("webhook", "sent", 2))
    assert [json.loads(body)["type"].rpartition(".")[2] for body in receiver.bodies] == ["updated", "held"]
    assert {headers["Content-Type"] for headers in receiver.headers} == {"application/cloudevents+json"}


async def test_template_that_does_not_fit_is_said_and_stops_nothing(receiver: Receiver) -> None:
    measured: list[Measurement] = []
    template = Template.parse("{{ .Nothing }}")
    sending = destination(receiver, measured, word=lambda batch: [templated_body(template, batch)])
    sending.put(notice())
    async with running(sending):
        await sent(measured, NotificationEnded("webhook", "failed"))


async def test_what_is_tried_again_goes_to_the_address_of_now(receiver: Receiver) -> None:
    """An operator who corrects an address loses nothing of what waits for it."""
    asked = asyncio.Event()

    async def closed() -> str:
        asked.set()
        return "http://127.0.0.1:1/"

    told = Destinations()
    told.follow([HttpDestination("webhook", closed, lambda batch: [json_body(batch)], linger=0, first_pause=0.001)])
    async with running(told):
        told.put(notice())
        await asked.wait()
        told.follow([destination(receiver, [])])
        await eventually(lambda: len(receiver.bodies) == 1, lambda: "the notice")
    assert len(receiver.bodies) == 1


async def test_one_that_is_not_wanted_any_more_is_told_what_waits_and_nothing_else(receiver: Receiver) -> None:
    measured: list[Measurement] = []
    told = Destinations()
    told.follow([destination(receiver, measured, linger=3600)])
    async with running(told):
        told.put(notice())
        told.follow([])
        told.put(notice())
        await eventually(lambda: bool(measured), lambda: "the end of the destination")
    assert measured == [NotificationEnded("webhook", "sent")]
    assert told.waiting() == {}


async def test_one_that_is_taken_away_and_given_back_at_once_is_told(receiver: Receiver) -> None:
    told = Destinations()
    told.follow([destination(receiver, [])])
    async with running(told):
        told.follow([])
        told.follow([destination(receiver, [])])
        told.put(notice())
        await eventually(lambda: len(receiver.bodies) == 1, lambda: "the notice")
