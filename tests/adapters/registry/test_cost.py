"""What a look at a registry costs, counted in requests: by strategy, first and again."""

import asyncio
from collections.abc import AsyncIterator
from datetime import timedelta

import pytest

from tests.adapters.registry.desk import DIGEST, NAME, NEWEST_BUILD, SEMVER_DIGEST, desk, digests, tag
from tests.fakes.cluster import helm_application
from tests.fakes.house import eventually
from tests.fakes.registry import JANUARY, FaultyRegistry, status
from updater.adapters.registry import auth
from updater.domain.annotations import track
from updater.domain.errors import RegistryError
from updater.domain.image import ImageVersion
from updater.domain.messages import ApplicationGone, ApplicationSeen, ImageObserved, SignatureChecked
from updater.domain.policy import Output, Policy, Strategy
from updater.domain.polling import Wants, wants
from updater.stages.poller import Poller

LIST = f"GET /v2/{NAME}/tags/list"


@pytest.fixture
async def registry() -> AsyncIterator[FaultyRegistry]:
    async with FaultyRegistry(auth="token") as registry:
        yield registry


def head(name: str) -> str:
    return f"HEAD /v2/{NAME}/manifests/{name}"


async def test_first_look_costs_a_challenge_a_token_and_the_list(registry: FaultyRegistry) -> None:
    registry.push(NAME, "v1.0.0")
    async with desk(registry) as at:
        await at.look(Policy())
    assert registry.asked_since(0) == [LIST, "GET /token", LIST]


async def test_repositories_first_looked_at_together_cost_one_challenge(registry: FaultyRegistry) -> None:
    names = [f"team/app-{number}" for number in range(20)]
    for name in names:
        registry.push(name, "v1.0.0")
    async with desk(registry, concurrency=20) as at:
        await asyncio.gather(*(at.look(Policy(), name=name) for name in names))
    lists = [asked for asked in registry.asked if asked.path.endswith("/tags/list")]
    assert [asked.authorization for asked in lists].count("") == 1
    assert len(lists) == 20 + 1


async def test_more_repositories_than_tokens_are_kept_cost_a_token_each(
    registry: FaultyRegistry, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(auth, "_MOST_TOKENS", 5)
    names = [f"team/app-{number}" for number in range(20)]
    for name in names:
        registry.push(name, "v1.0.0")
    async with desk(registry) as at:
        for _ in range(2):
            await asyncio.gather(*(at.look(Policy(), name=name) for name in names))
    assert [asked.path for asked in registry.asked].count("/token") == 20


async def test_first_request_that_fails_keeps_nobody_waiting(registry: FaultyRegistry) -> None:
    names = [f"team/app-{number}" for number in range(3)]
    for name in names:
        registry.push(name, "v1.0.0")
    registry.plan(status(500), admitted=False)
    async with desk(registry) as at:
        looks = await asyncio.gather(*(at.look(Policy(), name=name) for name in names), return_exceptions=True)
    assert [isinstance(look, RegistryError) for look in looks].count(True) == 1


async def test_unchanged_list_costs_one_request_and_is_the_same_snapshot(registry: FaultyRegistry) -> None:
    registry.push(NAME, "v1.0.0")
    async with desk(registry) as at:
        first = await at.glance(wants(Policy()))
        start = len(registry.asked)
        assert await at.glance(wants(Policy())) is first
    assert registry.asked_since(start) == [LIST]


@pytest.mark.parametrize(("whole", "rounds"), [(True, [4, 1, 1]), (False, [4, 3, 3])])
async def test_long_list_costs_one_request_a_round_where_the_registry_gives_it_whole(
    registry: FaultyRegistry,
    whole: bool,  # noqa: FBT001 - as parametrize passes it
    rounds: list[int],
) -> None:
    registry.page_size, registry.whole_lists = 3, whole
    for number in range(8):
        registry.push(NAME, f"v1.{number}.0")
    async with desk(registry) as at:
        costs = []
        for tags in (8, 8, 9):
            registry.push(NAME, f"v1.{tags - 1}.0")
            before = [str(each) for each in registry.asked].count(LIST)
            snapshot = await at.look(Policy())
            assert len(snapshot.tags) == tags
            costs.append([str(each) for each in registry.asked].count(LIST) - before)
    assert costs == [rounds[0] + 1, *rounds[1:]]  # and the challenge


async def test_digest_round_is_one_conditional_head_answered_without_a_body(registry: FaultyRegistry) -> None:
    pushed = registry.push(NAME, "latest")
    async with desk(registry) as at:
        assert digests(await at.look(DIGEST)) == {"latest": pushed}
        start = len(registry.asked)
        await at.look(DIGEST)
    assert registry.asked_since(start) == [head("latest")]
    assert registry.asked[-1].condition == f'"{pushed}"'


@pytest.mark.parametrize(
    ("strategy", "winner"),
    [(Strategy.SEMVER, "v1.10.0"), (Strategy.ALPHABETICAL, "v1.9.0"), (Strategy.NUMERIC, "v1.10.0")],
)
@pytest.mark.parametrize("output", [Output.DIGEST, Output.TAG_DIGEST])
async def test_digest_of_a_choice_by_name_costs_the_list_and_one_head(
    registry: FaultyRegistry, strategy: Strategy, winner: str, output: Output
) -> None:
    for name in ("v1.2.0", "v1.9.0", "v1.10.0"):
        registry.push(NAME, name)
    policy = Policy(strategy, output=output)
    async with desk(registry) as at:
        first = await at.look(policy)
        start = len(registry.asked)
        await at.look(policy)
    assert list(digests(first)) == [winner]
    assert registry.asked_since(start) == [LIST, head(winner)]


async def test_winner_that_moved_is_noticed_in_the_next_round(registry: FaultyRegistry) -> None:
    registry.push(NAME, "v1.0.0")
    async with desk(registry) as at:
        await at.look(SEMVER_DIGEST)
        moved = registry.push(NAME, "v1.0.0", JANUARY + timedelta(days=1))
        assert digests(await at.look(SEMVER_DIGEST)) == {"v1.0.0": moved}


async def test_new_winner_is_asked_for_instead_of_the_old_one(registry: FaultyRegistry) -> None:
    registry.push(NAME, "v1.0.0")
    async with desk(registry) as at:
        await at.look(SEMVER_DIGEST)
        pushed = registry.push(NAME, "v1.1.0")
        start = len(registry.asked)
        assert digests(await at.look(SEMVER_DIGEST)) == {"v1.1.0": pushed}
    assert registry.asked_since(start) == [LIST, head("v1.1.0")]


async def test_all_spellings_of_the_winning_version_get_their_digest(registry: FaultyRegistry) -> None:
    """Which of them stays depends on what is there now, and that differs between applications."""
    for name in ("1.20", "v1.20.0", "1.19"):
        registry.push(NAME, name)
    async with desk(registry) as at:
        assert set(digests(await at.look(SEMVER_DIGEST))) == {"1.20", "v1.20.0"}


async def test_young_winner_and_the_best_old_enough_get_their_digests(registry: FaultyRegistry) -> None:
    policy = Policy(output=Output.DIGEST, minimum_age=timedelta(days=1))
    registry.push(NAME, "v1.0.0")
    async with desk(registry) as at:
        await at.look(policy)
        at.later(days=2)
        registry.push(NAME, "v1.1.0")
        assert set(digests(await at.look(policy))) == {"v1.0.0", "v1.1.0"}
        at.later(days=2)
        assert set(digests(await at.look(policy))) == {"v1.1.0"}


async def test_pinned_tag_gets_its_digest_whatever_the_order(registry: FaultyRegistry) -> None:
    registry.push(NAME, "v1.0.0")
    registry.push(NAME, "v2.0.0")
    async with desk(registry) as at:
        assert set(digests(await at.look(Policy(output=Output.DIGEST, pin="v1.0.0")))) == {"v1.0.0"}


async def test_policy_that_cannot_be_followed_costs_no_head(registry: FaultyRegistry) -> None:
    registry.push(NAME, "v1.0.0")
    async with desk(registry) as at:
        snapshot = await at.look(Policy(constraint="~~1", output=Output.DIGEST))
    assert digests(snapshot) == {}


async def test_wants_of_many_subscribers_are_one_list(registry: FaultyRegistry) -> None:
    registry.push(NAME, "v1.0.0")
    policies = [Policy(constraint=f">= 0.{number}") for number in range(100)]
    async with desk(registry) as at:
        await at.look(*policies)
        start = len(registry.asked)
        await at.look(*policies)
    assert registry.asked_since(start) == [LIST]


@pytest.mark.integration  # ten seconds: the first round is 10,000 real requests
async def test_newest_build_of_5000_tags_looks_only_into_the_new_ones_in_its_second_round(
    registry: FaultyRegistry,
) -> None:
    for number in range(5000):
        registry.push(NAME, f"build-{number}", JANUARY + timedelta(minutes=number % 50))
    async with desk(registry, concurrency=50) as at:
        await at.look(NEWEST_BUILD)
        for number in range(3):
            registry.push(NAME, f"new-{number}", JANUARY + timedelta(days=1 + number))
        start = len(registry.asked)
        snapshot = await at.look(NEWEST_BUILD)
    builds = tag(snapshot, "new-2").builds
    assert builds is not None
    assert builds[0].created == JANUARY + timedelta(days=3)
    asked = registry.asked_since(start)
    lists = [each for each in asked if each == LIST]
    assert len(lists) == 6  # pages of 1000
    assert len(asked) - len(lists) <= 3 * 2


async def test_newest_build_looks_only_into_new_tags_in_its_second_round(registry: FaultyRegistry) -> None:
    for number in range(200):
        registry.push(NAME, f"build-{number}", JANUARY + timedelta(minutes=number % 50))
    async with desk(registry) as at:
        await at.look(NEWEST_BUILD)
        for number in range(3):
            registry.push(NAME, f"new-{number}", JANUARY + timedelta(days=1 + number))
        start = len(registry.asked)
        await at.look(NEWEST_BUILD)
    asked = registry.asked_since(start)
    assert asked[0] == LIST
    assert len(asked) == 1 + 3 * 2


async def test_restarted_client_reads_no_manifest_again(registry: FaultyRegistry) -> None:
    registry.push(NAME, "a")
    async with desk(registry) as at:
        await at.look(NEWEST_BUILD)
        store = at.store
    start = len(registry.asked)
    async with desk(registry, store=store) as at:
        assert tag(await at.look(NEWEST_BUILD), "a").builds
    assert not any("/manifests/" in each or "/blobs/" in each for each in registry.asked_since(start))


async def test_labels_come_with_the_builds_also_after_a_restart(registry: FaultyRegistry) -> None:
    registry.push(NAME, "a")
    async with desk(registry) as at:
        first = tag(await at.look(NEWEST_BUILD), "a").builds
        store = at.store
    async with desk(registry, store=store) as at:
        assert tag(await at.look(NEWEST_BUILD), "a").builds == first
    assert first is not None
    assert first[0].labels == (("org.opencontainers.image.version", "a"),)


async def test_labels_of_an_image_that_no_look_needed_cost_a_manifest_and_a_config_once(
    registry: FaultyRegistry,
) -> None:
    version = ImageVersion("latest", registry.push(NAME, "latest"))
    async with desk(registry) as at:
        await at.look(DIGEST)
        start = len(registry.asked)
        labels = [await at.client.labels(at.key(), version, ()) for _ in range(2)]
        store = at.store
    cost = registry.asked_since(start)
    async with desk(registry, store=store) as at:
        labels.append(await at.client.labels(at.key(), version, ()))
    assert labels == [(("org.opencontainers.image.version", "latest"),)] * 3
    assert [each.partition(f"/{NAME}/")[2].partition("/")[0] for each in cost] == ["manifests", "blobs"]
    assert registry.asked_since(start) == cost


async def test_tags_that_filters_drop_cost_nothing(registry: FaultyRegistry) -> None:
    for name in ("keep-1", "drop-1", "drop-2"):
        registry.push(NAME, name)
    policy = Policy(Strategy.NEWEST_BUILD, allow_tags="regexp:^keep-")
    async with desk(registry) as at:
        await at.look(policy)
    assert not any("drop" in each for each in registry.asked_since(0))
    assert sum("/manifests/" in each for each in registry.asked_since(0)) == 1


async def test_two_tags_of_one_digest_are_looked_into_once(registry: FaultyRegistry) -> None:
    image = registry.push(NAME, "a")
    stored = registry.repositories[NAME]
    stored.tags["b"] = image
    async with desk(registry) as at:
        snapshot = await at.look(NEWEST_BUILD)
    assert all(record.builds for record in snapshot.tags)
    assert sum("/blobs/" in each for each in registry.asked_since(0)) == 1


async def test_tag_that_a_webhook_named_is_checked_at_once(registry: FaultyRegistry) -> None:
    for name in ("a", "b"):
        registry.push(NAME, name)
    async with desk(registry) as at:
        await at.look(NEWEST_BUILD)
        moved = registry.push(NAME, "a", JANUARY + timedelta(days=1))
        start = len(registry.asked)
        hinted = Wants.union([wants(NEWEST_BUILD), Wants(hints=frozenset({"a"}))])
        assert digests(await at.glance(hinted))["a"] == moved
    assert [each for each in registry.asked_since(start) if each.startswith("HEAD")] == [head("a")]


async def test_moved_tag_is_found_within_ten_minutes_without_a_webhook(registry: FaultyRegistry) -> None:
    registry.push(NAME, "a")
    async with desk(registry) as at:
        await at.look(NEWEST_BUILD)
        moved = registry.push(NAME, "a", JANUARY + timedelta(days=1))
        at.later(minutes=10)
        snapshot = await at.look(NEWEST_BUILD)
    builds = tag(snapshot, "a").builds
    assert digests(snapshot) == {"a": moved}
    assert builds is not None
    assert builds[0].created == JANUARY + timedelta(days=1)


async def test_moved_tag_is_found_though_the_clock_was_set_back(registry: FaultyRegistry) -> None:
    registry.push(NAME, "a")
    async with desk(registry) as at:
        await at.look(NEWEST_BUILD)
        moved = registry.push(NAME, "a", JANUARY + timedelta(days=1))
        at.later(days=-1)
        assert digests(await at.look(NEWEST_BUILD)) == {"a": moved}


async def test_100_applications_on_one_repository_cost_one_request_a_round(registry: FaultyRegistry) -> None:
    for name in ("v1.0.0", "v1.1.0"):
        registry.push(NAME, name)
    inbox: asyncio.Queue[ApplicationSeen | ApplicationGone] = asyncio.Queue()
    out: asyncio.Queue[ApplicationSeen | ApplicationGone | ImageObserved | SignatureChecked] = asyncio.Queue()
    async with desk(registry) as at:
        poller = Poller(at.client, at.store, at.store, inbox, out, interval=0.05, now=lambda: at.now[0])
        for number in range(100):
            found = track(helm_application(f"app{number}", f"{registry.host}/{NAME}"), "argocd")
            assert found is not None
            inbox.put_nowait(ApplicationSeen(found))
        task = asyncio.create_task(poller.run())
        rounds = 5
        await eventually(lambda: len(registry.asked) >= 2 + rounds, lambda: "five rounds")
        task.cancel()
        await asyncio.wait({task})
    assert registry.asked_since(0)[:2] == [LIST, "GET /token"]
    assert set(registry.asked_since(2)) == {LIST}
    assert [type(out.get_nowait()) for _ in range(out.qsize())].count(ImageObserved) == 1
