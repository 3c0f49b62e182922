"""The door for webhooks, over HTTP: who is let in, what is answered, and what is looked at then."""

import asyncio
import gzip
import hmac
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from hashlib import sha256
from pathlib import Path
from typing import Any

import msgspec
import pytest
from aiohttp import web
from aiohttp.test_utils import TestClient, TestServer
from structlog.testing import capture_logs

from tests.fakes.cluster import helm_application
from tests.fakes.house import SETTINGS, House
from updater.adapters.google_tokens import GoogleTokens
from updater.domain.errors import ClusterError
from updater.domain.image import Repository
from updater.formats.webhooks import WebhookType
from updater.settings.daemon import Polling
from updater.settings.units import Interval
from updater.web.webhooks import LARGEST_BODY, Webhooks, secret_option

_SAMPLES = Path(__file__).parent.parent / "samples/webhooks"
SECRET = "s3cret-word"
HUB = (_SAMPLES / "docker.io.json").read_bytes()
HARBOR = (_SAMPLES / "harbor.json").read_bytes()
QUAY = (_SAMPLES / "quay.io.json").read_bytes()

Client = TestClient[web.Request, web.Application]


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


class Nudged(list[str]):
    """What was made due."""

    def nudge(self, repository: Repository, tag: str) -> int:
        self.append(f"{repository}:{tag}")
        return 1


@pytest.fixture
def nudged() -> Nudged:
    return Nudged()


@pytest.fixture
def clock() -> Clock:
    return Clock()


async def as_written(spelled: str) -> str:
    return spelled


@asynccontextmanager
async def door(
    nudged: Nudged,
    clock: Clock,
    read_secret: Callable[[str], Awaitable[str]] = as_written,
    types: tuple[str, ...] = ("docker.io", "harbor", "quay.io"),
    **more: Any,
) -> AsyncIterator[Client]:
    secrets = {WebhookType(kind): SECRET for kind in types}
    webhooks = Webhooks(nudged.nudge, secrets, read_secret, clock=clock, **more)
    app = web.Application()
    app.add_routes(webhooks.routes())
    async with TestClient(TestServer(app, host="127.0.0.1"), auto_decompress=False) as client:
        yield client


async def post(client: Client, path: str, body: bytes, **headers: str) -> tuple[int, str]:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    async with client.post(path, data=body, headers=named) as answer:
        return answer.status, (await answer.text()).strip()


@pytest.mark.parametrize(
    ("path", "headers"),
    [
        (f"/webhook?type=docker.io&secret={SECRET}", {}),
        (f"/webhook/docker.io?secret={SECRET}", {}),
        (f"/webhook?secret={SECRET}", {"X_Registry_Type": "docker.io"}),
        (f"/webhook?type=DOCKER.IO&secret={SECRET}", {}),
    ],
)
async def test_each_way_to_name_the_type_is_understood(
    nudged: Nudged, clock: Clock, path: str, headers: dict[str, str]
) -> None:
    async with door(nudged, clock) as client:
        assert await post(client, path, HUB, **headers) == (200, "Webhook received and processing")
    assert nudged == ["docker.io/team/app:v2.0"]


@pytest.mark.parametrize(
    ("path", "status", "text"),
    [
        ("/webhook", 400, "is none"),
        ("/webhook/nobody", 400, "one of docker.io, ghcr.io"),
        ("/webhook/ghcr.io", 400, "webhooks.ghcr_secret"),
        ("/webhook/docker.io", 401, "secret of docker.io"),
        ("/webhook/docker.io?secret=guessed", 401, "secret of docker.io"),
        (f"/webhook/quay.io?secret={SECRET}", 400, "quay.io: "),
    ],
)
async def test_what_is_refused_is_told_why(nudged: Nudged, clock: Clock, path: str, status: int, text: str) -> None:
    async with door(nudged, clock) as client:
        answered, said = await post(client, path, HUB)
    assert answered == status
    assert text in said
    assert nudged == []


async def test_merge_that_a_forge_tells_is_seen_without_waiting_for_a_round() -> None:
    url, image = "https://git.example.com/team/gitops.git", "registry.example.com/team/app"
    house = House(settings=msgspec.structs.replace(SETTINGS, polling=Polling(interval=Interval(3600))))
    house.forge.url = url
    house.git.seed(url, {"apps/one/Chart.yaml": "name: one\n", "apps/one/values.yaml": "image:\n  tag: v1.0\n"})
    house.registry.push(image, "v1.0", "v2.0")
    house.cluster.put(helm_application("one", image, {"pull-request": "gitea"}, url=url))
    body = (_SAMPLES / "gitea-pull-request.json").read_bytes()
    signature = hmac.new(SECRET.encode(), body, sha256).hexdigest()
    async with house.running() as pipeline:
        await house.hear("image.proposed")
        house.git.merge(url, house.forge.now(1).head, "main")
        app = web.Application()
        secrets = {WebhookType.GITEA: SECRET}
        app.add_routes(
            Webhooks(pipeline.poller.nudge, secrets, as_written, review=pipeline.rounds.nudge).routes(),
        )
        async with TestClient(TestServer(app, host="127.0.0.1")) as client:
            said = await post(client, "/webhook/gitea", body, X_Gitea_Event="pull_request", X_Gitea_Signature=signature)
        await house.hear("write_back.merged")
    assert said[0] == 200
    reviewed = await house.hear("webhook.reviewed")
    assert (reviewed["repository"], reviewed["waiting"]) == (url, 1)


async def test_refusal_is_logged_once_a_minute_and_never_with_the_secret(nudged: Nudged, clock: Clock) -> None:
    with capture_logs() as logs:
        async with door(nudged, clock) as client:
            await post(client, "/webhook/docker.io?secret=guessed-word", HUB)
            await post(client, "/webhook/docker.io?secret=guessed-word", HUB)
            clock.now += 61
            await post(client, "/webhook/docker.io?secret=guessed-word", HUB)
    assert [(log["event"], log["status"]) for log in logs] == [("webhook.refused", 401)] * 2
    assert "guessed-word" not in str(logs)


async def test_body_of_more_than_a_megabyte_is_refused_before_it_is_read_whole(nudged: Nudged, clock: Clock) -> None:
    async def endless() -> AsyncIterator[bytes]:
        while len(sent) < 1000:
            sent.append(1)
            yield b" " * 65_536

    sent: list[int] = []
    path = f"/webhook/docker.io?secret={SECRET}"
    async with door(nudged, clock) as client, client.post(path, data=endless()) as answer:
        assert answer.status == 413
        assert str(LARGEST_BODY) in await answer.text()
    assert len(sent) < 1000


async def test_sender_that_breaks_off_is_no_fault_of_ours(nudged: Nudged, clock: Clock) -> None:
    with capture_logs() as logs:
        async with door(nudged, clock) as client:
            reader, writer = await asyncio.open_connection(client.host, client.port)
            writer.write(b"POST /webhook/docker.io HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n")
            assert b" 400 " in await reader.readline()
            writer.close()
            await writer.wait_closed()
    assert not [log for log in logs if log["log_level"] == "error"]


@pytest.mark.parametrize(
    "header", [b"Authorization: \xff\xfe", b"X-Registry-Type: \xff", b"Authorization: Bearer \xff.b.c"]
)
@pytest.mark.parametrize("kind", ["harbor", "gar", ""])
async def test_header_that_is_no_text_is_refused_like_any_other(
    nudged: Nudged, clock: Clock, header: bytes, kind: str
) -> None:
    tokens = GoogleTokens("http://127.0.0.1:1/", "https://x", "a@b")
    async with door(nudged, clock, tokens=tokens) as client:
        reader, writer = await asyncio.open_connection(client.host, client.port)
        path = f"/webhook/{kind}" if kind else "/webhook"
        writer.write(f"POST {path} HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n".encode() + header + b"\r\n\r\n{}")
        status = int((await reader.readline()).split()[1])
        writer.close()
        await writer.wait_closed()
    assert status in (400, 401)


async def test_small_body_that_unpacks_to_much_is_not_unpacked(nudged: Nudged, clock: Clock) -> None:
    body = gzip.compress(b" " * 50_000_000)
    async with door(nudged, clock) as client:
        status, _ = await post(client, f"/webhook/docker.io?secret={SECRET}", body, Content_Encoding="gzip")
    assert status in (400, 413)


async def test_same_body_within_minutes_is_acknowledged_and_not_acted_on_again(nudged: Nudged, clock: Clock) -> None:
    async with door(nudged, clock) as client:
        answers = [await post(client, f"/webhook/docker.io?secret={SECRET}", HUB) for _ in range(3)]
        assert {status for status, _ in answers} == {200}
        assert len(nudged) == 1
        clock.now += 301
        await post(client, f"/webhook/docker.io?secret={SECRET}", HUB)
    assert len(nudged) == 2


async def test_second_push_that_quay_words_as_the_first_is_acted_on(nudged: Nudged, clock: Clock) -> None:
    async with door(nudged, clock) as client:
        await post(client, f"/webhook/quay.io?secret={SECRET}", QUAY)
        clock.now += 11
        await post(client, f"/webhook/quay.io?secret={SECRET}", QUAY)
    assert len(nudged) == 4


async def test_what_a_stranger_sent_is_not_remembered(nudged: Nudged, clock: Clock) -> None:
    async with door(nudged, clock) as client:
        await post(client, "/webhook/docker.io?secret=guessed", HUB)
        await post(client, f"/webhook/docker.io?secret={SECRET}", HUB)
    assert len(nudged) == 1


async def test_more_than_the_rate_is_put_off_and_then_acted_on(nudged: Nudged, clock: Clock) -> None:
    bodies = [HUB.replace(b"v2.0", f"v{number}.0".encode()) for number in range(12)]
    async with door(nudged, clock, rate_limit=60) as client:
        path = f"/webhook/docker.io?secret={SECRET}"
        assert [(await post(client, path, body))[0] for body in bodies] == [200] * 10 + [429] * 2
        async with client.post(path, data=bodies[11]) as answer:
            assert answer.headers["Retry-After"] == "60"
        clock.now += 60
        assert (await post(client, path, bodies[11]))[0] == 200
    assert len(nudged) == 11


async def test_types_without_a_secret_are_open_when_none_is_required(nudged: Nudged, clock: Clock) -> None:
    async with door(nudged, clock, types=(), require_secret=False) as client:
        assert (await post(client, "/webhook/docker.io", HUB))[0] == 200
    assert len(nudged) == 1


async def test_secret_that_is_set_counts_although_none_is_required(nudged: Nudged, clock: Clock) -> None:
    async with door(nudged, clock, require_secret=False) as client:
        assert (await post(client, "/webhook/docker.io", HUB))[0] == 401


async def test_secret_that_cannot_be_read_is_told_from_a_wrong_one(nudged: Nudged, clock: Clock) -> None:
    async def unreachable(spelled: str) -> str:
        raise ClusterError("the API server does not answer")

    async with door(nudged, clock, unreachable) as client:
        status, text = await post(client, f"/webhook/docker.io?secret={SECRET}", HUB)
    assert (status, "API server" in text) == (503, False)


async def test_header_s_secret_lets_in(nudged: Nudged, clock: Clock) -> None:
    async with door(nudged, clock) as client:
        assert (await post(client, "/webhook/harbor", HARBOR, Authorization=SECRET))[0] == 200
        assert (await post(client, "/webhook/harbor", HARBOR, Authorization="other"))[0] == 401
    assert nudged == ["harbor.example.com/team/app:v2.0"]


@pytest.mark.parametrize(("valid", "status"), [(True, 200), (False, 401)])
async def test_token_of_google_lets_pub_sub_in(
    nudged: Nudged,
    clock: Clock,
    valid: bool,  # noqa: FBT001 - a parameter of the test
    status: int,
) -> None:
    class Tokens:
        async def is_valid(self, token: str) -> bool:
            assert token == "a.b.c"
            return valid

    async with door(nudged, clock, types=(), tokens=Tokens()) as client:
        body = (_SAMPLES / "gar.json").read_bytes()
        assert (await post(client, "/webhook/gar", body, Authorization="Bearer a.b.c"))[0] == status
        assert (await post(client, "/webhook/gar", body))[0] == 401
    assert len(nudged) == valid


async def test_webhook_that_comes_at_the_end_is_not_taken(nudged: Nudged, clock: Clock) -> None:
    async with door(nudged, clock, stopping=lambda: True) as client:
        status, _ = await post(client, f"/webhook/docker.io?secret={SECRET}", HUB)
    assert (status, nudged) == (503, [])


async def test_what_is_on_and_off_is_said(nudged: Nudged, clock: Clock) -> None:
    webhooks = Webhooks(nudged.nudge, {WebhookType.HARBOR: SECRET}, as_written)
    with capture_logs() as logs:
        webhooks.say_what_is_on()
    assert logs[0]["types"] == ["harbor"]
    assert "docker.io" in logs[0]["off"]
    assert SECRET not in str(logs)


@pytest.mark.parametrize("kind", WebhookType)
def test_each_type_has_a_setting_for_its_secret(kind: WebhookType) -> None:
    from updater.settings.daemon import Webhooks as Options  # noqa: PLC0415 - of the same name

    assert getattr(Options(), secret_option(kind)) == ""
