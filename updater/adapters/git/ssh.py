"""Git over SSH: one connection for each server, user and key, shared and kept; a channel for each conversation."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import NamedTuple

import asyncssh

from updater.adapters.git.login import Login
from updater.adapters.git.transport import AnswerLost, Conversation, CutShort, Lines, Service
from updater.adapters.git.tunnel import open_tunnel
from updater.domain.errors import GitAuthError, GitError, Misconfigured
from updater.formats.pktline import Marker
from updater.formats.repository_url import SshAddress

_OPERATIONS = 4
"""At once on one connection: OpenSSH refuses more than ten channels."""
_KEEPALIVE_SECONDS = 30
_IDLE_SECONDS = 600.0
_MOST_WAITING = 2**20
"""Bytes that wait to be read; then the server has to."""
_LONGEST_WORDS = 300
_LAST_WORDS_SECONDS = 2.0
_HEADER = 4
_REFUSALS = (asyncssh.OPEN_ADMINISTRATIVELY_PROHIBITED, asyncssh.OPEN_RESOURCE_SHORTAGE)
_COMMAND = b"command="
_SSH_PORT = 22
_ENVIRONMENT: Mapping[bytes | str, bytes | str] = {"GIT_PROTOCOL": "version=2"}
_NO_REPOSITORY = ("not found", "does not appear to be a git repository", "does not exist", "not exported")
_NO_ACCESS = ("denied", "not allowed", "permission", "read-only", "read only", "unauthorized", "access")


class _Key(NamedTuple):
    """Who speaks to whom; connections of another are none of theirs."""

    host: str
    port: int
    user: str
    key: str
    proxy: str
    insecure: bool


@dataclass(slots=True)
class _Shared:
    """A connection, and who may use it now."""

    opening: asyncio.Lock = field(default_factory=asyncio.Lock)
    places: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(_OPERATIONS))
    connection: asyncssh.SSHClientConnection | None = None
    users: int = 0
    used_at: float = 0.0


class SshConnections:
    """The connections that are open."""

    def __init__(self, timeout: float) -> None:
        self.timeout = timeout
        self._shared: dict[_Key, _Shared] = {}

    async def close(self) -> None:
        for shared in list(self._shared.values()):
            await _end(shared)
        self._shared.clear()

    @asynccontextmanager
    async def use(self, address: SshAddress, login: Login, known_hosts: str) -> AsyncIterator["_Connected"]:
        """Take one of the places on a connection; it is opened, or opened again, when that is needed."""
        user = address.user or login.ssh_user or "git"
        key = _Key(address.host, address.port, user, login.ssh_key, login.proxy, login.insecure)
        now = asyncio.get_running_loop().time()
        await self._end_idle(now)
        shared = self._shared.setdefault(key, _Shared())
        shared.users += 1
        try:
            await self._wait(shared, address)
            try:
                yield _Connected(self, shared, key, login, known_hosts)
            finally:
                shared.places.release()
        finally:
            shared.users -= 1
            shared.used_at = asyncio.get_running_loop().time()

    async def _wait(self, shared: _Shared, address: SshAddress) -> None:
        try:
            async with asyncio.timeout(self.timeout):
                await shared.places.acquire()
        except TimeoutError:
            raise GitError(
                f"{address.host} answers so slowly that {_OPERATIONS} operations have kept others waiting for "
                f"{self.timeout:g} s: is the server well?",
            ) from None

    async def connected(self, to: "_Connected", place: str) -> asyncssh.SSHClientConnection:
        shared = to.shared
        async with shared.opening:
            if shared.connection is None or shared.connection.is_closed():
                shared.connection = await _connect(to.key, to.login, to.known_hosts, place, self.timeout)
            return shared.connection

    def drop(self, shared: _Shared, dead: asyncssh.SSHClientConnection) -> None:
        if shared.connection is dead:
            shared.connection = None
        dead.abort()

    async def _end_idle(self, now: float) -> None:
        for key, shared in list(self._shared.items()):
            if not shared.users and now - shared.used_at > _IDLE_SECONDS:
                del self._shared[key]
                await _end(shared)


async def _end(shared: _Shared) -> None:
    if shared.connection is not None:
        shared.connection.close()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(_LAST_WORDS_SECONDS):
                await shared.connection.wait_closed()
        shared.connection.abort()


@dataclass(frozen=True, slots=True)
class _Connected:
    """A place on a connection."""

    connections: SshConnections
    shared: _Shared
    key: _Key
    login: Login
    known_hosts: str

    async def run(self, command: str, place: str) -> "_Channel":
        """Run a command; once more on a new connection, when the one that was kept turns out to be dead."""
        for fresh in (False, True):
            connection = await self.connections.connected(self, place)
            try:
                channel, session = await connection.create_session(_Session, command, encoding=None, env=_ENVIRONMENT)
            except (asyncssh.Error, OSError) as error:
                if fresh or (isinstance(error, asyncssh.ChannelOpenError) and error.code in _REFUSALS):
                    raise AnswerLost(f"{place} opens no channel: {error}") from None
                self.connections.drop(self.shared, connection)
            else:
                assert isinstance(session, _Session)  # noqa: S101 - it was made of the class above
                return _Channel(channel, session)
        raise AssertionError  # the second time raises


class _Session(asyncssh.SSHClientSession[bytes]):
    """What comes on a channel: what git says, and the last of what else is said."""

    def __init__(self) -> None:
        self.words = b""
        self.ended = False
        self._buffer = bytearray()
        self._came = asyncio.Event()
        self._channel: asyncssh.SSHClientChannel[bytes] | None = None

    def connection_made(self, chan: asyncssh.SSHClientChannel[bytes]) -> None:
        self._channel = chan

    def data_received(self, data: bytes, datatype: int | None) -> None:
        if datatype is not None:
            self.words = (self.words + data)[-_LONGEST_WORDS:]
            return
        self._buffer += data
        self._came.set()
        if len(self._buffer) > _MOST_WAITING and self._channel is not None:
            self._channel.pause_reading()

    def eof_received(self) -> bool:
        self.ended = True
        self._came.set()
        return False

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002 - asyncssh's word
        self.eof_received()

    async def read(self) -> bytes:
        """Return what came; nothing at the end."""
        while not self._buffer and not self.ended:
            self._came.clear()
            await self._came.wait()
        piece = bytes(self._buffer)
        self._buffer.clear()
        if self._channel is not None and not self.ended:
            self._channel.resume_reading()
        return piece


class _Channel(NamedTuple):
    channel: "asyncssh.SSHClientChannel[bytes]"
    session: _Session


@dataclass(frozen=True, slots=True)
class SshTransport:
    """One repository, as one user."""

    connections: SshConnections
    place: str
    address: SshAddress
    login: Login
    known_hosts: str
    timeout: float
    largest: int

    @property
    def host(self) -> str:
        return f"ssh://{self.address.host}:{self.address.port}"

    @asynccontextmanager
    async def open(self, service: Service) -> AsyncIterator[Conversation]:
        async with self.connections.use(self.address, self.login, self.known_hosts) as connected:
            conversation = SshConversation(self, connected, service)
            try:
                yield conversation
            finally:
                conversation.leave()


@dataclass(slots=True)
class SshConversation:
    """A channel on which a service runs; it is run again when it ended with its answer, as before version 2."""

    transport: SshTransport
    connected: _Connected
    service: Service
    _on: _Channel | None = None

    @property
    def greets(self) -> bool:
        return True

    @asynccontextmanager
    async def greeting(self) -> AsyncIterator[Lines]:
        async with self._careful():
            self.leave()
            yield await self._run()

    @asynccontextmanager
    async def ask(self, request: bytes, most: int) -> AsyncIterator[Lines]:
        async with self._careful():
            if self._on is None:
                await (await self._run()).section()
            assert self._on is not None  # noqa: S101 - it runs
            self._on.channel.write(request)
            yield Lines(self._on.session.read, most, self.transport.place)
            if not request.startswith(_COMMAND, _HEADER):
                self._abandon()

    def leave(self) -> None:
        """Say that nothing more comes: a flush ends either service in peace."""
        if self._on is not None:
            with contextlib.suppress(asyncssh.Error, OSError):
                self._on.channel.write(Marker.FLUSH.value)
                self._on.channel.write_eof()
        self._abandon()

    def _abandon(self) -> None:
        left, self._on = self._on, None
        if left is not None:
            left.channel.close()

    async def _run(self) -> Lines:
        path = self.transport.address.path.replace("'", "'\\''").replace("!", "'\\!'")
        self._on = await self.connected.run(f"{self.service} '{path}'", self.transport.place)
        return Lines(self._on.session.read, self.transport.largest, self.transport.place)

    @asynccontextmanager
    async def _careful(self) -> AsyncIterator[None]:
        """Bound the time, and put the server's own words into what went wrong."""
        place, timeout = self.transport.place, self.transport.timeout
        try:
            async with asyncio.timeout(timeout):
                yield
        except TimeoutError:
            self._abandon()
            raise AnswerLost(f"{place} did not answer within {timeout:g} s: is the server well?") from None
        except CutShort as error:
            words = await self._last_words()
            raise self._explained(error, words) from None
        except (asyncssh.Error, OSError) as error:
            self._abandon()
            raise AnswerLost(f"{place}: the connection was lost: {error}") from None
        except BaseException:
            self._abandon()
            raise

    async def _last_words(self) -> str:
        left, self._on = self._on, None
        if left is None:
            return ""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(_LAST_WORDS_SECONDS):
                await left.channel.wait_closed()
        left.channel.close()
        return " ".join(left.session.words.decode("utf-8", "replace").split())

    def _explained(self, error: CutShort, words: str) -> GitError:
        place, name = self.transport.place, self.transport.login.name
        lower = words.lower()
        if any(each in lower for each in _NO_REPOSITORY):
            return GitError(f"{place} is not there, or not for {name}: {words}")
        if any(each in lower for each in _NO_ACCESS):
            return GitAuthError(f"{place} refused {name}: {words}")
        return CutShort(f"{error}: {words}") if words else error


async def _connect(
    key: _Key, login: Login, known_hosts: str, place: str, seconds: float
) -> asyncssh.SSHClientConnection:
    """Connect and log in.

    Raises:
        Misconfigured: the key or the known hosts cannot be used.
        GitAuthError: the server does not take the key.
        GitError: it is not the host that is known, or cannot be reached.
    """
    private, known = _private_key(login), _known(known_hosts)
    try:
        async with asyncio.timeout(seconds):
            sock = await open_tunnel(login, key.host, key.port) if login.proxy else None
            return await asyncssh.connect(
                key.host,
                key.port,
                sock=sock,
                username=key.user,
                client_keys=[private],
                known_hosts=None if login.insecure else known,
                config=None,
                agent_path=None,
                preferred_auth="publickey",
                keepalive_interval=_KEEPALIVE_SECONDS,
                login_timeout=seconds,
            )
    except asyncssh.HostKeyNotVerifiable:
        raise GitError(_host_key_text(known, key, place)) from None
    except asyncssh.PermissionDenied:
        raise GitAuthError(f"{place} refused {login.name} for user {key.user}: add its public key there") from None
    except TimeoutError:
        raise AnswerLost(f"{place} cannot be reached within {seconds:g} s: is the server well?") from None
    except (asyncssh.Error, OSError) as error:
        raise AnswerLost(f"{place} cannot be reached: {type(error).__name__} {error}") from None


def _private_key(login: Login) -> asyncssh.SSHKey:
    try:
        return asyncssh.import_private_key(login.ssh_key)
    except (asyncssh.KeyImportError, asyncssh.KeyEncryptionError):
        raise Misconfigured(
            f"sshPrivateKey of {login.name} is no private key without a passphrase: put one there that ssh-keygen made "
            "with -N ''",
        ) from None


def _known(text: str) -> asyncssh.SSHKnownHosts:
    try:
        return asyncssh.import_known_hosts(text)
    except ValueError as error:
        raise Misconfigured(f"Argo CD's known hosts (argocd-ssh-known-hosts-cm) cannot be read: {error}") from None


def _host_key_text(known: asyncssh.SSHKnownHosts, key: _Key, place: str) -> str:
    host = key.host if key.port == _SSH_PORT else f"[{key.host}]:{key.port}"
    if any(known.match(key.host, "", key.port)[:2]):
        return (
            f"{place}: the key of host {host} is another than the one in argocd-ssh-known-hosts-cm: either somebody is "
            "in between, or the host has a new key, which has to be put there"
        )
    return (
        f"{place}: host {host} is not in argocd-ssh-known-hosts-cm: add its key there (ssh-keyscan shows it; compare "
        "it with what the host's owner publishes)"
    )
