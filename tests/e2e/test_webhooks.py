"""From a push to the registry to the commit by webhook alone: the next poll would be ten minutes later."""

import json
import signal
from pathlib import Path

import pytest
from aiohttp import ClientSession

from tests.e2e.installation import Installation, installed
from tests.fakes.docker_registry import Notified, free_port, free_ports
from tests.fakes.otlp import receiver

pytestmark = pytest.mark.e2e

SAMPLES = Path(__file__).parents[1] / "samples" / "webhooks"
SECRET = "registry-knows-this"


async def test_push_is_written_though_no_poll_is_due(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Debian's docker-registry notifies the daemon, which looks, decides, pushes to Git, and traces all of it."""
    listen = f"127.0.0.1:{free_port()}"
    notified = Notified(f"http://{listen}/webhook/distribution", SECRET)
    async with receiver() as traces, installed(tmp_path, notified) as place:
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", traces.url)
        monkeypatch.setenv("UPDATER_TRACING_ENABLED", "true")
        place.interval = "10m"
        secret = "secret:argocd/hooks#distribution"
        place.more_settings = f"webhooks: {{enabled: true, listen: '{listen}', distribution_secret: '{secret}'}}\n"
        place.put_secret("hooks", {"distribution": SECRET})
        place.application()
        async with place.daemon() as daemon, ClientSession() as session:
            await daemon.wait_for("image.up_to_date")
            server = (await daemon.wait_for("web.listening", section="web")).event["addresses"]
            assert isinstance(server, list)
            async with (
                session.get(f"http://{server[0]}/healthz") as alive,
                session.get(f"http://{server[0]}/readyz") as ready,
            ):
                assert (alive.status, ready.status) == (200, 200)
            await place.push("v2.0")
            await daemon.wait_for("image.updated", to="v2.0", patience=120)
            async with session.get(f"http://{server[0]}/metrics") as metrics:
                series = await metrics.text()
            told = [str(said.event["event"]) for said in daemon.said]
            assert SECRET not in str(daemon.said)
            assert await daemon.end(signal.SIGTERM) == 0
    steps = ["webhook.received", "image.observed", "image.update_decided", "write_back.pushed", "image.updated"]
    after = told[told.index("image.up_to_date") :]
    assert [after.index(step) for step in steps] == sorted(after.index(step) for step in steps)
    assert 'updater_webhooks_total{status="200",type="distribution"}' in series
    assert "updater_push_seconds_count 1.0" in series
    assert place.commits() == 2
    assert "value: v2.0" in place.file()
    (pushed,) = traces.named("git.push")
    assert pushed.trace_id in {span.trace_id for span in traces.named("webhook.received")}
    assert traces.services == {"updater"}


async def test_webhook_that_reaches_a_standby_is_written_by_the_leader(place: Installation) -> None:
    place.interval = "10m"
    place.put_secret("hooks", {"harbor": SECRET})
    place.application()
    ports = dict(zip(("first", "second"), free_ports(2), strict=True))

    def settings(own: str, other: str) -> str:
        listen, relay = f"127.0.0.1:{ports[own]}", f"127.0.0.1:{ports[other]}"
        secret = "secret:argocd/hooks#harbor"
        return f"webhooks: {{enabled: true, listen: '{listen}', relay: '{relay}', harbor_secret: '{secret}'}}\n"

    place.more_settings = settings("first", "second")
    async with place.daemon(replica="first") as first:
        await first.wait_for("leadership.gained")
        place.more_settings = settings("second", "first")
        async with place.daemon(replica="second") as second, ClientSession() as session:
            await second.wait_for("image.up_to_date")
            await second.wait_for("web.listening", section="webhooks")
            await place.push("v2.0")
            body = json.loads((SAMPLES / "harbor.json").read_text("utf-8"))
            body["event_data"]["resources"][0] |= {"tag": "v2.0", "resource_url": f"{place.image}:v2.0"}
            body["event_data"]["repository"]["repo_full_name"] = place.image.partition("/")[2]
            url = f"http://127.0.0.1:{ports['second']}/webhook/harbor"
            async with session.post(url, json=body, headers={"Authorization": SECRET}) as answer:
                assert answer.status == 200
            await first.wait_for("image.updated", to="v2.0")
            assert not second.events("write_back.pushed")
    assert place.commits() == 2
