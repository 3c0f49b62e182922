"""The server on the network: routes that others give it, over TLS whose certificate may change at any time."""

import asyncio
import ssl
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import structlog
from aiohttp import web

from updater.domain.errors import Misconfigured
from updater.settings.units import Listen

log = structlog.get_logger()

_BETWEEN_LOOKS = 10.0
"""Seconds between two looks whether the certificate's files have changed."""
_BETWEEN_TRIES = 10.0
"""Seconds between two tries to have an address that is taken."""
_KEEPALIVE = 30.0
_SECONDS_TO_END = 2.0
_MOST_CONNECTIONS = 100
"""At once. Whoever opens more, and says nothing, may not keep registries and Git servers from being reached."""
_HANDSHAKE_SECONDS = 10.0

_Stamp = tuple[tuple[int, int, int], ...]


@dataclass
class TlsFiles:
    """A certificate chain and its private key; a new pair counts from the next connection on."""

    section: str
    """Of the settings that name them, for messages."""
    certificate: Path
    key: Path
    context: ssl.SSLContext = field(default_factory=lambda: ssl.create_default_context(ssl.Purpose.CLIENT_AUTH))
    _stamp: _Stamp = ()

    def load(self) -> None:
        """Read the files for the first time.

        Raises:
            Misconfigured: they cannot be used.
        """
        try:
            self._stamp = self._stamped()
            self.context.load_cert_chain(self.certificate, self.key, password="")
        except (OSError, ValueError) as error:
            raise Misconfigured(
                f"{self.section}.tls_cert {self.certificate} and {self.section}.tls_key {self.key} cannot be used: "
                f"{error}; name a certificate and its key in PEM",
            ) from None

    def reload_if_changed(self) -> None:
        """Use the files as they are now; those that do not fit together are tried again when they change once more."""
        try:
            stamp = self._stamped()
            if stamp == self._stamp:
                return
            self._stamp = stamp
            ssl.create_default_context(ssl.Purpose.CLIENT_AUTH).load_cert_chain(self.certificate, self.key, password="")
            self.context.load_cert_chain(self.certificate, self.key, password="")
        except (OSError, ValueError) as error:
            log.warning("web.certificate_kept", certificate=str(self.certificate), reason=str(error))
        else:
            log.info("web.certificate_loaded", certificate=str(self.certificate))

    def _stamped(self) -> _Stamp:
        found = (self.certificate.stat(), self.key.stat())
        return tuple((each.st_mtime_ns, each.st_ino, each.st_size) for each in found)


class _Site(web.BaseSite):
    """Where the server listens, for no more connections than it can have: the oldest makes room."""

    def __init__(self, runner: web.AppRunner, listen: Listen, context: ssl.SSLContext | None) -> None:
        super().__init__(runner, ssl_context=context)
        self._listen = listen
        self._handlers = runner.server

    @property
    def name(self) -> str:
        return self._listen

    async def start(self) -> None:
        await super().start()
        self._server = await asyncio.get_running_loop().create_server(
            self._admitted,
            self._listen.host,
            self._listen.port,
            ssl=self._ssl_context,
            ssl_handshake_timeout=_HANDSHAKE_SECONDS if self._ssl_context else None,
        )

    def _admitted(self) -> asyncio.Protocol:
        assert self._handlers is not None  # noqa: S101 - the runner is set up
        connected = [each for each in self._handlers.connections if each.transport is not None]
        if len(connected) >= _MOST_CONNECTIONS:
            connected[0].force_close()
        return self._handlers()


@dataclass
class WebServer:
    """Serves as long as it runs; an address that is taken stops nothing else, and is tried again."""

    section: str
    """Of the settings that say where it listens, for messages."""
    listen: Listen
    routes: Sequence[web.RouteDef]
    tls: TlsFiles | None = None
    addresses: list[tuple[str, int]] = field(default_factory=list)
    """Where it listens now."""

    async def run(self) -> None:
        while True:
            runner = web.AppRunner(
                self._app(),
                access_log=None,
                handle_signals=False,
                keepalive_timeout=_KEEPALIVE,
                shutdown_timeout=_SECONDS_TO_END,
                auto_decompress=False,
            )
            await runner.setup()
            try:
                await self._serve(runner)
            except (OSError, UnicodeError) as error:
                log.error("web.unavailable", listen=self.listen, reason=f"{error}: set {self.section}.listen")  # noqa: TRY400
            finally:
                self.addresses = []
                await runner.cleanup()
            await asyncio.sleep(_BETWEEN_TRIES)

    def _app(self) -> web.Application:
        app = web.Application()
        app.add_routes(self.routes)
        return app

    async def _serve(self, runner: web.AppRunner) -> None:
        context = self.tls.context if self.tls else None
        await _Site(runner, self.listen, context).start()
        self.addresses = [(address[0], address[1]) for address in runner.addresses]
        listening = [f"[{host}]:{port}" if ":" in host else f"{host}:{port}" for host, port in self.addresses]
        log.info("web.listening", section=self.section, addresses=listening, tls=bool(self.tls))
        while True:
            await asyncio.sleep(_BETWEEN_LOOKS)
            if self.tls:
                await asyncio.to_thread(self.tls.reload_if_changed)
