"""The servers around a measured daemon, each in a process of its own, with a delay before each answer.

python -m tests.bench.world KIND PLAN DIRECTORY, where KIND is api, registry, git or idle, and PLAN is JSON. It says its
address in a line of JSON, takes commands from standard input, a line of JSON each, and answers each with one.
"""

import asyncio
import json
import random
import sys
from collections.abc import Awaitable, Callable, Iterator, Mapping
from contextlib import AsyncExitStack
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Self

from aiohttp import web

from tests.fakes.apiserver import ApiServer
from tests.fakes.git_http import FaultyGitServer
from tests.fakes.registry import PASSWORD, USERNAME, FaultyRegistry
from updater.demo.gitserver import create_repository
from updater.demo.registry import StoredRepository

BASE = "team/base"
"""The image that all applications of the first Git repository use."""
_DELAY = 0.02
_DIGEST = f"sha256:{'0' * 64}"
_LARGEST_PAGE = 10_000
_PREFIX = "argocd-image-updater.argoproj.io"
_STATUS_BYTES = 9_000

Answer = Mapping[str, object]


@dataclass(frozen=True)
class Plan:
    """How large the world is. The same plan is the same world."""

    applications: int = 10_000
    repositories: int = 500
    """Of images."""
    gits: int = 50
    shared: int = 500
    """Applications in the first Git repository."""
    files: int = 20_000
    """In the first Git repository."""
    fewest_tags: int = 50
    most_tags: int = 5_000

    def image(self, number: int) -> str:
        """Name the image of an application; those of one Git repository have theirs to themselves."""
        if number < self.shared:
            return BASE
        git = self.git(number)
        own = max((self.repositories - 1) // max(self.gits - 1, 1), 1)
        return f"team/app-{(git - 1) * own + number // max(self.gits - 1, 1) % own}"

    def git(self, number: int) -> int:
        return 0 if number < self.shared or self.gits == 1 else 1 + number % (self.gits - 1)

    def images(self) -> list[str]:
        return sorted({self.image(number) for number in range(self.applications)})

    def tags(self) -> Iterator[tuple[str, int]]:
        """Give each image a number of tags, many a few and a few many."""
        chance = random.Random(1)
        for image in self.images():
            ratio = chance.random() ** 2
            yield image, round(self.fewest_tags * (self.most_tags / self.fewest_tags) ** ratio)


class SlowApi(ApiServer):
    @web.middleware
    async def _middleware(
        self, request: web.Request, handler: Callable[[web.Request], Awaitable[web.StreamResponse]]
    ) -> web.StreamResponse:
        await asyncio.sleep(_DELAY)
        return await super()._middleware(request, handler)


class SlowRegistry(FaultyRegistry):
    async def answer(self, request: web.Request) -> web.StreamResponse:
        await asyncio.sleep(_DELAY)
        return await super().answer(request)


class SlowGit(FaultyGitServer):
    async def _serve(self, request: web.Request) -> web.StreamResponse:  # type: ignore[override]
        await asyncio.sleep(_DELAY)
        return await super()._serve(request)


async def serve_api(plan: Plan, directory: Path, stack: AsyncExitStack) -> tuple[str, Callable[[Any], Answer]]:
    api = await stack.enter_async_context(SlowApi(bookmark_every=10))
    told = json.loads((directory / "addresses.json").read_text())
    newest = dict(plan.tags())
    for number in range(plan.applications):
        image = plan.image(number)
        api.put(application(number, plan, f"{told['registry']}/{image}", newest[image] - 1, told["git"]))
    api.put(
        {
            "kind": "Secret",
            "metadata": {"name": "git-creds"},
            "stringData": {"username": USERNAME, "password": PASSWORD},
        }
    )
    api.kubeconfig(directory / "kubeconfig")
    return api.url, lambda _: {"requests": len(api.requests)}


async def serve_registry(plan: Plan, directory: Path, stack: AsyncExitStack) -> tuple[str, Callable[[Any], Answer]]:
    registry = await stack.enter_async_context(SlowRegistry(page_size=_LARGEST_PAGE))
    for image, count in plan.tags():
        registry.repositories[image] = StoredRepository({f"1.{tag}.0": _DIGEST for tag in range(count)})

    def obey(command: Any) -> Answer:
        for image, tag in command.get("push", ()):
            registry.repositories[image].tags[tag] = _DIGEST
        return {"requests": len(registry.asked)}

    return registry.host, obey


async def serve_git(plan: Plan, directory: Path, stack: AsyncExitStack) -> tuple[str, Callable[[Any], Answer]]:
    told = json.loads((directory / "addresses.json").read_text())
    newest = dict(plan.tags())
    for git in range(plan.gits):
        mine = [number for number in range(plan.applications) if plan.git(number) == git]
        files = dict(
            _directory(number, f"{told['registry']}/{plan.image(number)}", newest[plan.image(number)] - 1)
            for number in mine
        )
        if git == 0:
            files |= {f"other/{number // 200}/{number}.yaml": "{}\n" for number in range(plan.files - len(files))}
        await asyncio.to_thread(create_repository, directory / "git", f"{git}.git", files)
    server = await stack.enter_async_context(SlowGit(directory / "git", username=USERNAME, password=PASSWORD))

    def obey(_: Any) -> Answer:
        exchanged = sum(each.received + each.sent for each in server.requests)
        return {"requests": len(server.requests), "bytes": exchanged}

    return server.url(""), obey


def application(number: int, plan: Plan, image: str, newest: int, git: str) -> dict[str, object]:
    """Make an Application of some ten kilobytes, most of it status, as a busy cluster has them."""
    resource = {"group": "apps", "version": "v1", "kind": "Deployment", "namespace": "team", "status": "Synced"}
    resources = [
        {**resource, "name": f"app-{number}-{each}", "health": {"status": "Healthy"}}
        for each in range(_STATUS_BYTES // 150)
    ]
    source = {"repoURL": f"{git}{plan.git(number)}.git", "path": f"apps/app-{number}", "targetRevision": "main"}
    return {
        "apiVersion": "argoproj.io/v1alpha1",
        "kind": "Application",
        "metadata": {
            "name": f"app-{number}",
            "namespace": "argocd",
            "annotations": {
                f"{_PREFIX}/image-list": f"app={image}",
                f"{_PREFIX}/write-back-method": "git:secret:argocd/git-creds",
                f"{_PREFIX}/write-back-target": "kustomization",
            },
        },
        "spec": {"project": "default", "source": source, "destination": {"namespace": "team"}},
        "status": {
            "resources": resources,
            "summary": {"images": [f"{image}:1.{newest}.0"]},
            "sourceType": "Kustomize",
            "sync": {"status": "Synced"},
            "health": {"status": "Healthy"},
        },
    }


def _directory(number: int, image: str, newest: int) -> tuple[str, str]:
    text = f"resources:\n- deployment.yaml\nimages:\n- name: {image}\n  newTag: 1.{newest}.0\n"
    return f"apps/app-{number}/kustomization.yaml", text


@dataclass
class Server:
    """One of them, seen from the measuring process."""

    process: asyncio.subprocess.Process
    address: str

    @classmethod
    async def start(cls, kind: str, plan: Plan, directory: Path) -> Self:
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "tests.bench.world", kind, json.dumps(asdict(plan)), str(directory)),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
        )
        server = cls(process, "")
        server.address = (await server._hear())["address"]
        return server

    async def ask(self, **command: object) -> dict[str, Any]:
        assert self.process.stdin is not None
        self.process.stdin.write(json.dumps(command).encode() + b"\n")
        return await self._hear()

    async def end(self) -> None:
        assert self.process.stdin is not None
        self.process.stdin.close()
        await self.process.wait()

    async def _hear(self) -> dict[str, Any]:
        assert self.process.stdout is not None
        line = await self.process.stdout.readline()
        if not line:
            raise RuntimeError("a server ended: see above")
        answer: dict[str, Any] = json.loads(line)
        return answer


async def serve_idle(_plan: Plan, _directory: Path, stack: AsyncExitStack) -> tuple[str, Callable[[Any], Answer]]:
    """Serve nothing but /healthz: how long that takes at worst is the machine's doing."""

    async def healthy(_: web.Request) -> web.Response:
        return web.Response(text="ok")

    app = web.Application()
    app.router.add_get("/healthz", healthy)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    stack.push_async_callback(runner.cleanup)
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    return f"http://127.0.0.1:{runner.addresses[0][1]}", lambda _: {}


_KINDS = {"api": serve_api, "registry": serve_registry, "git": serve_git, "idle": serve_idle}


async def main(kind: str, plan: str, directory: str) -> None:
    async with AsyncExitStack() as stack:
        address, obey = await _KINDS[kind](Plan(**json.loads(plan)), Path(directory), stack)
        _say({"address": address})
        reader = asyncio.StreamReader()
        await asyncio.get_running_loop().connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
        async for line in reader:
            _say(obey(json.loads(line)))


def _say(answer: Answer) -> None:
    sys.stdout.write(f"{json.dumps(answer)}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
