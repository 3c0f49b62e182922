"""A daemon whose settings file changes while it runs."""

import pytest

from tests.e2e.installation import Installation
from tests.fakes.house import eventually

pytestmark = pytest.mark.e2e


async def test_changes_are_followed_refused_or_left_for_the_next_start(place: Installation) -> None:
    place.application()
    config = place.configure()
    text = config.read_text()
    async with place.daemon() as daemon:
        await daemon.wait_for("image.up_to_date")
        config.write_text(f"{text}updates: {{pause: true}}\n")
        await daemon.wait_for("configuration.reloaded")
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
