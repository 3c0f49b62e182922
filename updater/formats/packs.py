"""Git's packs (gitformat-pack): objects in and out, nothing believed that was not checked."""

import hashlib
import zlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from dulwich.pack import apply_delta

from updater.domain.errors import GitError

COMMIT, TREE, BLOB, TAG = 1, 2, 3, 4
_OFFSET_DELTA, _REFERENCE_DELTA = 6, 7
_NAMES = {COMMIT: b"commit", TREE: b"tree", BLOB: b"blob", TAG: b"tag"}
_HEADER = 12
_TRAILER = 20
_PIECE = 65536


@dataclass(frozen=True, slots=True)
class GitObject:
    """A commit, tree or blob."""

    kind: int
    data: bytes

    @property
    def hash(self) -> str:
        return hashlib.sha1(
            b"%s %d\0" % (_NAMES[self.kind], len(self.data)) + self.data, usedforsecurity=False
        ).hexdigest()


def write_pack(objects: Iterable[GitObject]) -> bytes:
    """Pack objects whole."""
    entries = [_entry_header(each.kind, len(each.data)) + zlib.compress(each.data) for each in objects]
    pack = b"PACK" + (2).to_bytes(4, "big") + len(entries).to_bytes(4, "big") + b"".join(entries)
    return pack + hashlib.sha1(pack, usedforsecurity=False).digest()


def read_pack(pack: bytes, known: Mapping[str, GitObject], largest: int) -> dict[str, GitObject]:
    """Unpack objects, by the hashes that they really have; deltas on objects that nobody knows are left out.

    Args:
        pack: as it came.
        known: objects that deltas may build on.
        largest: bytes that one object may have.

    Raises:
        GitError: the pack is damaged, or holds an object that is larger.
    """
    if len(pack) < _HEADER + _TRAILER or pack[:8] != b"PACK\0\0\0\2":
        raise GitError("the server sent no pack")
    if hashlib.sha1(pack[:-_TRAILER], usedforsecurity=False).digest() != pack[-_TRAILER:]:
        raise GitError("the server's pack is damaged")
    reader = _Reader(memoryview(pack)[:-_TRAILER], largest)
    by_offset: dict[int, GitObject] = {}
    found: dict[str, GitObject] = {}
    for _ in range(int.from_bytes(pack[8:12], "big")):
        start = reader.offset
        kind, base, data = reader.entry()
        if kind in _NAMES:
            read: GitObject | None = GitObject(kind, data)
        else:
            on = by_offset.get(start - base) if isinstance(base, int) else found.get(base) or known.get(base)
            read = GitObject(on.kind, _apply(on.data, data, largest)) if on else None
        if read is not None:
            by_offset[start] = read
            found[read.hash] = read
    return found


class _Reader:
    """Reads the entries of a pack one after the other."""

    def __init__(self, pack: memoryview, largest: int) -> None:
        self._pack = pack
        self._largest = largest
        self.offset = _HEADER

    def entry(self) -> tuple[int, int | str, bytes]:
        """Return an entry's kind, its delta's base (distance or hash), and its data."""
        byte = self._byte()
        kind, size, shift = byte >> 4 & 7, byte & 15, 4
        while byte & 128:
            byte = self._byte()
            size |= (byte & 127) << shift
            shift += 7
        base: int | str = 0
        if kind == _OFFSET_DELTA:
            base = self._distance()
        elif kind == _REFERENCE_DELTA:
            base = bytes(self._pack[self.offset : self.offset + 20]).hex()
            self.offset += 20
        elif kind not in _NAMES:
            raise GitError(f"the server's pack has an entry of the unknown kind {kind}")
        return kind, base, self._inflate(size)

    def _distance(self) -> int:
        byte = self._byte()
        distance = byte & 127
        while byte & 128:
            byte = self._byte()
            distance = (distance + 1) << 7 | byte & 127
        return distance

    def _byte(self) -> int:
        if self.offset >= len(self._pack):
            raise GitError("the server's pack ends too early")
        self.offset += 1
        return self._pack[self.offset - 1]

    def _inflate(self, size: int) -> bytes:
        if size > self._largest:
            raise GitError(f"the server's pack has an object of {size} bytes, more than the {self._largest} allowed")
        inflater = zlib.decompressobj()
        data = b""
        try:
            while not inflater.eof:
                piece = self._pack[self.offset : self.offset + _PIECE]
                if not piece:
                    raise GitError("the server's pack ends too early")
                data += inflater.decompress(piece, size + 1 - len(data))
                self.offset += len(piece) - len(inflater.unused_data)
                if len(data) > size:
                    raise GitError("the server's pack has an object that is larger than it says")
        except zlib.error:
            raise GitError("the server's pack is damaged") from None
        if len(data) != size:
            raise GitError("the server's pack has an object that is smaller than it says")
        return data


def _apply(base: bytes, delta: bytes, largest: int) -> bytes:
    try:
        data = b"".join(apply_delta(base, delta))
    except Exception:  # noqa: BLE001 - dulwich fails in many ways on a delta that is damaged
        raise GitError("the server's pack has a damaged delta") from None
    if len(data) > largest:
        raise GitError(f"the server's pack has an object of {len(data)} bytes, more than the {largest} allowed")
    return data


def _entry_header(kind: int, size: int) -> bytes:
    byte, size = kind << 4 | size & 15, size >> 4
    header = bytearray()
    while size:
        header.append(byte | 128)
        byte, size = size & 127, size >> 7
    return bytes([*header, byte])
