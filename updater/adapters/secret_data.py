"""The data of Kubernetes Secrets: decoded, and made known to the log's redaction before anybody can log it."""

import base64
import binascii
from collections.abc import Iterator, Mapping

import msgspec

from updater.redaction import register_secret

_PUBLIC = frozenset(
    {"url", "type", "project", "name", "username", "insecure", "githubAppID", "githubAppInstallationID"}
)
"""Fields of Secrets that Argo CD and we read, and that may be read in a log."""
_CREDENTIALS = frozenset({"auth", "password", "identitytoken", "registrytoken"})
"""Fields of an entry of `.dockerconfigjson`."""


def decode_secret(data: Mapping[str, str | None] | None) -> dict[str, bytes]:
    """Decode a Secret's `data` from Base64.

    Raises:
        ValueError: a value is no Base64; the text names its key.
    """
    decoded = {key: _decoded(key, value or "") for key, value in (data or {}).items()}
    conceal(decoded)
    return decoded


def conceal(data: Mapping[str, bytes]) -> None:
    """Keep a Secret's data out of the log."""
    for key, value in data.items():
        if key not in _PUBLIC:
            for part in _parts(value):
                register_secret(part)


def _decoded(key: str, value: str) -> bytes:
    try:
        return base64.b64decode("".join(value.split()), validate=True)
    except (binascii.Error, ValueError):
        raise ValueError(f"data.{key} is no Base64") from None


def _parts(value: bytes) -> Iterator[str | bytes]:
    """Give a value, and what of it may be used alone: the password behind a user's name, the fields of a JSON."""
    yield value
    if value.lstrip().startswith(b"{"):
        try:
            yield from _fields(msgspec.json.decode(value))
        except (msgspec.DecodeError, RecursionError):
            return
    elif b"\n" not in value:
        yield value.partition(b":")[2]


def _fields(document: object) -> Iterator[str]:
    if not isinstance(document, dict):
        return
    for key, value in document.items():
        if isinstance(value, dict):
            yield from _fields(value)
        elif key in _CREDENTIALS and isinstance(value, str):
            yield value
            if key == "auth":
                yield _password(value)


def _password(auth: str) -> str:
    """Return the password in `auth`, which is user and password in Base64."""
    try:
        return base64.b64decode(auth).decode("utf-8", "backslashreplace").partition(":")[2]
    except (binascii.Error, ValueError):
        return ""
