"""Two replicas of the daemon, and a registry, a Git server and an API server around them that may all be in trouble."""

import asyncio
import contextlib
import random
import signal
import sqlite3
import ssl
import subprocess
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from tests.e2e.installation import Installation
from tests.fakes.apiserver import ApiServer
from tests.fakes.certificates import loopback_certificate
from tests.fakes.docker_registry import free_ports
from tests.soak import history
from tests.soak.forge_troubles import TroubledForge
from tests.soak.forges import Reviewed, reviewed
from tests.soak.replica import Replica
from tests.soak.secrets import (
    API_TOKEN,
    FORGE_PASSWORD,
    GIT_PASSWORD,
    LOGIN_VARIABLE,
    REGISTRY_PASSWORD,
    USER,
    WEB_TOKEN,
    Seeker,
    login_script,
)
from tests.soak.tracked import ONE, OVERRIDE, TWO, VALUES, Tracked, first_files
from tests.soak.troubles import TroubledGit, TroubledRegistry
from tests.soak.webhooks import DISTRIBUTION, DISTRIBUTION_VARIABLE, FORGE_WORDS, HARBOR, Senders, senders
from updater.demo.gitserver import commit_files, create_repository

_ANNOTATION = "argocd-image-updater.argoproj.io"
_WEBHOOKS_AN_HOUR = 36_000
"""That the second replica acts on."""
_CREDENTIALS_EXPIRE = "5s"

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
    forges: tuple[Reviewed, ...]
    senders: Senders
    seeker: Seeker
    allowed: dict[str, list[str]]
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

    def standing(self) -> dict[Tracked, str]:
        """Give the tag that each Application has where it is written."""
        written = [tracked for tracked in TRACKED if tracked.path]
        files = history.read(self.place.repository, [f"refs/heads/main:{each.path}" for each in written])
        found = {each: each.tag_in(file, self.allowed) for each, file in zip(written, files, strict=True)}
        return found | {each: _tag_of(self.api.get("argocd", each.name)) for each in TRACKED if not each.path}

    def behind(self) -> list[str]:
        """Say which Applications do not have the newest allowed version."""
        found = [
            f"{tracked.name} is at {tag or 'nothing known'} instead of {self.allowed[tracked.repository][-1]}"
            for tracked, tag in self.standing().items()
            if tag != self.allowed[tracked.repository][-1]
        ]
        return found + [text for forge in self.forges for text in forge.behind()]

    def summary(self) -> list[str]:
        """Say what was thrown, and what came of it."""
        commits = [each.author == history.OURS for each in history.history(self.place.repository)[1:]]
        ours, pushed = sum(commits), sum(len(tags) for tags in self.allowed.values())
        answered = ", ".join(f"{count} {what}" for what, count in sorted(self.senders.answers.items()))
        return [
            f"{ours} commits of ours, {len(self.people)} of people, {pushed} images, {len(self.patched)} patches",
            *(each.summary() for each in self.forges),
            f"webhooks: {answered}",
            f"{self.seeker.pages} pages were read; children were seen to run {sorted(self.seeker.processes)}",
        ]

    @property
    def names(self) -> dict[int, str]:
        """Say who listens at a port."""
        servers = {
            "the registry": self.registry.url,
            "the Git server": self.git.url(""),
            "the API server": self.api.url,
        }
        servers |= {forge.kind: forge.url for forge in self.forges}
        ports = {urlsplit(url).port or 0: name for name, url in servers.items()}
        return ports | {each.hooks: "the other replica" for each in self.replicas}

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
async def world(root: Path, kinds: Sequence[type[TroubledForge]]) -> AsyncIterator[World]:
    """Start everything, and stop it at the end."""
    made = loopback_certificate()
    (root / "server.pem").write_text(made.certificate + made.key)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(root / "server.pem")
    repository = await asyncio.to_thread(create_repository, root / "git", "gitops.git", first_files(TRACKED))
    allowed = {ONE: ["v1.0.0"], TWO: ["build-0"]}
    async with AsyncExitStack() as stack:
        registry = await stack.enter_async_context(TroubledRegistry(USER, REGISTRY_PASSWORD))
        keywords = {"username": USER, "password": GIT_PASSWORD, "ssl_context": context}
        git = await stack.enter_async_context(TroubledGit(root / "git", **keywords))
        api = await stack.enter_async_context(ApiServer(token=API_TOKEN))
        forges = tuple(reviewed(kind, root / "forges", FORGE_PASSWORD, context, allowed) for kind in kinds)
        for forge in forges:
            await asyncio.to_thread(forge.create)
            await stack.enter_async_context(forge.forge)
        place = Installation(root, registry, git, api, repository)
        replicas = _replicas(place)
        sending = senders(registry.host, replicas)
        stack.push_async_callback(sending.session.close)
        seeker = Seeker(replicas, registry.issued)
        there = World(root, place, registry, git, api, replicas, forges, sending, seeker, allowed)
        api.prune = lambda manifest: _record(there, manifest)
        registry.push(ONE, "v1.0.0")
        registry.push(TWO, "build-0")
        script = login_script(root / "scripts" / "login.sh")
        for tracked in TRACKED:
            login = {"built": f"ext:{script}", "values": f"env:{LOGIN_VARIABLE}"}.get(tracked.name, "")
            _put_application(there, tracked, {"it.pull-secret": login} if login else {})
        for forge in forges:
            more = {"pull-request": forge.kind, "write-back-method": "git:secret:argocd/forge-creds"}
            for tracked in forge.tracked:
                _put_application(there, tracked, more, forge.url)
        for replica in replicas:
            await stack.enter_async_context(replica)
        yield there


def _replicas(place: Installation) -> tuple[Replica, Replica]:
    """Configure the two that pass webhooks on to each other."""
    place.registry_password, place.git_password = REGISTRY_PASSWORD, GIT_PASSWORD
    place.git_options, place.lease = "linger: 100ms, timeout: 3s", "8s"
    place.put_secret("forge-creds", {"username": USER, "password": FORGE_PASSWORD})
    place.put_secret("words", {"harbor": HARBOR, "web": WEB_TOKEN, **FORGE_WORDS})
    environ = {
        "UPDATER_WEB_API_TOKEN": "secret:argocd/words#web",
        "UPDATER_REGISTRIES_SCRIPT_DIRECTORIES": str(place.root / "scripts"),
        DISTRIBUTION_VARIABLE: DISTRIBUTION,
        LOGIN_VARIABLE: f"{USER}:{REGISTRY_PASSWORD}",
    }
    one, other = free_ports(2)
    first = Replica("first", _configure(place, "first", one, other, 0), one, environ)
    second = Replica("second", _configure(place, "second", other, one, _WEBHOOKS_AN_HOUR), other, environ)
    with (place.root / "registries.conf").open("a") as conf:
        conf.write(f"  credsexpire: {_CREDENTIALS_EXPIRE}\n")
    return first, second


def _configure(place: Installation, name: str, own: int, other: int, rate: int) -> Path:
    secrets = {kind: f"secret:argocd/words#{kind}" for kind in ("harbor", *FORGE_WORDS)}
    secrets["distribution"] = f"env:{DISTRIBUTION_VARIABLE}"
    words = "".join(f", {kind}_secret: '{where}'" for kind, where in secrets.items())
    where = f"listen: '127.0.0.1:{own}', relay: '127.0.0.1:{other}', rate_limit: {rate}"
    place.more_settings = f"log: {{level: debug}}\nwebhooks: {{enabled: true, {where}{words}}}\n"
    return place.configure(name)


def _put_application(there: World, tracked: Tracked, more: Mapping[str, str], url: str = "") -> None:
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
        **more,
        **tracked.annotations,
    }
    if tracked.text is VALUES:
        annotations["write-back-target"] = "helmvalues:values.yaml"
    source: dict[str, object] = {"path": tracked.directory if tracked.path else "apps/override"}
    source["targetRevision"] = "main"
    if url:
        source["repoURL"] = url
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
