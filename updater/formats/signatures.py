"""Signatures of images as cosign makes them: simple signing, and Sigstore bundles with a DSSE envelope.

A signature is a signature over a document that names the image's digest; one without the other proves nothing.
"""

import base64
import binascii
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TypeVar

import msgspec
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, padding, rsa
from cryptography.hazmat.primitives.serialization import load_pem_public_key

from updater.domain.errors import Misconfigured

PublicKey = ec.EllipticCurvePublicKey | rsa.RSAPublicKey | ed25519.Ed25519PublicKey

BUNDLE = "application/vnd.dev.sigstore.bundle.v0.3+json"
SIMPLE_SIGNING = "application/vnd.dev.cosign.simplesigning.v1+json"
SIGNATURE_ARTEFACT = "application/vnd.dev.cosign.artifact.sig.v1+json"
_EMPTY = "application/vnd.oci.empty.v1+json"
SIGNATURE_TYPES = frozenset({BUNDLE, SIGNATURE_ARTEFACT, _EMPTY, ""})
"""Types of artefacts that may be an image's signature; cosign calls its own bundles empty where it keeps the index."""

_T = TypeVar("_T")
_SIGNATURE_ANNOTATION = "dev.cosignproject.cosign/signature"
_PAYLOAD_TYPE = "application/vnd.in-toto+json"
_PREDICATE = "https://sigstore.dev/cosign/sign/v1"
_SIMPLE_TYPE = "cosign container image signature"
_SMALLEST_RSA = 2048
_KEY_REMEDY = "write a public key as cosign.pub has it: PEM, of ECDSA, RSA or Ed25519"


class _Descriptor(msgspec.Struct, rename="camel"):
    media_type: str = ""
    digest: str = ""
    artifact_type: str = ""
    annotations: dict[str, str] | None = None


class _Manifest(msgspec.Struct, rename="camel"):
    media_type: str = ""
    artifact_type: str = ""
    layers: list[_Descriptor] | None = None
    manifests: list[_Descriptor] | None = None


class _Image(msgspec.Struct):
    digest: str = msgspec.field(default="", name="docker-manifest-digest")


class _Critical(msgspec.Struct):
    image: _Image = msgspec.field(default_factory=_Image)
    type: str = ""


class _Simple(msgspec.Struct):
    critical: _Critical = msgspec.field(default_factory=_Critical)


class _Signature(msgspec.Struct):
    sig: str = ""


class _Envelope(msgspec.Struct, rename="camel"):
    payload: str = ""
    payload_type: str = ""
    signatures: list[_Signature] | None = None


class _Bundle(msgspec.Struct, rename="camel"):
    media_type: str = ""
    dsse_envelope: _Envelope | None = None


class _Subject(msgspec.Struct):
    digest: dict[str, str] | None = None


class _Statement(msgspec.Struct, rename="camel"):
    subject: list[_Subject] | None = None
    predicate_type: str = ""


@dataclass(frozen=True, slots=True)
class SignedLayer:
    """A blob that is a signature, or is signed by one."""

    digest: str
    signature: str
    """In base64, over the blob's bytes; empty for a bundle, which has it inside."""


@dataclass(frozen=True, slots=True)
class SignatureManifest:
    """What a manifest or an index holds of signatures."""

    layers: tuple[SignedLayer, ...] = ()
    referring: tuple[str, ...] = ()
    """Digests of manifests that may hold some."""


class Malformed(ValueError):
    """A document is not what a signature is made of."""


def load_public_key(pem: bytes) -> PublicKey:
    """Read a public key.

    Raises:
        Misconfigured: it is none, or of a kind or size that is not accepted.
    """
    try:
        key = load_pem_public_key(pem)
    except (ValueError, UnsupportedAlgorithm):
        raise Misconfigured(f"it holds no public key: {_KEY_REMEDY}") from None
    if isinstance(key, rsa.RSAPublicKey) and key.key_size < _SMALLEST_RSA:
        raise Misconfigured(f"it holds an RSA key of {key.key_size} bits: take one of {_SMALLEST_RSA} or more")
    if not isinstance(key, ec.EllipticCurvePublicKey | rsa.RSAPublicKey | ed25519.Ed25519PublicKey):
        raise Misconfigured(f"it holds a key of another kind: {_KEY_REMEDY}")
    return key


def read_manifest(document: bytes) -> SignatureManifest:
    """Read a manifest, an index, or an answer of the referrers API.

    Raises:
        Malformed: it is none of these.
    """
    found = _decode(document, _Manifest)
    referring = tuple(each.digest for each in found.manifests or () if each.artifact_type in SIGNATURE_TYPES)
    return SignatureManifest(tuple(_signed_layers(found)), referring)


def _signed_layers(manifest: _Manifest) -> Iterator[SignedLayer]:
    for layer in manifest.layers or ():
        signature = (layer.annotations or {}).get(_SIGNATURE_ANNOTATION, "")
        if layer.media_type == BUNDLE:
            yield SignedLayer(layer.digest, "")
        elif layer.media_type == SIMPLE_SIGNING and signature:
            yield SignedLayer(layer.digest, signature)


def signs(key: PublicKey, layer: SignedLayer, blob: bytes, digest: str) -> bool:
    """Tell whether a layer's blob is a signature of the image with a digest, by a key.

    Raises:
        Malformed: it is no signature at all.
    """
    if not layer.signature:
        return _bundle_signs(key, blob, digest)
    named = _decode(blob, _Simple).critical
    return named.image.digest == digest and named.type == _SIMPLE_TYPE and _verifies(key, _plain(layer.signature), blob)


def has_envelope(blob: bytes) -> bool:
    """Tell whether a bundle signs a statement about an image, and not the image's manifest itself.

    Raises:
        Malformed: it is no bundle.
    """
    return _decode(blob, _Bundle).dsse_envelope is not None


def states_signed(payload_type: str, payload: bytes, digest: str) -> bool:
    """Tell whether an envelope's payload is what cosign signs for the image with a digest.

    Raises:
        Malformed: it is no statement.
    """
    if payload_type != _PAYLOAD_TYPE:
        return False
    statement = _decode(payload, _Statement)
    algorithm, _, value = digest.partition(":")
    subjects = [(subject.digest or {}).get(algorithm) for subject in statement.subject or ()]
    return statement.predicate_type == _PREDICATE and value in subjects


def _bundle_signs(key: PublicKey, blob: bytes, digest: str) -> bool:
    envelope = _decode(blob, _Bundle).dsse_envelope
    if envelope is None:
        return False
    payload = _plain(envelope.payload)
    if not states_signed(envelope.payload_type, payload, digest):
        return False
    signed = _pre_authentication(envelope.payload_type, payload)
    return any(_verifies(key, _plain(each.sig), signed) for each in envelope.signatures or ())


def _pre_authentication(payload_type: str, payload: bytes) -> bytes:
    """Encode what a DSSE signature is made over."""
    kind = payload_type.encode()
    return b"DSSEv1 %d %b %d %b" % (len(kind), kind, len(payload), payload)


def _verifies(key: PublicKey, signature: bytes, document: bytes) -> bool:
    try:
        match key:
            case ec.EllipticCurvePublicKey():
                key.verify(signature, document, ec.ECDSA(hashes.SHA256()))
            case rsa.RSAPublicKey():
                key.verify(signature, document, padding.PKCS1v15(), hashes.SHA256())
            case ed25519.Ed25519PublicKey():
                key.verify(signature, document)
    except InvalidSignature:
        return False
    return True


def _plain(text: str) -> bytes:
    try:
        return base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        raise Malformed("a signature is not in base64") from None


def _decode(body: bytes, kind: type[_T]) -> _T:
    try:
        return msgspec.json.decode(body, type=kind)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise Malformed(f"it is no document of a signature: {error}") from None
