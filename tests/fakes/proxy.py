"""An HTTP proxy on loopback: forwards what is plain, tunnels what is not, and notes what it was asked."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field


@dataclass
class Proxy:
    """Where it listens, and the heads of the requests that it got."""

    port: int
    upstream: int
    """Whatever host it is asked for, this port of loopback is what it connects to."""
    heads: list[bytes] = field(default_factory=list)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(asyncio.IncompleteReadError, ConnectionError):
            head = await reader.readuntil(b"\r\n\r\n")
            self.heads.append(head)
            up_reader, up_writer = await asyncio.open_connection("127.0.0.1", self.upstream)
            if head.startswith(b"CONNECT "):
                writer.write(b"HTTP/1.1 200 Connection established\r\n\r\n")
            else:
                method, target, version = head.partition(b"\r\n")[0].split(b" ")
                path = b"/" + target.split(b"/", 3)[3]
                up_writer.write(b" ".join((method, path, version)) + head[head.index(b"\r\n") :])
            await asyncio.gather(_pump(reader, up_writer), _pump(up_reader, writer))
        writer.close()


async def _pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with contextlib.suppress(ConnectionError):
        while piece := await reader.read(65536):
            writer.write(piece)
            await writer.drain()
    writer.close()


@asynccontextmanager
async def proxy(upstream: int) -> AsyncIterator[Proxy]:
    made = Proxy(0, upstream)
    async with await asyncio.start_server(made.serve, "127.0.0.1", 0) as server:
        made.port = server.sockets[0].getsockname()[1]
        yield made
