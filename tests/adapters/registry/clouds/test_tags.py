"""Tag lists by the clouds' own APIs: what they save, and that the registry does without them."""

import json
import random
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any, cast
from urllib.parse import parse_qsl, quote

import pytest
from structlog.testing import capture_logs

from tests.adapters.registry.desk import NAME, NEWEST_BUILD, Desk, desk, digests
from tests.fakes.clouds import Asked, CloudServer, sample
from tests.fakes.registry import JANUARY, FaultyRegistry
from updater.adapters.registry.clouds import Place
from updater.adapters.registry.clouds.alibaba import authorization
from updater.adapters.registry.clouds.tags import CloudLists
from updater.domain.candidates import Snapshot
from updater.domain.errors import RegistryError
from updater.domain.policy import Policy, Strategy
from updater.domain.polling import wants
from updater.domain.secrets import CredentialSource, SecretKind

NEWEST_PUSH = Policy(Strategy.NEWEST_PUSH)
ECR = "123456789012.dkr.ecr.eu-central-1.amazonaws.com"
ALIBABA = "demo-registry.cn-hangzhou.cr.aliyuncs.com"
KEY = ("LTAI", "the-access-key-secret")
INSTANCE = "cri-xkx6vujuhay0****"
DAY_MILLISECONDS = 86_400_000


@dataclass
class Cloud:
    """A cloud's registry: images over the Distribution API, their list over the cloud's."""

    server: CloudServer
    registry: FaultyRegistry
    source: CredentialSource
    host: str
    login: tuple[str, str]
    """For the Distribution API."""
    pushed: dict[str, int] = field(default_factory=dict)
    """Day of the year, by tag."""
    refusal: tuple[int, str] | None = None

    def release(self, tag: str, day: int) -> str:
        self.pushed[tag] = day
        return self.registry.push(NAME, tag, JANUARY + timedelta(days=day))

    def delete(self, tag: str) -> None:
        del self.registry.repositories[NAME].tags[tag]
        del self.pushed[tag]

    def digest(self, tag: str) -> str:
        return self.registry.repositories[NAME].tags[tag]

    def lists(self) -> list[str]:
        """Return what the cloud was asked for, besides logins."""
        headers = [each.headers for each in self.server.asked]
        targets = [each.get("x-amz-target", "").rpartition(".")[2] or each.get("x-acs-action", "") for each in headers]
        return [target for target in targets if target != "GetAuthorizationToken"]

    @asynccontextmanager
    async def desk(self, **settings: Any) -> AsyncIterator[Desk]:
        defaults: dict[str, Any] = {
            "credentials": self.source,
            "prefix": self.host,
            "api": _API[self.source.kind],
        }
        async with desk(self.registry, **(defaults | settings)) as at:
            yield at


_API = {SecretKind.AWS: "ecr", SecretKind.ALIBABA: "alibaba"}


def serve_ecr(cloud: Cloud, page_size: int) -> Callable[[Asked], tuple[int, str]]:
    """Answer in no order, as ECR does; what was listed is what its token goes on with."""
    begun: dict[str, list[dict[str, Any]]] = {}

    def answer(asked: Asked) -> tuple[int, str]:
        if asked.headers["x-amz-target"].endswith("GetAuthorizationToken"):
            return 200, sample("aws-get-authorization-token.json", expires=4_000_000_000)
        if cloud.refusal:
            return cloud.refusal
        query = cast("dict[str, Any]", asked.json)
        scope = asked.headers["authorization"].partition("Credential=")[2].split("/")
        assert scope[2:4] == ["eu-central-1", "ecr"]
        assert (query["registryId"], query["repositoryName"]) == ("123456789012", NAME)
        assert (query["filter"], query["maxResults"]) == ({"tagStatus": "TAGGED"}, 1000)
        left = begun.pop(query["nextToken"]) if "nextToken" in query else _details(cloud)
        page: dict[str, Any] = {"imageDetails": left[:page_size]}
        if left[page_size:]:
            page["nextToken"] = f"token {len(begun)} {len(left)}"
            begun[page["nextToken"]] = left[page_size:]
        return 200, json.dumps(page)

    return answer


def _details(cloud: Cloud) -> list[dict[str, Any]]:
    [entry] = json.loads(sample("aws-describe-images.json"))["imageDetails"]
    by_digest: dict[str, list[str]] = {}
    for tag in cloud.pushed:
        by_digest.setdefault(cloud.digest(tag), []).append(tag)
    details = [
        entry
        | {
            "imageDigest": digest,
            "imageTags": tags,
            "imagePushedAt": (JANUARY + timedelta(days=cloud.pushed[tags[0]])).timestamp(),
        }
        for digest, tags in by_digest.items()
    ]
    random.shuffle(details)
    return details


def serve_alibaba(cloud: Cloud) -> Callable[[Asked], tuple[int, str]]:
    def answer(asked: Asked) -> tuple[int, str]:
        signed = asked.headers["authorization"].partition("SignedHeaders=")[2].partition(",")[0].split(";")
        headers = {name: asked.headers[name] for name in signed}
        request = f"{asked.method}\n{asked.path}\n{asked.query}"
        assert asked.headers["authorization"] == authorization(*KEY, request, headers)
        action = asked.headers["x-acs-action"]
        if cloud.refusal and action not in ("ListInstance", "GetAuthorizationToken"):
            return cloud.refusal
        if action == "ListInstance":
            return 200, sample("alibaba-list-instance.json")
        if action == "GetAuthorizationToken":
            return 200, sample("alibaba-get-authorization-token.json", expires=4_000_000_000_000)
        if action == "GetRepository":
            assert asked.query == f"InstanceId={quote(INSTANCE)}&RepoName=app&RepoNamespaceName=team"
            return 200, sample("alibaba-get-repository.json")
        query = dict(parse_qsl(asked.query))
        assert (query["InstanceId"], query["RepoId"]) == (INSTANCE, "crr-tquyps22md8p****")
        return 200, json.dumps(_repo_tags(cloud, int(query["PageNo"]), int(query["PageSize"])))

    return answer


def _repo_tags(cloud: Cloud, number: int, page_size: int) -> dict[str, Any]:
    page: dict[str, Any] = json.loads(sample("alibaba-list-repo-tag.json"))
    [entry] = page["Images"]
    images = [
        entry
        | {
            "Tag": tag,
            "Digest": cloud.digest(tag).removeprefix("sha256:"),
            "ImageUpdate": str(int(JANUARY.timestamp() * 1000) + day * DAY_MILLISECONDS),
        }
        for tag, day in cloud.pushed.items()
    ]
    return page | {
        "PageNo": number,
        "TotalCount": str(len(images)),
        "Images": images[(number - 1) * page_size : number * page_size],
    }


@pytest.fixture(params=["aws", "alibaba"])
async def cloud(
    request: pytest.FixtureRequest, cloud: CloudServer, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[Cloud]:
    """Ten tags, one a day; pages of four images."""
    is_aws = request.param == "aws"
    variables = {
        "AWS_CONFIG_FILE": "/nowhere",
        "AWS_SHARED_CREDENTIALS_FILE": "/nowhere",
        "AWS_EC2_METADATA_DISABLED": "true",
        "AWS_ENDPOINT_URL_ECR": f"{cloud.url}/ecr",
        "AWS_ACCESS_KEY_ID": "AKIDEXAMPLE",
        "AWS_SECRET_ACCESS_KEY": "the-secret-access-key",
        "ALIBABA_CLOUD_CR_ENDPOINT": cloud.url,
        "ALIBABA_CLOUD_ACCESS_KEY_ID": KEY[0],
        "ALIBABA_CLOUD_ACCESS_KEY_SECRET": KEY[1],
    }
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr("updater.adapters.registry.clouds.alibaba_tags._PAGE_SIZE", 4)
    login = ("AWS", "the-password-of-ecr") if is_aws else ("cr_temp_user", "the-authorization-token-of-acr")
    async with FaultyRegistry(username=login[0], password=login[1]) as registry:
        kind = SecretKind.AWS if is_aws else SecretKind.ALIBABA
        made = Cloud(cloud, registry, CredentialSource(kind), ECR if is_aws else ALIBABA, login)
        for day in range(10):
            made.release(f"v{day}", day)
        cloud.serve("/ecr", serve_ecr(made, 4))
        cloud.serve("/", serve_alibaba(made))
        yield made


def days(snapshot: Snapshot) -> dict[str, int]:
    return {each.name: (each.pushed - JANUARY).days for each in snapshot.tags if each.pushed}


def rounds(cloud: Cloud) -> int:
    """Return how many pages were read."""
    return sum(name in ("DescribeImages", "ListRepoTag") for name in cloud.lists())


async def test_all_pages_are_read_and_no_manifest(cloud: Cloud) -> None:
    async with cloud.desk() as at:
        assert days(await at.look(NEWEST_PUSH)) == {f"v{day}": day for day in range(10)}
    assert rounds(cloud) == 3
    assert cloud.registry.asked == []


async def test_unchanged_list_is_the_same_snapshot_in_whatever_order_it_comes(cloud: Cloud) -> None:
    async with cloud.desk() as at:
        first = await at.glance(wants(NEWEST_PUSH))
        assert await at.glance(wants(NEWEST_PUSH)) is first
    assert rounds(cloud) == 6


async def test_what_is_looked_up_for_a_list_is_looked_up_once(cloud: Cloud) -> None:
    async with cloud.desk() as at:
        await at.look(NEWEST_PUSH)
        await at.look(NEWEST_PUSH)
    assert all(cloud.lists().count(name) <= 1 for name in ("ListInstance", "GetRepository"))


async def test_tag_that_moved_is_found_with_its_digest_and_time(cloud: Cloud) -> None:
    async with cloud.desk() as at:
        await at.look(NEWEST_PUSH)
        moved = cloud.release("v3", 30)
        found = await at.look(NEWEST_PUSH, NEWEST_BUILD)
    assert days(found)["v3"] == 30
    assert digests(found)["v3"] == moved


async def test_old_tag_that_was_deleted_is_gone_at_once(cloud: Cloud) -> None:
    async with cloud.desk() as at:
        await at.look(NEWEST_PUSH)
        cloud.delete("v0")
        assert set(days(await at.look(NEWEST_PUSH))) == {f"v{day}" for day in range(1, 10)}


async def test_newest_build_reads_new_digests_alone_and_asks_for_no_digest(cloud: Cloud) -> None:
    async with cloud.desk() as at:
        await at.look(NEWEST_BUILD)
        cloud.release("v20", 20)
        at.later(minutes=30)
        start = len(cloud.registry.asked)
        await at.look(NEWEST_BUILD)
    assert [each.split("/")[3] for each in cloud.registry.asked_since(start)] == ["app", "app"]
    assert len(cloud.registry.asked_since(start)) == 2


async def test_refused_list_is_replaced_by_names_which_is_said_once(cloud: Cloud) -> None:
    """The role may not list; that costs times of push, and nothing else."""
    cloud.refusal = (
        (400, '{"__type": "AccessDeniedException", "message": "not authorized to perform: ecr:DescribeImages"}')
        if cloud.source.kind is SecretKind.AWS
        else (403, sample("alibaba-error.json").replace("SignatureDoesNotMatch", "NoPermission"))
    )
    async with cloud.desk() as at:
        with capture_logs() as logs:
            for _ in range(3):
                assert len((await at.look(NEWEST_PUSH)).tags) == 10
        [said] = [entry for entry in logs if entry["event"] == "registry.list_unavailable"]
        cloud.refusal = None
        at.later(hours=1)
        assert len(days(await at.look(NEWEST_PUSH))) == 10
    assert ("AccessDenied" in said["reason"]) or ("NoPermission" in said["reason"])


async def test_api_that_is_down_is_waited_for_where_times_matter_alone(cloud: Cloud) -> None:
    async with cloud.desk() as at:
        await at.look(NEWEST_PUSH)
        cloud.refusal = (500, "{}")
        with pytest.raises(RegistryError, match=r"DescribeImages|ListRepoTag"):
            await at.look(NEWEST_PUSH)
        assert len((await at.look(NEWEST_BUILD)).tags) == 10


async def test_list_is_not_asked_for_with_credentials_that_are_not_the_clouds(
    cloud: Cloud, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LOGIN", ":".join(cloud.login))
    async with cloud.desk(credentials=CredentialSource(SecretKind.ENVIRONMENT, "LOGIN")) as at:
        assert len((await at.look(NEWEST_PUSH)).tags) == 10
    assert cloud.server.asked == []


def test_listing_is_only_for_hosts_of_the_cloud() -> None:
    lists = CloudLists({})
    assert lists.of(SecretKind.AWS, Place("https://registry.example.com", ("registry.example.com",))) is None
    personal = "registry.cn-hangzhou.aliyuncs.com"
    assert lists.of(SecretKind.ALIBABA, Place(f"https://{personal}", (personal,))) is None
