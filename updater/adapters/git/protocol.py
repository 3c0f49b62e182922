"""What is said to git-upload-pack, in version 2 of Git's protocol (gitprotocol-v2) and before it (gitprotocol-pack)."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from updater.adapters.git.transport import CutShort, Lines, ServerRefused
from updater.domain.errors import BranchNotFound, GitError
from updater.formats.pktline import Marker, encode, text

AGENT = "agent=updater"
_BANDS = (1, 2, 3)
_DATA, _WORDS, _FATAL = _BANDS
_AHEAD_OF_PACK = (b"acknowledgments", b"shallow-info", b"wanted-refs", b"packfile-uris")
_NEGOTIATION = (b"ACK ", b"NAK", b"shallow ", b"unshallow ")


@dataclass(frozen=True, slots=True)
class Greeting:
    """How a service introduces itself."""

    version: int
    capabilities: Mapping[str, str]
    refs: Mapping[str, str] = field(default_factory=dict)
    """Commit by name; version 2 tells none."""


@dataclass(frozen=True, slots=True)
class Capabilities:
    """What of git-upload-pack's abilities matters here."""

    version: int
    partial: bool
    """Sends single objects by their hash, and no more of what they refer to than wanted."""
    shallow: bool
    """Sends a commit without its history."""


@dataclass(frozen=True, slots=True)
class Receiving:
    """What of git-receive-pack's abilities matters here."""

    side_band: bool
    thin: bool
    quiet: bool
    object_format: bool


@dataclass(frozen=True, slots=True)
class Want:
    """Which objects are wanted."""

    objects: Sequence[str]
    have: str = ""
    """A commit that is here, with all that it refers to as far as anybody will look."""
    filter: str = ""
    shallow: bool = False


async def read_greeting(lines: Lines, place: str) -> Greeting:
    """Read what a service says first.

    Raises:
        GitError: it is none of Git's, or one that cannot be understood here.
    """
    section = await lines.section()
    if section and section[0].startswith(b"# service="):
        section = section[1:] or await lines.section()
    said = [text(line) for line in section if not line.startswith(b"version 1")]
    if not said:
        raise CutShort(f"{place}: the server said nothing about itself")
    greeting = _version_2(said) if said[0] == "version 2" else _before_version_2(said)
    if greeting.capabilities.get("object-format", "sha1") != "sha1":
        raise GitError(f"{place} names its objects by another hash than SHA-1, which is not supported")
    return greeting


def _version_2(said: Sequence[str]) -> Greeting:
    return Greeting(2, dict(_key_value(line) for line in said[1:]))


def _before_version_2(said: Sequence[str]) -> Greeting:
    first, _, listed = said[0].partition("\0")
    words = [_key_value(word) for word in listed.split()]
    capabilities = dict(words)
    head = next((value for key, value in words if key == "symref" and value.startswith("HEAD:")), "")
    capabilities["symref"] = head.removeprefix("HEAD:")
    refs: dict[str, str] = {}
    for line in (first, *said[1:]):
        commit, _, name = line.partition(" ")
        if name and name != "capabilities^{}":
            refs[name] = commit
    return Greeting(0, capabilities, refs)


def _key_value(word: str) -> tuple[str, str]:
    key, _, value = word.partition("=")
    return key, value


def fetching(greeting: Greeting, place: str) -> Capabilities:
    """Tell what git-upload-pack can do.

    Raises:
        GitError: it is too old to be spoken to.
    """
    known = greeting.capabilities
    if greeting.version == 2:  # noqa: PLR2004 - the version's name
        features = known.get("fetch", "").split()
        return Capabilities(2, "filter" in features, "shallow" in features)
    if "side-band-64k" not in known:
        raise GitError(f"{place} does not offer side-band-64k: a server with Git 1.6 or later is needed")
    # A server that sends any object says no more than one that sends any commit: whether it does, a try tells.
    partial = "filter" in known and "allow-reachable-sha1-in-want" in known
    return Capabilities(0, partial, "shallow" in known)


def ls_refs_request(branch: str) -> bytes:
    """Ask for one branch (or tag, to tell the one from the other), or for what HEAD stands for when it is empty."""
    prefixes = (f"refs/heads/{branch}", f"refs/tags/{branch}") if branch else ("HEAD",)
    return encode(
        [
            b"command=ls-refs\n",
            f"{AGENT}\n".encode(),
            b"object-format=sha1",
            Marker.DELIMITER,
            b"peel\n",
            b"symrefs\n",
            *(f"ref-prefix {prefix}\n".encode() for prefix in prefixes),
            Marker.FLUSH,
        ],
    )


async def read_ref(lines: Lines, place: str, branch: str) -> tuple[str, str]:
    """Return the branch's full name and the commit it points to.

    Raises:
        BranchNotFound: it does not exist, or HEAD stands for none.
    """
    wanted = f"refs/heads/{branch}" if branch else "HEAD"
    tagged = False
    for line in await lines.section():
        commit, name, *attributes = [*text(line).split(" "), ""]
        tagged = tagged or name == f"refs/tags/{branch}"
        if name != wanted:
            continue
        target = next((each[len("symref-target:") :] for each in attributes if each.startswith("symref-target:")), name)
        if target != "HEAD":
            return target, _hash(commit, place)
    raise _not_found(place, branch, tagged=tagged)


def find_ref(greeting: Greeting, place: str, branch: str) -> tuple[str, str]:
    """Find a branch in a greeting before version 2.

    Raises:
        BranchNotFound: it does not exist, or HEAD stands for none.
    """
    name = f"refs/heads/{branch}" if branch else greeting.capabilities.get("symref") or _default_branch(greeting.refs)
    if name not in greeting.refs:
        raise _not_found(place, branch, tagged=f"refs/tags/{branch}" in greeting.refs)
    return name, _hash(greeting.refs[name], place)


def _default_branch(refs: Mapping[str, str]) -> str:
    """Guess what HEAD stands for on a server too old to say; empty when several branches may be meant."""
    alike = [name for name in refs if name.startswith("refs/heads/") and refs[name] == refs.get("HEAD")]
    usual = [name for name in alike if name in ("refs/heads/main", "refs/heads/master")]
    return (usual or alike)[0] if len(usual or alike) == 1 else ""


def _not_found(place: str, branch: str, *, tagged: bool) -> BranchNotFound:
    if tagged:
        return BranchNotFound(f"{place} has {branch} as a tag, which cannot be written to: name a branch in git-branch")
    if branch:
        return BranchNotFound(f"{place} has no branch {branch}: create it, or correct targetRevision or git-branch")
    return BranchNotFound(f"{place} has no branch that HEAD stands for: push a first commit, or name a branch")


def _hash(name: str, place: str) -> str:
    if len(name) != 40 or not set(name) <= set("0123456789abcdef"):  # noqa: PLR2004 - SHA-1 in hexadecimal digits
        raise GitError(f"{place} names a commit {name[:80]!r}, which is no hash")
    return name


def fetch_request(want: Want, version: int) -> bytes:
    """Ask for objects by their hashes, and be done."""
    if version != 2:  # noqa: PLR2004 - the version's name
        return _old_fetch_request(want)
    lines: list[bytes | Marker] = [b"command=fetch\n", f"{AGENT}\n".encode(), b"object-format=sha1", Marker.DELIMITER]
    lines += [b"thin-pack\n", b"ofs-delta\n", b"no-progress\n"]
    lines += [f"want {each}\n".encode() for each in want.objects]
    lines += [b"deepen 1\n"] if want.shallow else []
    lines += [f"filter {want.filter}\n".encode()] if want.filter else []
    lines += [f"have {want.have}\n".encode()] if want.have else []
    return encode([*lines, b"done\n", Marker.FLUSH])


def _old_fetch_request(want: Want) -> bytes:
    capabilities = f"multi_ack_detailed side-band-64k thin-pack ofs-delta no-progress {AGENT}"
    capabilities += " filter" if want.filter else ""
    first, *others = want.objects
    lines: list[bytes | Marker] = [f"want {first} {capabilities}\n".encode()]
    lines += [f"want {each}\n".encode() for each in others]
    lines += [b"deepen 1\n"] if want.shallow else []
    lines += [f"filter {want.filter}\n".encode()] if want.filter else []
    lines += [Marker.FLUSH]
    lines += [f"have {want.have}\n".encode()] if want.have else []
    return encode([*lines, b"done\n"])


async def read_pack_data(lines: Lines, place: str) -> bytes:
    """Return the pack of an answer, whatever of the negotiation comes ahead of it.

    Raises:
        GitError: the server refused, failed, or sent none.
    """
    pack = bytearray()
    words = bytearray()
    began = False
    while (line := await lines.next()) is not None:
        if isinstance(line, Marker):
            if began and line is Marker.FLUSH:
                return bytes(pack)
            continue
        if not line or line == b"packfile\n":
            continue
        band = line[0]
        if band == _DATA:
            began = True
            pack += line[1:]
        elif band == _WORDS:
            words += line[1:]
        elif band == _FATAL:
            raise ServerRefused(f"{place} failed: {text(line[1:])}")
        elif not line.startswith((*_AHEAD_OF_PACK, *_NEGOTIATION)) and began:
            raise GitError(f"{place} sent something else within a pack")
    said = f": {text(bytes(words[-300:])).strip()}" if words else ""
    raise CutShort(f"{place}: the answer ends before its pack does{said}")
