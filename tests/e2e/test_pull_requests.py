"""The daemon and a forge: from a pushed image to a pull request, and from a person's merge to silence."""

import json
import ssl
from pathlib import Path

import pytest
from aiohttp import ClientSession

from tests.e2e.installation import OVERRIDE, Installation
from tests.fakes.docker_registry import free_port
from tests.fakes.forges import REPOSITORY, ForgeServer
from tests.fakes.forges.gitea import GiteaServer
from tests.fakes.forges.github import WEB_FLOW, GitHubServer
from tests.fakes.forges.gitlab import OWNER, GitLabServer
from updater.demo.files import GITOPS_FILES
from updater.demo.gitserver import create_repository

pytestmark = pytest.mark.e2e

SAMPLES = Path(__file__).parents[1] / "samples" / "webhooks"


def serve(place: Installation, kind: type[ForgeServer]) -> ForgeServer:
    """Make a forge with the chart in its repository, for the user that the Git server has."""
    root = place.root / "forge"
    (root / "team").mkdir(parents=True)
    create_repository(root / "team", Path(REPOSITORY).name + ".git", GITOPS_FILES)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(place.root / "server.pem")
    return kind(root, password=place.git_password, ssl_context=context)


def merge(forge: ForgeServer, head: str) -> None:
    """Merge a branch as a person does, with a commit, and delete it."""
    merged = forge.git(
        *("-c", "user.name=ada", "-c", "user.email=ada@example.com", "commit-tree", f"{head}^{{tree}}"),
        *("-p", "main", "-p", head, "-m", "Merge"),
    )
    forge.git("update-ref", "refs/heads/main", merged)
    forge.git("update-ref", "-d", f"refs/heads/{head}")


@pytest.mark.parametrize("kind", [GitHubServer, GitLabServer, GiteaServer], ids=lambda kind: str(kind.kind))
async def test_from_a_pushed_image_to_a_merge_by_a_person(place: Installation, kind: type[ForgeServer]) -> None:
    async with serve(place, kind) as forge:
        source = {"repoURL": forge.url(f"{REPOSITORY}.git"), "path": "manifests/helm", "targetRevision": "main"}
        place.application(annotations={"pull-request": str(kind.kind), "pull-request.labels": "deps"}, source=source)
        await place.push("v2.0")
        async with place.daemon() as daemon:
            proposed = (await daemon.wait_for("image.proposed")).event
            (there,) = forge.open_ones()
            assert proposed["pull_request"] == (await daemon.wait_for("pull_request.opened")).event["url"]
            assert "`v2.0`" in there.body
            assert there.labels == ["deps"]
            await place.push("v3.0")
            newer = (await daemon.wait_for("image.proposed", count=2)).event
            assert forge.open_ones() == [there]
            assert "`v3.0`" in there.body
            assert forge.git("rev-parse", there.head) == newer["commit"]
            assert forge.git("rev-list", "--count", f"main..{there.head}") == "1"
            assert "value: v3.0" in forge.git("show", f"{there.head}:{OVERRIDE}")
            merge(forge, there.head)
            await daemon.wait_for("write_back.merged")
            await place.push("v1.1")
            await daemon.wait_for("round.finished", count=len(daemon.events("round.finished")) + 3)
        async with place.daemon() as daemon:
            await daemon.wait_for("round.finished", count=3)
            assert not daemon.events("image.proposed")
        assert [each.state for each in forge.requests_made] == ["merged"]
        assert forge.branches() == ["main"]
        forge.git("fsck", "--strict")


async def test_webhook_of_the_forge_tells_of_a_merge_long_before_the_next_look(place: Installation) -> None:
    listen = f"127.0.0.1:{free_port()}"
    place.interval = "10m"
    place.put_secret("hooks", {"gitlab": "forge-knows-this"})
    place.more_settings = (
        f"webhooks: {{enabled: true, listen: '{listen}', gitlab_secret: 'secret:argocd/hooks#gitlab'}}\n"
    )
    async with serve(place, GitLabServer) as forge, ClientSession() as session:
        url = forge.url(f"{REPOSITORY}.git")
        source = {"repoURL": url, "path": "manifests/helm", "targetRevision": "main"}
        place.application(annotations={"pull-request": "gitlab"}, source=source)
        await place.push("v2.0")
        async with place.daemon() as daemon:
            await daemon.wait_for("image.proposed")
            (there,) = forge.open_ones()
            merge(forge, there.head)
            event = json.loads((SAMPLES / "gitlab-merge-request.json").read_text("utf-8"))
            event["project"]["git_http_url"] = url
            headers = {"X-Gitlab-Event": "Merge Request Hook", "X-Gitlab-Token": "forge-knows-this"}
            async with session.post(f"http://{listen}/webhook/gitlab", json=event, headers=headers) as answer:
                assert answer.status == 200
            assert (await daemon.wait_for("webhook.reviewed")).event["waiting"] == 1
            await daemon.wait_for("write_back.merged")
    assert [each.state for each in forge.requests_made] == ["merged"]


async def test_closing_it_holds_the_version_also_after_a_restart(place: Installation) -> None:
    async with serve(place, GitHubServer) as forge:
        source = {"repoURL": forge.url(f"{REPOSITORY}.git"), "path": "manifests/helm", "targetRevision": "main"}
        place.application(annotations={"pull-request": "github"}, source=source)
        await place.push("v2.0")
        async with place.daemon() as daemon:
            await daemon.wait_for("image.proposed")
            forge.close(1)
            held = (await daemon.wait_for("image.held")).event
        assert "was closed without being merged" in str(held["message"])
        async with place.daemon() as daemon:
            assert (await daemon.wait_for("image.held")).event["message"] == held["message"]
            await place.push("v3.0")
            await daemon.wait_for("image.proposed")
        assert [each.state for each in forge.requests_made] == ["closed", "open"]


@pytest.mark.parametrize("kind", [GitHubServer, GitLabServer], ids=lambda kind: str(kind.kind))
async def test_forge_makes_the_commits(place: Installation, kind: type[ForgeServer]) -> None:
    place.git_options = "linger: 100ms, commit_method: api"
    committer = {GitHubServer: WEB_FLOW, GitLabServer: OWNER}[kind]
    async with serve(place, kind) as forge:
        source = {"repoURL": forge.url(f"{REPOSITORY}.git"), "path": "manifests/helm", "targetRevision": "main"}
        place.application(annotations={"pull-request": str(kind.kind)}, source=source)
        await place.push("v2.0")
        async with place.daemon() as daemon:
            proposed = (await daemon.wait_for("image.proposed")).event
        (there,) = forge.open_ones()
        assert forge.git("log", "-1", "--format=%H %ce", there.head) == f"{proposed['commit']} {committer}"
        assert "value: v2.0" in forge.git("show", f"{there.head}:{OVERRIDE}")
        assert forge.branches() == sorted(["main", there.head])
