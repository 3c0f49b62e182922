"""Identities of Sigstore, verified by its own library against an authority and logs of our own, without any network."""

import base64
import json
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from tests.adapters.test_signatures import DIGEST, TAG, Shelf, check, index
from tests.fakes.sigstore import IDENTITY, ISSUER, Sigstore
from tests.formats.signing import BUNDLE, digest_of, make_key, manifest, simple_layer
from updater.adapters.keyless import TrustRoot
from updater.domain.errors import Misconfigured
from updater.domain.resources import Verification

WANTED = Verification(identity=IDENTITY, issuer=ISSUER)
OTHER_DIGEST = digest_of(b"another image")


@pytest.fixture(scope="module")
def sigstore() -> Sigstore:
    return Sigstore()


@pytest.fixture
async def shelf() -> AsyncIterator[Shelf]:
    shelf = Shelf()
    runner = await shelf.start()
    yield shelf
    await runner.cleanup()


@pytest.fixture
def file(sigstore: Sigstore, tmp_path: Path) -> Path:
    file = tmp_path / "trusted_root.json"
    file.write_bytes(sigstore.trusted_root())
    return file


@pytest.fixture
def root(file: Path) -> TrustRoot:
    return TrustRoot(file)


def put(shelf: Shelf, *bundles: dict[str, Any]) -> None:
    """Attach bundles to the image."""
    made = [json.dumps(each).encode() for each in bundles]
    manifests = [manifest((BUNDLE, each, {}), subject=DIGEST, artifact_type=BUNDLE) for each in made]
    for described, blob in zip(manifests, made, strict=True):
        shelf.put(digest_of(described), described, blob)
    shelf.documents[f"referrers/{DIGEST}"] = index(*manifests)


async def reason(shelf: Shelf, root: TrustRoot, wanted: Verification = WANTED, times: int = 1) -> str:
    return await check(shelf.host, make_key(), verification=wanted, root=root, times=times)


@pytest.mark.parametrize("of_manifest", [False, True])
async def test_a_statement_about_the_image_or_its_manifest_itself_may_be_signed(
    shelf: Shelf, sigstore: Sigstore, root: TrustRoot, *, of_manifest: bool
) -> None:
    put(shelf, sigstore.bundle(DIGEST, of_manifest=of_manifest))
    assert await reason(shelf, root) == ""


async def test_an_address_is_an_identity_too(shelf: Shelf, sigstore: Sigstore, root: TrustRoot) -> None:
    put(shelf, sigstore.bundle(DIGEST, "build@example.com", "https://accounts.google.com"))
    wanted = Verification(identity="build@example.com", issuer="https://accounts.google.com")
    assert await reason(shelf, root, wanted) == ""


async def test_one_good_signature_among_others_suffices(shelf: Shelf, sigstore: Sigstore, root: TrustRoot) -> None:
    put(shelf, sigstore.bundle(DIGEST, "https://example.com/other"), sigstore.bundle(DIGEST), Sigstore().bundle(DIGEST))
    assert await reason(shelf, root) == ""


async def test_what_is_not_signed_is_said_as_such(shelf: Shelf, root: TrustRoot) -> None:
    assert await reason(shelf, root) == f"{DIGEST[:19]}… is not signed by {IDENTITY} of {ISSUER}"


@pytest.mark.parametrize(
    ("wanted", "expected"),
    [
        (Verification(identity=IDENTITY + "x", issuer=ISSUER), "Certificate's SANs do not match"),
        (Verification(identity=IDENTITY[:-1], issuer=ISSUER), "Certificate's SANs do not match"),
        (Verification(identity=IDENTITY, issuer="https://example.com"), "Certificate's OIDCIssuer does not match"),
    ],
)
async def test_the_signature_of_another_is_said_as_such(
    shelf: Shelf, sigstore: Sigstore, root: TrustRoot, wanted: Verification, expected: str
) -> None:
    put(shelf, sigstore.bundle(DIGEST))
    said = await reason(shelf, root, wanted)
    assert said.startswith(f"none of its 1 signatures is by {wanted.identity} of {wanted.issuer}: {expected}")


@pytest.mark.parametrize("of_manifest", [False, True])
async def test_the_signature_of_another_image_proves_nothing(
    shelf: Shelf, sigstore: Sigstore, root: TrustRoot, *, of_manifest: bool
) -> None:
    put(shelf, sigstore.bundle(OTHER_DIGEST, of_manifest=of_manifest))
    assert await reason(shelf, root) != ""


async def test_an_attestation_is_no_signature(shelf: Shelf, sigstore: Sigstore, root: TrustRoot) -> None:
    put(shelf, sigstore.bundle(DIGEST, predicate="https://slsa.dev/provenance/v1"))
    assert (await reason(shelf, root)).endswith(": it is about something else")


@pytest.mark.parametrize("late", [timedelta(minutes=11), timedelta(minutes=-1)])
async def test_a_certificate_counts_while_it_is_valid_alone(
    shelf: Shelf, sigstore: Sigstore, root: TrustRoot, late: timedelta
) -> None:
    put(shelf, sigstore.bundle(DIGEST, late=late))
    assert "certificate" in await reason(shelf, root)


@pytest.mark.parametrize("part", ["authority", "certificate_log", "log"])
async def test_an_authority_or_log_that_is_not_trusted_proves_nothing(
    shelf: Shelf, sigstore: Sigstore, root: TrustRoot, part: str
) -> None:
    keys = {name: getattr(sigstore, name) for name in ("authority", "certificate_log", "log")}
    put(shelf, Sigstore(**(keys | {part: Sigstore().log})).bundle(DIGEST))
    assert await reason(shelf, root) != ""


def _other(content: str) -> str:
    """Turn one bit of what is in base64."""
    decoded = bytearray(base64.b64decode(content))
    decoded[-1] ^= 1
    return base64.b64encode(decoded).decode()


@pytest.mark.parametrize(
    "path",
    [
        ("verificationMaterial", "certificate", "rawBytes"),
        ("verificationMaterial", "tlogEntries", 0, "canonicalizedBody"),
        ("verificationMaterial", "tlogEntries", 0, "inclusionPromise", "signedEntryTimestamp"),
        ("verificationMaterial", "tlogEntries", 0, "inclusionProof", "rootHash"),
        ("verificationMaterial", "tlogEntries", 0, "inclusionProof", "hashes", 0),
        ("dsseEnvelope", "payload"),
        ("dsseEnvelope", "signatures", 0, "sig"),
    ],
    ids=lambda path: str(path[-1]),
)
async def test_one_bit_that_was_changed_spoils_it(
    shelf: Shelf, sigstore: Sigstore, root: TrustRoot, path: tuple[Any, ...]
) -> None:
    made = sigstore.bundle(DIGEST)
    place: Any = made
    for step in path[:-1]:
        place = place[step]
    place[path[-1]] = _other(place[path[-1]])
    put(shelf, made)
    assert await reason(shelf, root) != ""


async def test_the_time_of_the_log_is_not_taken_without_its_promise(
    shelf: Shelf, sigstore: Sigstore, root: TrustRoot
) -> None:
    made = sigstore.bundle(DIGEST)
    del made["verificationMaterial"]["tlogEntries"][0]["inclusionPromise"]
    put(shelf, made)
    assert "bundle must contain an inclusion promise" in await reason(shelf, root)


async def test_a_moved_time_of_the_log_is_found_out(shelf: Shelf, sigstore: Sigstore, root: TrustRoot) -> None:
    made = sigstore.bundle(DIGEST, late=timedelta(hours=1))
    entry = made["verificationMaterial"]["tlogEntries"][0]
    entry["integratedTime"] = str(int(entry["integratedTime"]) - 3540)
    put(shelf, made)
    assert "SET: invalid inclusion promise" in await reason(shelf, root)


async def test_the_entry_of_another_signature_proves_nothing(shelf: Shelf, sigstore: Sigstore, root: TrustRoot) -> None:
    ours, theirs = sigstore.bundle(DIGEST), sigstore.bundle(DIGEST)
    ours["verificationMaterial"]["tlogEntries"] = theirs["verificationMaterial"]["tlogEntries"]
    put(shelf, ours)
    assert "log entry signatures do not match bundle" in await reason(shelf, root)


@pytest.mark.parametrize("made", [{}, {"mediaType": BUNDLE}, {"mediaType": BUNDLE, "verificationMaterial": []}])
async def test_what_is_no_bundle_proves_nothing_and_is_said_in_a_line(
    shelf: Shelf, root: TrustRoot, made: dict[str, Any]
) -> None:
    put(shelf, made)
    said = await reason(shelf, root)
    assert said.startswith("none of its 1 signatures is by")
    assert "\n" not in said


async def test_a_bundle_with_a_key_proves_nothing_of_an_identity(
    shelf: Shelf, sigstore: Sigstore, root: TrustRoot
) -> None:
    made = sigstore.bundle(DIGEST)
    made["verificationMaterial"] = {"publicKey": {"hint": "key"}, "tlogEntries": []}
    put(shelf, made)
    assert "expected certificate in bundle" in await reason(shelf, root)


async def test_the_older_format_is_named_with_its_remedy(shelf: Shelf, root: TrustRoot) -> None:
    layer = simple_layer(make_key(), DIGEST)
    shelf.put(f"{TAG}.sig", manifest(layer), layer[1])
    assert "it is in cosign's older format" in await reason(shelf, root)


async def test_what_is_verified_is_asked_once(shelf: Shelf, sigstore: Sigstore, root: TrustRoot) -> None:
    put(shelf, sigstore.bundle(DIGEST))
    await reason(shelf, root, times=3)
    assert shelf.asked.count(f"referrers/{DIGEST}") == 1


async def test_a_trust_root_that_changed_is_read_anew(shelf: Shelf, sigstore: Sigstore, file: Path) -> None:
    put(shelf, sigstore.bundle(DIGEST))
    root = TrustRoot(file)
    file.write_bytes(Sigstore().trusted_root())
    assert await reason(shelf, root) != ""
    file.write_bytes(sigstore.trusted_root())
    assert await reason(shelf, root) == ""


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (None, "No such file or directory"),
        (b"no JSON", "cannot be used"),
        (b"\xff", "cannot be used"),
        (b"{}", "cannot be used"),
    ],
)
async def test_a_trust_root_that_cannot_be_used_stops_the_image(
    shelf: Shelf, sigstore: Sigstore, file: Path, content: bytes | None, expected: str
) -> None:
    put(shelf, sigstore.bundle(DIGEST))
    file.unlink() if content is None else file.write_bytes(content)
    with pytest.raises(Misconfigured, match=f"^verification.trusted_root: {file}.*{expected}.*cosign trusted-root"):
        await reason(shelf, TrustRoot(file))


@pytest.mark.parametrize("part", ["tlogs", "certificateAuthorities", "ctlogs"])
async def test_a_trust_root_without_one_of_its_parts_trusts_nothing(
    shelf: Shelf, sigstore: Sigstore, file: Path, part: str
) -> None:
    put(shelf, sigstore.bundle(DIGEST))
    file.write_text(json.dumps(json.loads(sigstore.trusted_root()) | {part: []}))
    with pytest.raises(Misconfigured, match=r"verification.trusted_root: .*found in trusted root|contains no"):
        await reason(shelf, TrustRoot(file))


async def test_the_public_instance_is_trusted_where_no_other_is_named_and_no_network_is_asked(
    shelf: Shelf, sigstore: Sigstore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("requests.Session.request", None)
    put(shelf, sigstore.bundle(DIGEST))
    assert "certificate chain" in await reason(shelf, TrustRoot())
