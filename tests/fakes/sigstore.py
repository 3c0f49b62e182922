"""A Sigstore of our own: an authority for certificates, its log, and a log of signatures, all made of keys."""

import base64
import hashlib
import json
import struct
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import Prehashed
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from tests.formats.signing import BUNDLE, statement_of

IDENTITY = "https://github.com/team/app/.github/workflows/build.yaml@refs/heads/main"
ISSUER = "https://token.actions.githubusercontent.com"
_ISSUER_OID = x509.ObjectIdentifier("1.3.6.1.4.1.57264.1.1")
_ISSUER_V2_OID = x509.ObjectIdentifier("1.3.6.1.4.1.57264.1.8")
_TIMESTAMPS_OID = x509.ObjectIdentifier("1.3.6.1.4.1.11129.2.4.2")
_ORIGIN = "rekor.test - 1"
_PAYLOAD_TYPE = "application/vnd.in-toto+json"
_LIFETIME = timedelta(minutes=10)
_SHA256_WITH_ECDSA = b"\x04\x03"

Key = ec.EllipticCurvePrivateKey


def _key() -> Key:
    return ec.generate_private_key(ec.SECP256R1())


@dataclass
class Sigstore:
    """Signs for whoever asks, at a time of the caller's choice."""

    authority: Key = field(default_factory=_key)
    certificate_log: Key = field(default_factory=_key)
    log: Key = field(default_factory=_key)
    began: datetime = field(default_factory=lambda: datetime.now(UTC).replace(microsecond=0) - timedelta(days=30))

    def __post_init__(self) -> None:
        name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "authority")])
        self.root = (
            x509.CertificateBuilder()
            .subject_name(name)
            .issuer_name(name)
            .public_key(self.authority.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(self.began)
            .not_valid_after(self.began + timedelta(days=3650))
            .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
            .add_extension(_usage(certificates=True), critical=True)
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(self.authority.public_key()), critical=False)
            .sign(self.authority, hashes.SHA256())
        )

    def trusted_root(self) -> bytes:
        start = self.began.isoformat().replace("+00:00", "Z")
        return json.dumps(
            {
                "mediaType": "application/vnd.dev.sigstore.trustedroot+json;version=0.1",
                "tlogs": [_trusted_log("https://rekor.test", self.log, start)],
                "certificateAuthorities": [
                    {
                        "subject": {"organization": "test", "commonName": "authority"},
                        "uri": "https://fulcio.test",
                        "certChain": {"certificates": [{"rawBytes": _b64(self.root.public_bytes(Encoding.DER))}]},
                        "validFor": {"start": start},
                    }
                ],
                "ctlogs": [_trusted_log("https://ctfe.test", self.certificate_log, start)],
            }
        ).encode()

    def certify(self, key: Key, identity: str, issuer: str, start: datetime) -> x509.Certificate:
        """Make a certificate with the timestamp of the log in which its precursor was entered."""
        san = x509.UniformResourceIdentifier(identity) if "://" in identity else x509.RFC822Name(identity)
        public = self.authority.public_key()
        precursor = (
            x509.CertificateBuilder()
            .subject_name(x509.Name([]))
            .issuer_name(self.root.subject)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(start)
            .not_valid_after(start + _LIFETIME)
            .add_extension(_usage(certificates=False), critical=True)
            .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.CODE_SIGNING]), critical=False)
            .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(public), critical=False)
            .add_extension(x509.SubjectAlternativeName([san]), critical=True)
            .add_extension(x509.UnrecognizedExtension(_ISSUER_OID, issuer.encode()), critical=False)
            .add_extension(x509.UnrecognizedExtension(_ISSUER_V2_OID, _der(0x0C, issuer.encode())), critical=False)
        )
        entered = precursor.sign(self.authority, hashes.SHA256()).tbs_certificate_bytes
        timestamps = x509.UnrecognizedExtension(_TIMESTAMPS_OID, self._certificate_timestamps(entered, start))
        return precursor.add_extension(timestamps, critical=False).sign(self.authority, hashes.SHA256())

    def _certificate_timestamps(self, entered: bytes, start: datetime) -> bytes:
        """Encode a list of one signed certificate timestamp, as RFC 6962 has it."""
        moment = struct.pack("!Q", int(start.timestamp() * 1000))
        entry = _key_id(self.authority) + struct.pack("!I", len(entered))[1:] + entered
        signature = _sign(self.certificate_log, b"\0\0" + moment + b"\0\1" + entry + b"\0\0")
        made = b"\0" + _key_id(self.certificate_log) + moment + b"\0\0" + _SHA256_WITH_ECDSA + _sized(signature)
        return _der(0x04, _sized(_sized(made)))

    def bundle(
        self,
        digest: str,
        identity: str = IDENTITY,
        issuer: str = ISSUER,
        *,
        late: timedelta = timedelta(minutes=1),
        of_manifest: bool = False,
        predicate: str = "https://sigstore.dev/cosign/sign/v1",
    ) -> dict[str, Any]:
        """Sign an image, some time after the certificate was issued: a statement, or its manifest itself."""
        key, issued = _key(), datetime.now(UTC).replace(microsecond=0) - timedelta(days=1)
        certificate = self.certify(key, identity, issuer, issued)
        verifier = _b64(certificate.public_bytes(Encoding.PEM))
        if of_manifest:
            content, body = _sign_manifest(key, verifier, digest)
        else:
            content, body = _sign_statement(key, verifier, statement_of(digest, predicate))
        material = {
            "certificate": {"rawBytes": _b64(certificate.public_bytes(Encoding.DER))},
            "tlogEntries": [self._entry(body, int((issued + late).timestamp()))],
        }
        return {"mediaType": BUNDLE, "verificationMaterial": material, **content}

    def _entry(self, body: dict[str, Any], integrated: int) -> dict[str, Any]:
        """Enter what was signed as the second of two, and prove that it is there."""
        canonical = _canonical(body)
        other, leaf = (hashlib.sha256(b"\0" + each).digest() for each in (b"other", canonical))
        root = hashlib.sha256(b"\1" + other + leaf).digest()
        note = f"{_ORIGIN}\n2\n{_b64(root)}\n"
        log_id = _key_id(self.log)
        promise = {"body": _b64(canonical), "integratedTime": integrated, "logID": log_id.hex(), "logIndex": 1}
        signed_note = f"{note}\n\N{EM DASH} rekor.test {_b64(log_id[:4] + _sign(self.log, note.encode()))}\n"
        return {
            "logIndex": "1",
            "logId": {"keyId": _b64(log_id)},
            "kindVersion": {"kind": body["kind"], "version": body["apiVersion"]},
            "integratedTime": str(integrated),
            "inclusionPromise": {"signedEntryTimestamp": _b64(_sign(self.log, _canonical(promise)))},
            "inclusionProof": {
                "logIndex": "1",
                "rootHash": _b64(root),
                "treeSize": "2",
                "hashes": [_b64(other)],
                "checkpoint": {"envelope": signed_note},
            },
            "canonicalizedBody": _b64(canonical),
        }


def _sign_statement(key: Key, verifier: str, payload: bytes) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return a bundle's content, and what is entered into the log."""
    encoded = b"DSSEv1 %d %b %d %b" % (len(_PAYLOAD_TYPE), _PAYLOAD_TYPE.encode(), len(payload), payload)
    signature = _b64(_sign(key, encoded))
    envelope = {"payload": _b64(payload), "payloadType": _PAYLOAD_TYPE, "signatures": [{"sig": signature}]}
    spec = {
        "envelopeHash": {"algorithm": "sha256", "value": hashlib.sha256(_canonical(envelope)).hexdigest()},
        "payloadHash": {"algorithm": "sha256", "value": hashlib.sha256(payload).hexdigest()},
        "signatures": [{"signature": signature, "verifier": verifier}],
    }
    return {"dsseEnvelope": envelope}, {"apiVersion": "0.0.1", "kind": "dsse", "spec": spec}


def _sign_manifest(key: Key, verifier: str, digest: str) -> tuple[dict[str, Any], dict[str, Any]]:
    value = digest.partition(":")[2]
    signature = _b64(key.sign(bytes.fromhex(value), ec.ECDSA(_prehashed())))
    message = {"messageDigest": {"algorithm": "SHA2_256", "digest": _b64(bytes.fromhex(value))}, "signature": signature}
    spec = {
        "data": {"hash": {"algorithm": "sha256", "value": value}},
        "signature": {"content": signature, "publicKey": {"content": verifier}},
    }
    return {"messageSignature": message}, {"apiVersion": "0.0.1", "kind": "hashedrekord", "spec": spec}


def _trusted_log(url: str, key: Key, start: str) -> dict[str, Any]:
    public = {
        "rawBytes": _b64(_public(key)),
        "keyDetails": "PKIX_ECDSA_P256_SHA_256",
        "validFor": {"start": start},
    }
    return {
        "baseUrl": url,
        "hashAlgorithm": "SHA2_256",
        "publicKey": public,
        "logId": {"keyId": _b64(_key_id(key))},
    }


def _usage(*, certificates: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not certificates,
        key_cert_sign=certificates,
        crl_sign=certificates,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        encipher_only=False,
        decipher_only=False,
    )


def _public(key: Key) -> bytes:
    return key.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)


def _key_id(key: Key) -> bytes:
    return hashlib.sha256(_public(key)).digest()


def _sign(key: Key, document: bytes) -> bytes:
    return key.sign(document, ec.ECDSA(hashes.SHA256()))


def _prehashed() -> Prehashed:
    return Prehashed(hashes.SHA256())


def _sized(content: bytes) -> bytes:
    return struct.pack("!H", len(content)) + content


def _der(tag: int, content: bytes) -> bytes:
    length = bytes([len(content)]) if len(content) < 0x80 else b"\x81" + bytes([len(content)])
    return bytes([tag]) + length + content


def _canonical(document: dict[str, Any]) -> bytes:
    return json.dumps(document, sort_keys=True, separators=(",", ":")).encode()


def _b64(content: bytes) -> str:
    return base64.b64encode(content).decode()
