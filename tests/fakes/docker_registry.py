"""Debian's docker-registry as a process on loopback."""

import asyncio
import shutil
import socket
from contextlib import ExitStack, suppress
from pathlib import Path
from types import TracebackType
from typing import NamedTuple, Self

import pytest
from aiohttp import ClientConnectionError, ClientSession, TCPConnector

from tests.fakes.certificates import Certificate
from tests.fakes.token_issuer import ISSUER, SERVICE, TokenIssuer

_PATIENCE = 15.0


class Notified(NamedTuple):
    """Who is told of pushes."""

    url: str
    secret: str


class DockerRegistry:
    """Stores below a directory, and admits one user, or whom an issuer admits; with a certificate it speaks TLS."""

    def __init__(
        self,
        directory: Path,
        username: str,
        password: str,
        certificate: Certificate | None = None,
        issuer: TokenIssuer | None = None,
        notified: Notified | None = None,
    ) -> None:
        self._directory = directory
        self._login = (username, password)
        self._certificate = certificate
        self._issuer = issuer
        self._notified = notified
        self._port = 0
        self._process: asyncio.subprocess.Process | None = None

    @property
    def host(self) -> str:
        return f"127.0.0.1:{self._port}"

    @property
    def url(self) -> str:
        return f"{'https' if self._certificate else 'http'}://{self.host}"

    async def start(self) -> None:
        for program, package in (("docker-registry", "docker-registry"), ("htpasswd", "apache2-utils")):
            if shutil.which(program) is None:
                pytest.skip(f"install {package}")
        await asyncio.to_thread(self._directory.mkdir, parents=True, exist_ok=True)
        self._port = free_port()
        config = self._directory / "config.yml"
        (self._directory / "htpasswd").write_bytes(await _htpasswd(*self._login))
        config.write_text(self._config())
        self._process = await asyncio.create_subprocess_exec(
            *("docker-registry", "serve", str(config)),
            stdout=asyncio.subprocess.DEVNULL,
            stderr=asyncio.subprocess.DEVNULL,
        )
        await self._wait_until_it_answers()

    async def stop(self) -> None:
        if self._process is not None:
            with suppress(ProcessLookupError):
                self._process.terminate()
            await self._process.wait()
            self._process = None

    async def __aenter__(self) -> Self:
        try:
            await self.start()
        except BaseException:
            await self.stop()
            raise
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self.stop()

    def _config(self) -> str:
        tls = ""
        if self._certificate:
            certificate, key = self._directory / "server.crt", self._directory / "server.key"
            certificate.write_text(self._certificate.certificate)
            key.write_text(self._certificate.key)
            tls = f", tls: {{certificate: {certificate}, key: {key}}}"
        auth = f"htpasswd: {{realm: test, path: {self._directory / 'htpasswd'}}}"
        if self._issuer:
            bundle = self._directory / "issuer.crt"
            bundle.write_text(self._issuer.certificate)
            names = f"service: {SERVICE}, issuer: {ISSUER}"
            auth = f"token: {{realm: '{self._issuer.url}', {names}, rootcertbundle: {bundle}}}"
        return f"""\
version: 0.1
log: {{level: error}}
storage:
  filesystem: {{rootdirectory: {self._directory / "data"}}}
  delete: {{enabled: true}}
  maintenance: {{uploadpurging: {{enabled: false}}}}
http: {{addr: "{self.host}", secret: x{tls}}}
auth: {{{auth}}}
{self._notifications()}
"""

    def _notifications(self) -> str:
        if self._notified is None:
            return ""
        headers = f"headers: {{Authorization: ['Bearer {self._notified.secret}']}}"
        retries = "timeout: 5s, threshold: 3, backoff: 1s"
        return f"notifications: {{endpoints: [{{name: it, url: '{self._notified.url}', {headers}, {retries}}}]}}"

    async def _wait_until_it_answers(self) -> None:
        async with asyncio.timeout(_PATIENCE), ClientSession(connector=TCPConnector(ssl=False)) as session:
            while True:
                with suppress(ClientConnectionError):
                    async with session.get(f"{self.url}/v2/"):
                        return
                assert self._process is not None
                assert self._process.returncode is None, "docker-registry ended at once"
                await asyncio.sleep(0.02)


async def _htpasswd(username: str, password: str) -> bytes:
    process = await asyncio.create_subprocess_exec(
        *("htpasswd", "-iBn", "-C", "4", username),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
    )
    out, _ = await process.communicate(password.encode())
    return out


def free_port() -> int:
    (port,) = free_ports(1)
    return port


def free_ports(count: int) -> list[int]:
    """Find ports that nobody listens on, no two of them the same."""
    with ExitStack() as stack:
        probes = [stack.enter_context(socket.socket()) for _ in range(count)]
        for probe in probes:
            probe.bind(("127.0.0.1", 0))
        return [int(probe.getsockname()[1]) for probe in probes]
