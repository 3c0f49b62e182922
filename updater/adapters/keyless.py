"""Verify identities of Sigstore, with a trust root and without any network.

What a bundle proves is judged by Sigstore's own library, an extra: the certificate, its log, the log's entry and its
proof of inclusion. Only whether the document that was signed is about the image is judged here.
"""

import asyncio
import hashlib
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING

import structlog

from updater.domain.errors import Misconfigured
from updater.formats.signatures import SignedLayer, has_envelope, states_signed

if TYPE_CHECKING:
    from sigstore.verify import Verifier

log = structlog.get_logger()

_PUBLIC_GOOD = "https%3A%2F%2Ftuf-repo-cdn.sigstore.dev"
"""Where the library keeps what it was released with, for the instance that everybody uses."""
_REMEDY = "write a trusted_root.json, such as `cosign trusted-root create` makes"
_LONGEST_REASON = 200
_OLDER_FORMAT = (
    "it is in cosign's older format, without the log's proof of inclusion: sign with cosign 3, or --new-bundle-format"
)


@dataclass(frozen=True, slots=True)
class Identity:
    """Who has to have signed, according to whom; implements `Signer`."""

    identity: str
    issuer: str
    verifier: "Verifier"
    root: str
    """Digest of the trust root."""

    def __str__(self) -> str:
        return f"{self.identity} of {self.issuer}"

    @property
    def fingerprint(self) -> str:
        return repr((self.root, self.issuer, self.identity))

    async def refusal(self, layer: SignedLayer, blob: bytes, digest: str) -> str | None:
        if layer.signature:
            return _OLDER_FORMAT
        return await asyncio.to_thread(self._judge, blob, digest)

    def _judge(self, blob: bytes, digest: str) -> str | None:
        from sigstore.errors import Error, MetadataError  # noqa: PLC0415 - an extra, and slow to import

        try:
            return None if self._verify(blob, digest) else "it is about something else"
        except MetadataError as error:
            raise Misconfigured(f"verification.trusted_root: it lacks what is needed ({error}): {_REMEDY}") from error
        except Error as error:
            return _in_short(error)
        except Exception as error:  # noqa: BLE001 - whatever a stranger's bundle leads the library to, it proves nothing
            log.debug("signature.unreadable", digest=digest, reason=repr(error))
            return f"it cannot be read ({type(error).__name__})"

    def _verify(self, blob: bytes, digest: str) -> bool:
        from sigstore.hashes import Hashed  # noqa: PLC0415
        from sigstore.models import Bundle  # noqa: PLC0415
        from sigstore.verify import policy  # noqa: PLC0415
        from sigstore_models.common.v1 import HashAlgorithm  # noqa: PLC0415

        whom = policy.Identity(identity=self.identity, issuer=self.issuer)
        bundle = Bundle.from_json(blob)
        if has_envelope(blob):
            payload_type, payload = self.verifier.verify_dsse(bundle, whom)
            return states_signed(payload_type, payload, digest)
        algorithm, _, value = digest.partition(":")
        if algorithm != "sha256":
            return False
        manifest = Hashed(algorithm=HashAlgorithm.SHA2_256, digest=bytes.fromhex(value))
        self.verifier.verify_artifact(manifest, bundle, whom)
        return True


class TrustRoot:
    """Whose certificates and logs are believed; a file is read anew when it has changed."""

    def __init__(self, path: Path | None = None) -> None:
        self._path = path
        self._loaded: tuple[str, Verifier] | None = None
        """With the digest of what it was made of."""
        self._loading = asyncio.Lock()

    async def identity(self, identity: str, issuer: str) -> Identity:
        """Take the identity of a certificate for a signer.

        Raises:
            Misconfigured: half of it is empty, the library is missing, or the trust root cannot be used.
        """
        if not identity or not issuer:
            raise Misconfigured("imagesVerification.keyless needs both identity and issuer: write what is missing")
        async with self._loading:
            root, verifier = await asyncio.to_thread(self._load)
        return Identity(identity, issuer, verifier, root)

    def _load(self) -> tuple[str, "Verifier"]:
        body = _shipped() if self._path is None else _read(self._path)
        digest = hashlib.sha256(body).hexdigest()
        if self._loaded is None or self._loaded[0] != digest:
            place = "the trust root of the library sigstore" if self._path is None else str(self._path)
            self._loaded = digest, _verifier(body, place)
        return self._loaded


def _verifier(body: bytes, place: str) -> "Verifier":
    try:
        from sigstore.models import TrustedRoot  # noqa: PLC0415
        from sigstore.verify import Verifier  # noqa: PLC0415
        from sigstore_models.trustroot.v1 import TrustedRoot as Document  # noqa: PLC0415
    except ImportError as error:
        raise Misconfigured(_missing(error)) from error
    try:
        return Verifier(trusted_root=TrustedRoot(Document.from_json(body)))
    except Exception as error:
        reason = _in_short(error)
        raise Misconfigured(f"verification.trusted_root: {place} cannot be used ({reason}): {_REMEDY}") from error


def _in_short(error: Exception) -> str:
    """Put into one line what the library says: it quotes bundles, which are strangers' texts, at length."""
    return " ".join(str(error).split())[:_LONGEST_REASON]


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise Misconfigured(f"verification.trusted_root: {path}: {error.strerror}: {_REMEDY}") from error


def _shipped() -> bytes:
    try:
        return files("sigstore._store").joinpath(_PUBLIC_GOOD, "trusted_root.json").read_bytes()
    except ImportError as error:
        raise Misconfigured(_missing(error)) from error
    except OSError as error:
        raise Misconfigured(f"verification.trusted_root: this release of sigstore has none: {_REMEDY}") from error


def _missing(error: ImportError) -> str:
    return f"imagesVerification.keyless needs the extra updater[sigstore]: install it ({error})"
