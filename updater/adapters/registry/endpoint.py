"""One registry as it is configured: every request to it passes the same pace, breaker and authentication.

Texts of errors go on from the registry's name; who asked adds that.
"""

import asyncio
from collections.abc import Callable, Mapping
from datetime import datetime

import structlog
from yarl import URL

from updater.adapters.registry.auth import Access, Authenticator
from updater.adapters.registry.breaker import CircuitBreaker, NoAnswer
from updater.adapters.registry.credentials import Credentials, Sources
from updater.adapters.registry.http import Answer, Transport
from updater.adapters.registry.limiter import Limiter, Pace, Paces
from updater.domain.errors import RegistryError, RegistryThrottled
from updater.domain.image import Repository
from updater.domain.measurements import Measure, RequestEnded, unmeasured
from updater.domain.secrets import CredentialSource
from updater.formats.http_headers import allowance, retry_after
from updater.settings.registries import RegistrySettings

log = structlog.get_logger()

_TOKEN_BYTES = 2**20
_THROTTLED = 429
_UNAVAILABLE = 503
_DOWN = (502, 503, 504)
"""What stands in front of a registry says that nobody answers behind it."""


class Endpoint:
    """Asks one registry."""

    def __init__(
        self,
        settings: RegistrySettings,
        sources: Sources,
        now: Callable[[], datetime],
        measure: Measure = unmeasured,
        paces: Paces | None = None,
    ) -> None:
        """Prepare to ask it.

        Raises:
            Misconfigured: its certificates cannot be used.
        """
        self.settings = settings
        self.page_size: int | None = None
        """What the registry was found to accept in place of the usual; 0: none at all."""
        self._base = URL(settings.api_url)
        self._now = now
        self._measure = measure
        self._transport = Transport(settings)
        self.paces = paces or Paces(settings.limit, settings.burst)
        """Shared with the other entries of the same server."""
        self._tokens = Limiter(settings.limit, settings.burst)
        """Of the token service; it is asked rarely, and only left alone when it says so."""
        self._breaker = CircuitBreaker(settings.name)
        self._slots = asyncio.Semaphore(settings.concurrency)
        self._credentials = Credentials(settings, sources)
        self._authenticator = Authenticator(self._credentials, self._ask_token_service, self._transport.allows)

    def access(self, repository: Repository, asked: CredentialSource | None, *, awaited: bool = False) -> Access:
        """Say how a repository is called here, and as whom it is read; `asked` are the image's own credentials."""
        name = self.settings.api_name(repository)
        return Access(repository, name, self._credentials.choose(asked, repository), awaited)

    def url(self, path: str) -> URL:
        """Return the address of a path of the API, such as `v2/team/app/tags/list`."""
        return URL(f"{self.settings.api_url}/{path}", encoded=True)

    def is_own(self, url: URL) -> bool:
        return url.origin() == self._base.origin()

    async def ask(self, method: str, url: URL, access: Access, headers: Mapping[str, str], limit: int) -> Answer:
        """Ask the registry, authenticated; whatever its status, unless that says to come again another time.

        Raises:
            RegistryError: in any of its kinds.
            Misconfigured: the credentials cannot be used.
        """

        async def ask(authorization: str) -> Answer:
            added = {"Authorization": authorization} if authorization else {}
            answer = await self._send(method, url, {**headers, **added}, limit, access)
            if answer.status in (401, 403) and not self.is_own(answer.url):
                raise RegistryError(f"redirects to {answer.url.host}, which refuses us (status {answer.status})")
            return answer

        if not self.is_own(url):
            return await ask("")
        return await self._authenticator.authorized(access, ask)

    async def ask_unasked(self, url: URL, access: Access, limit: int, *, login: bool) -> Answer:
        """Ask an API beside the registry's own, which does not say how it wants to be asked; whatever its status.

        Raises:
            RegistryError: in any of its kinds.
        """
        authorization = await self._authenticator.basic(access) if login and self.is_own(url) else ""
        headers = {"Authorization": authorization} if authorization else {}
        return await self._send("GET", url, headers, limit, access)

    @property
    def answers(self) -> bool:
        """False while it is left alone because it fails again and again."""
        return not self._breaker.is_open

    async def turn(self, access: Access) -> None:
        """Wait until somebody may ask once more, to ask at another place than the registry.

        Raises:
            RegistryThrottled: the registry asked to be left alone for now.
        """
        await self._pace(access).limiter.turn(awaited=access.awaited)

    async def close(self) -> None:
        await self._transport.close()

    def _pace(self, access: Access) -> Pace:
        return self.paces.of(access.source)

    async def _send(self, method: str, url: URL, headers: Mapping[str, str], limit: int, access: Access) -> Answer:
        pace = self._pace(access)
        is_manifest = "/manifests/" in url.path
        if is_manifest and method == "GET":
            pace.pulls.spend()
        waited = await self._waited(access)
        outcome = "left-alone"
        try:
            async with self._slots, self._breaker.request():
                outcome = "no-answer"
                answer = await self._transport.send(method, url, headers, limit)
                outcome = "throttled" if answer.status == _THROTTLED else f"{answer.status // 100}xx"
                self._raise_if_throttled(answer, pace.limiter)
                if answer.status in _DOWN:
                    raise NoAnswer(f"is down, says what stands in front of it (status {answer.status})")
        finally:
            self._measure(RequestEnded(self.settings.name, outcome, waited))
        pace.limiter.succeeded()
        said = allowance(answer.headers, self._now())
        if said is not None and said.window and is_manifest:
            pace.pulls.heard(said)
        elif said is not None:
            pace.limiter.heard(said)
        return answer

    async def _waited(self, access: Access) -> float:
        """Wait for one's turn; return how many seconds that took."""
        loop = asyncio.get_running_loop()
        begun = loop.time()
        await self.turn(access)
        return loop.time() - begun

    def _raise_if_throttled(self, answer: Answer, limiter: Limiter) -> None:
        header = answer.headers.get("Retry-After", "")
        if answer.status == _THROTTLED or (answer.status == _UNAVAILABLE and header):
            asked = retry_after(header, self._now())
            pause = limiter.throttled(asked)
            log.warning("registry.throttled", registry=self.settings.name, retry_after=asked, seconds=pause)
            raise RegistryThrottled(
                f"asks for fewer requests (status {answer.status})", None if asked is None else pause
            )

    async def _ask_token_service(self, url: URL, headers: Mapping[str, str], form: Mapping[str, str] | None) -> Answer:
        await self._tokens.turn()
        async with self._slots:
            if form is not None:
                answer = await self._transport.post(url, form, _TOKEN_BYTES)
            else:
                answer = await self._transport.send("GET", url, headers, _TOKEN_BYTES)
        self._raise_if_throttled(answer, self._tokens)
        return answer
