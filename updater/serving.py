"""The part of the composition root that faces the network: the server, and what it serves."""

from collections.abc import Sequence
from pathlib import Path
from typing import Protocol

from aiohttp.web import RouteDef

from updater.adapters.google_tokens import GoogleTokens
from updater.adapters.secret_texts import SecretTexts
from updater.formats.webhooks import WebhookType
from updater.pipeline import Companion, Pipeline
from updater.ports import Secrets
from updater.settings.daemon import DEFAULT_TLS, Settings
from updater.settings.units import Listen
from updater.web.health import Health
from updater.web.server import TlsFiles, WebServer
from updater.web.webhooks import Webhooks, secret_option


class Pinged(Protocol):
    """A dependency that can tell whether it can be used."""

    async def ping(self) -> None: ...


def build_server(
    settings: Settings,
    secrets: Secrets,
    pipeline: Pipeline,
    registry: Pinged,
    store: Pinged,
) -> list[Companion]:
    """Build what the settings want served; nothing when that is nothing.

    Raises:
        Misconfigured: the certificate cannot be used.
    """
    web, chosen = settings.web, settings.webhooks
    health = Health({"cluster": pipeline.watcher.ping, "store": store.ping, "registries": registry.ping})
    routes = health.routes()
    if not chosen.enabled:
        return _server("web", web.listen, routes, _tls("web", web.tls_cert, web.tls_key))
    webhooks = _webhooks(settings, SecretTexts(secrets), pipeline)
    webhooks.say_what_is_on()
    tls = None if chosen.disable_tls else _tls("webhooks", chosen.tls_cert or _inherited(), chosen.tls_key)
    if chosen.listen == web.listen:
        return _server("webhooks", chosen.listen, [*routes, *webhooks.routes()], tls)
    return [
        *_server("web", web.listen, routes, _tls("web", web.tls_cert, web.tls_key)),
        *_server("webhooks", chosen.listen, webhooks.routes(), tls),
    ]


def _server(section: str, listen: Listen, routes: Sequence[RouteDef], tls: TlsFiles | None) -> list[Companion]:
    return [WebServer(section, listen, routes, tls)] if listen else []


def _webhooks(settings: Settings, texts: SecretTexts, pipeline: Pipeline) -> Webhooks:
    chosen = settings.webhooks
    tokens = None
    if chosen.gar_audience:
        tokens = GoogleTokens(chosen.gar_keys, chosen.gar_audience, chosen.gar_service_account)
    return Webhooks(
        nudge=pipeline.poller.nudge,
        secrets={kind: getattr(chosen, secret_option(kind)) for kind in WebhookType},
        read_secret=texts.text,
        require_secret=chosen.require_secret,
        tokens=tokens,
        rate_limit=chosen.rate_limit,
    )


def _inherited() -> Path | None:
    certificate = DEFAULT_TLS / "tls.crt"
    return certificate if certificate.exists() else None


def _tls(section: str, certificate: Path | None, key: Path | None) -> TlsFiles | None:
    if certificate is None:
        return None
    files = TlsFiles(section, certificate, key or certificate.with_name("tls.key"))
    files.load()
    return files
