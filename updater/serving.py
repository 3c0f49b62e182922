"""The part of the composition root that faces outwards: the servers, what they serve, and who is told of news."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from functools import partial
from pathlib import Path

from aiohttp.web import RouteDef

from updater.adapters.google_tokens import GoogleTokens
from updater.adapters.metrics.counting import Metrics
from updater.adapters.metrics.state import State
from updater.adapters.notifications import Destinations, HttpDestination, Word
from updater.adapters.secret_texts import SecretTexts
from updater.adapters.webhook_relay import WebhookRelay
from updater.domain.errors import UpdaterError
from updater.formats.gotemplate import Template
from updater.formats.notices import NoticeKind, cloud_event, json_body, slack_body, templated_body
from updater.formats.webhooks import WebhookType
from updater.pipeline import Companion, Pipeline
from updater.ports.cluster import Leadership
from updater.ports.tracing import UNTRACED, Tracing
from updater.settings.daemon import DEFAULT_TLS, Settings
from updater.settings.units import Listen
from updater.stages.notifier import Notifier
from updater.stages.overview import Overview, RecentWrites
from updater.stages.reporter import Reporter
from updater.web.api import api_routes
from updater.web.health import Health, Ping
from updater.web.metrics import metrics_routes
from updater.web.server import TlsFiles, WebServer
from updater.web.webhooks import PassOn, Webhooks, secret_option


def build_overview(pipeline: Pipeline, reporter: Reporter, now: Callable[[], datetime]) -> Overview:
    """Build what the API's lists are made of."""
    writes = RecentWrites(now)
    pipeline.board.subscribe(writes.notice)
    return Overview(reporter, pipeline.watcher.told, pipeline.poller, writes)


@dataclass
class Outside:
    """What the settings want served and told."""

    settings: Settings
    texts: SecretTexts
    pipeline: Pipeline
    leadership: Leadership
    metrics: Metrics
    overview: Overview
    now: Callable[[], datetime]
    tracing: Tracing = UNTRACED
    _told: Destinations = field(default_factory=Destinations)
    _notifier: Notifier = field(init=False)
    _webhooks: Webhooks | None = None
    """None: they are off."""

    def __post_init__(self) -> None:
        self._notifier = Notifier((self._told,), (), self.leadership, self.pipeline.board.fails, self.now)

    def companions(self, pings: Mapping[str, Ping]) -> list[Companion]:
        """Build all that runs beside the stages.

        Raises:
            Misconfigured: a certificate cannot be used.
        """
        self._watch()
        self._tell()
        return [self.metrics, self._told, *self._servers(pings)]

    def follow(self, settings: Settings) -> None:
        """Go on by other settings, as far as they can change while the daemon runs."""
        before, self.settings = self.settings, settings
        if settings.notifications != before.notifications:
            self._tell()
        if self._webhooks is not None and settings.webhooks != before.webhooks:
            self._webhooks.follow(
                self._secrets(),
                self._tokens(),
                require_secret=settings.webhooks.require_secret,
                rate_limit=settings.webhooks.rate_limit,
            )
            self._webhooks.say_what_is_on()

    def _watch(self) -> None:
        """Have metrics and notifications made of what happens."""
        pipeline, board = self.pipeline, self.pipeline.board
        state = State(
            tracked=pipeline.watcher.told,
            board=board,
            looks=pipeline.poller,
            leadership=self.leadership,
            queues=self._waiting,
            hosts=self.metrics.hosts,
        )
        self.metrics.owner = state.owner
        self.metrics.registry.register(state)
        board.subscribe(self.metrics.notice)
        board.subscribe(self._notifier.notice)

    def _waiting(self) -> dict[str, int]:
        notices = {f"notifications {name}": waiting for name, waiting in self._told.waiting().items()}
        return {**{name: waiting() for name, waiting in self.pipeline.queues.items()}, **notices}

    def _tell(self) -> None:
        self._told.follow(self._destinations())
        self._notifier.wanted = {NoticeKind(each) for each in self.settings.notifications.on}

    def _destinations(self) -> list[HttpDestination]:
        chosen = self.settings.notifications

        def destination(name: str, url: str, word: Word, content_type: str, proof: str = "") -> list[HttpDestination]:
            if not url:
                return []
            return [
                HttpDestination(
                    name=name,
                    url=self._reader(url),
                    word=word,
                    content_type=content_type,
                    authorization=self._reader(proof) if proof else None,
                    linger=chosen.linger,
                    measure=self.metrics.measure,
                )
            ]

        return [
            *destination("slack", chosen.slack_url, lambda batch: [slack_body(batch)], "application/json"),
            *destination(
                "webhook",
                chosen.webhook_url,
                _wording(chosen.webhook_template),
                chosen.webhook_content_type,
                chosen.webhook_authorization,
            ),
            *destination(
                "cloudevents",
                chosen.cloudevents_url,
                lambda batch: [cloud_event(notice) for notice in batch],
                "application/cloudevents+json",
            ),
        ]

    def _reader(self, spelled: str) -> Callable[[], Awaitable[str]]:
        return partial(self.texts.text, spelled)

    def _servers(self, pings: Mapping[str, Ping]) -> list[Companion]:
        web, chosen = self.settings.web, self.settings.webhooks
        routes = self._routes(pings)
        if not chosen.enabled:
            return _server("web", web.listen, routes, _tls("web", web.tls_cert, web.tls_key))
        tls = None if chosen.disable_tls else _tls("webhooks", chosen.tls_cert or _inherited(), chosen.tls_key)
        relays = [WebhookRelay(chosen.relay, tls.certificate if tls else None)] if chosen.relay else []
        webhooks = self._webhooks = self._door(relays[0].pass_on if relays else None)
        webhooks.say_what_is_on()
        if chosen.listen == web.listen:
            return [*relays, *_server("webhooks", chosen.listen, [*routes, *webhooks.routes()], tls)]
        return [
            *relays,
            *_server("web", web.listen, routes, _tls("web", web.tls_cert, web.tls_key)),
            *_server("webhooks", chosen.listen, webhooks.routes(), tls),
        ]

    def _routes(self, pings: Mapping[str, Ping]) -> list[RouteDef]:
        return [
            *Health({"daemon": self._goes_on, "cluster": self.pipeline.watcher.ping, **pings}).routes(),
            *metrics_routes(self.metrics.exposition),
            *api_routes(self.overview.reporter, self.overview, self._api_token),
        ]

    async def _api_token(self) -> str:
        return await self.texts.text(self.settings.web.api_token)

    async def _goes_on(self) -> None:
        if self.pipeline.stopping.is_set():
            raise UpdaterError("it is about to end")

    def _door(self, relay: PassOn | None) -> Webhooks:
        chosen = self.settings.webhooks
        return Webhooks(
            nudge=self.pipeline.poller.nudge,
            secrets=self._secrets(),
            read_secret=self.texts.text,
            require_secret=chosen.require_secret,
            tokens=self._tokens(),
            review=self.pipeline.rounds.nudge,
            rate_limit=chosen.rate_limit,
            relay=relay,
            stopping=self.pipeline.stopping.is_set,
            measure=self.metrics.measure,
            tracing=self.tracing,
        )

    def _secrets(self) -> Mapping[WebhookType, str]:
        return {kind: getattr(self.settings.webhooks, secret_option(kind)) for kind in WebhookType}

    def _tokens(self) -> GoogleTokens | None:
        chosen = self.settings.webhooks
        if not chosen.gar_audience:
            return None
        return GoogleTokens(chosen.gar_keys, chosen.gar_audience, chosen.gar_service_account)


def _wording(text: str) -> Word:
    if not text:
        return lambda batch: [json_body(batch)]
    template = Template.parse(text)
    return lambda batch: [templated_body(template, batch)]


def _server(section: str, listen: Listen, routes: Sequence[RouteDef], tls: TlsFiles | None) -> list[Companion]:
    return [WebServer(section, listen, routes, tls)] if listen else []


def _inherited() -> Path | None:
    certificate = DEFAULT_TLS / "tls.crt"
    return certificate if certificate.exists() else None


def _tls(section: str, certificate: Path | None, key: Path | None) -> TlsFiles | None:
    if certificate is None:
        return None
    files = TlsFiles(section, certificate, key or certificate.with_name("tls.key"))
    files.load()
    return files
