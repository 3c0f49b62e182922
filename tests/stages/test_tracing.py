"""One trace from what began it to the commit, over all the queues between."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import msgspec
import pytest

from tests.fakes.cluster import helm_application
from tests.fakes.house import SETTINGS, House
from tests.fakes.otlp import Receiver, attributes, receiver
from updater.adapters.tracing import OpenTelemetry
from updater.app import open_daemon
from updater.domain.errors import Misconfigured
from updater.domain.references import parse_reference
from updater.settings.daemon import Applications, Polling, Settings, State, Tracing
from updater.settings.units import Interval

IMAGE = "registry.example.com/team/app"
OTHER = "registry.example.com/team/other"
URL = "https://git.example.com/gitops.git"
CHART = {f"apps/{app}/Chart.yaml": f"name: {app}\n" for app in ("one", "two")}
VALUES = {f"apps/{app}/values.yaml": "image:\n  tag: v1.0\n" for app in ("one", "two")}


@pytest.fixture
async def received(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Receiver]:
    async with receiver() as server:
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", server.url)
        yield server


@pytest.fixture
def house(monkeypatch: pytest.MonkeyPatch) -> House:
    """Two applications, each with an image of its own, at which nobody looks again unless told to."""
    monkeypatch.setattr("updater.stages.poll._BETWEEN_HINTED_LOOKS", 0)
    house = House(settings=msgspec.structs.replace(SETTINGS, polling=Polling(interval=Interval(600))))
    house.git.seed(URL, {**CHART, **VALUES})
    house.registry.push(IMAGE, "v1.0")
    house.registry.push(OTHER, "v1.0")
    house.cluster.put(helm_application("one", IMAGE, {}))
    house.cluster.put(helm_application("two", OTHER, {}))
    return house


async def update(house: House) -> None:
    """Have both images updated by a push and a nudge, in one batch."""
    house.tracing = OpenTelemetry("1.0")
    async with house.running() as pipeline:
        await house.hear("image.up_to_date", count=2)
        for image in (IMAGE, OTHER):
            house.registry.push(image, "v2.0")
            with house.tracing.span("webhook.received", type="harbor"):
                pipeline.poller.nudge(parse_reference(image).repository)
        await house.hear("image.updated", count=2)
    await house.tracing.close()


async def test_commit_is_in_the_trace_of_the_webhook_that_led_to_it(house: House, received: Receiver) -> None:
    await update(house)
    webhooks = {span.trace_id: span.span_id for span in received.named("webhook.received")}
    push = received.named("git.push")[-1]
    parents = {span.span_id: span for span in received.spans}
    story, span = [], push
    while span.parent_span_id:
        story.append(span.name)
        span = parents[span.parent_span_id]
    assert story == ["git.push", "write_back.batch", "image.decide", "registry.look"]
    assert webhooks[push.trace_id] == span.span_id
    assert attributes(push)["updater.commit"] == house.git.log(URL)[-1].hash


async def test_commit_of_several_is_linked_to_what_led_to_each(house: House, received: Receiver) -> None:
    house.pace = replace(house.pace, linger=1.0)
    await update(house)
    batches = received.named("write_back.batch")
    told = {span.trace_id for span in batches} | {link.trace_id for span in batches for link in span.links}
    assert told >= {span.trace_id for span in received.named("webhook.received")}


async def test_log_names_the_trace(house: House, received: Receiver) -> None:
    await update(house)
    pushed = house.said("write_back.pushed")[-1]
    assert pushed["trace_id"] in {span.trace_id.hex() for span in received.named("git.push")}


async def test_receiver_that_is_gone_delays_nothing_and_ends(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", "http://127.0.0.1:1")
    async with asyncio.timeout(60):
        await update(house)


async def test_variable_that_makes_no_sense_is_refused_at_the_start(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("OTEL_BSP_MAX_QUEUE_SIZE", "-1")
    settings = Settings(
        applications=Applications(source="directory", directory=tmp_path),
        state=State(path=tmp_path / "state.db"),
        tracing=Tracing(enabled=True),
    )
    with pytest.raises(Misconfigured, match=r"OTEL_… cannot be used: max_queue_size"):
        async with open_daemon(settings):
            pass


async def test_nothing_is_traced_unless_wanted(house: House) -> None:
    async with house.running() as pipeline:
        await house.hear("image.up_to_date", count=2)
        house.registry.push(IMAGE, "v2.0")
        pipeline.poller.nudge(parse_reference(IMAGE).repository)
        updated = await house.hear("image.updated")
    assert "trace_id" not in updated
