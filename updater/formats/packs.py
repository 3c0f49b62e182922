"""Git's packs (gitformat-pack): objects in and out, nothing believed that was not checked.

A pack that came is kept as it came, beside an index of where each object begins: a server without partial fetches
sends a whole repository, of which a few files are wanted.
"""

import hashlib
import zlib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import NamedTuple

from updater.domain.errors import GitError
from updater.formats.deltas import apply_delta

COMMIT, TREE, BLOB, TAG = 1, 2, 3, 4
_OFFSET_DELTA, _REFERENCE_DELTA = 6, 7
_NAMES = {COMMIT: b"commit", TREE: b"tree", BLOB: b"blob", TAG: b"tag"}
_HEADER = 12
_TRAILER = 20
_PIECE = 65536
_SMALLEST_ENTRY = 9
"""Bytes: a header of one, and the least that zlib makes of nothing."""
_INFLATED = 16
"""Times the largest pack: what all objects together may inflate to. Text has five times its size, a bomb a thousand."""


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


class Sent(NamedTuple):
    """An object to send: whole, or as a delta on one that the other side has."""

    whole: GitObject
    base: str = ""
    delta: bytes = b""


def write_pack(objects: Iterable[Sent]) -> bytes:
    """Pack objects."""
    entries = [_entry(each) for each in objects]
    pack = b"PACK" + (2).to_bytes(4, "big") + len(entries).to_bytes(4, "big") + b"".join(entries)
    return pack + hashlib.sha1(pack, usedforsecurity=False).digest()


def _entry(sent: Sent) -> bytes:
    if sent.base:
        header = _entry_header(_REFERENCE_DELTA, len(sent.delta)) + bytes.fromhex(sent.base)
        return header + zlib.compress(sent.delta)
    return _entry_header(sent.whole.kind, len(sent.whole.data)) + zlib.compress(sent.whole.data)


def read_pack(pack: bytes, known: Mapping[str, GitObject], largest: int) -> "Pack":
    """Check a pack, and find all objects in it by the hashes that they really have.

    Args:
        pack: as it came.
        known: objects that deltas may build on; a delta on one that nobody knows is left out.
        largest: bytes that the pack, and one object in it, may have.

    Raises:
        GitError: the pack is damaged, or holds more than is allowed.
    """
    if len(pack) < _HEADER + _TRAILER or pack[:8] != b"PACK\0\0\0\2":
        raise GitError("the server sent no pack")
    if hashlib.sha1(memoryview(pack)[:-_TRAILER], usedforsecurity=False).digest() != pack[-_TRAILER:]:
        raise GitError("the server's pack is damaged")
    count = int.from_bytes(pack[8:_HEADER], "big")
    if count > len(pack) // _SMALLEST_ENTRY:
        raise GitError(f"the server's pack says that it has {count} objects, which its size belies")
    return Pack(_Reader(memoryview(pack)[:-_TRAILER], largest), count, known)


class Pack(Mapping[str, GitObject]):
    """The objects of a pack by hash; an object is inflated when it is asked for."""

    def __init__(self, reader: "_Reader", count: int, known: Mapping[str, GitObject]) -> None:
        self._reader = reader
        self._entries: dict[str, _Entry] = {}
        self._bases: dict[int, _Entry | GitObject] = {}
        """What the delta that starts there was seen to build on: never what only claims the base's hash."""
        self._index(count, known)
        reader.trust()

    def __getitem__(self, key: str) -> GitObject:
        base: _Entry | GitObject = self._entries[key]
        chain: list[_Entry] = []
        while isinstance(base, _Entry) and base.start in self._bases:
            chain.append(base)
            base = self._bases[base.start]
        found = GitObject(base.kind, self._reader.data(base)) if isinstance(base, _Entry) else base
        for entry in reversed(chain):
            found = self._reader.on(found, entry)
        return found

    def __iter__(self) -> Iterator[str]:
        return iter(self._entries)

    def __len__(self) -> int:
        return len(self._entries)

    def _index(self, count: int, known: Mapping[str, GitObject]) -> None:
        """Hash every object once: those told whole, then, from each of them on, those told as deltas."""
        deltas: dict[int | str, list[_Entry]] = {}
        for _ in range(count):
            entry, data = self._reader.entry()
            if entry.kind in _NAMES:
                self._entries[GitObject(entry.kind, data).hash] = entry
            else:
                deltas.setdefault(entry.base, []).append(entry)
        self._reader.check_end()
        waiting: list[tuple[_Entry, _Entry | GitObject, GitObject]] = []
        for base in [each for each in deltas if isinstance(each, str) and each in known]:
            waiting += [(each, known[base], known[base]) for each in deltas.pop(base)]
        for key, entry in list(self._entries.items()):
            if entry.start in deltas or key in deltas:
                whole = GitObject(entry.kind, self._reader.data(entry))
                waiting += [(each, entry, whole) for each in _on(deltas, entry.start, key)]
        while waiting:
            entry, base_entry, base_object = waiting.pop()
            made = self._reader.on(base_object, entry)
            key = made.hash
            self._bases[entry.start] = base_entry
            self._entries.setdefault(key, entry)
            waiting += [(each, entry, made) for each in _on(deltas, entry.start, key)]


def _on(deltas: "dict[int | str, list[_Entry]]", start: int, key: str) -> "list[_Entry]":
    """Take the deltas on an object, whichever way they name it."""
    return [*deltas.pop(start, ()), *deltas.pop(key, ())]


class _Entry(NamedTuple):
    """Where an object of a pack is."""

    start: int
    kind: int
    base: int | str
    """A delta's: where it starts in the pack, or its hash."""
    body: int
    size: int


class _Reader:
    """Reads the entries of a pack."""

    def __init__(self, pack: memoryview, largest: int) -> None:
        self._pack = pack
        self._largest = largest
        self._left = largest * _INFLATED
        self._counts = True
        self.offset = _HEADER

    def entry(self) -> tuple[_Entry, bytes]:
        """Step over the next entry, and see that it is sound."""
        start = self.offset
        byte = self._byte()
        kind, size, shift = byte >> 4 & 7, byte & 15, 4
        while byte & 128:
            byte = self._byte()
            size |= (byte & 127) << shift
            shift += 7
        base: int | str = 0
        if kind == _OFFSET_DELTA:
            base = start - self._distance()
        elif kind == _REFERENCE_DELTA:
            base = bytes(self._pack[self.offset : self.offset + 20]).hex()
            self.offset += 20
        elif kind not in _NAMES:
            raise GitError(f"the server's pack has an entry of the unknown kind {kind}")
        entry = _Entry(start, kind, base, self.offset, size)
        data, taken = self._inflate(entry)
        self.offset += taken
        return entry, data

    def check_end(self) -> None:
        if self.offset != len(self._pack):
            raise GitError("the server's pack has more in it than it says")

    def trust(self) -> None:
        """Inflate without counting from now on: every entry has been seen."""
        self._counts = False

    def data(self, entry: _Entry) -> bytes:
        return self._inflate(entry)[0]

    def on(self, base: GitObject, entry: _Entry) -> GitObject:
        """Make the object that a delta tells."""
        data = apply_delta(base.data, self.data(entry), self._largest)
        self._spend(len(data))
        return GitObject(base.kind, data)

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

    def _inflate(self, entry: _Entry) -> tuple[bytes, int]:
        """Return an entry's data, and how many bytes of the pack it takes."""
        size, offset = entry.size, entry.body
        if size > self._largest:
            raise GitError(f"the server's pack has an object of {size} bytes, more than the {self._largest} allowed")
        self._spend(size)
        inflater = zlib.decompressobj()
        data = bytearray()
        try:
            while not inflater.eof:
                piece = self._pack[offset : offset + _PIECE]
                if not piece:
                    raise GitError("the server's pack ends too early")
                data += inflater.decompress(piece, size + 1 - len(data))
                offset += len(piece) - len(inflater.unused_data or inflater.unconsumed_tail)
                if len(data) > size:
                    raise GitError("the server's pack has an object that is larger than it says")
        except zlib.error:
            raise GitError("the server's pack is damaged") from None
        if len(data) != size:
            raise GitError("the server's pack has an object that is smaller than it says")
        return bytes(data), offset - entry.body

    def _spend(self, size: int) -> None:
        self._left -= size if self._counts else 0
        if self._left < 0:
            raise GitError(f"the server's pack inflates to more than {_INFLATED} times what is allowed for a pack")


def _entry_header(kind: int, size: int) -> bytes:
    byte, size = kind << 4 | size & 15, size >> 4
    header = bytearray()
    while size:
        header.append(byte | 128)
        byte, size = size & 127, size >> 7
    return bytes([*header, byte])
