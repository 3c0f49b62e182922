"""Look for an image's signature where cosign puts it: the referrers API, its tag, and the older tag `….sig`."""

import hashlib
from collections.abc import AsyncIterator

from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from updater.adapters.registry.client import RegistryClient
from updater.adapters.registry.remote import RemoteRepository
from updater.domain.errors import Misconfigured
from updater.domain.image import ImageVersion
from updater.domain.polling import PollKey
from updater.domain.resources import Verification
from updater.formats.signatures import Malformed, PublicKey, SignedLayer, load_public_key, read_manifest, signs
from updater.ports import Secrets

_MOST_SIGNATURES = 50
"""Of one image that are looked at."""
_MOST_REMEMBERED = 10_000
_KEYLESS = (
    "imagesVerification.keyless is not supported yet: write cosignKey, with the public key of those who sign the image"
)


class SignatureVerifier:
    """Implements `Signatures`; what was verified once stays so, as neither digest nor key can change."""

    def __init__(self, registry: RegistryClient, secrets: Secrets) -> None:
        self._registry = registry
        self._secrets = secrets
        self._signed: dict[tuple[PollKey, str, str], None] = {}

    async def check(self, key: PollKey, version: ImageVersion, verification: Verification, namespace: str) -> str:
        """Return why an image is not signed as demanded, or an empty text when it is.

        Raises:
            RegistryError: whether it is could not be found out.
            ClusterError: nor could the key be read.
            Misconfigured: there is no such key.
        """
        if not verification.secret:
            raise Misconfigured(_KEYLESS)
        public_key, fingerprint = await self._key(verification, namespace)
        remote = self._registry.remote(key)
        digest = version.digest or await remote.digest(version.tag)
        if digest is None:
            return f"{version} does not exist any more"
        question = (key, digest, fingerprint)
        if question not in self._signed:
            reason = await _find(remote, digest, public_key)
            if reason:
                return f"{reason} by the key {verification.key} of Secret {namespace}/{verification.secret}"
            if len(self._signed) >= _MOST_REMEMBERED:
                self._signed.clear()
            self._signed[question] = None
        return ""

    async def _key(self, verification: Verification, namespace: str) -> tuple[PublicKey, str]:
        place = f"Secret {namespace}/{verification.secret}"
        data = await self._secrets.secret(namespace, verification.secret)
        if verification.key not in data:
            raise Misconfigured(f"{place} has no field {verification.key!r}: add the public key, or correct cosignKey")
        try:
            key = load_public_key(data[verification.key])
        except Misconfigured as error:
            raise Misconfigured(f"field {verification.key!r} of {place}: {error}") from None
        encoded = key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
        return key, hashlib.sha256(encoded).hexdigest()


async def _find(remote: RemoteRepository, digest: str, key: PublicKey) -> str:
    """Look through an image's signatures for one by a key; say what is missing when there is none."""
    seen = 0
    async for layer in _signatures(remote, digest):
        seen += 1
        if seen > _MOST_SIGNATURES:
            return f"none of its first {_MOST_SIGNATURES} signatures is"
        blob = await remote.document(f"blobs/{layer.digest}")
        if blob is not None and _is_signed(key, layer, blob, digest):
            return ""
    return f"none of its {seen} signatures is" if seen else f"{digest[:19]}… is not signed"


def _is_signed(key: PublicKey, layer: SignedLayer, blob: bytes, digest: str) -> bool:
    try:
        return signs(key, layer, blob, digest)
    except Malformed:
        return False


async def _signatures(remote: RemoteRepository, digest: str) -> AsyncIterator[SignedLayer]:
    """Give all that may be signatures of an image, each place after the other, and each manifest once."""
    tag = digest.replace(":", "-")
    waiting = [f"referrers/{digest}", f"manifests/{tag}", f"manifests/{tag}.sig"]
    known = set(waiting)
    while waiting:
        document = await remote.document(waiting.pop(0))
        try:
            found = read_manifest(document or b"{}")
        except Malformed:
            continue
        for layer in found.layers:
            yield layer
        listed = [f"manifests/{each}" for each in found.referring if f"manifests/{each}" not in known]
        known.update(listed[:_MOST_SIGNATURES])
        waiting += listed[:_MOST_SIGNATURES]
