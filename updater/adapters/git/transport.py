"""What HTTP and SSH have in common: pkt-lines out of pieces as they come, and a conversation with a service."""

from collections.abc import Awaitable, Callable
from contextlib import AbstractAsyncContextManager
from typing import Literal, Protocol

from updater.domain.errors import GitError
from updater.formats.pktline import Marker, line_length, text

Service = Literal["git-upload-pack", "git-receive-pack"]

_HEADER = 4


class AnswerLost(GitError):
    """The request was sent, or may have been, and its answer did not come."""


class CutShort(AnswerLost):
    """The answer began, or should have, and ended too early; or the server did not understand and hung up."""


class ServerRefused(GitError):
    """The server said in Git's protocol that it will not do what it was asked."""


class TooLarge(GitError):
    """There was more to an answer than was wanted."""


class Lines:
    """The pkt-lines of one answer, as they come; never more bytes than allowed."""

    def __init__(self, read: Callable[[], Awaitable[bytes]], most: int, place: str) -> None:
        self._read = read
        self._most = most
        self._came = 0
        self._buffer = bytearray()
        self._place = place

    async def next(self) -> bytes | Marker | None:
        """Return the next line; None at the end.

        Raises:
            GitError: what comes are no pkt-lines, or they end within one, or are too many.
        """
        if not await self._fill(_HEADER):
            if self._buffer:
                raise CutShort(f"{self._place}: the answer ends in the middle of a line")
            return None
        header = bytes(self._buffer[:_HEADER])
        length = line_length(header)
        if length < _HEADER:
            del self._buffer[:_HEADER]
            return Marker(header)
        if not await self._fill(length):
            raise CutShort(f"{self._place}: the answer ends in the middle of a line")
        line = bytes(self._buffer[_HEADER:length])
        del self._buffer[:length]
        if line.startswith(b"ERR "):
            raise ServerRefused(f"{self._place} refused: {text(line[4:])}")
        return line

    async def section(self) -> list[bytes]:
        """Return the lines up to the next marker."""
        lines: list[bytes] = []
        while not isinstance(line := await self.next(), Marker):
            if line is None:
                raise CutShort(f"{self._place}: the answer ends too early")
            lines.append(line)
        return lines

    async def _fill(self, size: int) -> bool:
        while len(self._buffer) < size:
            piece = await self._read()
            if not piece:
                return False
            self._came += len(piece)
            if self._came > self._most:
                raise TooLarge(f"{self._place} sent more than the {self._most} bytes that git.max_pack allows")
            self._buffer += piece
        return True


class Conversation(Protocol):
    """With one service of one repository: its greeting, then requests and their answers."""

    @property
    def greets(self) -> bool:
        """Whether the greeting comes in any case, so that nothing is saved by knowing it."""
        ...

    def greeting(self) -> AbstractAsyncContextManager[Lines]:
        """Hear what the service says about itself and, before version 2, which refs there are."""
        ...

    def ask(self, request: bytes, most: int) -> AbstractAsyncContextManager[Lines]:
        """Send a request; its answer may have so many bytes."""
        ...


class Transport(Protocol):
    """Reaches one repository as one user."""

    @property
    def place(self) -> str:
        """The repository's URL, without credentials."""
        ...

    @property
    def host(self) -> str:
        """What its services are remembered by: servers differ, repositories of one server seldom do."""
        ...

    def open(self, service: Service) -> AbstractAsyncContextManager[Conversation]:
        """Begin a conversation; leaving it early tells the server that nothing more comes."""
        ...
