"""Git's deltas (gitformat-pack): one object told as copies from another and what is new.

Those we make are small rather than smallest: pieces that both have (entries of a tree, lines of a file) are copied,
which takes milliseconds where a search for the best delta takes seconds.
"""

from collections.abc import Iterator, Sequence

from updater.domain.errors import GitError

_LONGEST_INSERT = 127
_LONGEST_COPY = 0xFFFF
_SHORTEST_COPY = 8
"""Bytes; copying fewer costs more than telling them."""


def apply_delta(base: bytes, delta: bytes, largest: int) -> bytes:
    """Make the object that `delta` tells on `base`.

    Args:
        base: the object it builds on.
        delta: as it came, inflated.
        largest: bytes that the result may have.

    Raises:
        GitError: the delta is damaged, is one of another base, or tells an object that is larger.
    """
    reader = _Reader(delta)
    if reader.size() != len(base):
        raise GitError("the server's pack has a delta on another object")
    size = reader.size()
    if size > largest:
        raise GitError(f"the server's pack has an object of {size} bytes, more than the {largest} allowed")
    pieces: list[bytes] = []
    told = 0
    for piece in reader.pieces(base):
        told += len(piece)
        if told > size:
            break
        pieces.append(piece)
    if told != size:
        raise GitError("the server's pack has a damaged delta")
    return b"".join(pieces)


def create_delta(old: Sequence[bytes], new: Sequence[bytes]) -> bytes:
    """Tell the new pieces by those of the old that are the same."""
    places: dict[bytes, int] = {}
    offset = 0
    for piece in old:
        places.setdefault(piece, offset)
        offset += len(piece)
    base = b"".join(old)
    delta = bytearray(_size(len(base)) + _size(sum(map(len, new))))
    told = bytearray()
    start = end = 0
    """The copy that is being gathered."""
    for piece in new:
        if end > start and base.startswith(piece, end):
            end += len(piece)
            continue
        place = places.get(piece)
        if place is None:
            _flush(delta, told, base, start, end)
            start = end = 0
            told += piece
        else:
            _flush(delta, told, base, start, end)
            start, end = place, place + len(piece)
    _flush(delta, told, base, start, end)
    delta += b"".join(_inserts(told))
    return bytes(delta)


def _flush(delta: bytearray, told: bytearray, base: bytes, start: int, end: int) -> None:
    """Write the gathered copy, and before it what is told; a short copy is told instead."""
    if end - start < _SHORTEST_COPY:
        told += base[start:end]
        return
    delta += b"".join(_inserts(told))
    told.clear()
    while start < end:
        length = min(end - start, _LONGEST_COPY)
        delta += _copy(start, length)
        start += length


def _inserts(data: bytes | bytearray) -> Iterator[bytes]:
    for start in range(0, len(data), _LONGEST_INSERT):
        piece = bytes(data[start : start + _LONGEST_INSERT])
        yield bytes([len(piece)]) + piece


def _copy(offset: int, length: int) -> bytes:
    order, arguments = 0x80, bytearray()
    for bit, byte in enumerate((*offset.to_bytes(4, "little"), *length.to_bytes(3, "little"))):
        if byte:
            order |= 1 << bit
            arguments.append(byte)
    return bytes([order, *arguments])


def _size(size: int) -> bytes:
    encoded = bytearray()
    while size >= 0x80:  # noqa: PLR2004 - seven bits a byte
        encoded.append(size & 0x7F | 0x80)
        size >>= 7
    return bytes([*encoded, size])


class _Reader:
    """Reads a delta from its start to its end."""

    def __init__(self, delta: bytes) -> None:
        self._delta = delta
        self._offset = 0

    def size(self) -> int:
        size = shift = 0
        while True:
            byte = self._byte()
            size |= (byte & 0x7F) << shift
            shift += 7
            if not byte & 0x80:
                return size

    def pieces(self, base: bytes) -> Iterator[bytes]:
        while self._offset < len(self._delta):
            order = self._byte()
            if order & 0x80:
                yield self._copied(order, base)
            elif order:
                self._offset += order
                yield self._delta[self._offset - order : self._offset]
            else:
                raise GitError("the server's pack has a damaged delta")

    def _copied(self, order: int, base: bytes) -> bytes:
        offset = sum(self._byte() << 8 * bit for bit in range(4) if order & 1 << bit)
        length = sum(self._byte() << 8 * bit for bit in range(3) if order & 0x10 << bit) or 0x10000
        if offset + length > len(base):
            raise GitError("the server's pack has a damaged delta")
        return base[offset : offset + length]

    def _byte(self) -> int:
        if self._offset >= len(self._delta):
            raise GitError("the server's pack has a damaged delta")
        self._offset += 1
        return self._delta[self._offset - 1]
