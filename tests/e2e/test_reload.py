"""A daemon whose settings file changes while it runs."""

import pytest
from aiohttp import ClientSession

from tests.e2e.installation import Installation
from tests.fakes.house import eventually

pytestmark = pytest.mark.e2e

TOKEN = "given-while-it-runs"


async def test_changes_are_followed_refused_or_left_for_the_next_start(place: Installation) -> None:
    place.application()
    config = place.configure()
    text = config.read_text()
    async with place.daemon() as daemon:
        await daemon.wait_for("image.up_to_date")
        server = (await daemon.wait_for("web.listening")).event["addresses"]
        assert isinstance(server, list)
        text = text.replace('"127.0.0.1:0"', f'"127.0.0.1:0", api_token: {TOKEN}')
        config.write_text(f"{text}updates: {{pause: true}}\n")
        reloaded = await daemon.wait_for("configuration.reloaded")
        assert reloaded.event["settings"] == ["updates.pause", "web.api_token"]
        proof = {"Authorization": f"Bearer {TOKEN}"}
        async with ClientSession(headers=proof) as session, session.get(f"http://{server[0]}/api/v1/images") as images:
            assert images.status == 200
        await place.push("v2.0")
        await daemon.wait_for("image.held", reason="paused")
        config.write_text(f"{text}updates: {{pause: nope}}\n")
        refused = await daemon.wait_for("configuration.refused")
        assert "updates.pause is 'nope': write true or false" in str(refused.event["reason"])
        config.write_text(f"{text}kube: {{events: false}}\nlog: {{level: warning}}\n")
        waiting = await daemon.wait_for("configuration.needs_restart")
        assert waiting.event["settings"] == ["kube.events"]
        await eventually(lambda: place.commits() == 2, lambda: "the commit that was held")
    # The level of the log changed as well: what is merely information is not said any more.
    assert daemon.events("image.updated") == []
