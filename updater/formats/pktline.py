"""Git's pkt-lines: lines with their length before them (gitprotocol-common), and the side band inside of them."""

from collections.abc import Iterable, Iterator
from enum import Enum

from updater.domain.errors import GitError

_HEADER = 4
_LONGEST = 65520


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
        try:
            length = int(header, 16)
        except ValueError:
            length = -1
        if length < 0 or header.strip() != header or len(header) < _HEADER:
            raise GitError(f"the server's answer is not Git's protocol: it has {bytes(header)!r} for a length")
        if length < _HEADER:
            if header not in set(Marker):
                raise GitError(f"the server's answer is not Git's protocol: it has the length {length}")
            yield Marker(header)
            offset += _HEADER
            continue
        line = data[offset + _HEADER : offset + length]
        if len(line) < length - _HEADER:
            raise GitError("the server's answer ends in the middle of a line")
        yield line
        offset += length


def text(line: bytes) -> str:
    """Return a line's text without its line end."""
    return line.decode("utf-8", "replace").removesuffix("\n")


def side_band(lines: Iterable[bytes | Marker]) -> tuple[bytes, str]:
    """Put the data of band 1 together, and the server's words of band 2.

    Raises:
        GitError: band 3 has a fatal error.
    """
    data: list[bytes] = []
    words: list[bytes] = []
    for line in lines:
        if isinstance(line, Marker) or not line:
            continue
        if line[0] == 1:
            data.append(line[1:])
        elif line[0] == 2:  # noqa: PLR2004 - the band's number
            words.append(line[1:])
        else:
            raise GitError(f"the server failed: {text(line[1:])}")
    return b"".join(data), text(b"".join(words)).strip()


def _encode_line(line: bytes) -> bytes:
    length = len(line) + _HEADER
    if length > _LONGEST:
        raise GitError(f"a line of {len(line)} bytes is too long for Git's protocol")
    return b"%04x" % length + line
