"""Webhooks in: whoever can prove that he knows his type's secret makes the repositories that he names due now.

Nothing of a webhook is believed but that it is worth a look. What comes in is bounded in size, time and number, and the
same webhook again within a few minutes is acknowledged without another look.
"""

import asyncio
import math
import time
from collections.abc import Awaitable, Callable, Collection, Mapping
from dataclasses import dataclass, field
from hashlib import sha256
from typing import Protocol

import structlog
from aiohttp import web

from updater.domain.errors import UpdaterError
from updater.domain.image import Repository
from updater.domain.measurements import Measure, WebhookAnswered, unmeasured
from updater.formats.forge_webhooks import ReviewNudge
from updater.formats.webhook_events import BadWebhook
from updater.formats.webhooks import Nudges, WebhookType, is_authentic, read_webhook
from updater.ports.tracing import UNTRACED, Tracing

log = structlog.get_logger()

LARGEST_BODY = 1024 * 1024
_BODY_SECONDS = 10.0
_BURST = 10
_HOUR = 3600.0
_REMEMBERED = 300.0
"""Seconds in which the same body is a repetition."""
_REMEMBERED_WITHOUT_TIME = 10.0
"""For types whose body has neither time nor number: a second push of a tag looks as the first one does."""
_TIMELESS = frozenset({WebhookType.QUAY})
_MOST_REMEMBERED = 10_000
_BETWEEN_WARNINGS = 60.0
"""Seconds between two warnings of the same kind: whoever is refused may come again and again."""


class TokenCheck(Protocol):
    """Knows who signs for Pub/Sub."""

    async def is_valid(self, token: str) -> bool: ...


RELAYED = "X-Updater-Relayed"
"""The mark of a webhook that another replica passed on."""
_OF_THE_CONNECTION = frozenset(
    {"host", "connection", "keep-alive", "content-length", "transfer-encoding", "expect", "te", "trailer", "upgrade"},
)

PassOn = Callable[[str, Mapping[str, str], bytes], None]
"""Takes path, headers and body of a webhook for other replicas, at once."""
ReadSecret = Callable[[str], Awaitable[str]]
"""Returns the text that a setting refers to."""


class Refused(Exception):
    """An answer other than `received`."""

    def __init__(self, status: int, text: str, headers: Mapping[str, str] | None = None) -> None:
        super().__init__(text)
        self.status = status
        self.text = text
        self.headers = headers


@dataclass
class Bucket:
    """How many webhooks an hour are acted on."""

    per_hour: int
    clock: Callable[[], float]
    _full_at: float = -math.inf
    """When the burst is whole again."""

    def take(self) -> float:
        """Take one; return the seconds to wait when there is none left."""
        if not self.per_hour:
            return 0
        now, each = self.clock(), _HOUR / self.per_hour
        full_at = max(self._full_at, now) + each
        wait = full_at - now - each * _BURST
        if wait > 0:
            return wait
        self._full_at = full_at
        return 0


@dataclass
class Repetitions:
    """Remembers for a while what was received."""

    clock: Callable[[], float]
    _until: dict[bytes, float] = field(default_factory=dict)

    def holds(self, digest: bytes) -> bool:
        return self._until.get(digest, -math.inf) > self.clock()

    def remember(self, digest: bytes, seconds: float) -> None:
        """Keep it for a time; when there are too many, the oldest goes."""
        now = self.clock()
        self._until.pop(digest, None)
        if len(self._until) >= _MOST_REMEMBERED:
            self._until = {each: until for each, until in self._until.items() if until > now}
        while len(self._until) >= _MOST_REMEMBERED:
            del self._until[next(iter(self._until))]
        self._until[digest] = now + seconds


@dataclass
class Webhooks:
    """Answers `/webhook?type=<type>` and `/webhook/<type>` as Argo CD Image Updater does, and more precisely."""

    nudge: Callable[[Repository, str], int]
    """Makes a repository due now; returns for how many polls."""
    secrets: Mapping[WebhookType, str]
    """As the settings spell them."""
    read_secret: ReadSecret
    require_secret: bool = True
    tokens: TokenCheck | None = None
    """Of Google; None: they are not understood."""
    review: Callable[[Collection[str]], int] = lambda _: 0
    """Has the pull requests of a Git repository looked at, by its addresses; returns how many wait there."""
    rate_limit: int = 0
    stopping: Callable[[], bool] = lambda: False
    """Tells that nothing is looked at any more."""
    relay: PassOn | None = None
    """None: there are no other replicas."""
    clock: Callable[[], float] = time.monotonic
    measure: Measure = unmeasured
    tracing: Tracing = UNTRACED
    _bucket: Bucket = field(init=False)
    _repetitions: Repetitions = field(init=False)
    _warned: dict[tuple[str, str], float] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self._bucket = Bucket(self.rate_limit, self.clock)
        self._repetitions = Repetitions(self.clock)

    def follow(
        self, secrets: Mapping[WebhookType, str], tokens: TokenCheck | None, *, require_secret: bool, rate_limit: int
    ) -> None:
        """Let in by other settings from now on; a new rate begins with a whole burst."""
        if rate_limit != self.rate_limit:
            self._bucket = Bucket(rate_limit, self.clock)
        self.secrets, self.tokens = secrets, tokens
        self.require_secret, self.rate_limit = require_secret, rate_limit

    def routes(self) -> list[web.RouteDef]:
        return [web.post("/webhook", self.receive), web.post("/webhook/{type}", self.receive)]

    def say_what_is_on(self) -> None:
        accepted = sorted(str(kind) for kind in WebhookType if self._is_on(kind))
        log.info("webhooks.enabled", types=accepted, off=sorted({*map(str, WebhookType)} - {*accepted}))
        if not self.require_secret:
            log.warning(
                "webhooks.open",
                types=sorted(str(kind) for kind in WebhookType if not self._has_proof(kind)),
                reason="webhooks.require_secret is false: whoever reaches this server can have registries asked",
            )

    async def receive(self, request: web.Request) -> web.Response:
        spelled = request.match_info.get("type") or request.query.get("type") or request.headers.get("X-Registry-Type")
        try:
            await self._receive(request, spelled or "")
        except Refused as refused:
            self._warn(request, (spelled or "")[:40], refused)
            self._count(spelled or "", refused.status)
            body = f"{refused.text}\n".encode("utf-8", "backslashreplace")
            return web.Response(status=refused.status, body=body, content_type="text/plain", headers=refused.headers)
        self._count(spelled or "", 200)
        return web.Response(text="Webhook received and processing")

    def _count(self, spelled: str, status: int) -> None:
        kind = spelled.strip().lower()
        self.measure(WebhookAnswered(kind if kind in {*WebhookType} else "", status))

    async def _receive(self, request: web.Request, spelled: str) -> None:
        if self.stopping():
            raise Refused(503, "the updater is about to end", {"Retry-After": "30"})
        kind = self._kind(spelled)
        body = await _read(request)
        headers = {name.lower(): value for name, value in request.headers.items()}
        if not await self._is_let_in(kind, body, headers, request.query):
            raise Refused(401, f"the secret of {kind} is missing or another one: docs/webhooks.md says how it is sent")
        try:
            nudges = read_webhook(kind, body, headers, request.query)
        except BadWebhook as error:
            raise Refused(400, f"{kind}: {error}") from None
        if not nudges:
            return
        digest = sha256(
            f"{kind} {request.query.get('registry_url', '')}\n".encode("utf-8", "backslashreplace") + body
        ).digest()
        if self._repetitions.holds(digest):
            log.info("webhook.repeated", type=str(kind), remote=request.remote)
            return
        self._take_turn(kind)
        self._repetitions.remember(digest, _REMEMBERED_WITHOUT_TIME if kind in _TIMELESS else _REMEMBERED)
        with self.tracing.span("webhook.received", type=str(kind)):
            self._act(kind, nudges, request.remote)
        if self.relay is not None and RELAYED not in request.headers:
            kept = {name: value for name, value in headers.items() if name not in _OF_THE_CONNECTION}
            self.relay(request.path_qs, {**kept, RELAYED: "1"}, body)

    def _kind(self, spelled: str) -> WebhookType:
        try:
            kind = WebhookType(spelled.strip().lower())
        except ValueError:
            known = ", ".join(WebhookType)
            raise Refused(400, f"type {spelled[:40]!r} is none: post to /webhook/<type>, one of {known}") from None
        if not self._is_on(kind):
            raise Refused(400, f"type {kind} is off: set its secret, webhooks.{secret_option(kind)}")
        return kind

    def _is_on(self, kind: WebhookType) -> bool:
        return self._has_proof(kind) or not self.require_secret

    def _has_proof(self, kind: WebhookType) -> bool:
        return bool(self.secrets.get(kind)) or (kind is WebhookType.GOOGLE and self.tokens is not None)

    async def _is_let_in(
        self,
        kind: WebhookType,
        body: bytes,
        headers: Mapping[str, str],
        query: Mapping[str, str],
    ) -> bool:
        if not self._has_proof(kind):
            return not self.require_secret
        try:
            secret = await self.read_secret(self.secrets[kind]) if self.secrets.get(kind) else ""
            if secret and is_authentic(kind, secret, body, headers, query):
                return True
            if kind is WebhookType.GOOGLE and self.tokens is not None:
                scheme, _, token = headers.get("authorization", "").partition(" ")
                return scheme.lower() == "bearer" and await self.tokens.is_valid(token.strip())
        except UpdaterError as error:
            log.warning("webhook.uncheckable", type=str(kind), reason=str(error))
            raise Refused(503, f"{kind}: what proves the sender cannot be read now", {"Retry-After": "30"}) from None
        return False

    def _take_turn(self, kind: WebhookType) -> None:
        wait = self._bucket.take()
        if wait:
            seconds = {"Retry-After": str(math.ceil(wait))}
            raise Refused(429, f"{kind}: more than {self.rate_limit} webhooks in an hour; come again later", seconds)

    def _act(self, kind: WebhookType, nudges: Nudges, remote: str | None) -> None:
        for nudge in nudges:
            if isinstance(nudge, ReviewNudge):
                waiting = self.review(nudge.urls)
                log.info("webhook.reviewed", type=str(kind), remote=remote, repository=nudge.urls[0], waiting=waiting)
                continue
            polls = self.nudge(nudge.repository, nudge.tag)
            log.info(
                "webhook.received",
                type=str(kind),
                remote=remote,
                image=str(nudge.repository),
                tag=nudge.tag,
                polls=polls,
            )

    def _warn(self, request: web.Request, spelled: str, refused: Refused) -> None:
        """Say a refusal once a minute for each type and status."""
        now, key = self.clock(), (spelled if spelled in {*WebhookType} else "", str(refused.status))
        if self._warned.get(key, -math.inf) <= now:
            self._warned[key] = now + _BETWEEN_WARNINGS
            log.warning(
                "webhook.refused", type=spelled, remote=request.remote, status=refused.status, reason=refused.text
            )


def secret_option(kind: WebhookType) -> str:
    """Name the setting that holds a type's secret; AIU's words where it has them."""
    return f"{str(kind).removesuffix('.io').replace('-', '_')}_secret"


async def _read(request: web.Request) -> bytes:
    """Read a body in bounded time and memory."""
    body = bytearray()
    try:
        async with asyncio.timeout(_BODY_SECONDS):
            async for chunk in request.content.iter_any():
                body += chunk
                if len(body) > LARGEST_BODY:
                    raise Refused(413, f"the body has more than {LARGEST_BODY} bytes")
    except (web.RequestPayloadError, ConnectionError) as error:
        raise Refused(400, f"the body broke off: {type(error).__name__}") from None
    except TimeoutError:
        raise Refused(408, f"the body did not come within {_BODY_SECONDS:g} s") from None
    return bytes(body)
