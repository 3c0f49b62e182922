"""A Git server on loopback: git's own http-backend behind HTTP with a password."""

import asyncio
import contextlib
import os
import ssl
import subprocess
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Self

import aiohttp
from aiohttp import web

_LARGEST_REQUEST = 256 * 2**20
_ENVIRONMENT = {
    "GIT_CONFIG_GLOBAL": os.devnull,
    "GIT_CONFIG_SYSTEM": os.devnull,
    "GIT_AUTHOR_NAME": "demo",
    "GIT_AUTHOR_EMAIL": "demo@example.com",
    "GIT_COMMITTER_NAME": "demo",
    "GIT_COMMITTER_EMAIL": "demo@example.com",
}


@dataclass(frozen=True, slots=True)
class GitRequest:
    """What a client asked for."""

    method: str
    path: str
    received: int
    """Bytes of the request's body."""
    sent: int
    """Bytes of the answer's body."""


class GitHttpServer:
    """Serves all repositories below a directory to one user."""

    def __init__(
        self,
        root: Path,
        *,
        username: str,
        password: str,
        ssl_context: ssl.SSLContext | None = None,
        port: int = 0,
    ) -> None:
        self._root = root
        self._authorization = aiohttp.encode_basic_auth(username, password)
        self._username = username
        self._ssl_context = ssl_context
        self._port = port
        self._runner: web.AppRunner | None = None
        self.requests: list[GitRequest] = []

    async def __aenter__(self) -> Self:
        application = web.Application(client_max_size=_LARGEST_REQUEST)
        application.router.add_route("*", "/{path:.*}", self._serve)
        self._runner = web.AppRunner(application, access_log=None)
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", self._port, ssl_context=self._ssl_context)
        await site.start()
        self._port = self._runner.addresses[0][1]
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._runner is not None:
            await self._runner.cleanup()

    def url(self, name: str) -> str:
        scheme = "https" if self._ssl_context else "http"
        return f"{scheme}://127.0.0.1:{self._port}/{name}"

    async def _serve(self, request: web.Request) -> web.Response:
        if request.headers.get("Authorization") != self._authorization:
            return web.Response(status=401, headers={"WWW-Authenticate": 'Basic realm="git"'})
        body = await request.read()
        status, headers, answer = _read_cgi(await self._run_backend(request, body))
        self.requests.append(GitRequest(request.method, request.path, len(body), len(answer)))
        return web.Response(status=status, headers=headers, body=answer)

    def _environ_of(self, request: web.Request, body: bytes) -> dict[str, str]:
        return {
            **_environ(),
            "GIT_PROJECT_ROOT": str(self._root),
            "GIT_HTTP_EXPORT_ALL": "1",
            "PATH_INFO": request.path,
            "QUERY_STRING": request.query_string,
            "REQUEST_METHOD": request.method,
            "CONTENT_TYPE": request.headers.get("Content-Type", ""),
            "CONTENT_LENGTH": str(len(body)),
            "GIT_PROTOCOL": request.headers.get("Git-Protocol", ""),
            "REMOTE_USER": self._username,
            "REMOTE_ADDR": "127.0.0.1",
        }

    async def _run_backend(self, request: web.Request, body: bytes) -> bytes:
        process = await asyncio.create_subprocess_exec(
            *("git", "http-backend"),
            env=self._environ_of(request, body),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.DEVNULL,
        )
        try:
            out, _ = await process.communicate(body)
        except BaseException:
            with contextlib.suppress(ProcessLookupError):
                process.kill()
            await process.wait()
            raise
        return out


def create_repository(
    root: Path,
    name: str,
    files: Mapping[str, str | bytes],
    *,
    branch: str = "main",
) -> Path:
    """Make a bare repository with one commit, that may be read in parts and pushed to; without files, with none."""
    repository = root / name
    _git("init", "--quiet", "--bare", f"--initial-branch={branch}", str(repository))
    for key, value in {"uploadpack.allowFilter": "true", "http.receivepack": "true"}.items():
        _git("-C", str(repository), "config", key, value)
    if files:
        commit_files(repository, files, "Initial state", branch=branch)
    return repository


def commit_files(
    repository: Path,
    files: Mapping[str, str | bytes],
    message: str,
    *,
    branch: str = "main",
) -> None:
    """Put a commit on a branch of a bare repository, as anybody may who pushes.

    Raises:
        CalledProcessError: also when somebody else was faster.
    """
    with tempfile.TemporaryDirectory(prefix="updater-demo-") as directory:
        tree = Path(directory)
        for path, content in files.items():
            file = tree / path
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_bytes(content.encode() if isinstance(content, str) else content)
        there = ("--git-dir", str(repository), "--work-tree", str(tree))
        parent = _git("--git-dir", str(repository), "for-each-ref", "--format=%(objectname)", f"refs/heads/{branch}")
        if parent:
            _git("--git-dir", str(repository), "read-tree", parent)
        _git(*there, "add", "--force", "--", *(files))
        written = _git("--git-dir", str(repository), "write-tree")
        parents = ("-p", parent) if parent else ()
        commit = _git("--git-dir", str(repository), "commit-tree", written, *parents, "-m", message)
        # Only from what was read: somebody may have pushed meanwhile.
        _git("--git-dir", str(repository), "update-ref", f"refs/heads/{branch}", commit, parent or "0" * 40)


def _read_cgi(output: bytes) -> tuple[int, dict[str, str], bytes]:
    head, _, body = output.partition(b"\r\n\r\n")
    headers = dict(line.split(": ", 1) for line in head.decode("latin-1").split("\r\n") if ": " in line)
    status = int(headers.pop("Status", "200").split()[0])
    return status, headers, body


def _git(*arguments: str) -> str:
    command = ("git", *arguments)
    done = subprocess.run(command, env=_environ(), capture_output=True, check=True)  # noqa: S603 - our own words
    return done.stdout.decode().strip()


def _environ() -> dict[str, str]:
    return {"PATH": os.environ.get("PATH", os.defpath), **_ENVIRONMENT}
