"""The demonstration's story: servers come up, the daemon runs, v2.0 is pushed, and the commit is looked for.

The daemon is `updater run` as a process of its own; what it does is told by its log alone.
"""

import asyncio
import secrets
import tempfile
import time
from contextlib import AsyncExitStack
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Protocol

from updater.demo.daemon import DaemonProcess, Event
from updater.demo.files import APPLICATION, GITOPS_FILES, OVERRIDE_FILE, REPOSITORY, Login, installation
from updater.demo.gitserver import GitHttpServer, create_repository
from updater.demo.registry import DemoRegistry, push_image

OLD_TAG = "v1.0"
NEW_TAG = "v2.0"


class DemoFailed(Exception):
    """The commit is not what the daemon said it was."""


class Narrator(Protocol):
    """Tells the story as it happens."""

    def step(self, who: str, what: str) -> None: ...

    def daemon(self, event: Event) -> None: ...


@dataclass(frozen=True, slots=True)
class Story:
    """How it ended."""

    commit: str
    diff: str
    """Of the commit, as `git show` prints it."""
    decided_after: float
    """Seconds from the push of the image to the decision."""
    written_after: float
    """Seconds from the decision to the confirmed commit."""


async def play(narrator: Narrator) -> Story:
    """Play the story in a directory of its own; nothing of it is left when it ends.

    Raises:
        DaemonSilent: the daemon did not get so far.
        DemoFailed: the commit is not there, or does not hold what it should.
    """
    async with AsyncExitStack() as stack:
        root = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="updater-demo-")))
        registry_login, git_login = (Login("demo", secrets.token_urlsafe(12)) for _ in range(2))
        registry = DemoRegistry(username=registry_login.username, password=registry_login.password)
        await stack.enter_async_context(registry)
        await _push(registry.host, registry_login, OLD_TAG)
        narrator.step("registry", f"{registry.host}, with a password, holds {REPOSITORY}:{OLD_TAG}")

        repository = await asyncio.to_thread(create_repository, root / "git", "gitops-demo.git", GITOPS_FILES)
        server = GitHttpServer(root / "git", username=git_login.username, password=git_login.password)
        await stack.enter_async_context(server)
        url = server.url("gitops-demo.git")
        narrator.step("git", f"{url}, branch main, holds a Helm chart in manifests/helm")

        for name, content in installation(registry.host, registry_login, url, git_login).items():
            _write(root / name, content)
        narrator.step("argocd", f"Application argocd/{APPLICATION} tracks {REPOSITORY} by semver")

        daemon = await stack.enter_async_context(DaemonProcess(root / "updater.yaml", on_event=narrator.daemon))
        await daemon.wait_for("image.up_to_date")
        narrator.step("you", f"push {REPOSITORY}:{NEW_TAG}")
        await _push(registry.host, registry_login, NEW_TAG)
        pushed = time.monotonic()
        decided = await daemon.wait_for("image.update_decided")
        written = await daemon.wait_for("image.updated")
        await daemon.wait_for("application.refreshed")
        commit = str(written.event["commit"])
        diff = await _shown(repository, commit)
        return Story(commit, diff, decided.at - pushed, written.at - decided.at)


async def _push(host: str, login: Login, tag: str) -> None:
    created = datetime.now(UTC)
    await push_image(host, REPOSITORY, tag, username=login.username, password=login.password, created=created)


async def _shown(repository: Path, commit: str) -> str:
    """Show the commit out of the repository itself: it has to be the branch's head, and hold the new tag."""
    head = (await _git(repository, "rev-parse", "main")).strip()
    if head != commit:
        raise DemoFailed(f"branch main is at {head}, not at the commit {commit} that the daemon reported")
    content = await _git(repository, "show", f"main:{OVERRIDE_FILE}")
    if f"value: {NEW_TAG}" not in content:
        raise DemoFailed(f"{OVERRIDE_FILE} does not hold {NEW_TAG}:\n{content}")
    return await _git(repository, "show", "--no-color", "--stat", "--patch", commit)


async def _git(repository: Path, *arguments: str) -> str:
    process = await asyncio.create_subprocess_exec(
        "git",
        *("-C", str(repository), *arguments),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    out, err = await process.communicate()
    if process.returncode:
        raise DemoFailed(f"git {' '.join(arguments)} failed: {err.decode(errors='replace').strip()}")
    return out.decode()


def _write(path: Path, content: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(content, "utf-8")
