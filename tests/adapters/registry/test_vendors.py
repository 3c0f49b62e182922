"""Registries' own lists of tags: what they save, and that they are never believed further than they go."""

from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import timedelta

import pytest
from aiohttp import web
from structlog.testing import capture_logs

from tests.adapters.registry.desk import NAME, NEWEST_BUILD, Desk, desk, digests, tag
from tests.fakes.registry import JANUARY, FaultyRegistry
from tests.fakes.vendors import VENDORS, Harbor, VendorRegistry
from updater.adapters.registry import vendors
from updater.adapters.registry.vendors import is_known, vendor_of
from updater.domain.errors import DoubtfulList, RegistryError
from updater.domain.policy import Output, Policy, Strategy
from updater.domain.polling import wants
from updater.settings.registries import APIS

NEWEST_PUSH = Policy(Strategy.NEWEST_PUSH)
BESIDE = sorted(set(VENDORS) - {"google"})
"""Vendors whose list is another than that of the Distribution API."""
TELLING_MOVES = sorted(set(VENDORS) - {"harbor"})


@pytest.fixture(params=VENDORS)
async def registry(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[VendorRegistry]:
    """Ten tags, one a day; pages of four."""
    async with VENDORS[request.param](auth="token") as registry:
        registry.listed = 4
        for day in range(10):
            registry.release(NAME, f"v{day}", day)
        vendor = vendors.VENDORS[registry.vendor]
        if isinstance(vendor, vendors.HttpVendor) and vendor.base:
            here = replace(vendor, base=registry.url.replace("127.0.0.1", "localhost"))
            monkeypatch.setitem(vendors.VENDORS, registry.vendor, here)
        yield registry


def pushes(at: Desk) -> dict[str, int]:
    """Return the day of the year on which each tag was pushed, as remembered."""
    tags = at.store.known_tags[at.key().repository].values()
    return {each.name: (each.pushed - JANUARY).days for each in tags if each.pushed}


def lists(registry: VendorRegistry, start: int) -> int:
    """Count requests for the vendor's list; fail for any other that is not for authentication or recognition."""
    asked = [each.path for each in registry.asked[start:]]
    listed = [path for path in asked if path not in ("/token", "/jwt/auth", "/api/v2.0/ping", "/gitlab/v1/")]
    assert not any("/manifests/" in path or "/blobs/" in path for path in listed)
    return len(listed)


async def test_times_of_push_are_the_registrys_and_cost_no_manifest(registry: VendorRegistry) -> None:
    async with desk(registry, api=registry.vendor) as at:
        await at.look(NEWEST_PUSH)
        assert pushes(at) == {f"v{day}": day for day in range(10)}
    lists(registry, 0)


async def test_unchanged_list_costs_one_request_and_is_the_same_snapshot(registry: VendorRegistry) -> None:
    async with desk(registry, api=registry.vendor) as at:
        first = await at.client.observe(at.key(), wants(NEWEST_PUSH))
        start = len(registry.asked)
        assert await at.client.observe(at.key(), wants(NEWEST_PUSH)) is first
    assert lists(registry, start) == 1


async def test_new_tags_cost_one_request(registry: VendorRegistry) -> None:
    async with desk(registry, api=registry.vendor) as at:
        await at.look(NEWEST_PUSH)
        for day in (20, 21):
            registry.release(NAME, f"v{day}", day)
        start = len(registry.asked)
        await at.look(NEWEST_PUSH)
        assert pushes(at) == {f"v{day}": day for day in (*range(10), 20, 21)}
    assert lists(registry, start) == 1


async def test_more_new_tags_than_a_page_holds_are_all_found(registry: VendorRegistry) -> None:
    async with desk(registry, api=registry.vendor) as at:
        await at.look(NEWEST_PUSH)
        for day in range(20, 29):
            registry.release(NAME, f"v{day}", day)
        await at.look(NEWEST_PUSH)
        assert pushes(at) == {f"v{day}": day for day in (*range(10), *range(20, 29))}


async def test_tag_that_was_pushed_again_is_found_with_its_new_digest(registry: VendorRegistry) -> None:
    async with desk(registry, api=registry.vendor) as at:
        await at.look(NEWEST_PUSH)
        moved = registry.release(NAME, "v3", 30)
        await at.look(NEWEST_PUSH)
        assert pushes(at)["v3"] == 30
        assert digests(await at.look(NEWEST_BUILD))["v3"] == moved


async def test_newest_tag_that_was_deleted_is_gone_at_once(registry: VendorRegistry) -> None:
    async with desk(registry, api=registry.vendor) as at:
        await at.look(NEWEST_PUSH)
        registry.delete(NAME, "v9")
        snapshot = await at.look(NEWEST_PUSH)
    assert "v9" not in {each.name for each in snapshot.tags}
    assert len(snapshot.tags) == 9


async def test_old_tag_that_was_deleted_is_gone_within_the_hour(registry: VendorRegistry) -> None:
    async with desk(registry, api=registry.vendor) as at:
        await at.look(NEWEST_PUSH)
        registry.delete(NAME, "v0")
        at.later(hours=1)
        assert "v0" not in {each.name for each in (await at.look(NEWEST_PUSH)).tags}


@pytest.mark.parametrize("registry", BESIDE, indirect=True)
async def test_tag_that_slips_between_two_pages_while_another_is_deleted_is_not_missed(
    registry: VendorRegistry,
) -> None:
    async def delete(_registry: FaultyRegistry, request: web.Request) -> web.StreamResponse:
        registry.delete(NAME, "v8")
        return await registry.healthy(request)

    async with desk(registry, api=registry.vendor) as at:
        await at.look(NEWEST_PUSH)
        registry.plan(delete, "", query="page=2", admitted=False)
        at.later(hours=1)
        kept = {f"v{day}" for day in range(10)} - {"v8"}
        assert {each.name for each in (await at.look(NEWEST_PUSH)).tags} >= kept
        assert {each.name for each in (await at.look(NEWEST_PUSH)).tags} == kept


@pytest.mark.parametrize("registry", TELLING_MOVES, indirect=True)
async def test_newest_build_reads_new_digests_alone_and_asks_for_no_digest(registry: VendorRegistry) -> None:
    async with desk(registry, api=registry.vendor) as at:
        first = await at.look(NEWEST_BUILD)
        assert all(record.builds for record in first.tags)
        registry.release(NAME, "v20", 20, platforms=("linux/amd64", "linux/arm64"))
        at.later(minutes=30)
        start = len(registry.asked)
        builds = tag(await at.look(NEWEST_BUILD), "v20").builds
    assert builds is not None
    assert builds[0].created == JANUARY + timedelta(days=20)
    asked = [str(each) for each in registry.asked[start:] if "/manifests/" in each.path or "/blobs/" in each.path]
    assert len(asked) <= 3  # index, manifest, config
    assert not any(each.startswith("HEAD") for each in asked)


@pytest.mark.parametrize("registry", TELLING_MOVES, indirect=True)
async def test_digest_of_the_newest_push_costs_nothing_more(registry: VendorRegistry) -> None:
    async with desk(registry, api=registry.vendor) as at:
        snapshot = await at.look(Policy(Strategy.NEWEST_PUSH, output=Output.TAG_DIGEST))
    assert digests(snapshot) == {"v9": registry.repositories[NAME].tags["v9"]}
    lists(registry, 0)


async def test_names_alone_are_still_read_by_the_distribution_api(registry: VendorRegistry) -> None:
    async with desk(registry, api=registry.vendor) as at:
        await at.look(Policy())
    assert {each.path for each in registry.asked} - {"/token", "/jwt/auth"} == {f"/v2/{NAME}/tags/list"}


@pytest.mark.parametrize("registry", BESIDE, indirect=True)
@pytest.mark.parametrize("refusal", [401, 403, 404])
async def test_refused_list_falls_back_to_the_distribution_api_and_is_said_once(
    registry: VendorRegistry, refusal: int
) -> None:
    registry.refusal = refusal
    async with desk(registry, api=registry.vendor) as at:
        with capture_logs() as logs:
            for _ in range(3):
                assert len((await at.look(NEWEST_BUILD)).tags) == 10
        assert [entry["event"] for entry in logs] == ["registry.list_unavailable"]
        registry.refusal = 0
        at.later(hours=1)
        await at.look(NEWEST_PUSH)
        assert len(pushes(at)) == 10


@pytest.mark.parametrize("registry", BESIDE, indirect=True)
async def test_times_of_push_are_kept_while_the_list_is_refused(registry: VendorRegistry) -> None:
    """Else a tag first seen late would pass for newer than one pushed again."""
    async with desk(registry, api=registry.vendor) as at:
        await at.look(NEWEST_PUSH)
        before = pushes(at)
        registry.refusal = 403
        await at.look(NEWEST_PUSH)
        assert pushes(at) == before


@pytest.mark.parametrize("status", [500, 503])
async def test_list_that_fails_is_waited_for(registry: VendorRegistry, status: int) -> None:
    async with desk(registry, api=registry.vendor) as at:
        await at.look(NEWEST_PUSH)
        registry.refusal = status
        with pytest.raises(RegistryError):
            await at.look(NEWEST_PUSH)


@pytest.mark.parametrize("registry", BESIDE, indirect=True)
async def test_times_of_push_survive_a_restart_while_the_list_is_refused(registry: VendorRegistry) -> None:
    async with desk(registry, api=registry.vendor) as at:
        before = {each.name: each.pushed for each in (await at.look(NEWEST_PUSH)).tags}
    registry.refusal = 403
    async with desk(registry, api=registry.vendor, store=at.store) as again:
        after = {each.name: each.pushed for each in (await again.look(NEWEST_PUSH)).tags}
    assert after == before


async def test_list_that_shrank_by_half_is_kept_back(registry: VendorRegistry) -> None:
    async with desk(registry, api=registry.vendor) as at:
        await at.look(NEWEST_PUSH)
        for day in range(3, 10):
            registry.delete(NAME, f"v{day}")
        with pytest.raises(DoubtfulList):
            await at.look(NEWEST_PUSH)


@pytest.mark.parametrize("registry", ["docker-hub"], indirect=True)
async def test_password_goes_to_no_other_host(registry: VendorRegistry) -> None:
    async with desk(registry, api=registry.vendor) as at:
        await at.look(NEWEST_PUSH)
    assert {each.authorization for each in registry.asked if "/namespaces/" in each.path} == {""}


async def test_tag_of_harbor_that_was_moved_to_an_old_image_is_found_by_looking_at_it() -> None:
    """Harbor sorts by the push of images, so that such a tag does not come first in its list."""
    async with Harbor() as registry:
        registry.listed = 2
        for day in range(6):
            registry.release(NAME, f"v{day}", day)
        async with desk(registry, api="harbor") as at:
            await at.look(NEWEST_BUILD)
            older = registry.repositories[NAME].tags["v1"]
            registry.repositories[NAME].tags["v0"] = older
            at.later(minutes=10)
            assert digests(await at.look(NEWEST_BUILD))["v0"] == older
            assert digests(await at.look(NEWEST_BUILD))["v0"] == older


async def test_harbor_tells_builds_and_no_manifest_is_read() -> None:
    async with Harbor() as registry:
        registry.release(NAME, "v1", 1)
        async with desk(registry, api="harbor") as at:
            builds = tag(await at.look(NEWEST_BUILD), "v1").builds
    assert builds is not None
    assert builds[0].created == JANUARY + timedelta(days=1)
    assert not any("/manifests/" in each.path for each in registry.asked)


@pytest.mark.parametrize("vendor", ["harbor", "gitlab"])
async def test_vendor_on_a_host_of_ones_own_is_found_out_once(vendor: str) -> None:
    async with VENDORS[vendor](auth="basic" if vendor == "harbor" else "token") as registry:
        registry.release(NAME, "v1", 1)
        async with desk(registry) as at:
            await at.look(NEWEST_PUSH)
            assert pushes(at) == {"v1": 1}
            start = len(registry.asked)
            await at.look(NEWEST_PUSH)
    assert lists(registry, start) == 1
    assert len(registry.asked) - start == 1


async def test_registry_of_no_vendor_is_found_out_once() -> None:
    async with FaultyRegistry() as registry:
        registry.push(NAME, "v1")
        async with desk(registry) as at:
            await at.look(NEWEST_PUSH)
            start = len(registry.asked)
            await at.look(NEWEST_PUSH)
    assert registry.asked_since(start) == [f"GET /v2/{NAME}/tags/list"]


@pytest.mark.parametrize(
    ("url", "vendor"),
    [
        ("https://registry-1.docker.io", "docker-hub"),
        ("https://quay.io", "quay"),
        ("https://registry.gitlab.com", "gitlab"),
        ("https://example.azurecr.io", "azure"),
        ("https://eu.gcr.io", "google"),
        ("https://europe-west3-docker.pkg.dev", "google"),
        ("https://ghcr.io", None),
        ("https://123456789012.dkr.ecr.eu-central-1.amazonaws.com", "ecr"),
        ("https://demo-registry-vpc.cn-hangzhou.cr.aliyuncs.com", "alibaba"),
    ],
)
def test_vendor_is_recognised_by_its_host(url: str, vendor: str | None) -> None:
    found = vendor_of("auto", url)
    assert (found.name if found else None) == vendor
    assert is_known("auto", url)


def test_unknown_host_has_to_be_asked() -> None:
    assert not is_known("auto", "https://registry.example.com")
    assert not is_known("auto", "https://evil-azurecr.io")


def test_every_api_that_may_be_configured_is_there() -> None:
    assert set(APIS) == {"auto", "distribution", *vendors.VENDORS}
