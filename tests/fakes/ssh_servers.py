"""SSH servers that serve Git: OpenSSH's own, and one in this process."""

import asyncio
import contextlib
import subprocess
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

import asyncssh

SSHD = Path("/usr/sbin/sshd")
Serve = Callable[["asyncssh.SSHServerProcess[bytes]"], Awaitable[None]]


@dataclass
class SshPlace:
    """Where the server listens, how it is known, and who may come in."""

    port: int
    user: str
    host_key: asyncssh.SSHKey
    client_key: asyncssh.SSHKey
    commands: list[str] = field(default_factory=list)
    """What was run; of the server in this process alone."""
    running: int = 0
    most_running: int = 0
    """Commands at once."""
    logins: int = 0
    connections: list[asyncssh.SSHServerConnection] = field(default_factory=list)

    @property
    def known_hosts(self) -> str:
        return f"[127.0.0.1]:{self.port} {self.host_key.export_public_key().decode()}"

    @property
    def private_key(self) -> str:
        return self.client_key.export_private_key().decode()


@asynccontextmanager
async def in_process(root: Path, *, version_2: bool = True, serve: Serve | None = None) -> AsyncIterator[SshPlace]:
    """Serve the repositories below a directory, by running git, or in another way."""
    host, client = (asyncssh.generate_private_key("ssh-ed25519") for _ in range(2))
    place = SshPlace(0, "git", host, client)

    class Server(asyncssh.SSHServer):
        def connection_made(self, conn: asyncssh.SSHServerConnection) -> None:
            place.connections.append(conn)

        def begin_auth(self, username: str) -> bool:
            place.logins += 1
            return True

        def public_key_auth_supported(self) -> bool:
            return True

        def validate_public_key(self, username: str, key: asyncssh.SSHKey) -> bool:
            return username == "git" and key.public_data == client.public_data

    async def run_git(process: "asyncssh.SSHServerProcess[bytes]") -> None:
        place.commands.append(process.command or "")
        service, _, path = (process.command or "").partition(" ")
        target = root / path.strip("'").lstrip("/")
        environ = {"PATH": "/usr/bin:/bin", "GIT_CONFIG_GLOBAL": "/dev/null"}
        if version_2 and "GIT_PROTOCOL" in process.env:
            environ["GIT_PROTOCOL"] = process.env["GIT_PROTOCOL"]
        git = await asyncio.create_subprocess_exec(
            *("git", service.removeprefix("git-"), str(target)),
            env=environ,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )
        giving = asyncio.create_task(_give(process, git))
        place.running += 1
        place.most_running = max(place.most_running, place.running)
        try:
            assert git.stdout is not None
            assert git.stderr is not None
            with contextlib.suppress(OSError):  # the client left
                while piece := await git.stdout.read(65536):
                    process.stdout.write(piece)
                process.stderr.write(await git.stderr.read())
                process.exit(await git.wait())
        finally:
            place.running -= 1
            giving.cancel()
            await asyncio.gather(giving, return_exceptions=True)
            await git.wait()

    server = await asyncssh.create_server(
        Server,
        "127.0.0.1",
        0,
        server_host_keys=[host],
        process_factory=serve or run_git,
        encoding=None,
    )
    async with server:
        place.port = server.get_port()
        yield place
        for connection in place.connections:
            connection.abort()


async def _give(process: "asyncssh.SSHServerProcess[bytes]", git: asyncio.subprocess.Process) -> None:
    assert git.stdin is not None
    try:
        while piece := await process.stdin.read(65536):
            git.stdin.write(piece)
            await git.stdin.drain()
    finally:
        git.stdin.close()


@asynccontextmanager
async def openssh(root: Path) -> AsyncIterator[SshPlace]:
    """Run sshd on loopback, for one key and no command but Git's."""
    host, client = asyncssh.generate_private_key("ssh-rsa", key_size=2048), asyncssh.generate_private_key("ssh-ed25519")
    with_port = await asyncio.start_server(lambda reader, writer: None, "127.0.0.1", 0)
    port = with_port.sockets[0].getsockname()[1]
    with_port.close()
    await with_port.wait_closed()
    await asyncio.to_thread(Path("/run/sshd").mkdir, exist_ok=True, parents=True)
    host.write_private_key(root / "host_key")
    (root / "host_key").chmod(0o600)
    (root / "authorized_keys").write_bytes(client.export_public_key())
    (root / "sshd_config").write_text(
        f"Port {port}\nListenAddress 127.0.0.1\nHostKey {root}/host_key\nAuthorizedKeysFile {root}/authorized_keys\n"
        "UsePAM no\nStrictModes no\nPidFile none\nPermitRootLogin yes\nAcceptEnv GIT_PROTOCOL\n"
        'ForceCommand git-shell -c "$SSH_ORIGINAL_COMMAND"\n'
    )
    process = await asyncio.create_subprocess_exec(
        *(str(SSHD), "-D", "-e", "-f", str(root / "sshd_config")),
        stderr=subprocess.PIPE,
    )
    try:
        assert process.stderr is not None
        async with asyncio.timeout(10):
            while b"listening" not in (line := (await process.stderr.readline()).lower()):
                assert line, "sshd ended"
        drain = asyncio.create_task(process.stderr.read())
        yield SshPlace(port, "root", host, client)
    finally:
        process.terminate()
        await process.wait()
        await drain
