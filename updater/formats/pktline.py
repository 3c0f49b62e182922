"""Git's pkt-lines: lines with their length before them (gitprotocol-common)."""

from collections.abc import Iterable, Iterator
from enum import Enum

from updater.domain.errors import GitError

_HEADER = 4
_LONGEST = 65520
_DIGITS = frozenset(b"0123456789abcdefABCDEF")


class Marker(bytes, Enum):
    """Lines without content."""

    FLUSH = b"0000"
    DELIMITER = b"0001"
    RESPONSE_END = b"0002"


def encode(lines: Iterable[bytes | Marker]) -> bytes:
    """Put the length before each line."""
    return b"".join(line.value if isinstance(line, Marker) else _encode_line(line) for line in lines)


def decode(data: bytes) -> Iterator[bytes | Marker]:
    """Split at the lengths.

    Raises:
        GitError: it is no sequence of pkt-lines, or it ends too early.
    """
    offset = 0
    while offset < len(data):
        header = data[offset : offset + _HEADER]
        length = line_length(header)
        if length < _HEADER:
            yield Marker(header)
            offset += _HEADER
            continue
        line = data[offset + _HEADER : offset + length]
        if len(line) < length - _HEADER:
            raise GitError("the server's answer ends in the middle of a line")
        yield line
        offset += length


def line_length(header: bytes) -> int:
    """Return how long a line is, its header included; less than 4 for a marker.

    Raises:
        GitError: it is no header of a pkt-line.
    """
    if len(header) < _HEADER or not set(header) <= _DIGITS:
        raise GitError(f"the server's answer is not Git's protocol: it has {bytes(header)!r} for a length")
    length = int(header, 16)
    if length == len(Marker) or length > _LONGEST:
        raise GitError(f"the server's answer is not Git's protocol: it has the length {length}")
    return length


def text(line: bytes) -> str:
    """Return a line's text without its line end."""
    return line.decode("utf-8", "replace").removesuffix("\n")


def _encode_line(line: bytes) -> bytes:
    length = len(line) + _HEADER
    if length > _LONGEST:
        raise GitError(f"a line of {len(line)} bytes is too long for Git's protocol")
    return b"%04x" % length + line
