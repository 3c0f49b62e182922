"""Memory and processor time of the daemon, beside an API server and a registry that have nothing new to say.

python -m tests.bench.footprint [APPLICATIONS [REPOSITORIES [TAGS]]]
"""

import asyncio
import os
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

from tests.bench.machine import facts
from tests.fakes.apiserver import ApiServer
from tests.fakes.registry import PASSWORD, USERNAME, FaultyRegistry
from updater.demo.daemon import DaemonProcess

_INTERVAL = 20
_ROUNDS = 3


async def main(applications: int = 1000, repositories: int = 300, tags: int = 50) -> None:
    _say(f"{applications} applications of {repositories} repositories with {tags} tags each; {facts()}")
    registry = FaultyRegistry()
    await registry.start()
    for number in range(repositories):
        for tag in range(tags):
            registry.push(f"team/app-{number}", f"1.{tag}.0")
    with TemporaryDirectory() as name:
        async with ApiServer(bookmark_every=5) as api:
            for number in range(applications):
                api.put(_application(number, f"{registry.host}/team/app-{number % repositories}", tags))
            async with DaemonProcess(_configure(Path(name), api, registry.host)) as daemon:
                await _measure(daemon)
    await registry.stop()


async def _measure(daemon: DaemonProcess) -> None:
    started = await daemon.wait_for("daemon.started", patience=60)
    first = await daemon.wait_for("round.finished", patience=600)
    at_first = _processor_seconds(daemon.pid)
    _say(f"first round: {first.at - started.at:.1f} s, {at_first:.1f} s of processor time, {_memory(daemon.pid)}")
    last = await daemon.wait_for("round.finished", patience=600, count=1 + _ROUNDS)
    each = (_processor_seconds(daemon.pid) - at_first) / _ROUNDS
    _say(f"unchanged round: {each * 1000:.0f} ms of processor time, {_memory(daemon.pid)}")
    _say(f"{last.event['images_considered']} images considered, {last.event['errors']} errors")


def _say(line: str) -> None:
    sys.stdout.write(f"{line}\n")


def _application(number: int, image: str, tags: int) -> dict[str, object]:
    prefix = "argocd-image-updater.argoproj.io"
    return {
        "apiVersion": "argoproj.io/v1alpha1",
        "kind": "Application",
        "metadata": {
            "name": f"app-{number}",
            "namespace": "argocd",
            "annotations": {f"{prefix}/image-list": f"app={image}", f"{prefix}/write-back-method": "argocd"},
        },
        "spec": {
            "project": "default",
            "source": {
                "repoURL": "https://git.example.com/gitops.git",
                "path": f"apps/app-{number}",
                "kustomize": {"images": [f"{image}:1.{tags - 1}.0"]},
            },
        },
        "status": {"summary": {"images": [f"{image}:1.{tags - 1}.0"]}, "sourceType": "Kustomize"},
    }


def _configure(directory: Path, api: ApiServer, host: str) -> Path:
    os.environ["FOOTPRINT_LOGIN"] = f"{USERNAME}:{PASSWORD}"
    api.kubeconfig(directory / "kubeconfig")
    (directory / "registries.conf").write_text(
        f"- {{name: bench, api_url: 'http://{host}', prefix: '{host}', credentials: 'env:FOOTPRINT_LOGIN'}}\n"
    )
    path = directory / "updater.yaml"
    path.write_text(
        "applications: {kubeconfig: kubeconfig}\n"
        "registries: {file: registries.conf}\n"
        f"polling: {{interval: {_INTERVAL}s}}\n"
        "web: {listen: '127.0.0.1:0'}\n"
        "state: {path: state.db}\n"
    )
    return path


def _processor_seconds(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def _memory(pid: int) -> str:
    status = dict(line.split(":", 1) for line in Path(f"/proc/{pid}/status").read_text().splitlines())
    resident, peak = (int(status[key].split()[0]) // 1024 for key in ("VmRSS", "VmHWM"))
    return f"{resident} MiB resident, {peak} MiB at most"


if __name__ == "__main__":
    asyncio.run(main(*(int(argument) for argument in sys.argv[1:])))
