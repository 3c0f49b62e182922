"""Look for an image's signature where cosign puts it: the referrers API, its tag, and the older tag `….sig`."""

import hashlib
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Protocol

from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from updater.adapters.keyless import TrustRoot
from updater.adapters.registry.client import RegistryClient
from updater.adapters.registry.remote import RemoteRepository
from updater.domain.chart_versions import to_tag
from updater.domain.errors import Misconfigured
from updater.domain.image import ImageVersion
from updater.domain.polling import PollKey
from updater.domain.resources import Verification
from updater.formats.signatures import Malformed, PublicKey, SignedLayer, load_public_key, read_manifest, signs
from updater.ports.secrets import Secrets

_MOST_SIGNATURES = 50
"""Of one image that are looked at."""
_MOST_REMEMBERED = 10_000


class Signer(Protocol):
    """Whose signature is looked for; as a text, how it is called."""

    @property
    def fingerprint(self) -> str:
        """What does not change as long as its signatures are the same."""
        ...

    async def refusal(self, layer: SignedLayer, blob: bytes, digest: str) -> str | None:
        """Return what is wrong with a signature of an image, as far as that is known; None when it is valid.

        Raises:
            Malformed: it is no signature at all.
        """
        ...


@dataclass(frozen=True, slots=True)
class _KeyHolder:
    key: PublicKey
    name: str
    fingerprint: str

    def __str__(self) -> str:
        return self.name

    async def refusal(self, layer: SignedLayer, blob: bytes, digest: str) -> str | None:
        return None if signs(self.key, layer, blob, digest) else ""


class SignatureVerifier:
    """Implements `Signatures`; what was verified once stays so, as neither digest nor signer can change."""

    def __init__(self, registry: RegistryClient, secrets: Secrets, root: TrustRoot) -> None:
        self._registry = registry
        self._secrets = secrets
        self._root = root
        self._signed: dict[tuple[PollKey, str, str], None] = {}

    async def check(self, key: PollKey, version: ImageVersion, verification: Verification, namespace: str) -> str:
        """Return why an image is not signed as demanded, or an empty text when it is.

        Raises:
            RegistryError: whether it is could not be found out.
            ClusterError: nor could the key be read.
            Misconfigured: there is no such key, or nothing that identities could be verified with.
        """
        if key.repository.is_helm:
            raise Misconfigured(
                f"{key.repository} is a chart of a Helm repository, where there are no signatures of images: "
                "set imagesVerification.enabled: false for it"
            )
        signer = await self._signer(verification, namespace)
        remote = self._registry.remote(key)
        digest = version.digest or await remote.digest(to_tag(version.tag))
        if digest is None:
            return f"{version} does not exist any more"
        question = (key, digest, signer.fingerprint)
        if question not in self._signed:
            reason = await _find(remote, digest, signer)
            if reason:
                return reason
            if len(self._signed) >= _MOST_REMEMBERED:
                self._signed.clear()
            self._signed[question] = None
        return ""

    async def _signer(self, verification: Verification, namespace: str) -> Signer:
        if verification.secret:
            return await self._key_holder(verification, namespace)
        return await self._root.identity(verification.identity, verification.issuer)

    async def _key_holder(self, verification: Verification, namespace: str) -> Signer:
        place = f"Secret {namespace}/{verification.secret}"
        data = await self._secrets.secret(namespace, verification.secret)
        if verification.key not in data:
            raise Misconfigured(f"{place} has no field {verification.key!r}: add the public key, or correct cosignKey")
        try:
            key = load_public_key(data[verification.key])
        except Misconfigured as error:
            raise Misconfigured(f"field {verification.key!r} of {place}: {error}") from None
        encoded = key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
        return _KeyHolder(key, f"the key {verification.key} of {place}", hashlib.sha256(encoded).hexdigest())


async def _find(remote: RemoteRepository, digest: str, signer: Signer) -> str:
    """Look through an image's signatures for one by a signer; say what is missing when there is none."""
    seen, wrong = 0, ""
    async for layer in _signatures(remote, digest):
        seen += 1
        if seen > _MOST_SIGNATURES:
            return f"none of its first {_MOST_SIGNATURES} signatures is by {signer}"
        blob = await remote.document(f"blobs/{layer.digest}")
        refusal = "" if blob is None else await _refusal(signer, layer, blob, digest)
        if refusal is None:
            return ""
        wrong = refusal or wrong
    if not seen:
        return f"{digest[:19]}… is not signed by {signer}"
    return f"none of its {seen} signatures is by {signer}{f': {wrong}' if wrong else ''}"


async def _refusal(signer: Signer, layer: SignedLayer, blob: bytes, digest: str) -> str | None:
    try:
        return await signer.refusal(layer, blob, digest)
    except Malformed as error:
        return str(error)


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
