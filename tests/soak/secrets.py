"""Secrets of the world, and where they may be found by whoever looks: nowhere."""

import asyncio
import random
from base64 import b64encode
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from aiohttp import ClientError, ClientSession, ClientTimeout, TCPConnector, UnixConnector

from tests.soak.descriptors import children, text
from tests.soak.replica import Replica
from tests.soak.webhooks import DISTRIBUTION, FORGE_WORDS, HARBOR

USER = "bot"
REGISTRY_PASSWORD = "registry-p4ssword-of-the-soak"
GIT_PASSWORD = "git-p4ssword-of-the-soak"
FORGE_PASSWORD = "forge-p4ssword-of-the-soak"
API_TOKEN = "api-t0ken-of-the-soak"
WEB_TOKEN = "web-t0ken-of-the-soak"
LOGIN_VARIABLE = "LOGIN_OF_OUR_REGISTRY"

_PASSWORDS = (REGISTRY_PASSWORD, GIT_PASSWORD, FORGE_PASSWORD)
_LASTING = (*_PASSWORDS, API_TOKEN, WEB_TOKEN, HARBOR, DISTRIBUTION, *FORGE_WORDS.values())
_PAGES = ("/metrics", "/healthz", "/readyz", "/", "/webhook", "/api/v1/openapi.json", "/api/v1/applications")
_COLLECTIONS = ("images", "decisions", "holds", "registries")
_REPORTS = ("applications/argocd/values", "applications/argocd/github-alone")
_BROKEN = 500
_SHOWN = 12
"""Characters of a secret that are said where it is found."""
_BETWEEN_LOOKS = 0.05
"""Seconds between two looks at the processes: less than a script takes here."""


def login_script(path: Path) -> Path:
    """Write what prints the registry's login, slowly enough to be seen."""
    path.parent.mkdir()
    path.write_text(f"#!/bin/sh\nsleep 0.2\necho {USER}:{REGISTRY_PASSWORD}\n")
    path.chmod(0o755)
    return path


@dataclass
class Seeker:
    """Looks for secrets while all runs, and at the end in all that it left."""

    replicas: Sequence[Replica]
    issued: set[str]
    """Tokens of the registry."""
    processes: set[str] = field(default_factory=set)
    """What children were seen to run."""
    pages: int = 0
    found: set[str] = field(default_factory=set)

    def secrets(self) -> list[str]:
        """Give all that may be seen nowhere, also as basic authentication spells it."""
        basic = (b64encode(f"{USER}:{each}".encode()).decode() for each in _PASSWORDS)
        return [*_LASTING, *basic, *self.issued]

    def leaked(self, content: bytes | str) -> str:
        """Name the beginning of a secret that is in something; empty when none is."""
        data = content if isinstance(content, str) else content.decode("latin-1")
        return next((each[:_SHOWN] for each in self.secrets() if each in data), "")

    async def watch_processes(self) -> None:
        while True:
            for replica in self.replicas:
                if replica.process is not None and not replica.process.has_ended:
                    self._look_at(replica.process.pid)
            await asyncio.sleep(_BETWEEN_LOOKS)

    def _look_at(self, pid: int) -> None:
        own = text(Path(f"/proc/{pid}/cmdline"))
        if self.leaked(own):
            self.found.add(f"the daemon's command line has a secret: {own}")
        for child in children(pid):
            command = text(Path(f"/proc/{child}/cmdline")).replace("\0", " ").strip()
            if command in ("", own.replace("\0", " ").strip()):
                continue  # it has not become what it is to be: what it has is still the daemon's own
            self.processes.add(command)
            for name in ("cmdline", "environ"):
                for part in text(Path(f"/proc/{child}/{name}")).split("\0"):
                    if secret := self.leaked(part):
                        shown = part.partition("=")[0] if name == "environ" else "an argument"
                        self.found.add(f"a child process has {secret}… in its {name} ({shown}): {command}")

    async def read_pages(self, chance: random.Random) -> None:
        """Read what a replica says over the network, or over its socket, to whom it trusts and to whom not."""
        replica = chance.choice(self.replicas)
        if replica.process is None or replica.process.has_ended:
            return
        listening = replica.process.events("web.listening", section="web")
        if not listening:
            return
        addresses: Any = listening[-1].event["addresses"]
        trusted = chance.random() < 0.5
        over_socket = chance.random() < 0.3
        connector = UnixConnector(str(replica.database.with_name("api.sock"))) if over_socket else TCPConnector()
        headers = {"Authorization": f"Bearer {WEB_TOKEN}"} if trusted else {}
        paths = (*_PAGES, *(f"/api/v1/{each}" for each in (*_COLLECTIONS, *_REPORTS)))
        async with ClientSession(connector=connector, timeout=ClientTimeout(total=5), headers=headers) as session:
            for path in chance.sample(paths, 4):
                with suppress(ClientError, OSError, TimeoutError):
                    async with session.get(f"http://{addresses[0]}{path}") as answer:
                        self._read(path, answer.status, await answer.read())

    def _read(self, path: str, status: int, content: bytes) -> None:
        self.pages += 1
        if secret := self.leaked(content):
            self.found.add(f"{path} has {secret}…")
        if status == _BROKEN:
            self.found.add(f"{path} is answered with {status}")

    def violations(self, state: Path, told: Iterator[tuple[str, str]]) -> Iterator[str]:
        """Say where a secret is, or was: `told` is what was written elsewhere, each with its name."""
        yield from sorted(self.found)
        for path in state.rglob("*"):
            if path.is_file() and (secret := self.leaked(path.read_bytes())):
                yield f"{path} on the disk has {secret}…"
        texts = list(told)
        everything = "\0".join(content for _, content in texts)
        for secret in (each for each in self.secrets() if each in everything):
            yield from (f"{name} has {secret[:_SHOWN]}…" for name, content in texts if secret in content)
