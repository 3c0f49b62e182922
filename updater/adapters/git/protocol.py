"""What is said in Git's protocol version 2 (gitprotocol-v2) and to git-receive-pack (gitprotocol-pack)."""

from collections.abc import Iterable
from dataclasses import dataclass

from updater.domain.errors import BranchNotFound, GitAuthError, GitError, PushRefused, PushStale
from updater.formats.pktline import Marker, decode, encode, side_band, text

NO_COMMIT = "0" * 40
"""Where a branch is that does not exist."""
_AGENT = b"agent=updater\n"
_STALE = (
    "fetch first",
    "non-fast-forward",
    "stale info",
    "cannot lock ref",
    "failed to update ref",
    "incorrect old value",
    "reference already exists",
)


@dataclass(frozen=True, slots=True)
class Capabilities:
    """What a server can do, as far as it matters here."""

    filter: bool


def read_capabilities(answer: bytes, url: str) -> Capabilities:
    """Read the answer to `info/refs?service=git-upload-pack`.

    Raises:
        GitError: the server does not speak what is needed.
    """
    if not answer[:4].strip(b"0123456789abcdef") == b"" or len(answer) < 4:  # noqa: PLR2004 - a pkt-line's length
        raise GitError(f"{url} is no Git repository: it answered with something else")
    lines = [text(line) for line in decode(answer) if not isinstance(line, Marker)]
    if "version 2" not in lines:
        raise GitError(f"{url} does not speak version 2 of Git's protocol: a server with Git 2.18 or later is needed")
    if any(line.startswith("object-format=") and line != "object-format=sha1" for line in lines):
        raise GitError(f"{url} names its objects by another hash than SHA-1, which is not supported")
    fetch = next((line for line in lines if line.startswith("fetch=")), "")
    return Capabilities(filter="filter" in fetch.removeprefix("fetch=").split())


def ls_refs_request(branch: str) -> bytes:
    """Ask for one branch (or tag, to tell the one from the other), or for what HEAD stands for when it is empty."""
    prefixes = (f"refs/heads/{branch}", f"refs/tags/{branch}") if branch else ("HEAD",)
    return encode(
        [
            b"command=ls-refs\n",
            _AGENT,
            b"object-format=sha1",
            Marker.DELIMITER,
            b"peel\n",
            b"symrefs\n",
            *(f"ref-prefix {prefix}\n".encode() for prefix in prefixes),
            Marker.FLUSH,
        ],
    )


def read_ref(answer: bytes, url: str, branch: str) -> tuple[str, str]:
    """Return the branch's full name and the commit it points to.

    Raises:
        BranchNotFound: it does not exist, or HEAD stands for none.
    """
    wanted = f"refs/heads/{branch}" if branch else "HEAD"
    tagged = False
    for line in decode(answer):
        if isinstance(line, Marker):
            continue
        commit, name, *attributes = text(line).split(" ")
        tagged = tagged or name == f"refs/tags/{branch}"
        if name != wanted:
            continue
        target = next((each[len("symref-target:") :] for each in attributes if each.startswith("symref-target:")), name)
        if target == "HEAD":
            break
        return target, commit
    if tagged:
        raise BranchNotFound(f"{url} has {branch} as a tag, which cannot be written to: name a branch in git-branch")
    if branch:
        raise BranchNotFound(f"{url} has no branch {branch}: create it, or correct targetRevision or git-branch")
    raise BranchNotFound(f"{url} has no branch that HEAD stands for: push a first commit, or name a branch")


def fetch_request(wanted: Iterable[str], *, filter: str, deepen: bool) -> bytes:  # noqa: A002 - the protocol's word
    """Ask for objects by their hashes."""
    lines: list[bytes | Marker] = [b"command=fetch\n", _AGENT, b"object-format=sha1", Marker.DELIMITER]
    lines += [b"thin-pack\n", b"ofs-delta\n", b"no-progress\n"]
    lines += [f"want {each}\n".encode() for each in wanted]
    lines += [b"deepen 1\n"] if deepen else []
    lines += [f"filter {filter}\n".encode(), b"done\n", Marker.FLUSH]
    return encode(lines)


def read_fetch(answer: bytes) -> bytes:
    """Return the pack.

    Raises:
        GitError: the server refused, or sent none.
    """
    lines = iter(decode(answer))
    for line in lines:
        if isinstance(line, Marker):
            continue
        word = text(line)
        if word == "packfile":
            return side_band(lines)[0]
        if word.startswith("ERR "):
            raise GitError(f"the server refused to send objects: {word[4:]}")
    raise GitError("the server sent no pack")


def push_request(ref: str, old: str, new: str, pack: bytes) -> bytes:
    """Ask to move a ref, if it is where it was seen."""
    capabilities = "report-status side-band-64k quiet object-format=sha1 agent=updater"
    return encode([f"{old} {new} {ref}\0{capabilities}".encode(), Marker.FLUSH]) + pack


def check_push(answer: bytes, url: str, ref: str) -> None:
    """Read the server's report.

    Raises:
        PushStale: the ref is not where it was seen.
        PushRefused: a hook or a rule declined.
        GitAuthError: these credentials may not push.
        GitError: the server could not take the pack.
    """
    status, words = side_band(decode(answer))
    said = f" ({words})" if words else ""
    report = [text(line) for line in decode(status) if not isinstance(line, Marker)]
    if f"ok {ref}" in report:
        return
    unpack = next((line for line in report if line.startswith("unpack ") and line != "unpack ok"), "")
    if unpack:
        raise GitError(f"{url} could not take the push: {unpack}{said}")
    reason = next((line.removeprefix(f"ng {ref} ") for line in report if line.startswith(f"ng {ref} ")), "")
    if any(each in reason for each in _STALE):
        raise PushStale(f"{url}: somebody else moved {ref}: {reason}")
    if not reason:
        raise GitError(f"{url} did not say what became of the push{said}")
    if "denied" in reason or "not allowed" in reason or "permission" in reason.lower():
        raise GitAuthError(f"{url} does not let these credentials push to {ref}: {reason}{said}")
    raise PushRefused(f"{url} declined the push to {ref}: {reason}{said}")
