"""Packs and deltas: what git makes is read, what we make git reads, and what is forged is refused."""

import contextlib
import hashlib
import subprocess
import zlib
from collections.abc import Sequence
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from updater.domain.errors import GitError
from updater.formats.deltas import apply_delta, create_delta
from updater.formats.packs import BLOB, GitObject, Pack, Sent, read_pack, write_pack

LARGEST = 10**6
PIECES = st.lists(st.binary(max_size=40), max_size=40)


@given(PIECES, PIECES, st.integers(0, 40))
def test_delta_tells_the_new_by_the_old(old: list[bytes], new: list[bytes], shared: int) -> None:
    told = [*old[:shared], *new, *old[shared:]]
    assert apply_delta(b"".join(old), create_delta(old, told), LARGEST) == b"".join(told)


def test_delta_of_one_line_among_many_is_small() -> None:
    old = [b"line %d\n" % number for number in range(20_000)]
    new = [*old[:9_000], b"another\n", *old[9_001:]]
    assert len(create_delta(old, new)) < 80


@given(st.binary(max_size=200))
def test_any_delta_is_applied_or_refused(delta: bytes) -> None:
    with contextlib.suppress(GitError):
        assert len(apply_delta(b"base", delta, 1_000)) <= 1_000


def test_delta_that_claims_too_much_is_refused_before_it_is_made() -> None:
    copy_all = b"\xff\0\0\0\0\xff\xff\xff" * 1_000
    delta = b"\x04" + b"\xff\xff\xff\xff\x7f" + copy_all
    with pytest.raises(GitError, match="allowed"):
        apply_delta(b"base", delta, LARGEST)


def test_delta_that_makes_more_than_it_claims_is_refused() -> None:
    with pytest.raises(GitError, match="damaged"):
        apply_delta(b"base", b"\x04\x05" + b"\x90\x04" * 1_000, LARGEST)


def sealed(count: int, entries: bytes) -> bytes:
    pack = b"PACK\0\0\0\2" + count.to_bytes(4, "big") + entries
    return pack + hashlib.sha1(pack).digest()


def read(pack: bytes, known: Sequence[GitObject] = (), largest: int = LARGEST) -> Pack:
    return read_pack(pack, {each.hash: each for each in known}, largest)


def test_what_was_written_is_read() -> None:
    objects = [GitObject(BLOB, b"x" * size) for size in (0, 1, 15, 16, 5_000)]
    found = read(write_pack(map(Sent, objects)))
    assert dict(found) == {each.hash: each for each in objects}


def test_delta_on_a_known_object_is_read_and_one_on_another_left_out() -> None:
    old, new = GitObject(BLOB, b"a\n" * 50), GitObject(BLOB, b"a\n" * 50 + b"b\n")
    pack = write_pack([Sent(new, old.hash, create_delta([old.data], [old.data, b"b\n"]))])
    assert dict(read(pack, [old])) == {new.hash: new}
    assert dict(read(pack)) == {}


def test_delta_in_a_circle_ends() -> None:
    """One object claims the hash of the other's base, and has it."""
    base, other = GitObject(BLOB, b"base\n" * 20), GitObject(BLOB, b"other\n" * 20)
    there = Sent(other, base.hash, create_delta([base.data], [other.data]))
    back = Sent(base, other.hash, create_delta([other.data], [base.data]))
    found = read(write_pack([there, back]), [base])
    assert found[base.hash] == base
    assert found[other.hash] == other


@pytest.mark.integration
@pytest.mark.parametrize("ofs", ["--delta-base-offset", "--no-reuse-delta"])
def test_packs_of_git_are_read(tmp_path: Path, ofs: str) -> None:
    def git(*arguments: str, given: bytes = b"") -> bytes:
        command = ("git", "-C", str(tmp_path), *arguments)
        return subprocess.run(command, input=given, check=True, capture_output=True).stdout

    git("init", "--quiet", "--bare")
    texts = [
        b"".join(b"line %d of %d\n" % (line, max(line - 300, number)) for line in range(400)) for number in range(30)
    ]
    keys = [git("hash-object", "-w", "--stdin", given=text).strip() for text in texts]
    pack = git("pack-objects", "--stdout", ofs, given=b"\n".join(keys) + b"\n")
    assert len(pack) < sum(map(len, texts)) / 4
    found = read(pack)
    assert [found[key.decode()].data for key in keys] == texts


def test_trailer_that_is_wrong_is_refused() -> None:
    pack = write_pack([Sent(GitObject(BLOB, b"x"))])
    with pytest.raises(GitError, match="damaged"):
        read(pack[:-1] + bytes([pack[-1] ^ 1]))


def test_objects_beyond_the_announced_are_refused() -> None:
    with pytest.raises(GitError, match="more in it"):
        read(sealed(1, 2 * (b"\x31" + zlib.compress(b"x"))))


def test_more_objects_than_there_is_room_for_are_refused() -> None:
    with pytest.raises(GitError, match="belies"):
        read(sealed(2**32 - 1, b"\x31" + zlib.compress(b"x")))


def test_fewer_objects_than_announced_are_refused() -> None:
    with pytest.raises(GitError, match="ends too early"):
        read(sealed(2, b"\x35" + zlib.compress(b"hello")))


def test_object_that_inflates_to_more_than_it_says_is_refused() -> None:
    with pytest.raises(GitError, match="larger than it says"):
        read(sealed(1, b"\x31" + zlib.compress(b"x" * 10**7)))


def test_object_that_says_too_much_is_refused() -> None:
    header = bytes([0xB0, 0x80, 0x80, 0x80, 0x01])
    with pytest.raises(GitError, match="allowed"):
        read(sealed(1, header + zlib.compress(b"x")))


def test_many_objects_that_inflate_without_end_are_refused() -> None:
    size = LARGEST - 1
    header = bytes([0x30 | size & 15 | 0x80, (size >> 4) & 127 | 0x80, (size >> 11) & 127 | 0x80, size >> 18])
    with pytest.raises(GitError, match="inflates"):
        read(sealed(20, 20 * (header + zlib.compress(b"x" * size))))


@given(st.binary(max_size=300), st.integers(0, 5))
def test_any_pack_is_read_or_refused(entries: bytes, count: int) -> None:
    with contextlib.suppress(GitError):
        read(sealed(count, entries))
