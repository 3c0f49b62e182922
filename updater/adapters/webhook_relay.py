"""Pass webhooks on to the other replicas: a Service gives each to one of them, and it may not be the one that writes.

What is passed on is what came, secret and all, so that every replica lets it in by the same check. A mark keeps it from
being passed on again; the copy that comes back to ourselves is a repetition like any other.
"""

import asyncio
import socket
import ssl
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import structlog
from aiohttp import ClientError, ClientSession, ClientTimeout, DummyCookieJar
from yarl import URL

from updater.settings.units import Listen

log = structlog.get_logger()

_MOST_WAITING = 100
_AT_ONCE = 10
_PATIENCE = ClientTimeout(total=5)
_REFUSED = 400


@dataclass(frozen=True, slots=True)
class _Passed:
    path: str
    headers: Mapping[str, str]
    body: bytes


@dataclass
class WebhookRelay:
    """Sends each webhook to every address that a name stands for."""

    peers: Listen
    certificate: Path | None = None
    """Of our own server: others present the same; None: plain HTTP."""
    _waiting: asyncio.Queue[_Passed] = field(default_factory=lambda: asyncio.Queue(_MOST_WAITING))
    _failing: bool = False

    def pass_on(self, path: str, headers: Mapping[str, str], body: bytes) -> None:
        """Take a webhook, or drop it when too many wait; at once."""
        try:
            self._waiting.put_nowait(_Passed(path, headers, body))
        except asyncio.QueueFull:
            self._say("too many wait")

    async def run(self) -> None:
        """Send what comes, some of it at once: a replica that does not answer keeps others waiting for nothing."""
        async with (
            ClientSession(timeout=_PATIENCE, cookie_jar=DummyCookieJar()) as session,
            asyncio.TaskGroup() as tasks,
        ):
            for number in range(_AT_ONCE):
                tasks.create_task(self._send_for_ever(session), name=f"pass webhooks on, {number}")

    async def _send_for_ever(self, session: ClientSession) -> None:
        while True:
            await self._send(session, await self._waiting.get())

    async def _send(self, session: ClientSession, passed: _Passed) -> None:
        try:
            tls = await asyncio.to_thread(_tls, self.certificate)
            addresses = await self._addresses()
        except (OSError, ValueError) as error:
            self._say(f"{self.peers.host}: {error}: set webhooks.relay to a headless Service")
            return
        reasons = await asyncio.gather(*(self._send_to(session, each, passed, tls) for each in addresses))
        failed = [reason for reason in reasons if reason]
        if failed:
            self._say(failed[0])
        else:
            self._failing = False

    async def _addresses(self) -> set[str]:
        found = await asyncio.get_running_loop().getaddrinfo(self.peers.host, self.peers.port, type=socket.SOCK_STREAM)
        return {str(address[0]) for *_, address in found}

    async def _send_to(self, session: ClientSession, address: str, passed: _Passed, tls: ssl.SSLContext | None) -> str:
        """Send it to one replica; return why that failed."""
        host = f"[{address}]" if ":" in address else address
        url = URL(f"{'https' if tls else 'http'}://{host}:{self.peers.port}{passed.path}", encoded=True)
        try:
            async with session.post(
                url, data=passed.body, headers=passed.headers, ssl=tls or True, allow_redirects=False
            ) as answer:
                return f"{address} answers with status {answer.status}" if answer.status >= _REFUSED else ""
        except (ClientError, OSError, TimeoutError, ValueError) as error:
            return f"{address} does not answer: {type(error).__name__}"

    def _say(self, reason: str) -> None:
        """Say once that others are not told, until they are."""
        if not self._failing:
            log.warning("webhook.not_relayed", peers=self.peers, reason=reason)
        self._failing = True


def _tls(certificate: Path | None) -> ssl.SSLContext | None:
    """Trust who presents our own certificate, or one by the same authority, whatever its name: pods have none."""
    if certificate is None:
        return None
    context = ssl.create_default_context(cafile=str(certificate))
    context.check_hostname = False
    context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN
    return context
