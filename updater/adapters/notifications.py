"""Send notices over HTTP: in batches, again when that fails, and in the end not at all rather than late for ever."""

import asyncio
import random
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field

import structlog
from aiohttp import ClientError, ClientSession, ClientTimeout, DummyCookieJar
from yarl import URL

from updater import __version__
from updater.adapters.proxies import environment_proxy
from updater.domain.errors import Misconfigured, UpdaterError
from updater.domain.measurements import Measure, NotificationEnded, unmeasured
from updater.formats.gotemplate import TemplateError
from updater.formats.notices import Notice

log = structlog.get_logger()

_MOST_WAITING = 1000
_LARGEST_BATCH = 100
_PATIENCE = ClientTimeout(total=10)
_LONGEST_PAUSE = 60.0
_SECONDS_TO_END = 3.0
_TOO_MANY = 429
_SERVER_ERROR = 500
_REDIRECTION = 300
_JSON = "application/json"


class _TryAgain(Exception):
    """It may succeed later."""

    def __init__(self, reason: str, after: float | None = None) -> None:
        super().__init__(reason)
        self.after = after


class _Refused(Exception):
    """It will not succeed by being repeated."""


Word = Callable[[Sequence[Notice]], Sequence[bytes]]
"""Words a batch as the bodies of one or more requests."""


@dataclass(eq=False)
class HttpDestination:
    """One address that wants to be told."""

    name: str
    """Of the setting, without `notifications.` and `_url`."""
    url: Callable[[], Awaitable[str]]
    """Reads the address, which is often secret as a whole."""
    word: Word
    content_type: str = _JSON
    authorization: Callable[[], Awaitable[str]] | None = None
    linger: float = 5.0
    """Seconds in which notices gather to one batch."""
    tries: int = 6
    first_pause: float = 1.0
    measure: Measure = unmeasured
    _waiting: asyncio.Queue[Notice] = field(default_factory=lambda: asyncio.Queue(_MOST_WAITING))
    _batch: list[Notice] = field(default_factory=list)
    """What is about to be sent."""
    _dropped: int = 0
    """Since that was said last."""

    def put(self, notice: Notice) -> None:
        try:
            self._waiting.put_nowait(notice)
        except asyncio.QueueFull:
            if not self._dropped:
                log.warning("notifications.dropping", destination=self.name, waiting=_MOST_WAITING)
            self._dropped += 1
            self.measure(NotificationEnded(self.name, "dropped"))

    def waiting(self) -> int:
        return self._waiting.qsize()

    def follow(self, other: "HttpDestination") -> None:
        """Go on as another one would; so is told what waits, or is about to be tried again."""
        self.url, self.authorization = other.url, other.authorization
        self.word, self.content_type, self.linger = other.word, other.content_type, other.linger

    async def run(self) -> None:
        """Send until cancelled; what waits then is tried once more, without patience."""
        async with ClientSession(
            timeout=_PATIENCE,
            cookie_jar=DummyCookieJar(),
            headers={"User-Agent": f"updater/{__version__}"},
        ) as session:
            try:
                while True:
                    self._batch.append(await self._waiting.get())
                    await asyncio.sleep(self.linger)
                    self._gather()
                    await self._send(session, self._batch, self.tries)
                    self._batch = []
            finally:
                self._gather()
                await self._send_last(session)

    def _gather(self) -> None:
        while len(self._batch) < _LARGEST_BATCH and not self._waiting.empty():
            self._batch.append(self._waiting.get_nowait())

    async def _send_last(self, session: ClientSession) -> None:
        try:
            async with asyncio.timeout(_SECONDS_TO_END):
                if self._batch:
                    await self._send(session, self._batch, tries=1)
        except TimeoutError:
            log.warning("notifications.failed", destination=self.name, notices=len(self._batch), reason="the end came")

    async def _send(self, session: ClientSession, batch: list[Notice], tries: int) -> None:
        """Send a batch, with all its tries; what cannot be sent is said and dropped."""
        try:
            for body in self.word(batch):
                await self._send_body(session, body, tries)
        except (_Refused, _TryAgain, TemplateError, UpdaterError) as error:
            log.warning("notifications.failed", destination=self.name, notices=len(batch), reason=str(error))
            self.measure(NotificationEnded(self.name, "failed", len(batch)))
            return
        except Exception:
            log.exception("notifications.crashed", destination=self.name, notices=len(batch))
            self.measure(NotificationEnded(self.name, "failed", len(batch)))
            return
        log.info("notifications.sent", destination=self.name, notices=len(batch), dropped=self._dropped)
        self._dropped = 0
        self.measure(NotificationEnded(self.name, "sent", len(batch)))

    async def _send_body(self, session: ClientSession, body: bytes, tries: int) -> None:
        for attempt in range(1, tries + 1):
            try:
                await self._post(session, body)
            except _TryAgain as error:
                if attempt == tries:
                    raise
                pause = error.after if error.after is not None else self.first_pause * 2.0 ** (attempt - 1)
                log.info("notifications.put_off", destination=self.name, reason=str(error), seconds=round(pause, 1))
                await asyncio.sleep(min(pause, _LONGEST_PAUSE) * random.uniform(0.8, 1.2))  # noqa: S311 - jitter
            else:
                return

    async def _post(self, session: ClientSession, body: bytes) -> None:
        url = _address(await self.url(), self.name)
        headers = {"Content-Type": self.content_type, **await self._proof()}
        try:
            async with session.post(
                url, data=body, headers=headers, proxy=environment_proxy(url), allow_redirects=False
            ) as answer:
                status, after = answer.status, answer.headers.get("Retry-After", "")
        except TimeoutError:
            raise _TryAgain("does not answer in time") from None
        except (ClientError, OSError) as error:
            # The error's own text may hold the address, which is secret.
            raise _TryAgain(f"cannot be reached: {type(error).__name__}") from None
        if status == _TOO_MANY or status >= _SERVER_ERROR:
            raise _TryAgain(f"answers with status {status}", float(after) if after.isdecimal() else None)
        if status >= _REDIRECTION:
            raise _Refused(f"answers with status {status}: check notifications.{self.name}_url, and what it expects")

    async def _proof(self) -> Mapping[str, str]:
        return {"Authorization": await self.authorization()} if self.authorization else {}


@dataclass
class Destinations:
    """All who are told at present."""

    _told: tuple[HttpDestination, ...] = ()
    _changed: asyncio.Event = field(default_factory=asyncio.Event)

    def put(self, notice: Notice) -> None:
        for each in self._told:
            each.put(notice)

    def waiting(self) -> dict[str, int]:
        """Return how much waits, by the name of who is to be told."""
        return {each.name: each.waiting() for each in self._told}

    def follow(self, wanted: Sequence[HttpDestination]) -> None:
        """Tell these: of a known name one goes on by it, others begin, and who is not wanted any more ends."""
        known = {each.name: each for each in self._told}
        for each in wanted:
            known.setdefault(each.name, each).follow(each)
        self._told = tuple(known[each.name] for each in wanted)
        self._changed.set()

    async def run(self) -> None:
        running: dict[HttpDestination, asyncio.Task[None]] = {}
        async with asyncio.TaskGroup() as tasks:
            while True:
                self._changed.clear()
                told = self._told
                for gone in running.keys() - {*told}:
                    running.pop(gone).cancel()
                for each in told:
                    if each not in running:
                        running[each] = tasks.create_task(each.run(), name=f"notifications {each.name}")
                await self._changed.wait()


def _address(text: str, name: str) -> URL:
    try:
        url = URL(text)
        usable = url.scheme in ("http", "https") and bool(url.host)
    except ValueError:
        usable = False
    if not usable:
        raise Misconfigured(f"notifications.{name}_url is no address: write https://…, or where one is to be read")
    return url
