"""What is said to git-receive-pack (gitprotocol-pack), and what its report means."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass

import structlog

from updater.adapters.git.knowledge import Knowledge, Known
from updater.adapters.git.protocol import AGENT, Greeting, Receiving, read_greeting
from updater.adapters.git.transport import Conversation, CutShort, Lines, ServerRefused, Transport
from updater.domain.errors import GitAuthError, GitError, PushRefused, PushStale
from updater.formats.packs import Sent, write_pack
from updater.formats.pktline import Marker, decode, encode, text

log = structlog.get_logger()

NO_COMMIT = "0" * 40
"""Where a branch is that does not exist."""
_LARGEST_REPORT = 2**20

_STALE = (
    "fetch first",
    "non-fast-forward",
    "stale info",
    "cannot lock ref",
    "failed to update ref",
    "incorrect old value",
    "reference already exists",
)
_IN_THE_WAY = "; cannot create "
"""Said of a branch whose name begins with that of another: time will not change it."""
_MOST_WORDS = 2_000


class UnpackFailed(GitError):
    """The server could not make objects of what was sent; nothing has changed."""


@dataclass(frozen=True, slots=True)
class Push:
    """One commit on its way to a ref that is where it was seen."""

    transport: Transport
    knowledge: Knowledge
    known: Known
    ref: str
    old: str
    """Empty: there is no such ref."""
    new: str
    """Empty: the ref is to be deleted."""
    objects: Sequence[Sent]

    async def send(self, *, ask_before: bool) -> None:
        """Push; once more with whole objects, when the server cannot make anything of deltas.

        Args:
            ask_before: ask what the server can take also when that is known, as the letter of the protocol wants.
        """
        try:
            await self._send(ask_before, whole=not self.known.thin)
        except UnpackFailed as error:
            if not self.known.thin:
                raise
            log.info("git.delta_refused", repository=self.transport.place, reason=str(error))
            await self._send(ask_before, whole=True)
            self.known.thin = False

    async def _send(self, ask_before: bool, *, whole: bool) -> None:  # noqa: FBT001 - as it was told
        async with self.transport.open("git-receive-pack") as conversation:
            able = self.known.receiving
            if conversation.greets or ask_before or able is None:
                able = await self._listen(conversation)
            request = push_request(self.ref, self.old or NO_COMMIT, self.new or NO_COMMIT, able)
            if self.new:
                made = [Sent(each.whole) if whole or not able.thin else each for each in self.objects]
                request += await asyncio.to_thread(write_pack, made)
            try:
                async with conversation.ask(request, _LARGEST_REPORT) as lines:
                    await read_report(lines, self.transport.place, self.ref, able)
            except (GitAuthError, PushStale, PushRefused, UnpackFailed):
                raise
            except GitError:
                self.known.receiving = None
                raise

    async def _listen(self, conversation: Conversation) -> Receiving:
        """Hear what the server can take, and whether the branch is still where it was."""
        async with conversation.greeting() as lines:
            greeting = await read_greeting(lines, self.transport.place)
        able = self.known.receiving = receiving(greeting, self.transport.place)
        self.knowledge.learned(self.transport.host, self.known)
        if greeting.refs.get(self.ref, "") != self.old:
            raise PushStale(f"{self.transport.place}: somebody else moved {self.ref}")
        return able


def receiving(greeting: Greeting, place: str) -> Receiving:
    """Tell what git-receive-pack can do.

    Raises:
        GitError: it does not say what becomes of a push.
    """
    known = greeting.capabilities
    if "report-status" not in known:
        raise GitError(f"{place} does not report what becomes of a push, so that it cannot be written to")
    return Receiving("side-band-64k" in known, "no-thin" not in known, "quiet" in known, "object-format" in known)


def push_request(ref: str, old: str, new: str, able: Receiving) -> bytes:
    """Ask to move a ref, if it is where it was seen; the pack follows."""
    capabilities = ["report-status", AGENT]
    capabilities += ["side-band-64k"] if able.side_band else []
    capabilities += ["quiet"] if able.quiet else []
    capabilities += ["object-format=sha1"] if able.object_format else []
    return encode([f"{old} {new} {ref}\0 {' '.join(capabilities)}".encode(), Marker.FLUSH])


async def read_report(lines: Lines, place: str, ref: str, able: Receiving) -> None:
    """Read what became of a push.

    Raises:
        PushStale: the ref is not where it was seen.
        PushRefused: a hook or a rule declined.
        GitAuthError: these credentials may not push.
        UnpackFailed: the server could not take the pack.
        GitError: it did not say.
    """
    if able.side_band:
        data, words = await _bands(lines, place)
        report = [text(line) for line in decode(data) if not isinstance(line, Marker)]
    else:
        report, words = [text(line) for line in await lines.section()], ""
    _check(report, f" ({words})" if words else "", place, ref)


async def _bands(lines: Lines, place: str) -> tuple[bytes, str]:
    data, words = bytearray(), bytearray()
    for line in await lines.section():
        if line[:1] == b"\1":
            data += line[1:]
        elif line[:1] == b"\2":
            words += line[1:]
        elif line:
            raise ServerRefused(f"{place} failed: {text(line[1:])}")
    return bytes(data), text(bytes(words[:_MOST_WORDS])).strip()


def _check(report: Sequence[str], said: str, place: str, ref: str) -> None:
    if f"ok {ref}" in report:
        return
    unpack = next((line for line in report if line.startswith("unpack ") and line != "unpack ok"), "")
    if unpack:
        raise UnpackFailed(f"{place} could not take the push: {unpack}{said}")
    reason = next((line.removeprefix(f"ng {ref} ") for line in report if line.startswith(f"ng {ref} ")), "")
    if any(each in reason for each in _STALE) and _IN_THE_WAY not in said:
        raise PushStale(f"{place}: somebody else moved {ref}: {reason}")
    if not reason:
        raise CutShort(f"{place} did not say what became of the push{said}")
    if "denied" in reason or "not allowed" in reason or "permission" in reason.lower():
        raise GitAuthError(f"{place} does not let these credentials push to {ref}: {reason}{said}")
    raise PushRefused(f"{place} declined the push to {ref}: {reason}{said}")
