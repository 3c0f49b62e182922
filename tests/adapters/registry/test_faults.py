"""The fault matrix: whatever a registry does, no wrong list, no credential elsewhere, no neighbour held up."""

import asyncio
from collections.abc import AsyncIterator
from itertools import count

import pytest

from tests.adapters.registry import desk as desks
from tests.adapters.registry.desk import NAME, NEWEST_BUILD, desk
from tests.fakes import registry as faults
from tests.fakes.registry import PASSWORD, Fault, FaultyRegistry
from updater.adapters.registry import breaker, limiter
from updater.adapters.registry import tags as tag_lists
from updater.domain.candidates import Snapshot
from updater.domain.errors import RegistryError, RegistryThrottled
from updater.domain.policy import Policy

HTML = b"<!DOCTYPE html><html><body>502 Bad Gateway</body></html>"
TAGS = [f"v{number}.0.0" for number in range(1, 8)]
FAULTS: dict[str, Fault] = {
    "timeout": faults.silence,
    "reset in the middle of a page": faults.reset_within_page,
    "429 without Retry-After": faults.status(429),
    "429 with Retry-After": faults.status(429, Retry_After="0"),
    "500": faults.status(500),
    "502": faults.status(502),
    "503": faults.status(503),
    "503 with Retry-After": faults.status(503, Retry_After="0"),
    "404 of a proxy": faults.body(b"404 page not found", "text/plain", 404),
    "HTML in place of JSON": faults.body(HTML, "text/html"),
    "HTML that says it is JSON": faults.body(HTML),
    "truncated JSON": faults.truncated,
    "JSON of another shape": faults.body(b'{"tags": {"v1": 1}}'),
    "JSON null": faults.body(b"null"),
    "empty body": faults.body(b""),
    "no UTF-8": faults.body(b'{"tags": ["\xff\xfe"]}'),
    "deeply nested JSON": faults.body(b"[" * 100_000),
    "1 GB body": faults.flood,
    "endless pagination": faults.endless,
    "page that repeats itself": faults.tags("v1.0.0", link=f"/v2/{NAME}/tags/list"),
    "link that is no address": faults.tags("v1.0.0", link="http://[::1"),
}
LASTING = ("endless pagination", "page that repeats itself")
"""Faults of more than one page."""
HARMLESS: dict[str, Fault] = {
    "401 after expiry": faults.expired,
    "wrong content type for what was known": faults.html_type,
}


@pytest.fixture
async def registry() -> AsyncIterator[FaultyRegistry]:
    """Seven tags in pages of three."""
    async with FaultyRegistry(auth="token", page_size=3) as registry:
        for name in TAGS:
            registry.push(NAME, name)
        yield registry


@pytest.fixture
async def stranger() -> AsyncIterator[FaultyRegistry]:
    """Another host, that would answer anybody who shows a password."""
    async with FaultyRegistry() as stranger:
        for name in TAGS:
            stranger.push(NAME, f"{name}-stolen")
        yield stranger


@pytest.fixture(autouse=True)
def patience(monkeypatch: pytest.MonkeyPatch) -> None:
    """Have all waiting times short."""
    monkeypatch.setattr(limiter, "_LONGEST_UNASKED_PAUSE", 0.01)
    monkeypatch.setattr(breaker, "_FIRST_PAUSE", 0.01)
    monkeypatch.setattr(tag_lists, "_MOST_PAGES", 30)
    monkeypatch.setattr(tag_lists, "_PAGE_BYTES", 4 * 2**20)


def elsewhere(stranger: FaultyRegistry) -> str:
    return stranger.url.replace("127.0.0.1", "localhost")


async def recovered(at: desks.Desk, *policies: Policy) -> Snapshot:
    """Come again until there is an answer, as the poller does; a restart is not among the means."""
    for tries in count():
        try:
            return await at.look(*policies)
        except RegistryError:
            assert tries < 20
            await asyncio.sleep(0.01)
    raise AssertionError


async def test_empty_page_that_leads_to_itself_is_asked_for_twice_and_no_more(registry: FaultyRegistry) -> None:
    registry.plan(faults.tags(link=f"/v2/{NAME}/tags/list?last=z"), times=99)
    async with desk(registry, timeout=5) as at:
        with pytest.raises(RegistryError, match="repeats itself in its tag list"):
            await at.look(Policy())
    assert sum("last=z" in asked.query for asked in registry.asked) == 2


@pytest.mark.parametrize(
    ("name", "page"),
    [(name, "first") for name in FAULTS]
    + [(name, "second") for name in FAULTS if name not in (*LASTING, "404 of a proxy")],
)
async def test_fault_in_the_list_gives_an_error_and_nothing_else(
    registry: FaultyRegistry, name: str, page: str
) -> None:
    async with desk(registry, timeout=0.5) as at:
        before = await at.look(Policy())
        registry.push(NAME, "v8.0.0")
        times = 99 if name in LASTING else 1
        registry.plan(FAULTS[name], times=times, query="last=" if page == "second" else "")
        with pytest.raises(RegistryError) as failed:
            await at.look(Policy())
        registry.heal()
        assert PASSWORD not in str(failed.value)
        assert registry.host in str(failed.value)
        known = await at.store.remembered(at.key().repository)
        assert {tag.name for tag in known} == {tag.name for tag in before.tags}
        assert {tag.name for tag in (await recovered(at, Policy())).tags} == {*TAGS, "v8.0.0"}


@pytest.mark.parametrize("name", HARMLESS)
async def test_harmless_fault_is_not_noticed(registry: FaultyRegistry, name: str) -> None:
    async with desk(registry) as at:
        await at.look(Policy())
        registry.plan(HARMLESS[name])
        assert {tag.name for tag in (await at.look(Policy())).tags} == set(TAGS)


@pytest.mark.parametrize("path", ["/manifests/", "/blobs/"])
@pytest.mark.parametrize(
    "name", [name for name in FAULTS if not any(word in name for word in ("pagination", "page", "link", "404"))]
)
async def test_fault_in_metadata_gives_an_error_and_nothing_else(
    registry: FaultyRegistry, name: str, path: str
) -> None:
    async with desk(registry, timeout=0.5, concurrency=1) as at:
        registry.plan(FAULTS[name], path=path)
        with pytest.raises(RegistryError):
            await at.look(NEWEST_BUILD)
        assert all(tag.builds for tag in (await recovered(at, NEWEST_BUILD)).tags)


@pytest.mark.parametrize("page", ["first", "second"])
async def test_redirect_to_another_host_takes_no_credentials_along(
    registry: FaultyRegistry, stranger: FaultyRegistry, page: str
) -> None:
    async with desk(registry) as at:
        await at.look(Policy())
        registry.plan(faults.redirect(elsewhere(stranger)), query="last=" if page == "second" else "")
        with pytest.raises(RegistryError, match="redirects to localhost, which refuses us"):
            await at.look(Policy())
        assert {tag.name for tag in (await at.look(Policy())).tags} == set(TAGS)
    assert [asked.authorization for asked in stranger.asked] == [""]


async def test_link_to_another_host_is_not_followed(registry: FaultyRegistry, stranger: FaultyRegistry) -> None:
    async with desk(registry) as at:
        registry.plan(faults.tags("v1.0.0", link=f"{elsewhere(stranger)}/v2/{NAME}/tags/list"))
        with pytest.raises(RegistryError, match="at another host, localhost"):
            await at.look(Policy())
    assert stranger.asked == []


async def test_absolute_link_to_the_same_host_is_followed_to_our_port(
    registry: FaultyRegistry, stranger: FaultyRegistry
) -> None:
    """Proxies lose ports and schemes; who answered is who is asked on."""
    async with desk(registry) as at:
        registry.plan(faults.tags(*TAGS[:3], link=f"{stranger.url}/v2/{NAME}/tags/list?last={TAGS[2]}"))
        assert {tag.name for tag in (await at.look(Policy())).tags} == set(TAGS)
    assert stranger.asked == []


async def test_token_service_elsewhere_without_tls_gets_no_password(
    registry: FaultyRegistry, stranger: FaultyRegistry
) -> None:
    challenge = f'Bearer realm="ftp://{stranger.host}/token",service="x"'
    async with desk(registry) as at:
        registry.plan(faults.status(401, WWW_Authenticate=challenge), admitted=False)
        with pytest.raises(RegistryError, match="has no TLS"):
            await at.look(Policy())
    assert stranger.asked == []


async def test_marker_that_vanished_between_two_pages_begins_the_list_anew(registry: FaultyRegistry) -> None:
    async with desk(registry) as at:
        registry.plan(faults.status(404), query="last=")
        assert {tag.name for tag in (await at.look(Policy())).tags} == set(TAGS)


async def test_token_that_expires_between_two_pages_is_renewed(registry: FaultyRegistry) -> None:
    registry.plan(faults.expired, query="last=")
    async with desk(registry) as at:
        assert len((await at.look(Policy())).tags) == len(registry.repositories[NAME].tags)
    assert [asked.path for asked in registry.asked].count("/token") == 2


async def test_marker_that_always_vanishes_is_said(registry: FaultyRegistry) -> None:
    async with desk(registry) as at:
        registry.plan(faults.status(404), query="last=", times=10)
        with pytest.raises(RegistryError, match="lost its place in the tag list 3 times"):
            await at.look(Policy())


@pytest.mark.parametrize("refusal", [400, 405, 416, 422])
async def test_page_size_that_is_refused_is_lowered_once_and_for_all(registry: FaultyRegistry, refusal: int) -> None:
    registry.plan(faults.status(refusal), query="n=1000", times=99)
    async with desk(registry) as at:
        assert {tag.name for tag in (await at.look(Policy())).tags} == set(TAGS)
        start = len(registry.asked)
        await at.look(Policy())
    assert registry.asked[start].query == "n=100"


async def test_throttled_registry_is_not_asked_before_its_time(registry: FaultyRegistry) -> None:
    async with desk(registry) as at:
        await at.look(Policy())
        registry.plan(faults.status(429, Retry_After="3600"))
        with pytest.raises(RegistryThrottled) as throttled:
            await at.look(Policy())
        start = len(registry.asked)
        with pytest.raises(RegistryThrottled, match="left alone"):
            await at.look(Policy())
    assert throttled.value.retry_after == 3600
    assert registry.asked_since(start) == []


@pytest.mark.parametrize("name", ["timeout", "429 without Retry-After", "500", "1 GB body"])
async def test_faulty_registry_holds_no_other_up(registry: FaultyRegistry, stranger: FaultyRegistry, name: str) -> None:
    registry.plan(FAULTS[name], times=99)
    async with desk(stranger, registry, timeout=0.5) as at:
        sick = [asyncio.create_task(desks.Desk(at.client, at.store, registry.host).look()) for _ in range(3)]
        looks = [await at.look(Policy()) for _ in range(5)]
        await asyncio.gather(*sick, return_exceptions=True)
    assert all(len(look.tags) == len(TAGS) for look in looks)


async def test_dead_registry_is_left_alone(registry: FaultyRegistry, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(breaker, "_FIRST_PAUSE", 3600)
    registry.plan(faults.status(502), times=99)
    async with desk(registry) as at:
        reasons = []
        for _ in range(6):
            with pytest.raises(RegistryError) as failed:
                await at.look(Policy())
            reasons.append(str(failed.value))
    assert len(registry.asked) == 5 + 2  # two of them to authenticate
    assert "is left alone" in reasons[-1]


async def test_registry_that_was_left_alone_is_found_again(registry: FaultyRegistry) -> None:
    registry.plan(faults.status(502), times=6)
    async with desk(registry) as at:
        for _ in range(5):
            with pytest.raises(RegistryError):
                await at.look(Policy())
        assert {tag.name for tag in (await recovered(at, Policy())).tags} == set(TAGS)
