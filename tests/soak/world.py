"""Two replicas of the daemon, and a registry, a Git server and an API server around them that may all be in trouble."""

import asyncio
import contextlib
import random
import signal
import sqlite3
import ssl
import subprocess
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from textwrap import dedent
from typing import Any

from tests.e2e.installation import Installation
from tests.fakes.apiserver import ApiServer
from tests.fakes.certificates import loopback_certificate
from tests.soak.replica import Replica
from tests.soak.troubles import TroubledGit, TroubledRegistry
from updater.demo.gitserver import commit_files, create_repository

USER = "bot"
REGISTRY_PASSWORD = "registry-p4ssword-of-the-soak"
GIT_PASSWORD = "git-p4ssword-of-the-soak"
API_TOKEN = "api-t0ken-of-the-soak"
ONE, TWO = "team/one", "team/two"
VALUES = "# Kept by hand.\r\nimage:   {repository: one,   tag: '%s'}  # the tag\r\n\r\nother: {tag: v1.0.0}\r\n"
"""With line ends, quotes and spaces that no serializer would write."""
OVERRIDE = "helm:\n  parameters:\n  - name: image.tag\n    value: %s\n    forcestring: true\n"

_ANNOTATION = "argocd-image-updater.argoproj.io"
_CHART = "name: chart\n"


@dataclass(frozen=True, slots=True)
class Tracked:
    """An Application, and where its tag stands."""

    name: str
    repository: str
    path: str
    """In Git; empty: in the Application itself."""
    text: str
    """Of that file, with a place for the tag."""


TRACKED = (
    Tracked("override", ONE, "apps/override/.argocd-source-override.yaml", OVERRIDE),
    Tracked("values", ONE, "apps/values/values.yaml", VALUES),
    Tracked("built", TWO, "apps/built/.argocd-source-built.yaml", OVERRIDE),
    Tracked("patched", ONE, "", ""),
)


@dataclass
class World:
    """Everything, and a record of what was done in it."""

    root: Path
    place: Installation
    registry: TroubledRegistry
    git: TroubledGit
    api: ApiServer
    replicas: tuple[Replica, Replica]
    allowed: dict[str, list[str]] = field(default_factory=lambda: {ONE: ["v1.0.0"], TWO: ["build-0"]})
    """Tags that may be written, in the order in which they were pushed: each is better than the one before."""
    people: list[str] = field(default_factory=list)
    """Messages of people's commits."""
    patched: list[str] = field(default_factory=list)
    """Tags that the Application of the method `argocd` ever had, in order."""
    foreign: list[str] = field(default_factory=list)
    """What was changed in that Application that is not ours."""

    def push_image(self, repository: str) -> None:
        """Publish the next version that is allowed, and what may never be chosen."""
        number = len(self.allowed[repository])
        tag = f"v1.{number}.0" if repository == ONE else f"build-{number}"
        created = datetime(2026, 1, 1, tzinfo=UTC) + timedelta(minutes=number)
        if repository == ONE:
            for temptation in (f"v2.{number}.0", f"v1.{number}.1-rc.1", f"v1.{number}.0-debug", "latest"):
                self.registry.push(repository, temptation, created)
        else:
            self.registry.push(repository, f"nightly-{number}", created + timedelta(days=900))
        self.registry.push(repository, tag, created)
        self.allowed[repository].append(tag)

    async def person_commits(self) -> None:
        """Commit to a file of people's own, again until nobody was faster."""
        message = f"person {len(self.people)}"
        text = "".join(f"{each}\n" for each in (*self.people, message))
        for _ in range(50):
            with contextlib.suppress(subprocess.CalledProcessError):
                await asyncio.to_thread(commit_files, self.place.repository, {"people.txt": text}, message)
                self.people.append(message)
                return
        raise AssertionError("somebody was faster fifty times")

    def standing(self, tracked: Tracked) -> str:
        """Give the tag that an Application has where it is written."""
        if not tracked.path:
            return _tag_of(self.api.get("argocd", tracked.name))
        return self.written(tracked, "main")

    def written(self, tracked: Tracked, commit: str) -> str:
        """Give the allowed tag that makes a file's bytes what they are in a commit; empty when none does."""
        command = ("git", "-C", str(self.place.repository), "show", f"{commit}:{tracked.path}")
        content = subprocess.run(command, check=False, capture_output=True).stdout
        before, _, after = tracked.text.encode().partition(b"%s")
        tag = content.removeprefix(before).removesuffix(after).decode(errors="replace")
        exact = before + tag.encode() + after == content
        return tag if exact and tag in self.allowed[tracked.repository] else ""

    def behind(self) -> list[str]:
        """Say which Applications do not have the newest allowed version."""
        standing = {tracked: self.standing(tracked) for tracked in TRACKED}
        return [
            f"{tracked.name} is at {tag or 'nothing known'} instead of {self.allowed[tracked.repository][-1]}"
            for tracked, tag in standing.items()
            if tag != self.allowed[tracked.repository][-1]
        ]

    @property
    def first(self) -> Replica:
        return self.replicas[0]

    @property
    def second(self) -> Replica:
        return self.replicas[1]

    async def corrupt_database(self, replica: Replica, chance: random.Random) -> None:
        """Kill a replica, spoil its database as a failing disk would, and start it again."""
        await replica.end(signal.SIGKILL)
        content = bytearray(replica.database.read_bytes())
        for _ in range(40):
            start = chance.randrange(len(content))
            content[start : start + 64] = chance.randbytes(64)
        replica.database.write_bytes(content)
        await replica.start()

    @contextlib.contextmanager
    def locked_database(self, replica: Replica) -> Iterator[None]:
        with contextlib.closing(sqlite3.connect(replica.database, timeout=0.2)) as connection:
            with contextlib.suppress(sqlite3.Error):
                connection.execute("BEGIN IMMEDIATE")
            yield


@asynccontextmanager
async def world(root: Path) -> AsyncIterator[World]:
    """Start everything, and stop it at the end."""
    made = loopback_certificate()
    (root / "server.pem").write_text(made.certificate + made.key)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(root / "server.pem")
    files = {f"{Path(tracked.path).parent}/Chart.yaml": _CHART for tracked in TRACKED if tracked.path}
    files["apps/values/values.yaml"] = VALUES % "v1.0.0"
    repository = await asyncio.to_thread(create_repository, root / "git", "gitops.git", files)
    async with AsyncExitStack() as stack:
        registry = await stack.enter_async_context(TroubledRegistry(USER, REGISTRY_PASSWORD))
        keywords = {"username": USER, "password": GIT_PASSWORD, "ssl_context": context}
        git = await stack.enter_async_context(TroubledGit(root / "git", **keywords))
        api = await stack.enter_async_context(ApiServer(token=API_TOKEN))
        place = Installation(root, registry, git, api, repository)
        place.registry_password, place.git_password = REGISTRY_PASSWORD, GIT_PASSWORD
        place.git_options, place.lease = "linger: 100ms, timeout: 3s", "8s"
        place.more_settings = dedent("""\
            log: {level: debug}
        """)
        configs = [place.configure(name) for name in ("first", "second")]
        replicas = Replica("first", configs[0]), Replica("second", configs[1])
        made_world = World(root, place, registry, git, api, replicas)
        api.prune = lambda manifest: _record(made_world, manifest)
        registry.push(ONE, "v1.0.0")
        registry.push(TWO, "build-0")
        for tracked in TRACKED:
            _put_application(made_world, tracked)
        for replica in replicas:
            await stack.enter_async_context(replica)
        yield made_world


def _put_application(there: World, tracked: Tracked) -> None:
    image = f"{there.registry.host}/{tracked.repository}"
    semver = {"image-list": f"it={image}:1.x", "it.update-strategy": "semver", "it.allow-tags": r"regexp:^v[0-9.]+$"}
    built = {
        "image-list": f"it={image}",
        "it.update-strategy": "newest-build",
        "it.allow-tags": r"regexp:^build-\d+$",
    }
    annotations: dict[str, str | None] = {
        "echoserver.helm.image-tag": None,
        "echoserver.update-strategy": None,
        "echoserver.allow-tags": None,
        "it.helm.image-tag": "image.tag",
        "it.force-update": "true",
        **(semver if tracked.repository == ONE else built),
    }
    if tracked.name == "values":
        annotations["write-back-target"] = "helmvalues:values.yaml"
    directory = str(Path(tracked.path).parent) if tracked.path else "apps/override"
    source: dict[str, object] = {"path": directory, "targetRevision": "main"}
    if not tracked.path:
        annotations["write-back-method"] = "argocd"
        source["helm"] = {"parameters": [{"name": "kept", "value": "v1.0.0"}]}
    there.place.application(tracked.name, annotations=annotations, source=source)


def _tag_of(manifest: dict[str, Any]) -> str:
    parameters = manifest["spec"]["source"].get("helm", {}).get("parameters", [])
    return next((str(each["value"]) for each in parameters if each["name"] == "image.tag"), "")


def _record(there: World, manifest: dict[str, Any]) -> None:
    """Write down each tag that the patched Application gets, and let nothing else of it change."""
    if manifest.get("kind", "Application") != "Application" or manifest["metadata"]["name"] != "patched":
        return
    parameters = manifest["spec"]["source"].get("helm", {}).get("parameters", [])
    if {"name": "kept", "value": "v1.0.0"} not in parameters:
        there.foreign.append(f"the parameters of the patched Application became {parameters}")
    tag = _tag_of(manifest)
    if tag and there.patched[-1:] != [tag]:
        there.patched.append(tag)
