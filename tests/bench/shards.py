"""What several daemons cost that share the Applications of one cluster by namespace: `python -m tests.bench.shards`.

All of them run at once, against an API server and a registry in a process of its own, 20 ms away. An image is used in
one namespace alone, as it would be if Applications were shared out by their repositories.
"""

import argparse
import asyncio
import json
import os
import sys
from collections.abc import Sequence
from contextlib import AsyncExitStack
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from aiohttp import web

from tests.bench.machine import facts, table
from tests.fakes.apiserver import ApiServer
from updater.demo.daemon import DaemonProcess

_LATENCY = 0.02
_INTERVAL = 10
_ROUNDS = 2
_PATIENCE = 240.0
_NAMESPACES = 4
_TO_AN_IMAGE = 20
_TAGS = 500
_PREFIX = "argocd-image-updater.argoproj.io"
_HEADER = ("daemons", "lists/round", "API/round", "start CPU s", "CPU s/round", "of one", "RSS MB", "of one")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--applications", type=int, default=2000)
    parser.add_argument("--serve", type=Path, help=argparse.SUPPRESS)
    chosen = parser.parse_args()
    if chosen.serve:
        asyncio.run(_serve(chosen.applications, chosen.serve))
        return
    rows = [asyncio.run(_measure(chosen.applications, count)) for count in (1, 2, 4)]
    sys.stdout.write(f"{facts()}; {chosen.applications:,} Applications\n\n{table(_HEADER, rows)}\n")


async def _measure(applications: int, count: int) -> Sequence[str]:
    """Run so many daemons beside each other; figures of one are of the dearest one."""
    with TemporaryDirectory(prefix="bench-") as directory:
        async with AsyncExitStack() as stack:
            root = Path(directory)
            command = (sys.executable, "-m", "tests.bench.shards", "--applications", str(applications), "--serve", root)
            pipe = asyncio.subprocess.PIPE
            server = await asyncio.create_subprocess_exec(*command, stdin=pipe, stdout=pipe)
            stack.push_async_callback(_end, server)
            registry = (await _ask(server))["registry"]
            settings = [_configure(root, registry, number, count) for number in range(count)]
            daemons = [await stack.enter_async_context(DaemonProcess(each)) for each in settings]
            for daemon in daemons:
                considered = applications // count
                await daemon.wait_for("round.finished", _PATIENCE, count=2, images_considered=considered)
            start, before = [_cpu(daemon.pid) for daemon in daemons], await _ask(server)
            await asyncio.sleep(_ROUNDS * _INTERVAL)
            after = await _ask(server)
            steady = [(_cpu(daemon.pid) - spent) / _ROUNDS for daemon, spent in zip(daemons, start, strict=True)]
            memory = [_memory(daemon.pid) for daemon in daemons]
            requests = [f"{(after[name] - before[name]) / _ROUNDS:.0f}" for name in ("lists", "api")]
    cpu = (f"{sum(start):.1f}", f"{sum(steady):.2f}", f"{max(steady):.2f}")
    return (str(count), *requests, *cpu, f"{sum(memory):.0f}", f"{max(memory):.0f}")


def _configure(root: Path, registry: str, number: int, count: int) -> Path:
    """Give a daemon its part of the namespaces; one of them has its Lease, and what its replicas share."""
    names = ", ".join(f"team{each}" for each in range(number, _NAMESPACES, count))
    (root / "registries.conf").write_text(
        f"registries:\n- {{name: bench, api_url: 'http://{registry}', prefix: '{registry}', limit: 0}}\n"
    )
    path = root / f"shard{number}.yaml"
    path.write_text(
        f"applications: {{source: kubernetes, kubeconfig: kubeconfig, namespaces: [{names}]}}\n"
        "registries: {file: registries.conf}\n"
        f"polling: {{interval: {_INTERVAL}s}}\n"
        f"leader_election: {{namespace: team{number}}}\n"
        'web: {listen: "127.0.0.1:0"}\n'
        f"state: {{path: shard{number}.db}}\n"
    )
    return path


async def _end(server: asyncio.subprocess.Process) -> None:
    server.kill()
    await server.wait()


async def _ask(server: asyncio.subprocess.Process) -> dict[str, Any]:
    assert server.stdin is not None
    assert server.stdout is not None
    server.stdin.write(b"\n")
    said: dict[str, Any] = json.loads(await server.stdout.readline())
    return said


async def _serve(applications: int, root: Path) -> None:
    """Answer each line of standard input with what was asked of the servers so far."""
    lists = 0

    async def answer(request: web.Request) -> web.StreamResponse:
        nonlocal lists
        await asyncio.sleep(_LATENCY)
        lists += request.path.endswith("/tags/list")
        return web.json_response({"name": request.path, "tags": [f"v1.0.{number}" for number in range(_TAGS)]})

    app = web.Application()
    app.router.add_get("/v2/{path:.*}", answer)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    registry = f"127.0.0.1:{runner.addresses[0][1]}"
    async with ApiServer(bookmark_every=30) as api:
        for number in range(applications):
            api.put(_application(number, f"{registry}/team/image{number // _NAMESPACES // _TO_AN_IMAGE}"))
        api.kubeconfig(root / "kubeconfig")
        while await asyncio.to_thread(sys.stdin.readline):
            sys.stdout.write(json.dumps({"registry": registry, "lists": lists, "api": len(api.requests)}) + "\n")
            sys.stdout.flush()


def _application(number: int, image: str) -> dict[str, Any]:
    """Make an Application that is up to date, of about 10 kB."""
    namespace = f"team{number % _NAMESPACES}"
    image = f"{image}-{namespace}"
    resources = [
        {"group": "apps", "version": "v1", "kind": "Deployment", "namespace": namespace, "name": f"part-{part}"}
        | {"status": "Synced", "health": {"status": "Healthy"}}
        for part in range(60)
    ]
    newest = f"v1.0.{_TAGS - 1}"
    helm = {"parameters": [{"name": "image.tag", "value": newest}]}
    return {
        "apiVersion": "argoproj.io/v1alpha1",
        "kind": "Application",
        "metadata": {
            "name": f"app{number}",
            "namespace": namespace,
            "annotations": {f"{_PREFIX}/image-list": f"app={image}", f"{_PREFIX}/app.helm.image-tag": "image.tag"},
        },
        "spec": {
            "project": "default",
            "source": {"repoURL": "https://git.example.com/gitops.git", "path": f"app{number}", "helm": helm},
        },
        "status": {"sourceType": "Helm", "summary": {"images": [f"{image}:{newest}"]}, "resources": resources},
    }


def _cpu(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text("utf-8").rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def _memory(pid: int) -> float:
    lines = Path(f"/proc/{pid}/status").read_text("utf-8").splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("VmRSS:")) / 1024


if __name__ == "__main__":
    main()
