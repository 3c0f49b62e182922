"""The table before the switch: what is there beside what would be written."""

from tests.fakes.cluster import helm_application
from tests.fakes.house import House
from updater.cli.comparison import as_table

IMAGE = "registry.example.com/team/app"


async def test_each_image_has_its_present_version_and_its_decision() -> None:
    house = House()
    house.git.seed("https://git.example.com/gitops.git", {"apps/one/values.yaml": "image:\n  tag: v1.0\n"})
    house.registry.push(IMAGE, "v1.0", "v2.0")
    house.cluster.put(
        helm_application("one", IMAGE),
        helm_application("two", IMAGE, {"app.pause": "true"}),
        helm_application("bad", IMAGE, {"app.update-strategy": "newest"}),
    )
    async with house.running(dry_run=True) as pipeline:
        await house.hear("image.would_update")
        await house.hear("image.held")
    lines = as_table(pipeline.board).splitlines()
    columns = [line.split() for line in lines]
    assert columns[0] == ["APPLICATION", "ALIAS", "PRESENT", "DECISION", "WANTED", "REASON"]
    assert ["argocd/one", "app", "v1.0", "update", "v2.0", "newer"] in columns
    assert ["argocd/two", "app", "v1.0", "hold", "v2.0", "paused"] in columns
    assert "argocd/bad   app    -        misconfigured  -       " in "\n".join(lines)
    assert lines[-1] == "3 images: 1 hold, 1 misconfigured, 1 update"
    assert (
        house.git.log("https://git.example.com/gitops.git")[-1].hash
        == house.git.log("https://git.example.com/gitops.git")[0].hash
    )
