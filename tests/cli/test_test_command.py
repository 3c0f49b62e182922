"""`updater test`, against a registry on loopback and without a cluster."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from datetime import timedelta
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from tests.fakes.registry import JANUARY, PASSWORD, USERNAME, FaultyRegistry, status
from updater.cli import EXIT_FAILED, EXIT_USAGE, main

NAME = "team/app"
ENVIRONMENT = {"REGISTRY_LOGIN": f"{USERNAME}:{PASSWORD}"}


@pytest.fixture
async def registry() -> AsyncIterator[FaultyRegistry]:
    async with FaultyRegistry(auth="token") as registry:
        for number, name in enumerate(("v1.0.0", "v1.2.0", "v2.0.0-rc.1", "latest")):
            registry.push(NAME, name, JANUARY - timedelta(days=number))
        yield registry


@pytest.fixture
def conf(registry: FaultyRegistry, tmp_path: Path) -> Path:
    path = tmp_path / "registries.conf"
    path.write_text(
        f"registries:\n- name: test\n  prefix: {registry.host}\n  api_url: {registry.url}\n"
        "  credentials: env:REGISTRY_LOGIN\n"
    )
    return path


async def run(registry: FaultyRegistry, conf: Path, *arguments: str, image: str = NAME) -> Result:
    """Run the command beside the registry's own loop."""
    command = ["test", f"{registry.host}/{image}", "--registries-conf-path", str(conf), *arguments]
    invoke: Callable[[], Result] = lambda: CliRunner().invoke(main, command, env=ENVIRONMENT)  # noqa: E731
    return await asyncio.to_thread(invoke)


async def test_choice_is_named_in_the_first_line_with_its_reason_below(registry: FaultyRegistry, conf: Path) -> None:
    result = await run(registry, conf)
    assert result.exit_code == 0
    first, second, *_ = result.stdout.splitlines()
    assert first == f"latest image according to constraint is {registry.host}/{NAME}:v1.2.0"
    assert second == "  because v1.2.0 is the best allowed, and no present version is known"
    assert "pre-release, which the constraint does not ask for" in result.stdout


@pytest.mark.parametrize(
    ("arguments", "chosen"),
    [
        (["--semver-constraint", "~1.0"], "v1.0.0"),
        (["--semver-constraint", ">=2.0.0-0"], "v2.0.0-rc.1"),
        (["--allow-tags", "regexp:^v1[.]0"], "v1.0.0"),
        (["--ignore-tags", "v1.2*", "--ignore-tags", "latest"], "v1.0.0"),
        (["--update-strategy", "newest-build"], "v1.0.0"),
        (["--update-strategy", "latest", "--platforms", "linux/amd64,linux/arm64"], "v1.0.0"),
        (["--update-strategy", "alphabetical"], "v2.0.0-rc.1"),
        (["--rate-limit", "100", "--loglevel", "debug"], "v1.2.0"),
    ],
)
async def test_flags_of_argocd_image_updater(
    registry: FaultyRegistry, conf: Path, arguments: list[str], chosen: str
) -> None:
    result = await run(registry, conf, *arguments, "-o", "json")
    assert (result.exit_code, json.loads(result.stdout)["tag"]) == (0, chosen)


async def test_what_stands_behind_the_name_is_the_constraint(registry: FaultyRegistry, conf: Path) -> None:
    result = await run(registry, conf, "-o", "json", image=f"{NAME}:1.0.x")
    assert json.loads(result.stdout)["tag"] == "v1.0.0"


async def test_digest_is_followed_with_one_head(registry: FaultyRegistry, conf: Path) -> None:
    result = await run(registry, conf, "--update-strategy", "digest", "-o", "json", image=f"{NAME}:latest")
    assert json.loads(result.stdout)["digest"] == registry.repositories[NAME].tags["latest"]
    assert not any("tags/list" in asked.path for asked in registry.asked)


async def test_digest_of_the_choice_can_be_asked_for(registry: FaultyRegistry, conf: Path) -> None:
    result = await run(registry, conf, "--output-as", "tag@digest")
    digest = registry.repositories[NAME].tags["v1.2.0"]
    assert result.stdout.splitlines()[0].endswith(f"{NAME}:v1.2.0@{digest}")


async def test_platform_without_images_is_said(registry: FaultyRegistry, conf: Path) -> None:
    result = await run(registry, conf, "--update-strategy", "newest-build", "--platforms", "linux/s390x")
    assert "for other platforms" in result.stdout


@pytest.mark.parametrize("output", ["text", "json"])
async def test_registry_without_an_answer_is_a_failure_that_is_told(
    registry: FaultyRegistry, conf: Path, output: str
) -> None:
    registry.plan(status(500))
    result = await run(registry, conf, "-o", output)
    assert result.exit_code == EXIT_FAILED
    assert "incomplete" in result.stdout
    assert "status 500" in result.stdout


async def test_wrong_constraint_is_wrong_usage_and_asks_nobody(registry: FaultyRegistry, conf: Path) -> None:
    result = await run(registry, conf, "--semver-constraint", "~~1")
    assert result.exit_code == EXIT_USAGE
    assert "'~~1'" in result.stderr
    assert registry.asked == []


async def test_missing_credentials_are_wrong_configuration(registry: FaultyRegistry, conf: Path) -> None:
    result = await run(registry, conf, "--credentials", "env:NOT_SET")
    assert result.exit_code == EXIT_USAGE
    assert "env:NOT_SET" in result.stderr


async def test_kubeconfig_that_does_not_exist_matters_only_for_secrets(registry: FaultyRegistry, conf: Path) -> None:
    missing = str(conf.with_name("none"))
    assert (await run(registry, conf, "--kubeconfig", missing)).exit_code == 0
    refused = await run(registry, conf, "--kubeconfig", missing, "--credentials", "pullsecret:argocd/login")
    assert refused.exit_code == EXIT_USAGE
    assert "none" in refused.stderr
