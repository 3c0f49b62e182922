"""How fast a registry is asked, and when it is left alone: on a clock that is moved on at will."""

import asyncio
from collections.abc import AsyncIterator, Mapping
from datetime import UTC, datetime

import pytest
from aiohttp import web
from structlog.testing import capture_logs

from tests.adapters.registry.desk import DIGEST, LOGIN, NAME, NEWEST_BUILD, OTHER_LOGIN, desk
from tests.fakes.registry import Fault, FaultyRegistry, status
from updater.adapters.registry.breaker import CircuitBreaker, NoAnswer
from updater.adapters.registry.limiter import Limiter, PullBudget
from updater.domain.errors import RegistryError, RegistryThrottled
from updater.domain.polling import Wants
from updater.formats.http_headers import Allowance, allowance
from updater.settings.registries import Registries, RegistrySettings

NOW = datetime(2026, 1, 1, tzinfo=UTC)


def time() -> float:
    return asyncio.get_running_loop().time()


async def turns(limiter: Limiter, count: int) -> float:
    """Take turns one after another; return the seconds that took."""
    start = time()
    for _ in range(count):
        await limiter.turn()
    return time() - start


@pytest.mark.looptime
class TestPace:
    async def test_burst_goes_out_at_once_and_the_rest_at_the_limit(self) -> None:
        limiter = Limiter(limit=10, burst=5)
        assert await turns(limiter, 5) == 0
        assert await turns(limiter, 10) == pytest.approx(1, abs=0.05)

    async def test_pause_gives_the_burst_back(self) -> None:
        limiter = Limiter(limit=10, burst=5)
        await turns(limiter, 20)
        await asyncio.sleep(10)
        assert await turns(limiter, 5) == 0

    async def test_who_is_waited_for_goes_before_those_who_are_not(self) -> None:
        limiter, told = Limiter(limit=1, burst=1), list[str]()
        async with asyncio.TaskGroup() as group:
            for name in ("due 1", "due 2", "due 3", "awaited"):
                group.create_task(self.note(limiter, name, told))
        assert told == ["due 1", "awaited", "due 2", "due 3"]

    async def test_flood_of_what_is_waited_for_leaves_every_fourth_turn_to_others(self) -> None:
        limiter, told = Limiter(limit=1, burst=1), list[str]()
        async with asyncio.TaskGroup() as group:
            for name in ("due", "due", *["awaited"] * 7):
                group.create_task(self.note(limiter, name, told))
        assert told == ["due", *["awaited"] * 3, "due", *["awaited"] * 4]

    @staticmethod
    async def note(limiter: Limiter, name: str, told: list[str]) -> None:
        await limiter.turn(awaited=name == "awaited")
        told.append(name)

    async def test_turn_of_whoever_gave_up_is_the_next_ones(self) -> None:
        limiter = Limiter(limit=1, burst=1)
        await limiter.turn()
        gone, stayed = asyncio.create_task(limiter.turn()), asyncio.create_task(limiter.turn())
        await asyncio.sleep(0.5)
        gone.cancel()
        start = time()
        await stayed
        assert time() - start == pytest.approx(0.5, abs=0.01)

    async def test_all_who_wait_are_told_at_once_that_the_registry_wants_to_be_left_alone(self) -> None:
        limiter = Limiter(limit=1, burst=1)
        await limiter.turn()
        waiting = [asyncio.create_task(limiter.turn(awaited=bool(number % 2))) for number in range(4)]
        await asyncio.sleep(0.5)
        start, _ = time(), limiter.throttled(30)
        told = await asyncio.gather(*waiting, return_exceptions=True)
        assert [type(each) for each in told] == [RegistryThrottled] * 4
        assert time() == start

    async def test_throttling_halves_the_pace_and_successes_bring_it_back(self) -> None:
        limiter = Limiter(limit=10, burst=1)
        limiter.throttled(1)
        await asyncio.sleep(2)
        assert await turns(limiter, 11) == pytest.approx(2, abs=0.1)
        for _ in range(100):
            limiter.succeeded()
        await asyncio.sleep(2)
        assert await turns(limiter, 11) == pytest.approx(1, abs=0.1)

    async def test_many_answers_to_one_burst_halve_the_pace_once(self) -> None:
        limiter = Limiter(limit=10, burst=1)
        for _ in range(20):
            limiter.throttled(1)
        await asyncio.sleep(2)
        assert await turns(limiter, 11) == pytest.approx(2, abs=0.1)

    async def test_retry_after_is_kept_to_the_second(self) -> None:
        limiter = Limiter(limit=10, burst=1)
        limiter.throttled(30)
        await asyncio.sleep(29.9)
        with pytest.raises(RegistryThrottled):
            await limiter.turn()
        await asyncio.sleep(0.2)
        await limiter.turn()

    async def test_pauses_grow_where_the_registry_names_none(self) -> None:
        limiter = Limiter(limit=10, burst=1)
        pauses = []
        for _ in range(8):
            pauses.append(limiter.throttled(None))
            await asyncio.sleep(pauses[-1] + 0.1)
        assert pauses == [1, 2, 4, 8, 16, 32, 60, 60]

    async def test_no_registry_keeps_us_away_for_more_than_an_hour(self) -> None:
        assert Limiter(limit=10, burst=1).throttled(1e9) == 3600

    async def test_nothing_left_until_a_reset_is_a_pause_before_it_is_asked_for(self) -> None:
        limiter = Limiter(limit=10, burst=1)
        limiter.heard(Allowance(limit=100, remaining=1, window=0, reset=50))
        await limiter.turn()
        limiter.heard(Allowance(limit=100, remaining=0, window=0, reset=50))
        with pytest.raises(RegistryThrottled):
            await limiter.turn()
        await asyncio.sleep(51)
        await limiter.turn()


@pytest.mark.looptime
class TestPulls:
    async def test_half_of_the_pulls_is_left_to_the_nodes(self) -> None:
        budget = PullBudget()
        budget.heard(Allowance(limit=100, remaining=51, window=21600, reset=None))
        budget.spend()
        budget.heard(Allowance(limit=100, remaining=50, window=21600, reset=None))
        with pytest.raises(RegistryThrottled, match="100 pulls in 6 h, of which 50 are left"):
            budget.spend()

    async def test_it_is_counted_again_after_a_while(self) -> None:
        budget = PullBudget()
        budget.heard(Allowance(limit=100, remaining=10, window=21600, reset=None))
        await asyncio.sleep(601)
        budget.spend()

    async def test_registry_that_counts_nothing_limits_nothing(self) -> None:
        budget = PullBudget()
        for _ in range(1000):
            budget.spend()


async def ask(breaker: CircuitBreaker, *, answers: bool) -> None:
    async with breaker.request():
        if not answers:
            raise NoAnswer("broke off")


async def opened() -> CircuitBreaker:
    breaker = CircuitBreaker("test")
    for _ in range(5):
        with pytest.raises(NoAnswer):
            await ask(breaker, answers=False)
    return breaker


@pytest.mark.looptime
class TestCircuit:
    async def test_open_circuit_lets_nothing_through(self) -> None:
        open_circuit = await opened()
        with pytest.raises(RegistryError, match="did not answer 5 times in a row and is left alone"):
            await ask(open_circuit, answers=True)

    async def test_one_probe_at_a_time_finds_out_whether_it_answers_again(self) -> None:
        open_circuit = await opened()
        await asyncio.sleep(13)
        under_way = 0
        most = 0

        async def probe() -> None:
            nonlocal under_way, most
            async with open_circuit.request():
                under_way += 1
                most = max(most, under_way)
                await asyncio.sleep(1)
                under_way -= 1
                raise NoAnswer("still down")

        results = await asyncio.gather(*(probe() for _ in range(10)), return_exceptions=True)
        assert most == 1
        assert sum(isinstance(result, NoAnswer) for result in results) == 1

    async def test_probe_that_is_answered_closes_the_circuit_and_says_so(self) -> None:
        open_circuit = await opened()
        await asyncio.sleep(13)
        with capture_logs() as logs:
            await ask(open_circuit, answers=True)
        await ask(open_circuit, answers=True)
        assert [entry["event"] for entry in logs] == ["registry.circuit_closed"]

    async def test_probes_that_fail_come_ever_more_rarely(self) -> None:
        open_circuit = await opened()
        await asyncio.sleep(13)
        with pytest.raises(NoAnswer):
            await ask(open_circuit, answers=False)
        await asyncio.sleep(13)
        with pytest.raises(RegistryError, match="left alone"):
            await ask(open_circuit, answers=True)


@pytest.mark.parametrize(
    ("headers", "expected"),
    [
        ({}, None),
        ({"RateLimit-Limit": "100;w=21600", "RateLimit-Remaining": "76;w=21600"}, Allowance(100, 76, 21600, None)),
        ({"RateLimit-Limit": "100, 100;w=60", "RateLimit-Remaining": "5", "RateLimit-Reset": "7"}, (100, 5, 60, 7)),
        ({"X-RateLimit-Limit": "60", "X-RateLimit-Remaining": "0", "X-RateLimit-Reset": "1767225660"}, (60, 0, 0, 60)),
        ({"X-RateLimit-Remaining": "0", "X-RateLimit-Reset": "1"}, (0, 0, 0, 1)),
        ({"RateLimit-Remaining": "many"}, None),
        ({"RateLimit-Remaining": "9" * 40}, None),
        ({"RateLimit-Remaining": "1", "RateLimit-Reset": "²"}, (0, 1, 0, None)),
    ],
)
def test_allowance_is_read_from_headers(headers: Mapping[str, str], expected: object) -> None:
    found = allowance(headers, NOW)
    if isinstance(expected, tuple):
        expected = Allowance(*expected)
    assert found == expected


@pytest.fixture
async def registry() -> AsyncIterator[FaultyRegistry]:
    async with FaultyRegistry() as registry:
        for name in ("latest", "a", "b", "c"):
            registry.push(NAME, name)
        yield registry


def left(remaining: int) -> Fault:
    """Answer rightly, and say how many pulls are left."""

    async def fault(registry: FaultyRegistry, request: web.Request) -> web.StreamResponse:
        response = await registry.healthy(request)
        response.headers["RateLimit-Limit"] = "100;w=21600"
        response.headers["RateLimit-Remaining"] = f"{remaining};w=21600"
        return response

    return fault


async def test_manifests_are_left_unread_when_pulls_are_short_and_digests_are_not(registry: FaultyRegistry) -> None:
    registry.plan(left(10), path="/manifests/", times=99)
    async with desk(registry, concurrency=1) as at:
        assert (await at.look(DIGEST)).tags
        start = len(registry.asked)
        with pytest.raises(RegistryThrottled, match="kept for the cluster's nodes"):
            await at.look(NEWEST_BUILD)
        assert not any("/manifests/" in each for each in registry.asked_since(start))
        assert (await at.look(DIGEST)).tags


async def test_repository_that_a_webhook_named_is_looked_at_before_those_that_are_due(registry: FaultyRegistry) -> None:
    names = [f"team/app-{number}" for number in range(5)]
    for name in names:
        registry.push(name, "latest")
    async with desk(registry, limit=20, burst=1) as at, asyncio.TaskGroup() as group:
        for name in names:
            group.create_task(at.client.observe(at.key(name), Wants(names=True, awaited=name == names[-1])))
    lists = [asked.split("/")[3] for asked in registry.asked_since(0) if "/tags/list" in asked]
    assert lists.index("app-4") < lists.index("app-1")


async def test_one_credential_that_is_throttled_slows_no_other(registry: FaultyRegistry) -> None:
    async with desk(registry) as at:
        await at.look(DIGEST)
        registry.plan(status(429, Retry_After="600"), path="/manifests/")
        with pytest.raises(RegistryThrottled):
            await at.look(DIGEST)
        assert (await at.look(DIGEST, credentials=OTHER_LOGIN)).tags


def entry(registry: FaultyRegistry, prefix: str) -> RegistrySettings:
    return RegistrySettings(prefix, registry.url, f"{registry.host}/{prefix}", LOGIN, limit=0)


async def test_entries_of_one_server_are_throttled_together(registry: FaultyRegistry) -> None:
    for team in ("one", "two"):
        registry.push(f"{team}/app", "latest")
    async with desk(registry) as at:
        await at.client.reconfigure(Registries((entry(registry, "one"), entry(registry, "two"))), ())
        await at.look(DIGEST, name="two/app")
        registry.plan(status(429, Retry_After="600"), path="/one/app/manifests/")
        for name in ("one/app", "two/app"):
            with pytest.raises(RegistryThrottled):
                await at.look(DIGEST, name=name)
    assert registry.asked_since(0)[-1] == "HEAD /v2/one/app/manifests/latest"


async def test_another_entry_of_a_server_slows_those_that_stay_as_they_were(registry: FaultyRegistry) -> None:
    registry.push("one/app", "latest")
    async with desk(registry) as at:
        one = entry(registry, "one")
        await at.client.reconfigure(Registries((one,)), ())
        await at.look(DIGEST, name="one/app")
        registry.plan(status(429, Retry_After="600"), path="/one/app/manifests/")
        with pytest.raises(RegistryThrottled):
            await at.look(DIGEST, name="one/app")
        await at.client.reconfigure(Registries((one, entry(registry, "two"))), ())
        with pytest.raises(RegistryThrottled):
            await at.look(DIGEST, name="two/app")


async def test_pulls_that_were_spent_are_not_spent_again_when_more_are_left(registry: FaultyRegistry) -> None:
    for number in range(60):
        registry.push(NAME, f"n{number}")
    registry.plan(status(500), path="/manifests/n9")
    async with desk(registry) as at:
        with pytest.raises(RegistryError):
            await at.look(NEWEST_BUILD)
        start = len(registry.asked)
        await at.look(NEWEST_BUILD)
    before = [asked.path for asked in registry.asked[:start] if "/blobs/" in asked.path]
    after = [asked.path for asked in registry.asked[start:] if "/blobs/" in asked.path]
    assert before
    assert not set(before) & set(after)
