"""Nothing wrong is ever believed: an answer is complete, or it is an error that leaves what was known in force."""

import json
from collections.abc import AsyncIterator
from datetime import timedelta

import pytest

from tests.adapters.registry.desk import DIGEST, NAME, NEWEST_BUILD, desk, digests, tag
from tests.fakes.registry import JANUARY, FaultyRegistry, body, status
from updater.demo.images import INDEX, MANIFEST, build_image, digest
from updater.domain.errors import DoubtfulList, RegistryError
from updater.domain.platform import Platform
from updater.domain.policy import Policy, Strategy

ARM64 = Platform("linux", "arm64")


@pytest.fixture
async def registry() -> AsyncIterator[FaultyRegistry]:
    async with FaultyRegistry(page_size=3) as registry:
        yield registry


def keep(registry: FaultyRegistry, *names: str) -> None:
    stored = registry.repositories[NAME]
    stored.tags = {name: stored.tags[name] for name in names}


class TestShrinking:
    @pytest.fixture(autouse=True)
    def tags(self, registry: FaultyRegistry) -> None:
        for number in range(8):
            registry.push(NAME, f"v{number}")

    async def test_list_that_lost_half_is_kept_back(self, registry: FaultyRegistry) -> None:
        async with desk(registry) as at:
            await at.look(Policy())
            keep(registry, "v0", "v1", "v2", "v3")
            with pytest.raises(DoubtfulList, match="lists 4 tags where it had 8") as refused:
                await at.look(Policy())
        assert refused.value.retry_after == 60

    async def test_list_that_lost_less_is_believed(self, registry: FaultyRegistry) -> None:
        async with desk(registry) as at:
            await at.look(Policy())
            keep(registry, "v0", "v1", "v2", "v3", "v4")
            assert len((await at.look(Policy())).tags) == 5

    async def test_second_look_a_minute_later_confirms(self, registry: FaultyRegistry) -> None:
        async with desk(registry) as at:
            await at.look(Policy())
            keep(registry, "v0")
            with pytest.raises(DoubtfulList):
                await at.look(Policy())
            at.later(seconds=59)
            with pytest.raises(DoubtfulList):
                await at.look(Policy())
            at.later(seconds=1)
            assert [record.name for record in (await at.look(Policy())).tags] == ["v0"]

    async def test_another_short_list_confirms_nothing(self, registry: FaultyRegistry) -> None:
        """A registry that loses this page now and that one then is no witness for either."""
        before = dict(registry.repositories[NAME].tags) if NAME in registry.repositories else {}
        async with desk(registry) as at:
            await at.look(Policy())
            keep(registry, "v0")
            with pytest.raises(DoubtfulList):
                await at.look(Policy())
            at.later(minutes=2)
            registry.repositories[NAME].tags = {"v1": before["v1"]}
            with pytest.raises(DoubtfulList):
                await at.look(Policy())

    async def test_recovered_list_ends_the_suspicion(self, registry: FaultyRegistry) -> None:
        before = dict(registry.repositories[NAME].tags)
        async with desk(registry) as at:
            first = await at.look(Policy())
            keep(registry, "v0")
            with pytest.raises(DoubtfulList):
                await at.look(Policy())
            registry.repositories[NAME].tags = before
            at.later(minutes=2)
            assert (await at.look(Policy())).tags == first.tags
            keep(registry, "v0")
            with pytest.raises(DoubtfulList):
                await at.look(Policy())

    async def test_restart_does_not_forget_how_long_the_list_was(self, registry: FaultyRegistry) -> None:
        async with desk(registry) as at:
            await at.look(Policy())
            store = at.store
        keep(registry, "v0")
        async with desk(registry, store=store) as at:
            with pytest.raises(DoubtfulList):
                await at.look(Policy())


class TestName:
    """A cache that mixes repositories up gives whole lists of tags that are somebody else's."""

    @pytest.fixture(autouse=True)
    def tags(self, registry: FaultyRegistry) -> None:
        for number in range(8):
            registry.push(NAME, f"v{number}")

    @staticmethod
    def mistake(registry: FaultyRegistry, called: str, times: int = 1, query: str = "") -> None:
        answer = json.dumps({"name": called, "tags": [f"v{number}" for number in range(90, 99)]})
        registry.plan(body(answer.encode()), times=times, query=query)

    async def test_page_of_another_repository_makes_the_answer_incomplete(self, registry: FaultyRegistry) -> None:
        async with desk(registry) as at:
            self.mistake(registry, "team/other", query="last=v5")
            with pytest.raises(RegistryError, match="mixes the tag lists of team/app and team/other"):
                await at.look(Policy())

    async def test_list_of_another_repository_is_kept_back_for_a_minute(self, registry: FaultyRegistry) -> None:
        """Then it is believed: whoever serves it may know the repository by a name of his own."""
        async with desk(registry) as at:
            self.mistake(registry, "team/other", times=4)
            for _ in range(3):
                with pytest.raises(DoubtfulList, match="gives the tag list of team/other for that of team/app"):
                    await at.look(Policy())
                at.later(seconds=20)
            assert len((await at.look(Policy())).tags) == 9

    @pytest.mark.parametrize("called", ["app", "APP", "proxy/team/app", "team/app", ""])
    async def test_name_without_what_a_proxy_adds_or_takes_is_the_same(
        self, registry: FaultyRegistry, called: str
    ) -> None:
        async with desk(registry) as at:
            self.mistake(registry, called)
            assert len((await at.look(Policy())).tags) == 9

    async def test_name_that_was_believed_is_not_doubted_again(self, registry: FaultyRegistry) -> None:
        async with desk(registry) as at:
            self.mistake(registry, "vanity", times=3)
            with pytest.raises(DoubtfulList):
                await at.look(Policy())
            at.later(seconds=60)
            assert (await at.look(Policy())).tags == (await at.look(Policy())).tags


class TestMetadata:
    @pytest.mark.parametrize("path", ["/manifests/", "/blobs/"])
    async def test_unreadable_metadata_of_one_tag_makes_the_answer_incomplete(
        self, registry: FaultyRegistry, path: str
    ) -> None:
        for name in ("a", "b", "c"):
            registry.push(NAME, name)
        registry.plan(status(500), path=path)
        async with desk(registry) as at:
            with pytest.raises(RegistryError, match="status 500"):
                await at.look(NEWEST_BUILD)
            assert all(record.builds for record in (await at.look(NEWEST_BUILD)).tags)

    async def test_blob_that_is_gone_is_told_with_its_tag_and_a_remedy(self, registry: FaultyRegistry) -> None:
        registry.push(NAME, "good")
        registry.push(NAME, "broken", JANUARY + timedelta(days=1))
        del registry.blobs[digest(build_image(JANUARY + timedelta(days=1), version="broken").blobs[1])]
        async with desk(registry) as at:
            with pytest.raises(RegistryError, match="tag broken: push it again, or leave it out by ignore-tags"):
                await at.look(NEWEST_BUILD)
            ignoring = Policy(Strategy.NEWEST_BUILD, ignore_tags=("broken",))
            assert tag(await at.look(ignoring), "good").builds

    async def test_tag_deleted_while_it_was_read_is_gone_in_the_next_round(self, registry: FaultyRegistry) -> None:
        for name in ("a", "b", "c"):
            registry.push(NAME, name)
        async with desk(registry) as at:
            await at.look(NEWEST_BUILD)
            gone = registry.repositories[NAME].tags["b"]
            del registry.repositories[NAME].manifests[gone]
            at.later(minutes=10)
            with pytest.raises(RegistryError, match="lists tag b"):
                await at.look(NEWEST_BUILD)
            snapshot = await at.look(NEWEST_BUILD)
        assert tag(snapshot, "b").builds == ()

    async def test_digest_of_several_platforms_is_the_indexs(self, registry: FaultyRegistry) -> None:
        pushed = registry.push(NAME, "latest", platforms=("linux/amd64", "linux/arm64/v8"))
        assert registry.repositories[NAME].manifests[pushed].media_type == INDEX
        async with desk(registry) as at:
            assert digests(await at.look(DIGEST)) == {"latest": pushed}
            assert digests(await at.look(NEWEST_BUILD)) == {"latest": pushed}

    async def test_platforms_are_kept_apart(self, registry: FaultyRegistry) -> None:
        registry.push(NAME, "both", platforms=("linux/amd64", "linux/arm64/v8"))
        registry.push(NAME, "one", platforms=("linux/amd64",))
        on_arm = Policy(Strategy.NEWEST_BUILD, platforms=(ARM64,))
        async with desk(registry) as at:
            await at.look(NEWEST_BUILD)
            snapshot = await at.look(on_arm)
        assert tag(snapshot, "one").builds == ()
        assert [build.platform for build in tag(snapshot, "both").builds or ()] == [ARM64]

    async def test_attestations_are_no_images(self, registry: FaultyRegistry) -> None:
        image = build_image(JANUARY, ("linux/amd64", "linux/arm64"))
        index = json.loads(image.manifests[-1][1])
        attestation = {
            "mediaType": MANIFEST,
            "digest": "sha256:" + "0" * 64,
            "size": 1,
            "platform": {"os": "unknown", "architecture": "unknown"},
            "annotations": {"vnd.docker.reference.type": "attestation-manifest"},
        }
        index["manifests"].append(attestation)
        registry.store(NAME, "latest", image)
        registry.store_manifest(NAME, "latest", INDEX, json.dumps(index).encode())
        async with desk(registry) as at:
            snapshot = await at.look(NEWEST_BUILD)
        assert len(tag(snapshot, "latest").builds or ()) == 1
        assert not any("0" * 64 in asked.path for asked in registry.asked)

    async def test_artefact_is_no_image(self, registry: FaultyRegistry) -> None:
        chart = {
            "schemaVersion": 2,
            "mediaType": MANIFEST,
            "config": {"mediaType": "application/vnd.cncf.helm.config.v1+json", "digest": "sha256:" + "1" * 64},
            "layers": [],
        }
        registry.store_manifest(NAME, "chart", MANIFEST, json.dumps(chart).encode())
        async with desk(registry) as at:
            assert tag(await at.look(NEWEST_BUILD), "chart").builds == ()
