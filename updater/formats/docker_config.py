"""Docker's `config.json`, as pull secrets carry it: which login is for which registry."""

import base64
import binascii
from collections.abc import Iterable
from dataclasses import dataclass

import msgspec

from updater.domain.docker_hub import canonical_host
from updater.domain.errors import Misconfigured


@dataclass(frozen=True, slots=True)
class Login:
    """A user and a password, or a token that stands for them."""

    username: str
    password: str
    identity_token: bool = False
    """The password is a refresh token of OAuth2, with which the token service alone can be asked."""

    def __repr__(self) -> str:
        return "Login(***)"

    @staticmethod
    def parse(text: str) -> "Login | None":
        """Read `user:password`; the password may hold colons. None when one of them is missing."""
        username, _, password = text.partition(":")
        return Login(username, password) if username and password else None


class _Entry(msgspec.Struct, rename="lower"):
    auth: str | None = None
    username: str | None = None
    password: str | None = None
    identitytoken: str | None = None


class _Config(msgspec.Struct):
    auths: dict[str, _Entry]


def find_login(config: bytes, names: Iterable[str], *, legacy: bool = False) -> Login | None:
    """Find the login for a repository, by the key that says most of one of its names; None when none fits.

    `names` are such as `docker.io/library/nginx`. A key is a host or an address, with or without a path before the
    repository's own. `legacy` is the format of `.dockercfg`.

    Raises:
        Misconfigured: it is no such file, or what it has for the repository is no user and password.
    """
    entries = _decode(config, legacy=legacy)
    wanted = tuple(names)
    keys = [key for key in entries if any(_covers(_canonical(key), name) for name in wanted)]
    if not keys:
        return None
    key = max(keys, key=lambda each: len(_canonical(each)))
    login = _login(entries[key])
    if login is None:
        raise Misconfigured(f"its entry {key[:100]!r} has neither user and password nor an identitytoken: log in again")
    return login


def _decode(config: bytes, *, legacy: bool) -> dict[str, _Entry]:
    try:
        if legacy:
            return msgspec.json.decode(config, type=dict[str, _Entry])
        return msgspec.json.decode(config, type=_Config).auths
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        raise Misconfigured(
            "it is no Docker config.json with auths: create it as kubernetes.io/dockerconfigjson"
        ) from None


def _canonical(key: str) -> str:
    """Reduce a key such as `https://index.docker.io/v1/` to the beginning of a repository's name."""
    bare = key.partition("://")[2] or key
    host, _, path = bare.strip("/").partition("/")
    path = "" if path in ("v1", "v2") else path
    return f"{canonical_host(host)}/{path}".rstrip("/")


def _covers(key: str, name: str) -> bool:
    return bool(key) and (name == key or name.startswith(f"{key}/"))


def _login(entry: _Entry) -> Login | None:
    if entry.identitytoken:
        return Login(entry.username or "<token>", entry.identitytoken, identity_token=True)
    if entry.username and entry.password:
        return Login(entry.username, entry.password)
    try:
        decoded = base64.b64decode(entry.auth or "", validate=True).decode()
    except (binascii.Error, ValueError):
        return None
    return Login.parse(decoded)
