"""Sign commits with an OpenPGP or SSH key out of a Secret or a file, in this process: no agent, no key ring."""

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

import asyncssh
import pysequoia

from updater.domain.errors import Misconfigured
from updater.domain.secrets import SecretKind, parse_credential_source
from updater.ports.git import Sign
from updater.ports.secrets import Secrets
from updater.redaction import register_secret

Method = Literal["openpgp", "ssh"]
_LARGEST_KEY = 2**20


@dataclass
class SigningKey:
    """Implements `CommitSigner`; the key is read for each commit, so that a new one counts at once."""

    secrets: Secrets
    reference: str
    """`secret:<namespace>/<name>#<field>`, or the path of a file; empty: commits are not signed."""
    method: Method
    _parsed: tuple[bytes, Sign] | None = field(default=None, repr=False)
    """The key as it was read last, and what signs with it."""

    async def signer(self) -> Sign | None:
        if not self.reference:
            return None
        data = await self._read()
        if self._parsed is None or self._parsed[0] != data:
            register_secret(data)
            self._parsed = (data, await asyncio.to_thread(self._parse, data))
        return self._parsed[1]

    async def _read(self) -> bytes:
        if self.reference.partition(":")[0].strip() == SecretKind.SECRET:
            return await self._read_secret()
        try:
            return await asyncio.to_thread(_read_file, Path(self.reference))
        except OSError as error:
            raise Misconfigured(
                f"git.commit_signing_key is {self.reference!r}, a file that cannot be read ({error.strerror}): write "
                "secret:<namespace>/<name>#<field>, or the path of an exported private key; a key's id is not enough",
            ) from None

    async def _read_secret(self) -> bytes:
        source = parse_credential_source(self.reference)
        data = await self.secrets.secret(source.namespace, source.location)
        if source.field not in data:
            raise Misconfigured(
                f"git.commit_signing_key: Secret {source.namespace}/{source.location} has no field {source.field}: "
                f"add it, or name one of {', '.join(sorted(data)) or 'none that there is'}",
            )
        return data[source.field]

    def _parse(self, data: bytes) -> Sign:
        sign = _PARSERS[self.method](data, f"git.commit_signing_key {self.reference}")
        try:
            sign(b"tree")
        except Exception as error:  # noqa: BLE001 - what the libraries raise is their own affair
            raise Misconfigured(f"git.commit_signing_key {self.reference} cannot sign: {_words(error)}") from None
        return sign


def _openpgp(data: bytes, place: str) -> Sign:
    try:
        signer = pysequoia.Tsk.from_bytes(data).signer()
    except Exception as error:  # noqa: BLE001 - as above
        raise Misconfigured(
            f"{place} is no OpenPGP private key that can sign ({_words(error)}): store the output of "
            "'gpg --armor --export-secret-keys <id>' of a key without passphrase, or set git.commit_signing_method",
        ) from None

    def sign(commit: bytes) -> str:
        return pysequoia.sign(signer, commit, mode=pysequoia.SignatureMode.DETACHED).decode()

    return sign


def _ssh(data: bytes, place: str) -> Sign:
    try:
        key = asyncssh.import_private_key(data)
    except (asyncssh.KeyImportError, asyncssh.KeyEncryptionError) as error:
        raise Misconfigured(
            f"{place} is no SSH private key that can sign ({_words(error)}): store one without passphrase, as "
            "'ssh-keygen -t ed25519 -N \"\"' makes it, or set git.commit_signing_method",
        ) from None

    def sign(commit: bytes) -> str:
        return asyncssh.create_sshsig(key, commit, namespace="git").decode()

    return sign


_PARSERS: Mapping[str, Callable[[bytes, str], Sign]] = {"openpgp": _openpgp, "ssh": _ssh}


def _read_file(path: Path) -> bytes:
    with path.open("rb") as file:
        return file.read(_LARGEST_KEY)


def _words(error: Exception) -> str:
    return str(error).partition("\n")[0] or type(error).__name__
