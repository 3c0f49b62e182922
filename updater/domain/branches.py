"""Names of branches: what Git allows (git-check-ref-format), what fits, and what `git-branch` may say."""

import hashlib
import re

from updater.domain.errors import Misconfigured

MOST_BYTES = 244
"""Of a branch's name: with `refs/heads/` it has 255, and a file of that name, locked, fits into a directory."""
_KEY_DIGITS = 8
_FORBIDDEN = re.compile(r"[\x00-\x20\x7f~^:?*\[\\]|\.\.|@\{")
_COMMIT = re.compile(r"[0-9a-f]{40}|[0-9a-f]{64}")
_HEADS = "refs/heads/"
_TAKEN = ("@", "HEAD")


def split_branch(text: str) -> tuple[str, str]:
    """Read `base`, `base:target` or `:target`; the target may be a template.

    Raises:
        Misconfigured: there is nothing behind the colon.
    """
    base, colon, target = (part.strip() for part in text.strip().partition(":"))
    if colon and not target:
        raise Misconfigured(f"annotation git-branch is {text!r}: name the branch behind the colon, or leave it out")
    return base, "" if target == base else target


def base_branch(name: str, place: str) -> str:
    """Return the branch that a revision names; empty for HEAD.

    Raises:
        Misconfigured: it is a commit, a tag, or nothing that Git allows.
    """
    if name in ("", "HEAD"):
        return ""
    if _COMMIT.fullmatch(name) or name.startswith("refs/tags/"):
        kind = "tag" if name.startswith("refs/tags/") else "commit"
        raise Misconfigured(
            f"{place} is {name}, a {kind}, which cannot be written to: name a branch in the annotation git-branch",
        )
    branch = name.removeprefix(_HEADS)
    if not is_legal(branch):
        raise Misconfigured(
            f"{place} is {name!r}, which no branch can be called: name one in the annotation git-branch"
        )
    return branch


def is_legal(name: str) -> bool:
    """Tell whether Git lets a branch have this name: whether `refs/heads/<name>` is a name at all."""
    parts = name.split("/")
    return not (
        _FORBIDDEN.search(name)
        or name.endswith(".")
        or any(not part or part.startswith(".") or part.endswith(".lock") for part in parts)
    )


def legal_name(text: str) -> str:
    """Make a name that Git allows out of a rendered template: what it forbids becomes `-`, what is too long is cut.

    A cut name ends in a hash of the whole, so that two long names do not become one. What `git branch` takes for
    something else is no name for a branch of ours, though the server would have it.

    Raises:
        Misconfigured: nothing is left of it.
    """
    name = re.sub(r"/+", "/", _FORBIDDEN.sub("-", text.strip())).strip("/")
    name = "/".join(_legal_part(part) for part in name.removeprefix(_HEADS).split("/"))
    name = name.lstrip("-")
    raw = name.encode()
    if len(raw) > MOST_BYTES:
        key = hashlib.sha256(raw).hexdigest()[:_KEY_DIGITS]
        cut = raw[: MOST_BYTES - _KEY_DIGITS - 1].decode("utf-8", "ignore")
        name = f"{cut.rstrip('/.')}-{key}"
    if not is_legal(name) or name in _TAKEN:
        raise Misconfigured(f"annotation git-branch gives the name {text!r}, which no branch can have: correct it")
    return name


def _legal_part(part: str) -> str:
    if part.startswith("."):
        part = f"-{part[1:]}"
    if part.endswith(".lock"):
        part = f"{part.removesuffix('.lock')}-lock"
    return f"{part[:-1]}-" if part.endswith(".") else part
