"""Signatures in registries: each place and format that cosign uses, and what a registry may answer instead."""

import json
import sys
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from aiohttp import ClientSession, encode_basic_auth, web
from cryptography.hazmat.primitives.asymmetric.types import PublicKeyTypes
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, load_pem_public_key

from tests.domain.builders import AMD64, NOW
from tests.fakes.docker_registry import DockerRegistry
from tests.fakes.memory import MemoryStore
from tests.formats.signing import (
    BUNDLE,
    OCI,
    PrivateKey,
    bundle,
    digest_of,
    make_key,
    manifest,
    simple_layer,
)
from updater.adapters.keyless import TrustRoot
from updater.adapters.registry.client import RegistryClient
from updater.adapters.signatures import SignatureVerifier
from updater.domain.errors import Misconfigured, RegistryError, SecretNotFound
from updater.domain.image import ImageVersion, Repository
from updater.domain.polling import PollKey
from updater.domain.resources import Verification
from updater.domain.secrets import CredentialSource, SecretKind
from updater.settings.registries import Registries, RegistrySettings

IMAGE = manifest()
DIGEST = digest_of(IMAGE)
TAG = DIGEST.replace(":", "-")
VERSION = ImageVersion("v1", DIGEST)
NO_ROOT = TrustRoot(Path("/nowhere/trusted_root.json"))
SAMPLES = Path(__file__).parents[1] / "samples" / "cosign"
VERIFICATION = Verification(secret="cosign", key="cosign.pub")


@dataclass
class Shelf:
    """A registry of manifests and blobs, with the referrers API if wanted; it counts what it is asked."""

    documents: dict[str, bytes] = field(default_factory=dict)
    """By their paths behind the repository."""
    broken: dict[str, int] = field(default_factory=dict)
    """Status by the beginning of the path."""
    asked: list[str] = field(default_factory=list)
    host: str = ""

    async def start(self) -> web.AppRunner:
        app = web.Application()
        app.router.add_get("/v2/team/app/{path:.*}", self._answer)
        runner = web.AppRunner(app)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        self.host = f"127.0.0.1:{runner.addresses[0][1]}"
        return runner

    async def _answer(self, request: web.Request) -> web.Response:
        path = request.match_info["path"]
        self.asked.append(path)
        for start, status in self.broken.items():
            if path.startswith(start):
                return web.Response(status=status)
        if path not in self.documents:
            return web.Response(status=404, text="404 page not found")
        return web.Response(body=self.documents[path], content_type="application/json")

    def put(self, reference: str, made: bytes, *blobs: bytes) -> None:
        self.documents[f"manifests/{reference}"] = made
        self.documents[f"manifests/{digest_of(made)}"] = made
        self.documents.update({f"blobs/{digest_of(blob)}": blob for blob in blobs})


@dataclass
class OneSecret:
    """Implements `Secrets` with the one there is."""

    data: Mapping[str, bytes]

    async def secret(self, namespace: str, name: str) -> Mapping[str, bytes]:
        if (namespace, name) != ("argocd", "cosign"):
            raise SecretNotFound(f"Secret {namespace}/{name} does not exist: create it")
        return self.data


@pytest.fixture
async def shelf() -> AsyncIterator[Shelf]:
    shelf = Shelf()
    runner = await shelf.start()
    yield shelf
    await runner.cleanup()


@pytest.fixture(scope="module")
def key() -> PrivateKey:
    return make_key()


async def check(
    host: str,
    key: PrivateKey | PublicKeyTypes,
    version: ImageVersion = VERSION,
    verification: Verification = VERIFICATION,
    *,
    times: int = 1,
    login: str = "",
    root: TrustRoot = NO_ROOT,
) -> str:
    public = key.public_key() if isinstance(key, PrivateKey) else key
    pem = public.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    secrets = OneSecret({"cosign.pub": pem, "login": login.encode()})
    source = CredentialSource(SecretKind.SECRET, "cosign", "argocd", "login") if login else None
    registries = Registries((RegistrySettings(name="test", prefix=host, api_url=f"http://{host}", credentials=source),))
    store = MemoryStore()
    client = RegistryClient(registries, secrets, store, store, own_platform=AMD64, now=lambda: NOW)
    verifier = SignatureVerifier(client, secrets, root)
    poll = PollKey(Repository(host, "team/app"))
    try:
        for _ in range(times):
            reason = await verifier.check(poll, version, verification, "argocd")
    finally:
        await client.close()
    return reason


def index(*manifests: bytes, artifact_type: str = BUNDLE) -> bytes:
    entries = [{"mediaType": OCI, "digest": digest_of(each), "artifactType": artifact_type} for each in manifests]
    return json.dumps({"schemaVersion": 2, "manifests": entries}).encode()


async def test_the_tag_of_cosign(shelf: Shelf, key: PrivateKey) -> None:
    layer = simple_layer(key, DIGEST)
    shelf.put(f"{TAG}.sig", manifest(layer), layer[1])
    assert await check(shelf.host, key) == ""


async def test_a_bundle_by_the_referrers_api(shelf: Shelf, key: PrivateKey) -> None:
    signed = bundle(key, DIGEST)
    made = manifest((BUNDLE, signed, {}), subject=DIGEST, artifact_type=BUNDLE)
    shelf.put("x", made, signed)
    shelf.documents[f"referrers/{DIGEST}"] = index(made)
    assert await check(shelf.host, key) == ""


async def test_a_bundle_by_the_tag_that_stands_for_the_referrers_api(shelf: Shelf, key: PrivateKey) -> None:
    signed = bundle(key, DIGEST)
    made = manifest((BUNDLE, signed, {}), subject=DIGEST, artifact_type=BUNDLE)
    shelf.put("x", made, signed)
    shelf.documents[f"manifests/{TAG}"] = index(made)
    assert await check(shelf.host, key) == ""


async def test_a_manifest_at_that_tag_itself(shelf: Shelf, key: PrivateKey) -> None:
    signed = bundle(key, DIGEST)
    shelf.put(TAG, manifest((BUNDLE, signed, {})), signed)
    assert await check(shelf.host, key) == ""


async def test_one_good_signature_among_others_suffices(shelf: Shelf, key: PrivateKey) -> None:
    theirs, ours = simple_layer(make_key(), DIGEST), simple_layer(key, DIGEST)
    shelf.put(f"{TAG}.sig", manifest(theirs, ours), theirs[1], ours[1])
    assert await check(shelf.host, key) == ""


async def test_no_signature_is_said_as_such(shelf: Shelf, key: PrivateKey) -> None:
    reason = await check(shelf.host, key)
    assert reason == f"{DIGEST[:19]}… is not signed by the key cosign.pub of Secret argocd/cosign"


async def test_a_signature_by_another_key_is_said_as_such(shelf: Shelf, key: PrivateKey) -> None:
    layer = simple_layer(make_key(), DIGEST)
    shelf.put(f"{TAG}.sig", manifest(layer), layer[1])
    assert (await check(shelf.host, key)).startswith("none of its 1 signatures is by the key cosign.pub")


async def test_a_registry_that_fails_proves_nothing(shelf: Shelf, key: PrivateKey) -> None:
    shelf.broken["referrers/"] = 503
    with pytest.raises(RegistryError):
        await check(shelf.host, key)


async def test_a_blob_that_is_not_what_it_is_called_proves_nothing(shelf: Shelf, key: PrivateKey) -> None:
    layer = simple_layer(key, DIGEST)
    shelf.put(f"{TAG}.sig", manifest(layer), layer[1])
    shelf.documents[f"blobs/{digest_of(layer[1])}"] = b"{}"
    with pytest.raises(RegistryError, match="does not have that digest"):
        await check(shelf.host, key)


async def test_what_is_verified_is_asked_once(shelf: Shelf, key: PrivateKey) -> None:
    layer = simple_layer(key, DIGEST)
    shelf.put(f"{TAG}.sig", manifest(layer), layer[1])
    await check(shelf.host, key, times=5)
    assert shelf.asked == [
        f"referrers/{DIGEST}",
        f"manifests/{TAG}",
        f"manifests/{TAG}.sig",
        f"blobs/{digest_of(layer[1])}",
    ]


async def test_a_flood_of_signatures_is_cut_off(shelf: Shelf, key: PrivateKey) -> None:
    layer = simple_layer(make_key(), DIGEST)
    shelf.put(f"{TAG}.sig", manifest(*[layer] * 200), layer[1])
    assert (await check(shelf.host, key)).startswith("none of its first 50 signatures is")
    assert len(shelf.asked) == 53


async def test_a_tag_alone_is_verified_by_the_digest_it_points_to(shelf: Shelf, key: PrivateKey) -> None:
    layer = simple_layer(key, DIGEST)
    shelf.put(f"{TAG}.sig", manifest(layer), layer[1])
    shelf.put("v1", IMAGE)
    assert await check(shelf.host, key, ImageVersion("v1")) == ""


@pytest.mark.parametrize(
    ("verification", "reason"),
    [
        (Verification(secret="absent", key="k"), "Secret argocd/absent does not exist: create it"),
        (Verification(secret="cosign", key="other"), "Secret argocd/cosign has no field 'other'"),
        (Verification(identity="me"), "imagesVerification.keyless needs both identity and issuer"),
        (Verification(issuer="https://x"), "imagesVerification.keyless needs both identity and issuer"),
    ],
)
async def test_a_missing_key_is_named(shelf: Shelf, key: PrivateKey, verification: Verification, reason: str) -> None:
    with pytest.raises(Misconfigured, match=reason):
        await check(shelf.host, key, verification=verification)


@pytest.mark.parametrize("named", [True, False])
async def test_the_extra_for_identities_is_named_where_it_is_missing(
    shelf: Shelf, key: PrivateKey, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, *, named: bool
) -> None:
    for module in ("sigstore", "sigstore._store", "sigstore.models", "sigstore.verify"):
        monkeypatch.setitem(sys.modules, module, None)
    file = tmp_path / "trusted_root.json"
    file.write_text("{}")
    wanted = Verification(issuer="https://issuer.example.com", identity="build@example.com")
    with pytest.raises(Misconfigured, match=r"needs the extra updater\[sigstore\]"):
        await check(shelf.host, key, verification=wanted, root=TrustRoot(file if named else None))


@pytest.mark.integration
async def test_a_real_registry_keeps_signatures_under_their_tag(key: PrivateKey, tmp_path: Path) -> None:
    layer = simple_layer(key, DIGEST)
    async with (
        DockerRegistry(tmp_path, "alice", "s3cret") as registry,
        ClientSession(registry.url, headers={"Authorization": encode_basic_auth("alice", "s3cret")}) as session,
    ):
        for blob in (layer[1], b"{}"):
            async with session.post("/v2/team/app/blobs/uploads/") as begun:
                place = begun.headers["Location"]
            async with session.put(f"{place}&digest={digest_of(blob)}", data=blob) as stored:
                assert stored.status == 201
        headers = {"Content-Type": OCI}
        async with session.put(f"/v2/team/app/manifests/{TAG}.sig", data=manifest(layer), headers=headers) as stored:
            assert stored.status == 201
        assert await check(registry.host, key, login="alice:s3cret") == ""
        assert await check(registry.host, make_key(), login="alice:s3cret") != ""


@pytest.mark.parametrize("sample", ["simple-signing", "bundle"])
async def test_signatures_that_cosign_made(shelf: Shelf, sample: str) -> None:
    """Recorded from a registry after `cosign sign --key` of version 2.6, in its old format and its new one."""
    recorded = json.loads((SAMPLES / f"{sample}.json").read_text())
    shelf.documents = {path: document.encode() for path, document in recorded["documents"].items()}
    public = load_pem_public_key((SAMPLES / "cosign.pub").read_bytes())
    version = ImageVersion("v1", recorded["digest"])
    assert await check(shelf.host, public, version) == ""
    assert await check(shelf.host, make_key(), version) != ""
