"""What the daemon shows and tells of a running pipeline: metrics, lists, notifications."""

import asyncio
import shutil
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from aiohttp import web
from aiohttp.test_utils import TestClient, TestServer
from structlog.testing import capture_logs

from tests.fakes.cluster import helm_application
from tests.fakes.house import House, eventually, now
from updater.adapters.metrics.counting import Metrics
from updater.adapters.secret_texts import SecretTexts
from updater.domain.errors import PushRefused, RegistryError, StoreError
from updater.domain.measurements import (
    BatchPushed,
    NotificationEnded,
    PollEnded,
    RequestEnded,
    WebhookAnswered,
)
from updater.domain.messages import ClaimOutcome
from updater.domain.resources import ResourceName
from updater.pipeline import Pipeline
from updater.serving import Outside, build_overview
from updater.settings.daemon import Notifications, Settings, Web, Webhooks
from updater.settings.units import Duration, Listen
from updater.stages.reporter import Reporter
from updater.web.openapi import COLLECTIONS, describe

IMAGE = "registry.example.com/team/app"
TOKEN = "api-t0ken"
HARBOR = (Path(__file__).parent / "samples/webhooks/harbor.json").read_bytes()
OWNER = 'image_updater_cr_name="",image_updater_cr_namespace=""'
Client = TestClient[web.Request, web.Application]


class NoSecrets:
    async def secret(self, namespace: str, name: str) -> dict[str, bytes]:
        return {}


@pytest.fixture
def house() -> House:
    """Charts in Git for whom a test wants, and a registry that has v2.0."""
    house = House()
    names = ("one", "two", "three", *(f"app{number}" for number in range(5)))
    house.git.seed("https://git.example.com/gitops.git", {f"apps/{name}/Chart.yaml": "name: app\n" for name in names})
    house.registry.push(IMAGE, "v1.0", "v2.0")
    return house


def outside(house: House, pipeline: Pipeline, metrics: Metrics, settings: Settings | None = None) -> Outside:
    overview = build_overview(pipeline, Reporter(pipeline.board, house.registry, house.store), now)
    chosen = settings or Settings(web=Web(listen=Listen("127.0.0.1:0"), api_token=TOKEN))
    return Outside(chosen, SecretTexts(NoSecrets(), {}), pipeline, house.leadership, metrics, overview, now)


@asynccontextmanager
async def shown(house: House) -> AsyncIterator[Client]:
    """Run the pipeline, and ask its server."""
    metrics = Metrics()
    house.measure = metrics.measure
    async with house.running() as pipeline:
        (_, _, server) = outside(house, pipeline, metrics).companions({})
        app = web.Application()
        app.add_routes(server.routes)  # type: ignore[attr-defined]
        async with TestClient(TestServer(app, host="127.0.0.1")) as client:
            yield client


async def scraped(client: Client) -> list[str]:
    async with client.get("/metrics") as answer:
        assert answer.status == 200
        return (await answer.text()).splitlines()


async def listed(client: Client, path: str) -> Any:
    async with client.get(f"/api/v1/{path}", headers={"Authorization": f"Bearer {TOKEN}"}) as answer:
        assert answer.status == 200, await answer.text()
        return await answer.json()


async def test_image_updater_s_four_series_count_what_happened(house: House) -> None:
    house.cluster.put(helm_application("one", IMAGE), helm_application("two", IMAGE, {"app.update-strategy": "x"}))
    async with shown(house) as client:
        await house.hear("image.updated")
        lines = await scraped(client)
    assert {line for line in lines if line.startswith("argocd_") and "_created" not in line} == {
        f"argocd_image_updater_applications_watched_total{{{OWNER}}} 2.0",
        f"argocd_image_updater_images_watched_total{{{OWNER}}} 1.0",
        f"argocd_image_updater_images_updated_total{{{OWNER}}} 1.0",
        f"argocd_image_updater_images_errors_total{{{OWNER}}} 1.0",
    }


async def test_own_series_tell_of_every_stage(house: House) -> None:
    house.cluster.put(helm_application("one", IMAGE), helm_application("two", IMAGE, {"app.pause": "true"}))
    async with shown(house) as client:
        await house.hear("image.updated")
        await house.hear("image.held")
        lines = await scraped(client)
    assert 'updater_images{decision="hold",reason="paused"} 1.0' in lines
    assert 'updater_images{decision="up-to-date",reason="current"} 1.0' in lines
    assert "updater_images_held 1.0" in lines
    assert "updater_images_failing 0.0" in lines
    assert "updater_leader 1.0" in lines
    assert "updater_push_seconds_count 1.0" in lines
    assert 'updater_batch_changes_bucket{le="1.0"} 1.0' in lines
    names = {line.rpartition(" ")[0] for line in lines}
    assert 'updater_polls_total{outcome="complete",registry="registry.example.com"}' in names
    assert 'updater_snapshot_age_seconds{registry="registry.example.com"}' in names
    assert {f'updater_queue_depth{{queue="{name}"}} 0.0' for name in ("poller", "decider", "writer")} <= {*lines}


async def test_registry_that_fails_shows_as_failing(house: House) -> None:
    house.cluster.put(helm_application("one", IMAGE))
    house.registry.fail(IMAGE, RegistryError("is down"))
    async with shown(house) as client:
        await house.hear("image.incomplete")
        lines = await scraped(client)
    assert "updater_images_failing 1.0" in lines
    assert any(line.startswith('updater_polls_total{outcome="failed"') for line in lines)


def test_labels_are_bounded_however_many_registries_there_are() -> None:
    metrics = Metrics()
    for number in range(1000):
        metrics.measure(PollEnded(f"registry-{number}.example.com", "complete"))
        metrics.measure(RequestEnded(f"registry-{number}.example.com", "2xx", 0.1))
    text = metrics.exposition()[0].decode()
    assert text.count("updater_polls_total{") == 101
    assert 'updater_polls_total{outcome="complete",registry="other"} 900.0' in text


@pytest.mark.integration
async def test_promtool_finds_nothing_to_object_to(house: House) -> None:
    if shutil.which("promtool") is None:
        pytest.skip("install prometheus")
    house.cluster.put(helm_application("one", IMAGE), helm_application("two", IMAGE, {"app.pause": "true"}))
    async with shown(house) as client:
        for measured in (
            RequestEnded("registry", "2xx", 0.1),
            BatchPushed(1, 0.1),
            WebhookAnswered("harbor", 200),
            NotificationEnded("slack", "sent"),
        ):
            house.measure(measured)
        await house.hear("image.updated")
        text = "\n".join([*await scraped(client), ""])
    done = subprocess.run(("promtool", "check", "metrics"), input=text, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


async def test_series_are_of_the_resource_that_an_image_is_kept_up_to_date_for(house: House) -> None:
    metrics = Metrics()
    house.cluster.put(helm_application("one", IMAGE))
    async with house.running() as pipeline:
        outside(house, pipeline, metrics).companions({})
        await house.hear("image.observed")
        (name, tracked) = next(iter(pipeline.watcher.told.items()))
        claim = ClaimOutcome(ResourceName("argocd", "mine"), ("app",))
        pipeline.watcher.told[name] = type(tracked)(tracked.application, tracked.images, claims=(claim,))
        await house.hear("image.updated")
        text = metrics.exposition()[0].decode()
    owner = 'image_updater_cr_name="mine",image_updater_cr_namespace="argocd"'
    assert f"argocd_image_updater_images_watched_total{{{owner}}} 1.0" in text
    assert f"argocd_image_updater_applications_watched_total{{{owner}}} 1.0" in text


async def test_lists_are_as_they_are_described(house: House) -> None:
    """Every collection, filled, validates against the schema that the description gives for it."""
    house.cluster.put(
        helm_application("one", IMAGE),
        helm_application("two", IMAGE, {"app.pause": "true"}),
        helm_application("three", IMAGE, {"app.update-strategy": "x"}),
    )
    async with shown(house) as client:
        await house.hear("image.updated")
        await house.hear("image.held")
        paths: Any = describe()["paths"]
        for name in COLLECTIONS:
            page = await listed(client, name)
            assert page["total"] == len(page["items"]) > 0, name
            schema = paths[f"/api/v1/{name}"]["get"]["responses"]["200"]["content"]["application/json"]["schema"]
            jsonschema.validate(page, schema)
        one = await listed(client, "applications/argocd/two")
        described = paths["/api/v1/applications/{namespace}/{name}"]["get"]
        jsonschema.validate(one, described["responses"]["200"]["content"]["application/json"]["schema"])
        assert await listed(client, "openapi.json") == describe()


async def test_lists_say_what_is_held_and_what_was_written(house: House) -> None:
    house.cluster.put(helm_application("one", IMAGE), helm_application("two", IMAGE, {"app.pause": "true"}))
    async with shown(house) as client:
        await house.hear("image.updated")
        await house.hear("image.held")
        (hold,) = (await listed(client, "holds"))["items"]
        (written,) = (await listed(client, "writes"))["items"]
        (registry,) = (await listed(client, "registries"))["items"]
    assert (hold["application"], hold["reason"]) == ("argocd/two", "paused")
    assert (written["application"], written["from"], written["to"]) == ("argocd/one", "v1.0", "v2.0")
    assert len(written["commit"]) == 40
    assert (registry["host"], registry["repositories"], registry["failing"]) == ("registry.example.com", 1, 0)


async def test_page_is_a_part_of_the_list(house: House) -> None:
    house.cluster.put(*(helm_application(f"app{number}", IMAGE) for number in range(5)))
    async with shown(house) as client:
        await house.hear("image.updated", 5)
        page = await listed(client, "images?limit=2&offset=3")
    assert [image["application"] for image in page["items"]] == ["argocd/app3", "argocd/app4"]
    assert page["total"] == 5


@pytest.mark.parametrize(
    "query", ["limit=0", "limit=1001", "limit=x", "offset=-1", "limit=%D9%A1", "offset=9999999999"]
)
async def test_page_out_of_bounds_is_refused(house: House, query: str) -> None:
    async with shown(house) as client:
        headers = {"Authorization": f"Bearer {TOKEN}"}
        async with client.get(f"/api/v1/images?{query}", headers=headers) as answer:
            assert answer.status == 400
            assert set(await answer.json()) == {"error"}


@pytest.mark.parametrize("authorization", ["", "Bearer ", "Bearer wrong", f"Basic {TOKEN}", TOKEN, "Bearer ä"])
async def test_network_reads_nothing_without_the_token(house: House, authorization: str) -> None:
    async with shown(house) as client:
        for path in (*COLLECTIONS, "openapi.json", "applications/argocd/one"):
            async with client.get(f"/api/v1/{path}", headers={"Authorization": authorization}) as answer:
                assert (answer.status, answer.headers["WWW-Authenticate"]) == (401, "Bearer")


async def test_database_that_cannot_be_read_is_told_as_json(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    async def broken() -> None:
        raise StoreError("database /x: damaged")

    house.cluster.put(helm_application("one", IMAGE))
    async with shown(house) as client:
        await house.hear("image.updated")
        monkeypatch.setattr(house.store, "due_times", broken)
        async with client.get("/api/v1/images", headers={"Authorization": f"Bearer {TOKEN}"}) as answer:
            assert (answer.status, set(await answer.json())) == (503, {"error"})
    assert "/x" in str(house.said("api.failed"))


async def test_token_that_is_no_text_is_refused(house: House) -> None:
    async with shown(house) as client:
        reader, writer = await asyncio.open_connection(client.host, client.port)
        writer.write(b"GET /api/v1/images HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer \xff\r\n\r\n")
        assert b" 401 " in await reader.readline()
        writer.close()
        await writer.wait_closed()


@pytest.mark.integration
async def test_answers_are_what_the_description_says_of_them(house: House) -> None:
    """Schemathesis makes questions of the description, sound and odd ones, and compares what it gets."""
    applications = [helm_application("one", IMAGE), helm_application("two", IMAGE, {"app.pause": "true"})]
    house.cluster.put(*applications, helm_application("three", IMAGE, {"app.update-strategy": "x"}))
    async with shown(house) as client:
        await house.hear("image.updated")
        await house.hear("image.held")
        tester = await asyncio.create_subprocess_exec(
            Path(sys.executable).with_name("schemathesis"),
            "run",
            str(client.make_url("/api/v1/openapi.json")),
            f"--header=Authorization: Bearer {TOKEN}",
            "--generation-deterministic",
            "--max-examples=20",
            "--no-color",
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
        )
        said, _ = await tester.communicate()
    assert tester.returncode == 0, said.decode()


async def test_there_is_no_api_on_the_network_unless_there_is_a_token(house: House) -> None:
    """Whoever is given one later may ask from then on, and the one before may not."""
    statuses = []
    async with house.running() as pipeline:
        made = outside(house, pipeline, Metrics(), Settings(web=Web(listen=Listen("127.0.0.1:0"))))
        (_, _, server) = made.companions({})
        app = web.Application()
        app.add_routes(server.routes)  # type: ignore[attr-defined]
        async with TestClient(TestServer(app, host="127.0.0.1")) as client:
            for token in ("", TOKEN, "another"):
                made.follow(Settings(web=Web(api_token=token)))
                for presented in ("", TOKEN):
                    headers = {"Authorization": f"Bearer {presented}"}
                    async with client.get("/api/v1/openapi.json", headers=headers) as answer:
                        statuses.append(answer.status)
    assert statuses == [404, 404, 401, 200, 401, 401]


async def test_webhooks_are_let_in_by_the_settings_of_now(house: House) -> None:
    def settings(secret: str) -> Settings:
        return Settings(web=Web(listen=Listen("")), webhooks=Webhooks(enabled=True, harbor_secret=secret))

    statuses = []
    async with house.running() as pipeline:
        made = outside(house, pipeline, Metrics(), settings("before"))
        (_, _, server) = made.companions({})
        app = web.Application()
        app.add_routes(server.routes)  # type: ignore[attr-defined]
        async with TestClient(TestServer(app, host="127.0.0.1")) as client:
            for secret in ("before", "after", ""):
                made.follow(settings(secret))
                for presented in ("before", "after"):
                    headers = {"Authorization": presented}
                    async with client.post("/webhook/harbor", data=HARBOR, headers=headers) as answer:
                        statuses.append(answer.status)
    assert statuses == [200, 401, 401, 200, 400, 400]


async def test_failure_and_recovery_of_a_write_are_told_once_each(house: House) -> None:
    """The whole way: a push that is refused and later succeeds arrives as three events at a real HTTP server."""
    told: list[str] = []

    async def receive(request: web.Request) -> web.Response:
        told.extend(f"{event['kind']} {event['version']}".strip() for event in (await request.json())["events"])
        return web.Response()

    app = web.Application()
    app.router.add_post("/hook", receive)
    house.cluster.put(helm_application("one", IMAGE))
    house.git.push_error = PushRefused("protected branch")
    async with TestServer(app, host="127.0.0.1") as server:
        settings = Settings(
            web=Web(listen=Listen("")),
            notifications=Notifications(webhook_url=str(server.make_url("/hook")), linger=Duration(0)),
        )
        async with house.running() as pipeline:
            made = outside(house, pipeline, Metrics(), Settings(web=settings.web))
            (_, destinations) = made.companions({})
            made.follow(settings)
            async with running(destinations):
                await eventually(lambda: told == ["failed"], lambda: f"the failure; told was {told}")
                house.git.push_error = None
                await eventually(lambda: len(told) >= 3, lambda: f"the rest; told was {told}")
    assert told[:3] == ["failed", "recovered", "updated v2.0"]  # what was under way at the end is sent once more


@asynccontextmanager
async def running(companion: Any) -> AsyncIterator[None]:

    task = asyncio.create_task(companion.run())
    try:
        yield
    finally:
        task.cancel()
        await asyncio.wait({task})


async def test_what_is_served_is_said_without_secrets(house: House) -> None:
    with capture_logs() as logs:
        async with shown(house) as client:
            await listed(client, "images")
    assert TOKEN not in str(logs)
