"""Git over SSH: OpenSSH's server and one in this process; what is pushed, git itself checks."""

import asyncio
import contextlib
import subprocess
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import asyncssh
import pytest

from tests.adapters.git.test_git_client import AUTHOR, FILES, Secrets
from tests.fakes.ssh_servers import SSHD, SshPlace, in_process, openssh
from updater.adapters.argocd_trust import ArgoTrust
from updater.adapters.git.client import GitClient, RemoteBranch
from updater.adapters.git.reach import Reach
from updater.demo.gitserver import commit_files, create_repository
from updater.domain.errors import BranchNotFound, GitAuthError, GitError, Misconfigured, PushRefused, PushStale
from updater.domain.target import Branch

pytestmark = pytest.mark.integration


@dataclass
class Place:
    """A server with one repository, and a client."""

    server: SshPlace
    repository: Path
    secrets: Secrets
    client: GitClient
    known_hosts: Path

    def branch(self, name: str = "main", path: Path | str = "") -> RemoteBranch:
        url = f"ssh://{self.server.user}@127.0.0.1:{self.server.port}{path or self.repository}"
        return self.client.branch(Branch(url, name, "secret:argocd/git-creds"))

    async def write(self, text: bytes, name: str = "main") -> str:
        remote = self.branch(name)
        head = await remote.head()
        assert (await remote.read(head, ["apps/one/values.yaml"]))["apps/one/values.yaml"]
        commit = await remote.commit(head, {"apps/one/values.yaml": text}, "change\n", AUTHOR, datetime.now(UTC))
        await remote.push(head, commit)
        return commit

    def git(self, *arguments: str) -> str:
        command = ("git", "-C", str(self.repository), *arguments)
        return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()


@asynccontextmanager
async def served(root: Path, server: SshPlace, seconds: float = 20) -> AsyncIterator[Place]:
    repository = create_repository(root, "gitops.git", FILES)
    known_hosts = root / "ssh" / "ssh_known_hosts"
    known_hosts.parent.mkdir()
    known_hosts.write_text(server.known_hosts)
    secrets = Secrets({"sshPrivateKey": server.private_key.encode()})
    trust = ArgoTrust(secrets, "argocd", tls_directory=root / "tls", known_hosts_file=known_hosts)
    reach = Reach(secrets, trust, argocd_namespace="argocd", timeout=seconds, environ={})
    client = GitClient(reach, max_pack_bytes=2**26, cache_bytes=2**25, max_file_bytes=10**6)
    yield Place(server, repository, secrets, client, known_hosts)
    await client.close()


@pytest.fixture
async def place(tmp_path: Path) -> AsyncIterator[Place]:
    async with in_process(Path("/")) as server, served(tmp_path, server) as place:
        yield place


@pytest.mark.skipif(not SSHD.exists(), reason="openssh-server is not installed")
async def test_openssh_takes_a_commit_on_an_rsa_host_key(tmp_path: Path) -> None:
    async with openssh(tmp_path) as server, served(tmp_path, server) as place:
        commit = await place.write(b"tag: v2\n")
        assert place.git("rev-parse", "main") == commit
        place.git("fsck", "--strict")


async def test_commit_arrives_and_changes_nothing_else(place: Place) -> None:
    before = place.git("rev-parse", "main")
    commit = await place.write(b"tag: v2\n")
    assert place.git("rev-parse", "main") == commit
    assert place.git("diff", "--name-only", before, commit) == "apps/one/values.yaml"
    place.git("fsck", "--strict")


async def test_server_without_version_2_takes_a_commit(tmp_path: Path) -> None:
    async with in_process(Path("/"), version_2=False) as server, served(tmp_path, server) as place:
        commit = await place.write(b"tag: v2\n")
        await place.write(b"tag: v3\n", name="")
        assert place.git("rev-parse", "main^") == commit
        place.git("fsck", "--strict")


async def test_many_branches_share_one_connection_four_at_a_time(place: Place) -> None:
    for number in range(20):
        place.git("branch", f"b{number}", "main")
    await asyncio.gather(*(place.write(b"tag: v%d\n" % number, f"b{number}") for number in range(20)))
    assert place.server.logins == 1
    assert place.server.most_running < 10  # which is where OpenSSH refuses
    assert len(set(place.git("for-each-ref", "--format=%(objectname)", "refs/heads/b*").split())) == 20


async def test_connection_that_died_is_opened_again(place: Place) -> None:
    await place.write(b"tag: v2\n")
    place.server.connections[0].abort()
    await place.write(b"tag: v3\n")
    assert place.server.logins == 2


async def test_branch_that_did_not_move_is_one_command(place: Place) -> None:
    await place.write(b"tag: v2\n")
    place.server.commands.clear()
    await place.branch().head()
    assert [command.split()[0] for command in place.server.commands] == ["git-upload-pack"]


async def test_push_on_a_branch_that_moved_is_stale(place: Place) -> None:
    remote = place.branch()
    head = await remote.head()
    await remote.read(head, ["README.md"])
    commit = await remote.commit(head, {"README.md": b"ours\n"}, "change\n", AUTHOR, datetime.now(UTC))
    commit_files(place.repository, {"README.md": "theirs\n"}, "theirs")
    with pytest.raises(PushStale):
        await remote.push(head, commit)
    assert place.git("show", "main:README.md") == "theirs"


async def test_hook_that_declines_is_quoted(place: Place) -> None:
    hook = place.repository / "hooks" / "pre-receive"
    hook.write_text("#!/bin/sh\necho 'only on Mondays' >&2\nexit 1\n")
    hook.chmod(0o755)
    with pytest.raises(PushRefused, match="only on Mondays"):
        await place.write(b"tag: v2\n")


async def test_unknown_host_is_refused(place: Place) -> None:
    place.known_hosts.write_text("")
    with pytest.raises(GitError, match="is not in argocd-ssh-known-hosts-cm"):
        await place.branch().head()
    assert not place.server.commands


async def test_changed_host_key_is_refused(place: Place) -> None:
    other = asyncssh.generate_private_key("ssh-ed25519").export_public_key().decode()
    place.known_hosts.write_text(f"[127.0.0.1]:{place.server.port} {other}")
    with pytest.raises(GitError, match="is another than the one"):
        await place.branch().head()
    assert not place.server.commands


async def test_unknown_host_is_taken_when_the_secret_says_so(place: Place) -> None:
    place.known_hosts.write_text("")
    place.secrets.data = {**place.secrets.data, "insecure": b"true"}
    assert await place.branch().head()


async def test_wrong_key_is_said_without_the_key(place: Place) -> None:
    key = asyncssh.generate_private_key("ssh-ed25519").export_private_key()
    place.secrets.data = {"sshPrivateKey": key}
    with pytest.raises(GitAuthError, match="Secret argocd/git-creds") as caught:
        await place.branch().head()
    assert key.decode().splitlines()[2] not in str(caught.value)


async def test_key_with_a_passphrase_is_misconfigured(place: Place) -> None:
    key = place.server.client_key.export_private_key("pkcs8-pem", passphrase="secret")
    place.secrets.data = {"sshPrivateKey": key}
    with pytest.raises(Misconfigured, match="without a passphrase"):
        await place.branch().head()


async def test_password_does_not_open_ssh(place: Place) -> None:
    place.secrets.data = {"password": b"secret"}
    with pytest.raises(GitAuthError, match="no field sshPrivateKey"):
        await place.branch().head()


async def test_rotated_key_is_used_at_the_next_batch(place: Place) -> None:
    await place.branch().head()
    place.secrets.data = {"sshPrivateKey": asyncssh.generate_private_key("ssh-ed25519").export_private_key()}
    with pytest.raises(GitAuthError):
        await place.branch().head()


async def test_missing_repository_is_said(place: Place) -> None:
    with pytest.raises(GitError, match="is not there"):
        await place.branch(path="/nowhere.git").head()


async def test_missing_branch_is_said(place: Place) -> None:
    with pytest.raises(BranchNotFound):
        await place.branch("nope").head()


async def test_server_that_stalls_takes_the_timeout_and_no_more(tmp_path: Path) -> None:
    async def stall(process: "asyncssh.SSHServerProcess[bytes]") -> None:
        await process.stdin.read()

    async with in_process(Path("/"), serve=stall) as server, served(tmp_path, server, seconds=0.3) as place:
        with pytest.raises(GitError, match="did not answer within"):
            await place.branch().head()


async def test_server_that_never_stops_talking_is_left(tmp_path: Path) -> None:
    async def talk(process: "asyncssh.SSHServerProcess[bytes]") -> None:
        with contextlib.suppress(OSError):
            while True:
                process.stdout.write(1_000 * b"0009hello")
                process.stderr.write(b"words " * 100)
                await process.stdout.drain()

    async with in_process(Path("/"), serve=talk) as server, served(tmp_path, server) as place:
        place.client.max_pack_bytes = 2**20
        with pytest.raises(GitError, match="max_pack"):
            await place.branch().head()


async def test_server_that_refuses_in_words_is_quoted(tmp_path: Path) -> None:
    async def refuse(process: "asyncssh.SSHServerProcess[bytes]") -> None:
        process.stderr.write(b"ERROR: Permission to team/gitops denied to deploy key\n")
        process.exit(1)

    async with in_process(Path("/"), serve=refuse) as server, served(tmp_path, server) as place:
        with pytest.raises(GitAuthError, match="denied to deploy key"):
            await place.branch().head()


async def test_connection_through_a_proxy(place: Place) -> None:
    asked: list[bytes] = []

    async def tunnel(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        asked.append(await reader.readuntil(b"\r\n\r\n"))
        up_reader, up_writer = await asyncio.open_connection("127.0.0.1", place.server.port)
        writer.write(b"HTTP/1.1 200 Connection established\r\n\r\n")
        await asyncio.gather(_pump(reader, up_writer), _pump(up_reader, writer))

    async with await asyncio.start_server(tunnel, "127.0.0.1", 0) as proxy:
        port = proxy.sockets[0].getsockname()[1]
        place.secrets.data = {**place.secrets.data, "proxy": f"http://bot:pass%20word@127.0.0.1:{port}".encode()}
        await place.write(b"tag: v2\n")
        await place.client.close()
    assert asked[0].startswith(b"CONNECT 127.0.0.1:%d " % place.server.port)
    assert b"Proxy-Authorization: Basic Ym90OnBhc3Mgd29yZA==" in asked[0]


async def _pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    try:
        while piece := await reader.read(65536):
            writer.write(piece)
            await writer.drain()
    except ConnectionError:
        pass
    finally:
        writer.close()
