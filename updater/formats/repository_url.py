"""The URLs of Git repositories, as Argo CD and git understand them."""

import re
from typing import NamedTuple
from urllib.parse import unquote, urlsplit

from updater.domain.errors import GitError
from updater.domain.target import without_login

_SCP = re.compile(r"(?:([^@/:\s]+)@)?(\[[^\]]+\]|[^/:\s]+):(?!//)(\S+)")
"""`user@host:path`, as ssh has it."""
_SSH_PORT = 22


class SshAddress(NamedTuple):
    """Where a repository is that is reached over SSH."""

    user: str
    host: str
    port: int
    path: str


def is_ssh(url: str) -> bool:
    text = url.strip()
    return text.lower().startswith(("ssh://", "git+ssh://")) or ("://" not in text and bool(_SCP.fullmatch(text)))


def ssh_address(url: str) -> SshAddress:
    """Take an SSH URL apart.

    Raises:
        GitError: it cannot be understood.
    """
    text = url.strip()
    if "://" not in text:
        found = _SCP.fullmatch(text)
        if found:
            return SshAddress(found[1] or "", found[2].strip("[]"), _SSH_PORT, found[3])
    parts = urlsplit(text)
    try:
        port = parts.port or _SSH_PORT
    except ValueError:
        port = 0
    if not port or not parts.hostname or not parts.path.strip("/"):
        raise GitError(f"{plain(url)} is no SSH URL: write ssh://git@<host>/<path> or git@<host>:<path>")
    path = unquote(parts.path)
    return SshAddress(unquote(parts.username or ""), parts.hostname, port, path[1:] if path[1] == "~" else path)


def plain(url: str) -> str:
    """Spell a URL without what must not be shown, and without what means nothing."""
    return without_login(url.strip()).rstrip("/")


def normalised(url: str) -> str:
    """Spell a URL as Argo CD compares them: in lower case, without user, `.git` and a slash at its end."""
    text = url.strip().lower().rstrip("/").removesuffix(".git")
    if is_ssh(text):
        text = text.partition("://")[2] or text.replace(":", "/", 1)
        return text.partition("@")[2] or text
    parts = urlsplit(text)
    return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}{parts.path}"


def covers(prefix: str, url: str) -> bool:
    """Tell whether a normalised URL begins with a normalised prefix that holds at least a whole host."""
    if not prefix or not url.startswith(prefix):
        return False
    beyond_scheme = prefix.partition("://")[2] or prefix
    return url[len(prefix) : len(prefix) + 1] in ("", "/") or "/" in beyond_scheme
