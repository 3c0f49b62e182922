"""What reaches Git, by the daemon and by its writer, seen with git itself: over TLS, on git http-backend."""

import asyncio
import os
import signal
import sqlite3
import subprocess
from collections import Counter
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager, closing

import pytest
from aiohttp import web

from tests.e2e.installation import OVERRIDE, Installation
from tests.fakes.certificates import loopback_certificate
from tests.fakes.cluster import FakeCluster, helm_application
from tests.fakes.house import eventually, now
from tests.fakes.memory import MemoryStore
from tests.fakes.registry_port import InMemoryRegistry
from updater.adapters.argocd_trust import ArgoTrust
from updater.adapters.git.client import GitClient
from updater.adapters.git.reach import Reach
from updater.demo.gitserver import GitRequest, commit_files
from updater.pipeline import build_pipeline
from updater.ports.secrets import LabelledSecret
from updater.settings.daemon import Git, Polling, Settings
from updater.settings.units import Duration, Interval
from updater.stages.leadership import Alone

pytestmark = pytest.mark.e2e

APPLICATIONS = 500
OTHER_FILES = 19_000
ROUNDS = int(os.environ.get("SOAK_ROUNDS", "6"))
"""Commits of each of the five writers; more of them for a soak."""
IMAGE = "registry.example.com/team/app"
V2 = "value: v2.0"


async def test_five_hundred_applications_are_one_commit_and_one_push(place: Installation) -> None:
    files = {f"other/{number % 40}/{number % 47}/{number}.yaml": "n: 1\n" for number in range(OTHER_FILES)}
    for number in range(APPLICATIONS):
        files[f"apps/app{number}/Chart.yaml"] = f"name: app{number}\n"
        files[f"apps/app{number}/values.yaml"] = "image:\n  tag: v1.0\n"
        place.application(f"app{number}", source={"path": f"apps/app{number}", "targetRevision": "main"})
    import_files(place, files)
    place.git_options = "linger: 5s, max_batch_age: 60s"
    place.lease = "60s"
    await place.push("v2.0")
    async with place.daemon() as daemon:
        await daemon.wait_for("image.updated", patience=120, count=APPLICATIONS)
    assert place.commits() == 3
    moved = sum(request.received + request.sent for request in place.git.requests)
    assert len(pushes(place)) == 1
    assert len(place.git.requests) <= 10
    assert moved <= 600_000
    assert len(place.run_git("diff", "--name-only", "main~", "main").splitlines()) == APPLICATIONS
    trailers = place.run_git("log", "-1", "--format=%(trailers:key=Image-Updated)", "main")
    assert trailers.count(" v2.0 was v1.0") == APPLICATIONS
    place.run_git("fsck", "--strict")


def import_files(place: Installation, files: Mapping[str, str]) -> None:
    """Commit many files at once, without a working copy."""
    lines = ["commit refs/heads/main", "committer a <a@example.com> 0 +0000", "data 0", "from refs/heads/main^0"]
    for path, text in files.items():
        lines += [f"M 100644 inline {path}", f"data {len(text)}", text]
    command = ("git", "-C", str(place.repository), "fast-import", "--quiet")
    subprocess.run(command, input="\n".join(lines).encode(), check=True)


def pushes(place: Installation) -> list[GitRequest]:
    return [request for request in place.git.requests if request.path.endswith("/git-receive-pack")]


@pytest.mark.parametrize(
    ("hook", "end", "arrives"),
    [("pre-receive", "exit 1", False), ("pre-receive", "exit 0", True), ("post-receive", "sleep 0.2", True)],
    ids=["before the push is taken", "while it is taken", "before the answer"],
)
async def test_kill_at_a_step_of_the_push_makes_exactly_one_commit(
    place: Installation,
    hook: str,
    end: str,
    arrives: bool,  # noqa: FBT001 - a parameter of the test
) -> None:
    pid = place.root / "pid"
    place.hook(hook, f"kill -9 $(cat {pid})\n{end}")
    place.application()
    async with place.daemon() as daemon:
        pid.write_text(str(daemon.pid))
        await place.push("v2.0")
        assert await daemon.ended() == -signal.SIGKILL
    await eventually(lambda: len(pushes(place)) == 1, lambda: "the server to be done with the push")
    assert place.commits() == (2 if arrives else 1)
    (place.repository / "hooks" / hook).unlink()
    async with place.daemon() as daemon:
        await daemon.wait_for("write_back.recovered" if arrives else "image.updated")
        await daemon.wait_for("round.finished", count=2)
    assert place.commits() == 2
    assert V2 in place.file()


async def test_kill_between_the_answer_and_the_bookkeeping_makes_exactly_one_commit(place: Installation) -> None:
    """The database is locked while the push is under way, so that the daemon hears of it and cannot write it down."""
    place.application()
    async with AsyncExitStack() as stack:

        def lock(request: web.Request, body: bytes) -> None:
            if request.path.endswith("/git-receive-pack") and not held:
                held.append(stack.enter_context(closing(sqlite3.connect(place.root / "state/updater.db"))))
                held[0].execute("BEGIN IMMEDIATE")

        held: list[sqlite3.Connection] = []
        place.git.fault = lock
        async with place.daemon() as daemon:
            await place.push("v2.0")
            await daemon.wait_for("write_back.pushed")
            await daemon.end(signal.SIGKILL)
            assert not daemon.events("image.updated")
    async with place.daemon() as daemon:
        recovered = (await daemon.wait_for("write_back.recovered")).event
        await daemon.wait_for("round.finished", count=2)
    assert recovered["commit"] == place.run_git("rev-parse", "main")
    assert place.commits() == 2


async def test_answer_that_a_proxy_drops_is_looked_up(place: Installation) -> None:
    place.git.lose_pushes = 1
    place.application()
    await place.push("v2.0")
    async with place.daemon() as daemon:
        await daemon.wait_for("git.answer_lost")
        await daemon.wait_for("image.updated")
        await daemon.wait_for("round.finished", count=2)
    assert place.commits() == 2


async def test_words_of_a_hook_reach_the_operator(place: Installation) -> None:
    place.hook("pre-receive", "echo 'the freeze ends on Monday' >&2; exit 1")
    place.application()
    await place.push("v2.0")
    async with place.daemon() as daemon:
        failed = (await daemon.wait_for("image.write_failed")).event
    assert "the freeze ends on Monday" in str(failed["reason"])
    assert place.commits() == 1


async def test_branch_of_its_own_from_proposal_to_merge(place: Installation) -> None:
    place.application(annotations={"git-branch": ":update/{{ .AppName }}-{{ (index .Images 0).NewTag }}"})
    await place.push("v2.0")
    async with place.daemon() as daemon:
        proposed = (await daemon.wait_for("image.proposed")).event
        assert proposed["branch"] == "update/gitops-demo-v2.0"
        assert place.run_git("rev-parse", "update/gitops-demo-v2.0") == proposed["commit"]
        assert place.run_git("rev-parse", "update/gitops-demo-v2.0~") == place.run_git("rev-parse", "main")
        assert V2 in place.run_git("show", f"update/gitops-demo-v2.0:{OVERRIDE}")
        assert place.commits() == 1
        place.run_git("update-ref", "refs/heads/main", "refs/heads/update/gitops-demo-v2.0")
        place.run_git("update-ref", "-d", "refs/heads/update/gitops-demo-v2.0")
        await place.push("v1.1")
        await daemon.wait_for("write_back.merged")
        await daemon.wait_for("round.finished", count=3)
    assert place.run_git("for-each-ref", "--format=%(refname)") == "refs/heads/main"
    assert place.commits() == 2
    place.run_git("fsck", "--strict")


async def test_plain_manifests_are_found_by_glob_and_written_in_one_commit(place: Installation) -> None:
    pod = f"apiVersion: v1\nkind: Pod\nspec:\n  containers:\n  - image: {place.image}:v1.0  # ours\n"
    cron = pod.replace("\n", "\r\n")
    files = {"plain/web.yaml": pod, "plain/jobs/déjà vu/cron.yaml": cron, "plain/notes.md": pod, "web.yaml": pod}
    commit_files(place.repository, files, "Plain manifests")
    place.application(
        annotations={"write-back-target": "manifests:**/*.yaml", "echoserver.helm.image-tag": None},
        source={"path": "plain", "targetRevision": "main", "directory": {"recurse": True}},
    )
    await place.push("v2.0")
    async with place.daemon() as daemon:
        updated = (await daemon.wait_for("image.updated")).event
        await daemon.wait_for("round.finished", count=2)
    assert updated["commit"] == place.run_git("rev-parse", "main")
    assert place.commits() == 3
    assert place.file("plain/web.yaml") == pod.replace("v1.0", "v2.0")
    show = ("git", "-C", str(place.repository), "show", "main:plain/jobs/déjà vu/cron.yaml")
    written = subprocess.run(show, check=True, capture_output=True).stdout
    assert written.decode() == cron.replace("v1.0", "v2.0")
    changed = place.run_git("-c", "core.quotePath=false", "diff", "--name-only", "main~", "main").splitlines()
    assert changed == ["plain/jobs/déjà vu/cron.yaml", "plain/web.yaml"]
    place.run_git("fsck", "--strict")


async def test_commits_are_worded_signed_and_signed_off_as_the_settings_say(place: Installation) -> None:
    key, signers = place.root / "key", place.root / "signers"
    subprocess.run(("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(key)), check=True)
    signers.write_text(f"bot@example.com {key.with_suffix('.pub').read_text()}")
    (place.root / "commit.template").write_text(
        "chore({{ .AppName }}): {{ range .AppChanges }}{{ .NewTag }}{{ end }}\n"
    )
    place.git_options = (
        "linger: 100ms, user: Bot, email: bot@example.com, "
        "commit_sign_off: true, commit_message_file: commit.template, "
        f"commit_signing_key: {key}, commit_signing_method: ssh"
    )
    place.application()
    await place.push("v2.0")
    async with place.daemon() as daemon:
        await daemon.wait_for("image.updated")
    assert place.run_git("log", "-1", "--format=%an <%ae>%n%B", "main") == (
        "Bot <bot@example.com>\n"
        "chore(gitops-demo): v2.0\n\n"
        "Image-Updated: argocd/gitops-demo echoserver v2.0 was v1.0\n"
        "Signed-off-by: Bot <bot@example.com>"
    )
    shown = place.run_git("-c", f"gpg.ssh.allowedSignersFile={signers}", "log", "-1", "--format=%G? %GS", "main")
    assert shown == "G bot@example.com"


async def test_five_writers_on_one_branch_lose_nothing(place: Installation) -> None:
    """Two of ours and three people with git, all at once, each with several commits of their own."""
    charts = {f"apps/{writer}{number}/Chart.yaml": "name: x\n" for writer in "ab" for number in range(3)}
    commit_files(place.repository, charts, "Charts")
    people = [f"person{number}" for number in range(3)]
    async with asyncio.TaskGroup() as tasks:
        for name in people:
            tasks.create_task(asyncio.to_thread(commit_as_a_person, place, name))
        for name in "ab":
            tasks.create_task(update_again_and_again(place, name))
    place.run_git("fsck", "--strict")
    authors = Counter(place.run_git("log", "--format=%an", "main").splitlines())
    assert {name: authors[name] for name in people} == dict.fromkeys(people, ROUNDS)
    for name in people:
        assert place.run_git("show", f"main:people/{name}").splitlines() == [str(number) for number in range(ROUNDS)]
    written = Counter(place.run_git("log", "--format=%(trailers:key=Image-Updated,valueonly)", "main").split("\n"))
    expected = [
        f"argocd/{writer}{number} app v{version + 1}.0 was v{version}.0"
        for writer in "ab"
        for number in range(3)
        for version in range(1, ROUNDS + 1)
    ]
    assert {line: written[line] for line in expected} == dict.fromkeys(expected, 1)


def commit_as_a_person(place: Installation, name: str) -> None:
    """Clone, and commit and push again and again, as people do who do not know of each other."""
    clone = place.root / name
    url = place.git.url("gitops.git").replace("://", f"://bot:{place.git_password}@")
    authority = place.root / f"{name}.pem"
    authority.write_text(loopback_certificate().certificate)
    environ = {
        "PATH": os.environ["PATH"],
        "HOME": str(place.root),
        "GIT_SSL_CAINFO": str(authority),
        **{f"GIT_{who}_{what}": name for who in ("AUTHOR", "COMMITTER") for what in ("NAME", "EMAIL")},
    }

    def git(*arguments: str) -> bool:
        return subprocess.run(("git", *arguments), check=False, capture_output=True, env=environ).returncode == 0

    assert git("clone", "--quiet", url, str(clone))
    file = clone / "people" / name
    file.parent.mkdir()
    for number in range(ROUNDS):
        with file.open("a") as lines:
            lines.write(f"{number}\n")
        assert git("-C", str(clone), "add", "--all")
        assert git("-C", str(clone), "commit", "--quiet", "-m", f"{name} {number}")
        while not git("-C", str(clone), "push", "--quiet"):
            assert git("-C", str(clone), "pull", "--quiet", "--rebase")


async def update_again_and_again(place: Installation, name: str) -> None:
    """Run the whole pipeline with the real Git client; the next version comes when the last one is on the branch."""
    registry, cluster = InMemoryRegistry(), FakeCluster()
    registry.push(IMAGE, "v1.0")
    method, url = "git:secret:argocd/git-creds", place.git.url("gitops.git")
    cluster.put(*(helm_application(f"{name}{number}", IMAGE, method=method, url=url) for number in range(3)))
    async with running(place, registry, cluster):
        for version in range(2, ROUNDS + 2):
            registry.push(IMAGE, f"v{version}.0")
            async with asyncio.timeout(60):
                for number in range(3):
                    path = f"apps/{name}{number}/.argocd-source-{name}{number}.yaml"
                    while f"value: v{version}.0" not in await asyncio.to_thread(shown, place, path):  # noqa: ASYNC110
                        await asyncio.sleep(0.05)


def shown(place: Installation, path: str) -> str:
    command = ("git", "-C", str(place.repository), "show", f"main:{path}")
    return subprocess.run(command, check=False, capture_output=True, text=True).stdout


@asynccontextmanager
async def running(place: Installation, registry: InMemoryRegistry, cluster: FakeCluster) -> AsyncIterator[None]:
    authority = loopback_certificate().certificate
    secrets = Passwords(place.git_password)
    trust = ArgoTrust(secrets, "argocd")
    reach = Reach(secrets, trust, argocd_namespace="argocd", ca_data=authority, timeout=30, environ={})
    client = GitClient(reach, max_pack_bytes=2**26, cache_bytes=2**25, max_file_bytes=2**20)
    settings = Settings(polling=Polling(interval=Interval(0.1)), git=Git(linger=Duration(0.05), push_tries=20))
    pipeline = build_pipeline(settings, cluster, registry, client, MemoryStore(), now, Alone())
    stop = asyncio.Event()
    try:
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(pipeline.run(stop))
            try:
                yield
            finally:
                stop.set()
    finally:
        await client.close()


class Passwords:
    """The Secret that the Git server's user has."""

    def __init__(self, password: str) -> None:
        self._password = password.encode()

    async def secret(self, namespace: str, name: str) -> dict[str, bytes]:
        return {"username": b"bot", "password": self._password}

    async def secrets_labelled(self, namespace: str, label: str, values: object) -> list[LabelledSecret]:
        return []

    async def config_map(self, namespace: str, name: str) -> dict[str, str]:
        return {}
