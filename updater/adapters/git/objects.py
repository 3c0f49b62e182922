"""Git's objects in memory: a cache by hash, paths walked through trees, and new trees built from the leaves up."""

import re
import stat
from collections import OrderedDict
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from datetime import datetime

from dulwich.objects import Commit, ObjectID, Tree

from updater.domain.errors import EditError, GitError
from updater.formats.deltas import create_delta
from updater.formats.packs import BLOB, COMMIT, TREE, GitObject, Sent
from updater.ports.git import Author, Sign, Tip

_FILE = 0o100644
_UNSPEAKABLE = re.compile("[\n\ud800-\udfff]")
"""Line ends, and bytes that are no UTF-8."""
_HASH = 20


class ObjectCache(Mapping[str, GitObject]):
    """The objects used last, up to a number of bytes; they never change under their hash."""

    def __init__(self, most_bytes: int) -> None:
        self._most = most_bytes
        self._bytes = 0
        self._objects: OrderedDict[str, GitObject] = OrderedDict()

    def __getitem__(self, key: str) -> GitObject:
        found = self._objects[key]
        with suppress(KeyError):  # dropped meanwhile: a pack may be read, and trees be built, beside the loop
            self._objects.move_to_end(key)
        return found

    def __iter__(self) -> Iterator[str]:
        return iter(self._objects)

    def __len__(self) -> int:
        return len(self._objects)

    def add(self, objects: Mapping[str, GitObject]) -> None:
        for key, each in objects.items():
            if key not in self._objects:
                self._objects[key] = each
                self._bytes += len(each.data)
        while self._bytes > self._most and len(self._objects) > 1:
            _, dropped = self._objects.popitem(last=False)
            self._bytes -= len(dropped.data)


class Held(Mapping[str, GitObject]):
    """The objects that one batch has seen stay with it, whatever the cache drops meanwhile."""

    def __init__(self, cache: ObjectCache) -> None:
        self.cache = cache
        self._held: dict[str, GitObject] = {}

    def __getitem__(self, key: str) -> GitObject:
        found = self._held.get(key)
        if found is None:
            found = self._held[key] = self.cache[key]
        return found

    def __iter__(self) -> Iterator[str]:
        return iter(self._held)

    def __len__(self) -> int:
        return len(self._held)

    def hold(self, objects: Mapping[str, GitObject]) -> None:
        self._held |= objects
        self.cache.add(objects)


Entries = dict[str, tuple[int, str]]
"""Of a tree: mode and hash by name."""


def tree_of(commit: GitObject) -> str:
    """Return the hash of a commit's tree."""
    first = commit.data.partition(b"\n")[0]
    if commit.kind != COMMIT or not first.startswith(b"tree "):
        raise GitError("the server sent something else for a commit")
    return first[len(b"tree ") :].decode("ascii", "replace")


def parents_of(commit: GitObject) -> list[str]:
    """Return the hashes of a commit's parents."""
    headers = commit.data.partition(b"\n\n")[0].split(b"\n")
    return [line[len(b"parent ") :].decode("ascii", "replace") for line in headers if line.startswith(b"parent ")]


def entries_of(tree: GitObject) -> Entries:
    """Read a tree; names that are no UTF-8 keep their bytes."""
    if tree.kind != TREE:
        raise GitError("the server sent something else for a directory")
    try:
        parsed = Tree.from_string(tree.data)
        return {_name(each.path): (each.mode, each.sha.decode("ascii")) for each in parsed.iteritems()}
    except Exception:  # noqa: BLE001 - dulwich fails in many ways on a tree that is damaged
        raise GitError("the server sent a damaged directory") from None


def listing_of(tree: GitObject) -> list[str]:
    """Name the files of a directory, and its directories with a slash behind.

    Symlinks and submodules are left out, and names that no line of text can hold.
    """
    entries = [(name, entry) for name, entry in entries_of(tree).items() if not _UNSPEAKABLE.search(name)]
    files = [name for name, (mode, _) in entries if stat.S_ISREG(mode)]
    return sorted([*files, *(f"{name}/" for name, (mode, _) in entries if stat.S_ISDIR(mode))])


def tree_object(entries: Entries) -> GitObject:
    tree = Tree()
    for name, (mode, key) in entries.items():
        tree.add(name.encode("utf-8", "surrogateescape"), mode, ObjectID(key.encode()))
    return GitObject(TREE, tree.as_raw_string())


def commit_object(
    tree: str,
    parent: str,
    message: str,
    author: Author,
    at: datetime,
    sign: Sign | None = None,
) -> GitObject:
    commit = Commit()
    commit.tree = ObjectID(tree.encode())
    commit.parents = [ObjectID(parent.encode())]
    commit.author = commit.committer = f"{_plain(author.name)} <{_plain(author.email)}>".encode()
    commit.author_time = commit.commit_time = int(at.timestamp())
    commit.author_timezone = commit.commit_timezone = 0
    commit.message = message.encode("utf-8", "surrogateescape")
    if sign is not None:
        commit.gpgsig = sign(commit.as_raw_string()).strip().encode()
    return GitObject(COMMIT, commit.as_raw_string())


def tip_of(key: str, commit: GitObject) -> Tip:
    """Read of a commit what tells whose it is."""
    if commit.kind != COMMIT:
        raise GitError("the server sent something else for a commit")
    head, _, message = commit.data.decode("utf-8", "replace").partition("\n\n")
    lines = [line.partition(" ") for line in head.split("\n")]
    parents = tuple(value for name, _, value in lines if name == "parent")
    committer = next((value for name, _, value in lines if name == "committer"), "")
    return Tip(key, parents, committer.partition("<")[2].partition(">")[0], message)


def components(path: str) -> list[str]:
    """Split a path of a repository.

    Raises:
        EditError: it leads out of the repository, or into Git's own directory.
    """
    parts = path.strip("/").split("/")
    if path.startswith("/") or any(part in ("", ".", "..") or part.lower() == ".git" for part in parts):
        raise EditError(f"{path!r} is no path inside the repository: correct the path or the write-back-target")
    return parts


def check_directory(mode: int, path: str) -> None:
    """Refuse to walk through what is no directory.

    Raises:
        EditError
    """
    if stat.S_ISLNK(mode):
        raise EditError(f"{path} is a symlink, which is not followed: name the file itself in write-back-target")
    if not stat.S_ISDIR(mode):
        raise EditError(f"{path} is no directory of this repository: correct the path or the write-back-target")


def check_file(mode: int, path: str) -> None:
    """Refuse to read or write what is no file.

    Raises:
        EditError
    """
    if stat.S_ISLNK(mode):
        raise EditError(f"{path} is a symlink, which is not followed: name the file itself in write-back-target")
    if not stat.S_ISREG(mode):
        raise EditError(f"{path} is no file of this repository: correct the write-back-target")


def with_files(
    root: str,
    files: Mapping[str, bytes],
    known: Mapping[str, GitObject],
) -> tuple[str, dict[str, Sent]]:
    """Put files into a tree; return the new root, and by hash all that has to be sent for it.

    The trees on the way are known: whoever read the files has walked them.
    """
    made: dict[str, Sent] = {}
    return _with_files(root, [(components(path), data) for path, data in files.items()], known, made), made


def _with_files(
    tree: str,
    files: Sequence[tuple[list[str], bytes]],
    known: Mapping[str, GitObject],
    made: dict[str, Sent],
) -> str:
    entries = entries_of(known[tree]) if tree else {}
    below: dict[str, list[tuple[list[str], bytes]]] = {}
    for (name, *rest), data in files:
        if rest:
            below.setdefault(name, []).append((rest, data))
        else:
            mode, old = entries.get(name, (_FILE, ""))
            entries[name] = (mode, _added(GitObject(BLOB, data), old, known, made))
    for name, inner in below.items():
        old = entries[name][1] if name in entries else ""
        entries[name] = (stat.S_IFDIR, _with_files(old, inner, known, made))
    return _added(tree_object(entries), tree, known, made)


def _added(new: GitObject, old: str, known: Mapping[str, GitObject], made: dict[str, Sent]) -> str:
    """Note what is to be sent: nothing that is there already, else a delta where that saves much."""
    key = new.hash
    if key == old:
        return key
    before = known.get(old) if old else None
    delta = create_delta(_pieces(before), _pieces(new)) if before and before.kind == new.kind else b""
    small = delta and len(delta) < len(new.data) // 2
    made[key] = Sent(new, old, delta) if small else Sent(new)
    return key


def _pieces(each: GitObject) -> list[bytes]:
    """Split an object where it is likely to be the same as before: a tree by entries, a file by lines."""
    if each.kind != TREE:
        return each.data.splitlines(keepends=True)
    pieces = []
    start = 0
    while start < len(each.data):
        end = each.data.index(b"\0", start) + 1 + _HASH
        pieces.append(each.data[start:end])
        start = end
    return pieces


def _name(path: bytes) -> str:
    return path.decode("utf-8", "surrogateescape")


def _plain(text: str) -> str:
    return "".join(each for each in text if each not in "<>\n\0").strip()
