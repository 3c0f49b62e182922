"""Signatures made in this process, verified by git with gpg and with ssh's allowed signers."""

import subprocess
from collections.abc import AsyncIterator, Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path

import pytest

from updater.adapters.argocd_trust import ArgoTrust
from updater.adapters.git.client import GitClient
from updater.adapters.git.reach import Reach
from updater.adapters.git.signing import Method, SigningKey
from updater.demo.gitserver import GitHttpServer, create_repository
from updater.domain.application import ApplicationName
from updater.domain.change import Change
from updater.domain.errors import Misconfigured, SecretNotFound
from updater.domain.image import ImageVersion
from updater.domain.target import Branch
from updater.ports.git import Author
from updater.ports.secrets import LabelledSecret
from updater.stages.commits import Commits

pytestmark = pytest.mark.integration

ADDRESS = "bot@example.com"
REFERENCE = "secret:argocd/signing#key"


class Secrets:
    """One Secret with a key, and the credentials of the server."""

    def __init__(self, key: bytes) -> None:
        self.key = key

    async def secret(self, namespace: str, name: str) -> Mapping[str, bytes]:
        found = {"signing": {"key": self.key}, "git": {"username": b"bot", "password": b"password"}}
        if name not in found:
            raise SecretNotFound(f"there is no Secret {namespace}/{name}")
        return found[name]

    async def secrets_labelled(self, namespace: str, label: str, values: object) -> list[LabelledSecret]:
        return []

    async def config_map(self, namespace: str, name: str) -> Mapping[str, str]:
        return {}


@pytest.fixture
async def place(tmp_path: Path) -> AsyncIterator[tuple[GitHttpServer, Path]]:
    repository = create_repository(tmp_path, "gitops.git", {"README.md": "read me\n"})
    async with GitHttpServer(tmp_path, username="bot", password="password") as server:
        yield server, repository


async def commit(server: GitHttpServer, key: bytes, method: Method) -> None:
    """Push a signed commit, as the writer does."""
    secrets = Secrets(key)
    reach = Reach(secrets, ArgoTrust(secrets, "argocd"), argocd_namespace="argocd", timeout=20, environ={})
    client = GitClient(reach, max_pack_bytes=2**24, cache_bytes=2**24, max_file_bytes=2**20)
    try:
        remote = client.branch(Branch(server.url("gitops.git"), "main", "secret:argocd/git"))
        head = await remote.head()
        await remote.read(head, ["README.md"])
        commits = Commits(Author("Bot", ADDRESS), signer=SigningKey(secrets, REFERENCE, method))
        change = Change(ApplicationName("argocd", "é"), "app", "nginx", ImageVersion("1"), ImageVersion("2"))
        made = await commits.build(remote, head, {"README.md": b"new\n"}, [change], datetime.now(UTC))
        await remote.push(head, made)
    finally:
        await client.close()


def run(*command: str, **environ: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        command, check=False, capture_output=True, text=True, env={"PATH": "/usr/bin:/bin", **environ}
    )


@pytest.fixture
def gpg_home(tmp_path: Path) -> Iterator[Path]:
    home = tmp_path / "gnupg"
    home.mkdir(mode=0o700)
    made = run(
        "gpg",
        "--batch",
        "--quick-gen-key",
        "--passphrase",
        "",
        f"Bot <{ADDRESS}>",
        "ed25519",
        "sign",
        "never",
        GNUPGHOME=str(home),
    )
    assert made.returncode == 0, made.stderr
    yield home
    run("gpgconf", "--kill", "all", GNUPGHOME=str(home))


async def test_openpgp_signature_is_verified_by_gpg(place: tuple[GitHttpServer, Path], gpg_home: Path) -> None:
    server, repository = place
    key = run("gpg", "--armor", "--export-secret-keys", GNUPGHOME=str(gpg_home)).stdout.encode()
    await commit(server, key, "openpgp")
    verified = run("git", "-C", str(repository), "verify-commit", "main", GNUPGHOME=str(gpg_home))
    assert verified.returncode == 0, verified.stderr
    assert (
        "Good signature"
        in run("git", "-C", str(repository), "log", "-1", "--show-signature", "main", GNUPGHOME=str(gpg_home)).stdout
    )
    assert run("git", "-C", str(repository), "fsck", "--strict").returncode == 0


@pytest.mark.parametrize("kind", ["ed25519", "rsa", "ecdsa"])
async def test_ssh_signature_is_verified_by_its_allowed_signers(
    place: tuple[GitHttpServer, Path], tmp_path: Path, kind: str
) -> None:
    server, repository = place
    path = tmp_path / "key"
    assert run("ssh-keygen", "-q", "-t", kind, "-N", "", "-f", str(path)).returncode == 0
    signers = tmp_path / "signers"
    signers.write_text(f"{ADDRESS} {path.with_suffix('.pub').read_text()}")
    await commit(server, path.read_bytes(), "ssh")
    allowed = f"gpg.ssh.allowedSignersFile={signers}"
    verified = run("git", "-c", allowed, "-C", str(repository), "verify-commit", "main")
    assert verified.returncode == 0, verified.stderr
    assert f'Good "git" signature for {ADDRESS}' in verified.stderr
    assert run("git", "-C", str(repository), "fsck", "--strict").returncode == 0


@pytest.mark.parametrize("method", ["openpgp", "ssh"])
@pytest.mark.parametrize(
    "key", [b"", b"no key at all", b"-----BEGIN OPENSSH PRIVATE KEY-----\nAAAA\n-----END OPENSSH PRIVATE KEY-----\n"]
)
async def test_bad_key_is_refused_and_nothing_is_written(
    place: tuple[GitHttpServer, Path], key: bytes, method: Method
) -> None:
    server, repository = place
    with pytest.raises(Misconfigured, match=r"git\.commit_signing_key secret:argocd/signing#key"):
        await commit(server, key, method)
    assert run("git", "-C", str(repository), "rev-list", "--count", "main").stdout.strip() == "1"


async def test_key_with_a_passphrase_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "key"
    assert run("ssh-keygen", "-q", "-t", "ed25519", "-N", "passphrase", "-f", str(path)).returncode == 0
    with pytest.raises(Misconfigured, match="passphrase"):
        await SigningKey(Secrets(path.read_bytes()), REFERENCE, "ssh").signer()


async def test_public_key_cannot_sign(gpg_home: Path) -> None:
    public = run("gpg", "--armor", "--export", GNUPGHOME=str(gpg_home)).stdout.encode()
    with pytest.raises(Misconfigured, match="export-secret-keys"):
        await SigningKey(Secrets(public), REFERENCE, "openpgp").signer()


async def test_key_may_be_a_file(tmp_path: Path) -> None:
    path = tmp_path / "id_rsa"
    assert run("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(path)).returncode == 0
    sign = await SigningKey(Secrets(b""), str(path), "ssh").signer()
    assert sign is not None
    assert sign(b"x").startswith("-----BEGIN SSH SIGNATURE-----")


@pytest.mark.parametrize(
    "reference", ["secret:argocd/other#key", "secret:argocd/signing#other", "secret:signing", "3AA5C34371567BD2"]
)
async def test_key_that_cannot_be_found_is_said(reference: str) -> None:
    with pytest.raises(Misconfigured):
        await SigningKey(Secrets(b""), reference, "openpgp").signer()


async def test_changed_key_counts_at_once(tmp_path: Path) -> None:
    keys = []
    for name in ("one", "two"):
        assert run("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(tmp_path / name)).returncode == 0
        keys.append((tmp_path / name).read_bytes())
    secrets = Secrets(keys[0])
    signing = SigningKey(secrets, REFERENCE, "ssh")
    first = await signing.signer()
    secrets.key = keys[1]
    second = await signing.signer()
    assert first is not None
    assert second is not None
    assert first(b"x") != second(b"x")


async def test_no_key_means_no_signature() -> None:
    assert await SigningKey(Secrets(b""), "", "openpgp").signer() is None
