"""Sign images as cosign does, with keys of all kinds."""

import base64
import hashlib
import json
from typing import Any

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, padding, rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

PrivateKey = ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey | ed25519.Ed25519PrivateKey

BUNDLE = "application/vnd.dev.sigstore.bundle.v0.3+json"
SIMPLE = "application/vnd.dev.cosign.simplesigning.v1+json"
OCI = "application/vnd.oci.image.manifest.v1+json"


def make_key(kind: str = "ecdsa") -> PrivateKey:
    if kind == "rsa":
        return rsa.generate_private_key(public_exponent=65537, key_size=2048)
    return ed25519.Ed25519PrivateKey.generate() if kind == "ed25519" else ec.generate_private_key(ec.SECP256R1())


def public_pem(key: PrivateKey) -> bytes:
    return key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)


def sign(key: PrivateKey, document: bytes) -> str:
    match key:
        case ec.EllipticCurvePrivateKey():
            signature = key.sign(document, ec.ECDSA(hashes.SHA256()))
        case rsa.RSAPrivateKey():
            signature = key.sign(document, padding.PKCS1v15(), hashes.SHA256())
        case ed25519.Ed25519PrivateKey():
            signature = key.sign(document)
    return base64.b64encode(signature).decode()


def digest_of(document: bytes) -> str:
    return f"sha256:{hashlib.sha256(document).hexdigest()}"


def simple_payload(digest: str) -> bytes:
    identity = {"docker-reference": "registry.example.com/team/app"}
    critical = {"identity": identity, "image": {"docker-manifest-digest": digest}}
    return json.dumps({"critical": {**critical, "type": "cosign container image signature"}, "optional": None}).encode()


def statement_of(digest: str, predicate: str = "https://sigstore.dev/cosign/sign/v1") -> bytes:
    algorithm, _, value = digest.partition(":")
    statement = {
        "_type": "https://in-toto.io/Statement/v1",
        "subject": [{"digest": {algorithm: value}}],
        "predicateType": predicate,
        "predicate": {},
    }
    return json.dumps(statement).encode()


def bundle(key: PrivateKey, digest: str, predicate: str = "https://sigstore.dev/cosign/sign/v1") -> bytes:
    payload, kind = statement_of(digest, predicate), "application/vnd.in-toto+json"
    signed = b"DSSEv1 %d %b %d %b" % (len(kind), kind.encode(), len(payload), payload)
    envelope = {
        "payload": base64.b64encode(payload).decode(),
        "payloadType": kind,
        "signatures": [{"sig": sign(key, signed)}],
    }
    material = {"publicKey": {"hint": "key"}, "tlogEntries": []}
    return json.dumps({"mediaType": BUNDLE, "verificationMaterial": material, "dsseEnvelope": envelope}).encode()


def manifest(*layers: tuple[str, bytes, dict[str, str]], subject: str = "", artifact_type: str = "") -> bytes:
    """Make a manifest of layers, each with its type, content and annotations."""
    made: dict[str, Any] = {
        "schemaVersion": 2,
        "mediaType": OCI,
        "config": {"mediaType": "application/vnd.oci.empty.v1+json", "digest": digest_of(b"{}"), "size": 2},
        "layers": [
            {"mediaType": kind, "digest": digest_of(content), "size": len(content), "annotations": annotations}
            for kind, content, annotations in layers
        ],
    }
    if subject:
        made |= {"artifactType": artifact_type, "subject": {"mediaType": OCI, "digest": subject, "size": 1}}
    return json.dumps(made).encode()


def simple_layer(key: PrivateKey, digest: str) -> tuple[str, bytes, dict[str, str]]:
    payload = simple_payload(digest)
    return SIMPLE, payload, {"dev.cosignproject.cosign/signature": sign(key, payload)}
