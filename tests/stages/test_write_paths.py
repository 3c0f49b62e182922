"""Targets that lead out of a repository, or to what is no file of it: real Git, and the whole way to the commit."""

import asyncio
import subprocess
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from tests.fakes.cluster import FakeCluster, helm_application
from tests.fakes.house import SETTINGS, House, now
from tests.fakes.memory import MemoryStore
from updater.adapters.git.client import GitClient
from updater.adapters.git.reach import Reach
from updater.demo.gitserver import GitHttpServer, create_repository
from updater.pipeline import build_pipeline
from updater.ports.secrets import LabelledSecret

pytestmark = pytest.mark.integration

IMAGE = "registry.example.com/team/app"
VALUES = "image:\n  tag: v1.0\n"
LFS = f"version https://git-lfs.github.com/spec/v1\noid sha256:{'a' * 64}\nsize 12345\n"
LARGEST = 10_000


class Secrets:
    async def secret(self, namespace: str, name: str) -> Mapping[str, bytes]:
        return {"username": b"bot", "password": b"secret"}

    async def secrets_labelled(self, namespace: str, label: str, values: object) -> list[LabelledSecret]:
        return []


@dataclass
class Place:
    """A repository with traps in it, and the pipeline around it."""

    repository: Path
    url: str
    git: GitClient

    def run(self, *arguments: str, text: str = "") -> str:
        command = ("git", "-C", str(self.repository), *arguments)
        return subprocess.run(command, check=True, capture_output=True, text=True, input=text).stdout.strip()

    async def update(self, *targets: str) -> dict[str, str]:
        """Let one application with each target find v2.0; tell what each was told, by its target."""
        house, cluster = House(), FakeCluster()
        house.registry.push(IMAGE, "v1.0", "v2.0")
        for number, target in enumerate(targets):
            annotations = {"write-back-target": target}
            method = "git:secret:argocd/creds"
            made = helm_application(f"app{number}", IMAGE, annotations, method=method, url=self.url)
            cluster.put(replace(made, sources=(replace(made.sources[0], path="apps"),)))
        pipeline = build_pipeline(
            SETTINGS, cluster, house.registry, self.git, MemoryStore(), now, house.leadership, once=True
        )
        with capture_logs() as events:
            await pipeline.run_once(asyncio.Event())
        said = ("image.updated", "image.write_failed", "image.misconfigured")
        told = {each["application"]: each.get("reason", "updated") for each in events if each["event"] in said}
        return {target: told.get(f"argocd/app{number}", "") for number, target in enumerate(targets)}


@pytest.fixture
async def place(tmp_path: Path) -> AsyncIterator[Place]:
    files = {"apps/good.yaml": VALUES, "apps/lfs.yaml": LFS, "apps/big.yaml": VALUES + "#" * LARGEST}
    repository = create_repository(tmp_path, "gitops.git", files)
    reach = Reach(Secrets(), argocd_namespace="argocd", ca_data="", timeout=20, environ={})
    git = GitClient(reach, max_pack_bytes=2**26, cache_bytes=2**25, max_file_bytes=LARGEST)
    async with GitHttpServer(tmp_path, username="bot", password="secret") as server:
        made = Place(repository, server.url("gitops.git"), git)
        add_traps(made)
        yield made
        await git.close()


def add_traps(place: Place) -> None:
    """Put into `apps` a link to a file, one to a directory, and a submodule."""
    outside = place.run("hash-object", "-w", "--stdin", text="/etc/passwd")
    above = place.run("hash-object", "-w", "--stdin", text="../..")
    head = place.run("rev-parse", "main")
    listing = place.run("ls-tree", "main:apps")
    traps = f"120000 blob {outside}\tlink.yaml\n120000 blob {above}\tup\n160000 commit {head}\tmodule"
    apps = place.run("mktree", text=f"{listing}\n{traps}\n")
    tree = place.run("mktree", text=f"040000 tree {apps}\tapps\n")
    who = ("-c", "user.name=x", "-c", "user.email=x@example.com")
    place.run("update-ref", "refs/heads/main", place.run(*who, "commit-tree", tree, "-p", head, "-m", "traps"))


TRAPS = {
    "helmvalues:link.yaml": "apps/link.yaml is a symlink",
    "helmvalues:up/values.yaml": "apps/up is a symlink",
    "helmvalues:module/values.yaml": "apps/module is no directory of this repository",
    "helmvalues:module": "apps/module is no file of this repository",
    "helmvalues:big.yaml": "more than git.max_file allows",
    "helmvalues:lfs.yaml": "apps/lfs.yaml is a Git LFS pointer",
    "helmvalues:good.yaml/values.yaml": "apps/good.yaml is no directory of this repository",
    "helmvalues:../../values.yaml": "leads out of the repository",
    "helmvalues:/.git/config": "leads out of the repository",
    "helmvalues:../.GIT/hooks/x.yaml": "leads out of the repository",
}


async def test_each_trap_is_told_and_the_others_are_written_in_one_commit(place: Place) -> None:
    before = place.run("rev-parse", "main")
    told = await place.update("helmvalues:good.yaml", *TRAPS)
    assert told.pop("helmvalues:good.yaml") == "updated"
    assert {target: said in told[target] for target, said in TRAPS.items()} == dict.fromkeys(TRAPS, True), told
    assert place.run("diff", "--name-only", before, "main") == "apps/good.yaml"
    assert place.run("rev-parse", "main^") == before
