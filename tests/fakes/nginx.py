"""git's http-backend behind nginx, as an administrator sets it up: TLS, a password file, FastCGI."""

import asyncio
import shutil
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.fakes.certificates import loopback_certificate

MISSING = next((name for name in ("nginx", "fcgiwrap") if shutil.which(name, path="/usr/sbin:/usr/bin") is None), "")

_CONFIGURATION = """\
daemon off; pid {root}/nginx.pid; user root; worker_processes 1; error_log {root}/error.log;
events {{ worker_connections 64; }}
http {{
  access_log {root}/access.log; client_max_body_size 64m;
  client_body_temp_path {root}/body; fastcgi_temp_path {root}/fastcgi; proxy_temp_path {root}/proxy;
  uwsgi_temp_path {root}/uwsgi; scgi_temp_path {root}/scgi;
  server {{
    listen 127.0.0.1:{port} ssl; ssl_certificate {root}/server.pem; ssl_certificate_key {root}/server.pem;
    location / {{
      auth_basic git; auth_basic_user_file {root}/passwords;
      include /etc/nginx/fastcgi_params; fastcgi_pass unix:{root}/fcgi.sock;
      fastcgi_param SCRIPT_FILENAME /usr/lib/git-core/git-http-backend;
      fastcgi_param GIT_PROJECT_ROOT {repositories}; fastcgi_param GIT_HTTP_EXPORT_ALL 1;
      fastcgi_param PATH_INFO $uri; fastcgi_param REMOTE_USER $remote_user;
      fastcgi_param GIT_PROTOCOL $http_git_protocol;
    }}
  }}
}}
"""


@dataclass(frozen=True, slots=True)
class Nginx:
    """Where it listens, and what it notes."""

    port: int
    log: Path

    def requests(self) -> list[str]:
        return self.log.read_text().splitlines()


@asynccontextmanager
async def nginx(root: Path, repositories: Path, username: str, password: str) -> AsyncIterator[Nginx]:
    """Serve repositories to one user; the certificate is that of loopback."""
    made = loopback_certificate()
    (root / "server.pem").write_text(made.certificate + made.key)
    (root / "passwords").write_text(f"{username}:{{PLAIN}}{password}\n")
    port = await _free_port()
    (root / "nginx.conf").write_text(_CONFIGURATION.format(root=root, port=port, repositories=repositories))
    async with AsyncExitStack() as stack:
        await stack.enter_async_context(_running("fcgiwrap", "-s", f"unix:{root}/fcgi.sock"))
        await stack.enter_async_context(_running("nginx", "-p", str(root), "-c", str(root / "nginx.conf")))
        async with asyncio.timeout(10):
            while not await _answers(port) or not (root / "fcgi.sock").exists():  # noqa: ASYNC110 - neither tells
                await asyncio.sleep(0.02)
        yield Nginx(port, root / "access.log")


@asynccontextmanager
async def _running(program: str, *arguments: str) -> AsyncIterator[None]:
    process = await asyncio.create_subprocess_exec(f"/usr/sbin/{program}", *arguments, env={"PATH": "/usr/bin:/bin"})
    try:
        yield
    finally:
        process.terminate()
        await process.wait()


async def _free_port() -> int:
    server = await asyncio.start_server(lambda _, writer: writer.close(), "127.0.0.1", 0)
    port: int = server.sockets[0].getsockname()[1]
    server.close()
    await server.wait_closed()
    return port


async def _answers(port: int) -> bool:
    try:
        _, writer = await asyncio.open_connection("127.0.0.1", port)
    except ConnectionError:
        return False
    writer.close()
    return True
