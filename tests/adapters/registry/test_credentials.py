"""Credentials: read from where a reference says, chosen by rank, read again when refused, left alone when failing."""

import asyncio
import base64
import json
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path

import pytest

from tests.domain.builders import AMD64
from tests.fakes.clouds import CloudServer, sample
from tests.fakes.memory import MemoryStore
from updater.adapters.registry.client import RegistryClient
from updater.adapters.registry.clouds import CloudIdentities
from updater.adapters.registry.credentials import Credentials, Sources
from updater.domain.errors import ClusterError, Misconfigured, RegistryError, SecretNotFound
from updater.domain.image import Repository
from updater.domain.secrets import CredentialSource, parse_credential_source
from updater.formats.docker_config import Login
from updater.ports.secrets import LabelledSecret
from updater.settings.registries import Registries, RegistrySettings

APP = Repository("registry.example.com", "team/app")
NGINX = Repository("docker.io", "library/nginx")
SETTINGS = RegistrySettings("Test", "https://registry.example.com", prefix="registry.example.com")
LOGIN = Login("alice", "hunter2:with-colon")
ENTRY = {"auth": base64.b64encode(b"alice:hunter2:with-colon").decode()}
METADATA = "/computeMetadata/v1/instance/service-accounts/default/token"


@dataclass
class Cluster:
    """Secrets and ServiceAccounts in dictionaries."""

    secrets: dict[str, Mapping[str, bytes]] = field(default_factory=dict)
    accounts: dict[str, Sequence[str]] = field(default_factory=dict)
    repositories: list[LabelledSecret] = field(default_factory=list)
    reads: list[str] = field(default_factory=list)
    error: ClusterError | None = None

    async def secret(self, namespace: str, name: str) -> Mapping[str, bytes]:
        self.reads.append(f"{namespace}/{name}")
        await asyncio.sleep(0)
        if self.error:
            raise self.error
        if f"{namespace}/{name}" not in self.secrets:
            raise SecretNotFound(f"Secret {namespace}/{name} does not exist: create it")
        return self.secrets[f"{namespace}/{name}"]

    async def pull_secrets(self, namespace: str, service_account: str) -> Sequence[str]:
        return self.accounts.get(f"{namespace}/{service_account}", ())

    async def secrets_labelled(self, namespace: str, label: str, values: Sequence[str]) -> Sequence[LabelledSecret]:
        self.reads.append(f"{namespace} {label}")
        assert "repo-creds" in values
        return self.repositories

    def pull_secret(self, name: str, auths: Mapping[str, object]) -> None:
        self.secrets[name] = {".dockerconfigjson": json.dumps({"auths": auths}).encode()}


@pytest.fixture
def cluster() -> Cluster:
    return Cluster()


def reader(
    cluster: Cluster,
    settings: RegistrySettings = SETTINGS,
    environment: Mapping[str, str] | None = None,
    directories: Sequence[Path] = (),
) -> Credentials:
    variables = environment or {}
    clouds = CloudIdentities(variables, machine=Path("/nowhere"))
    return Credentials(settings, Sources(cluster, cluster, cluster, "argocd", directories, variables, clouds))


def source(text: str) -> CredentialSource:
    return parse_credential_source(text)


@pytest.mark.parametrize(
    "key",
    [
        "docker.io",
        "index.docker.io",
        "https://index.docker.io/v1/",
        "https://index.docker.io/v2/",
        "registry-1.docker.io",
        "https://registry-1.docker.io",
        "registry.hub.docker.com",
        "docker.io/library",
    ],
)
async def test_docker_hub_is_found_under_all_its_keys(cluster: Cluster, key: str) -> None:
    cluster.pull_secret("argocd/hub", {"ghcr.io": {"auth": "x"}, key: ENTRY})
    credentials = reader(cluster, Registries().serving(NGINX))
    assert await credentials.read(source("pullsecret:argocd/hub"), NGINX) == LOGIN


@pytest.mark.parametrize(
    ("entry", "login"),
    [
        (ENTRY, LOGIN),
        ({"username": "alice", "password": "hunter2:with-colon"}, LOGIN),
        ({"identitytoken": "refresh"}, Login("<token>", "refresh", identity_token=True)),
        ({**ENTRY, "identitytoken": "refresh"}, Login("<token>", "refresh", identity_token=True)),
    ],
)
async def test_an_entry_may_hold_a_password_or_an_identity_token(
    cluster: Cluster, entry: Mapping[str, str], login: Login
) -> None:
    cluster.pull_secret("argocd/pull", {"registry.example.com": entry})
    assert await reader(cluster).read(source("pullsecret:argocd/pull"), APP) == login


async def test_the_older_form_of_pull_secrets_is_read(cluster: Cluster) -> None:
    cluster.secrets["argocd/pull"] = {".dockercfg": json.dumps({"https://registry.example.com": ENTRY}).encode()}
    assert await reader(cluster).read(source("pullsecret:argocd/pull"), APP) == LOGIN


@pytest.mark.parametrize(
    ("entry", "said"), [({}, "has no entry for registry.example.com"), ({"registry.example.com": {}}, "log in again")]
)
async def test_a_pull_secret_without_the_registry_says_so(
    cluster: Cluster, entry: Mapping[str, object], said: str
) -> None:
    cluster.pull_secret("argocd/pull", entry)
    with pytest.raises(Misconfigured, match=said):
        await reader(cluster).read(source("pullsecret:argocd/pull"), APP)


async def test_an_entry_for_the_original_is_not_given_to_its_mirror(cluster: Cluster) -> None:
    mirror = RegistrySettings("Mirror", "https://mirror.example.com", "mirror.example.com/hub", mirror_of="docker.io")
    cluster.pull_secret("argocd/pull", {"docker.io": ENTRY})
    with pytest.raises(Misconfigured, match=r"has no entry for mirror.example.com"):
        await reader(cluster, mirror).read(source("pullsecret:argocd/pull"), NGINX)
    cluster.pull_secret("argocd/pull", {"mirror.example.com/hub": ENTRY})
    assert await reader(cluster, mirror).read(source("pullsecret:argocd/pull"), NGINX) == LOGIN


async def test_a_service_accounts_pull_secrets_are_gone_through(cluster: Cluster) -> None:
    cluster.accounts["team/default"] = ["gone", "other", "right"]
    cluster.pull_secret("team/other", {"ghcr.io": ENTRY})
    cluster.pull_secret("team/right", {"registry.example.com": ENTRY})
    assert await reader(cluster).read(source("serviceaccount:team/default"), APP) == LOGIN


async def test_a_service_account_without_any_is_nobody(cluster: Cluster) -> None:
    assert await reader(cluster).read(source("serviceaccount:team/default"), APP) is None


ECR = RegistrySettings(
    "ECR", "https://123456789012.dkr.ecr.eu-central-1.amazonaws.com", "123456789012.dkr.ecr.eu-central-1.amazonaws.com"
)
ON_AWS = {"AWS_WEB_IDENTITY_TOKEN_FILE": "/token"}


@pytest.mark.parametrize(
    ("settings", "environment", "asked", "chosen"),
    [
        (SETTINGS, {}, None, None),
        (SETTINGS, {}, "serviceaccount:team/default", "serviceaccount:team/default"),
        (SETTINGS, {}, "env:A", "env:A"),
        (replace(SETTINGS, credentials=source("env:R")), {}, None, "env:R"),
        (replace(SETTINGS, credentials=source("env:R")), {}, "env:A", "env:A"),
        (replace(SETTINGS, credentials=source("env:R")), {}, "serviceaccount:team/default", "env:R"),
        (replace(SETTINGS, credentials=source("none")), {}, "serviceaccount:team/default", None),
        (replace(SETTINGS, mirror_of="registry.example.com"), {}, "env:A", None),
        (SETTINGS, ON_AWS, None, None),
        (ECR, {}, None, None),
        (ECR, ON_AWS, None, "aws"),
        (ECR, ON_AWS, "serviceaccount:team/default", "aws"),
        (ECR, ON_AWS, "none", None),
        (replace(ECR, credentials=source("env:R")), ON_AWS, None, "env:R"),
    ],
)
async def test_an_image_comes_before_the_registry_a_cloud_and_a_service_account(
    cluster: Cluster,
    settings: RegistrySettings,
    environment: Mapping[str, str],
    asked: str | None,
    chosen: str | None,
) -> None:
    found = reader(cluster, settings, environment).choose(source(asked) if asked else None, APP)
    assert (str(found) if found else None) == chosen


async def test_a_rotated_secret_is_used_as_soon_as_the_old_one_is_refused(cluster: Cluster) -> None:
    credentials = reader(cluster)
    cluster.secrets["argocd/a"] = {"login": b"alice:old"}
    old = await credentials.read(source("secret:argocd/a#login"), APP)
    cluster.secrets["argocd/a"] = {"login": b"alice:new"}
    assert await credentials.read(source("secret:argocd/a#login"), APP) == old
    assert await credentials.read(source("secret:argocd/a#login"), APP, refused=old) == Login("alice", "new")
    assert len(cluster.reads) == 2


async def test_many_who_want_a_secret_read_it_once(cluster: Cluster) -> None:
    credentials = reader(cluster)
    cluster.secrets["argocd/a"] = {"login": b"alice:old"}
    await asyncio.gather(*(credentials.read(source("secret:argocd/a#login"), APP) for _ in range(50)))
    assert len(cluster.reads) == 1


async def test_a_cluster_that_does_not_answer_is_no_misconfiguration(cluster: Cluster) -> None:
    cluster.error = ClusterError("the API server does not answer")
    with pytest.raises(RegistryError, match="credentials secret:argocd/a#login that cannot be read now: the API"):
        await reader(cluster).read(source("secret:argocd/a#login"), APP)


@pytest.fixture
def script(tmp_path: Path) -> Callable[[str], Path]:
    def write(body: str) -> Path:
        path = tmp_path / "login.sh"
        path.write_text(f"#!/bin/sh\necho run >>{tmp_path}/runs\n{body}\n")
        path.chmod(0o755)
        return path

    return write


async def test_a_script_prints_user_and_password(
    cluster: Cluster, tmp_path: Path, script: Callable[[str], Path]
) -> None:
    credentials = reader(cluster, directories=[tmp_path])
    path = script("echo alice:hunter2:with-colon")
    assert await credentials.read(source(f"ext:{path}"), APP) == LOGIN


async def test_a_script_sees_no_secrets_of_other_things(
    cluster: Cluster, tmp_path: Path, script: Callable[[str], Path]
) -> None:
    hidden = ("QUAY_WEBHOOK_SECRET", "UPDATER_WEB_API_TOKEN", "OTEL_EXPORTER_OTLP_HEADERS")
    variables = {**dict.fromkeys(hidden, "hidden"), "AWS_REGION": "eu-west-1"}
    credentials = reader(cluster, environment=variables, directories=[tmp_path])
    path = script('echo "alice:$QUAY_WEBHOOK_SECRET$UPDATER_WEB_API_TOKEN$OTEL_EXPORTER_OTLP_HEADERS$AWS_REGION"')
    found = await credentials.read(source(f"ext:{path}"), APP)
    assert found is not None
    assert found.password == "eu-west-1"


async def test_a_script_sees_no_variable_that_is_read_for_something_else(
    cluster: Cluster, tmp_path: Path, script: Callable[[str], Path]
) -> None:
    """Neither one that the settings name, nor one of another registry's entry, nor one of an image."""

    async def of_images() -> Collection[str]:
        return {"OF_IMAGE"}

    other = replace(SETTINGS, name="other", prefix="other.example.com", credentials=source("env:OF_OTHER"))
    store = MemoryStore()
    client = RegistryClient(
        *(Registries((SETTINGS, other)), cluster, store, store),
        own_platform=AMD64,
        now=lambda: datetime.now(UTC),
        script_directories=[tmp_path],
        secret_variables={"OF_SETTINGS"},
        variables_of_images=of_images,
    )
    variables = dict.fromkeys(("OF_OTHER", "OF_SETTINGS", "OF_IMAGE"), "hidden") | {"KEPT": "seen"}
    sources = replace(client._sources, environment=variables)
    path = script('echo "alice:$OF_OTHER$OF_SETTINGS$OF_IMAGE$KEPT"')
    found = await Credentials(SETTINGS, sources).read(source(f"ext:{path}"), APP)
    await client.close()
    assert found is not None
    assert found.password == "seen"


async def test_a_symlink_does_not_lead_out_of_the_directories_for_scripts(
    cluster: Cluster, tmp_path: Path, script: Callable[[str], Path]
) -> None:
    (tmp_path / "allowed").mkdir()
    (tmp_path / "allowed" / "login.sh").symlink_to(script("echo alice:hunter2"))
    with pytest.raises(Misconfigured, match=r"is outside of registries.script_directories"):
        await reader(cluster, directories=[tmp_path / "allowed"]).read(source(f"ext:{tmp_path}/allowed/login.sh"), APP)
    assert not (tmp_path / "runs").exists()


async def test_a_script_that_fails_is_left_alone_for_a_while(
    cluster: Cluster, tmp_path: Path, script: Callable[[str], Path]
) -> None:
    credentials = reader(cluster, directories=[tmp_path])
    path = script("exit 3")
    for _ in range(5):
        with pytest.raises(RegistryError, match="failed with exit code 3"):
            await credentials.read(source(f"ext:{path}"), APP)
    assert (tmp_path / "runs").read_text() == "run\n"


async def test_a_login_that_was_just_fetched_is_not_fetched_again_for_each_refusal(cluster: Cluster) -> None:
    settings = RegistrySettings("GAR", "https://europe-docker.pkg.dev", prefix="europe-docker.pkg.dev")
    async with CloudServer() as cloud:
        cloud.answer(METADATA, 200, sample("google-token.json"))
        credentials = reader(cluster, settings, {"GCE_METADATA_HOST": cloud.host})
        login = await credentials.read(source("gcp"), APP)
        for _ in range(5):
            assert await credentials.read(source("gcp"), APP, refused=login) == login
    assert len(cloud.asked) == 1


async def test_a_login_is_renewed_when_four_fifths_of_its_life_are_over(
    cluster: Cluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = RegistrySettings("GAR", "https://europe-docker.pkg.dev", prefix="europe-docker.pkg.dev")
    passed = 0.0
    monkeypatch.setattr("updater.adapters.registry.shared._now", lambda: passed)
    async with CloudServer() as cloud:
        cloud.answer(METADATA, 200, sample("google-token.json"))
        credentials = reader(cluster, settings, {"GCE_METADATA_HOST": cloud.host})
        asked = []
        for passed in (0.0, 3599 * 0.79, 3599 * 0.81):  # noqa: B007 - the clock reads it
            await credentials.read(source("gcp"), APP)
            asked.append(len(cloud.asked))
        cloud.answer(METADATA, 503, "")
        passed = 3599 * 2
        kept = await credentials.read(source("gcp"), APP)
        assert kept is not None
        passed += 100
        with pytest.raises(RegistryError, match="status 503"):
            await credentials.read(source("gcp"), APP, refused=kept)
    assert asked == [1, 1, 2]


CHART = source("argocd:team/shops#default")


async def test_chart_is_read_as_argo_cd_reads_it(cluster: Cluster) -> None:
    data = {"url": b"registry.example.com/team", "username": b"alice", "password": b"hunter2:with-colon"}
    labels = {"argocd.argoproj.io/secret-type": "repository"}
    cluster.repositories.append(LabelledSecret("argocd", "charts", labels, data))
    assert await reader(cluster).read(CHART, APP) == LOGIN


async def test_chart_that_argo_cd_reads_as_nobody_falls_back_on_pull_secrets(cluster: Cluster) -> None:
    cluster.accounts["team/default"] = ["pull"]
    cluster.pull_secret("team/pull", {"registry.example.com": ENTRY})
    assert await reader(cluster).read(CHART, APP) == LOGIN
    assert await reader(cluster).read(source("argocd:other/shops#default"), APP) is None


def test_configured_credentials_come_before_those_of_argo_cd(cluster: Cluster) -> None:
    configured = replace(SETTINGS, credentials=source("env:HUB"))
    assert reader(cluster, configured).choose(CHART, APP) == source("env:HUB")
    assert reader(cluster).choose(CHART, APP) == CHART
