"""A connection through an HTTP proxy, for what is not HTTP."""

import asyncio
import socket
from collections.abc import Mapping
from urllib.parse import urlsplit

from updater.adapters.git.login import Login
from updater.domain.errors import GitError

_LONGEST_ANSWER = 8192
_OK = b"200"


async def open_tunnel(login: Login, host: str, port: int) -> socket.socket | None:
    """Ask the login's proxy for a connection; None when the host is one that is reached without it.

    Raises:
        GitError: the proxy refused.
        OSError: it cannot be reached.
    """
    proxy, headers = login.proxy_for(f"ssh://{host}:{port}")
    if proxy is None:
        return None
    parts = urlsplit(proxy)
    if parts.scheme != "http":
        raise GitError(f"{login.name} names the proxy {proxy}, and SSH goes through http:// proxies alone")
    loop = asyncio.get_running_loop()
    addresses = await loop.getaddrinfo(parts.hostname, parts.port or 80, type=socket.SOCK_STREAM)
    family, kind, protocol, _, address = addresses[0]
    sock = socket.socket(family, kind, protocol)
    try:
        sock.setblocking(False)
        await loop.sock_connect(sock, address)
        await _ask(sock, proxy, headers or {}, f"[{host}]:{port}" if ":" in host else f"{host}:{port}")
    except BaseException:
        sock.close()
        raise
    return sock


async def _ask(sock: socket.socket, proxy: str, headers: Mapping[str, str], target: str) -> None:
    loop = asyncio.get_running_loop()
    lines = [f"CONNECT {target} HTTP/1.1", f"Host: {target}", *(f"{name}: {value}" for name, value in headers.items())]
    await loop.sock_sendall(sock, "\r\n".join([*lines, "", ""]).encode())
    status = await _status(loop, sock)
    if status.split(b" ")[1:2] != [_OK]:
        raise GitError(f"the proxy {proxy} answered {status[:80].decode('latin-1')!r}: may it connect to {target}?")


async def _status(loop: asyncio.AbstractEventLoop, sock: socket.socket) -> bytes:
    """Read a head byte by byte: what follows it belongs to whoever takes the socket."""
    head = bytearray()
    while not head.endswith(b"\r\n\r\n"):
        piece = await loop.sock_recv(sock, 1)
        if not piece or len(head) > _LONGEST_ANSWER:
            break
        head += piece
    return bytes(head.partition(b"\r\n")[0])
