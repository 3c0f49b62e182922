"""Signatures: what is accepted, and everything that is not."""

import json

import pytest
from cryptography.hazmat.primitives.asymmetric import rsa

from tests.formats.signing import bundle, make_key, manifest, public_pem, simple_layer, simple_payload
from updater.domain.errors import Misconfigured
from updater.formats.signatures import Malformed, SignedLayer, load_public_key, read_manifest, signs

DIGEST = f"sha256:{'a' * 64}"
OTHER = f"sha256:{'b' * 64}"
KINDS = ["ecdsa", "rsa", "ed25519"]


@pytest.mark.parametrize("kind", KINDS)
def test_simple_signing_by_each_kind_of_key(kind: str) -> None:
    key = make_key(kind)
    signed = simple_layer(key, DIGEST)
    (layer,) = read_manifest(manifest(signed)).layers
    assert signs(load_public_key(public_pem(key)), layer, signed[1], DIGEST)


@pytest.mark.parametrize("kind", KINDS)
def test_bundles_by_each_kind_of_key(kind: str) -> None:
    key = make_key(kind)
    assert signs(load_public_key(public_pem(key)), SignedLayer("", ""), bundle(key, DIGEST), DIGEST)


def test_a_signature_by_another_key_is_none() -> None:
    public = load_public_key(public_pem(make_key()))
    key = make_key()
    _, payload, annotations = simple_layer(key, DIGEST)
    assert not signs(public, SignedLayer("", *annotations.values()), payload, DIGEST)
    assert not signs(public, SignedLayer("", ""), bundle(key, DIGEST), DIGEST)


def test_a_signature_of_another_image_is_none() -> None:
    """It is valid, and somebody moved it beside an image that it does not name."""
    key = make_key()
    public = load_public_key(public_pem(key))
    _, payload, annotations = simple_layer(key, OTHER)
    assert not signs(public, SignedLayer("", *annotations.values()), payload, DIGEST)
    assert not signs(public, SignedLayer("", ""), bundle(key, OTHER), DIGEST)


def test_a_payload_that_was_changed_after_signing_is_refused() -> None:
    key = make_key()
    _, _, annotations = simple_layer(key, OTHER)
    assert not signs(
        load_public_key(public_pem(key)), SignedLayer("", *annotations.values()), simple_payload(DIGEST), DIGEST
    )


def test_an_attestation_is_no_signature() -> None:
    """Who says what an image was built from does not say that it may run."""
    key = make_key()
    attestation = bundle(key, DIGEST, predicate="https://slsa.dev/provenance/v1")
    assert not signs(load_public_key(public_pem(key)), SignedLayer("", ""), attestation, DIGEST)


def test_a_bundle_whose_payload_was_exchanged_is_refused() -> None:
    key = make_key()
    theirs, ours = json.loads(bundle(key, OTHER)), json.loads(bundle(make_key(), DIGEST))
    theirs["dsseEnvelope"]["payload"] = ours["dsseEnvelope"]["payload"]
    assert not signs(load_public_key(public_pem(key)), SignedLayer("", ""), json.dumps(theirs).encode(), DIGEST)


@pytest.mark.parametrize("blob", [b"", b"[]", b"\xff", b"{", b"[" * 100_000])
def test_what_is_no_document_is_malformed(blob: bytes) -> None:
    public = load_public_key(public_pem(make_key()))
    with pytest.raises(Malformed):
        signs(public, SignedLayer("", ""), blob, DIGEST)


def test_what_names_nothing_signs_nothing() -> None:
    public = load_public_key(public_pem(make_key()))
    assert not signs(public, SignedLayer("", ""), b"{}", DIGEST)
    assert not signs(public, SignedLayer("", "AAAA"), b"{}", DIGEST)


def test_referrers_are_filtered_by_their_type() -> None:
    index = {
        "manifests": [
            {"digest": "sha256:1", "artifactType": "application/vnd.dev.sigstore.bundle.v0.3+json"},
            {"digest": "sha256:2", "artifactType": "application/spdx+json"},
            {"digest": "sha256:3", "artifactType": "application/vnd.dev.cosign.artifact.sig.v1+json"},
            {"digest": "sha256:4"},
        ]
    }
    assert read_manifest(json.dumps(index).encode()).referring == ("sha256:1", "sha256:3", "sha256:4")


def test_a_key_that_is_none_is_said() -> None:
    with pytest.raises(Misconfigured, match=r"it holds no public key: write a public key as cosign\.pub has it"):
        load_public_key(b"not a key")


def test_a_short_rsa_key_is_refused() -> None:
    with pytest.raises(Misconfigured, match="RSA key of 1024 bits"):
        load_public_key(public_pem(rsa.generate_private_key(public_exponent=65537, key_size=1024)))
