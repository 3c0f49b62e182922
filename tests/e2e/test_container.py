"""The daemon as its image runs it: an ordinary user, a read-only root, nothing writable but volumes."""

import json
import re
import signal
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from ruamel.yaml import YAML

from tests.e2e.pod import REPOSITORY, PodProcess, pod_command
from tests.fakes.apiserver import ApiServer
from tests.fakes.certificates import loopback_certificate
from tests.fakes.registry import PASSWORD, USERNAME, FaultyRegistry
from updater.settings.daemon import Settings

pytestmark = pytest.mark.e2e

SWAP = REPOSITORY / "tests" / "samples" / "swap"
STATE = "/var/lib/updater"
APPLICATION = """\
apiVersion: argoproj.io/v1alpha1
kind: Application
metadata:
  name: shop
  namespace: argocd
  annotations:
    argocd-image-updater.argoproj.io/image-list: shop={image}
spec:
  project: default
  source: {{repoURL: 'https://git.example.com/shop.git', path: shop, kustomize: {{images: ['{image}:1.0.0']}}}}
"""


def load(path: Path) -> Any:
    return YAML(typ="safe", pure=True).load(path.read_text())


def test_the_command_starts(tmp_path: Path) -> None:
    for command in (["updater", "version"], ["/manager", "version"]):
        root = tmp_path / command[0].strip("/")
        result = subprocess.run(pod_command(root, command, (), {}), check=False, capture_output=True, text=True)
        assert (result.returncode, result.stderr) == (0, "")
        assert result.stdout.startswith("updater ")


def test_the_image_has_what_the_pod_of_these_tests_has() -> None:
    """The pod is made by a script; this holds it to the Dockerfile."""
    dockerfile, script = (REPOSITORY / "Dockerfile").read_text(), (REPOSITORY / "tests/e2e/pod.sh").read_text()
    assert "USER 1000:1000" in dockerfile
    assert "--reuid=1000 --regid=1000" in script
    assert "ln -s /app/venv/bin/updater /manager" in dockerfile
    assert re.findall(r"^VOLUME (.*)$", dockerfile, re.MULTILINE) == [STATE]


async def test_it_looks_at_a_directory_once_with_nothing_but_state_and_tmp_to_write_to(tmp_path: Path) -> None:
    manifests = tmp_path / "manifests"
    manifests.mkdir()
    registry = FaultyRegistry()
    await registry.start()
    try:
        registry.push("team/shop", "1.0.0")
        registry.push("team/shop", "1.1.0")
        (manifests / "shop.yaml").write_text(APPLICATION.format(image=f"{registry.host}/team/shop"))
        (manifests / "registries.conf").write_text(
            f"- {{name: local, api_url: 'http://{registry.host}', prefix: '{registry.host}',"
            " credentials: 'env:REGISTRY_LOGIN'}\n"
        )
        environ = {
            "UPDATER_APPLICATIONS_SOURCE": "directory",
            "UPDATER_APPLICATIONS_DIRECTORY": "/manifests",
            "UPDATER_REGISTRIES_FILE": "/manifests/registries.conf",
            "REGISTRY_LOGIN": f"{USERNAME}:{PASSWORD}",
        }
        mounts = ((manifests, "/manifests"), (None, STATE))
        command = pod_command(tmp_path / "root", ["updater", "run", "--once", "--dry-run"], mounts, environ)
        async with PodProcess(command) as daemon:
            await daemon.wait_for("image.would_update", application="argocd/shop", to="1.1.0")
            assert await daemon.ended() == 0
        assert daemon.events("state.temporary") == []
    finally:
        await registry.stop()


class TestSwap:
    """The Deployment of Argo CD Image Updater with another image, and nothing else of it changed."""

    DEPLOYMENT = load(SWAP / "controller.yaml")
    CLUSTER = load(SWAP / "cluster.yaml")

    @property
    def container(self) -> Mapping[str, Any]:
        (container,) = self.DEPLOYMENT["spec"]["template"]["spec"]["containers"]
        return dict(container)

    def data(self, reference: Mapping[str, Any]) -> Mapping[str, str]:
        name = reference.get("secretName") or reference["name"]
        return dict(self.CLUSTER.get(name, {}))

    def environ(self) -> dict[str, str]:
        """Resolve the container's variables as the kubelet does."""
        values = {}
        for variable in self.container["env"]:
            ((_, reference),) = variable["valueFrom"].items()
            if reference["key"] in self.data(reference):
                values[variable["name"]] = self.data(reference)[reference["key"]]
        return values

    def mounts(self, directory: Path) -> list[tuple[Path | None, str]]:
        """Make the files of the pod's volumes as the kubelet does; outer mounts come first."""
        volumes = {each["name"]: each for each in self.DEPLOYMENT["spec"]["template"]["spec"]["volumes"]}
        mounts: list[tuple[Path | None, str]] = []
        for mount in self.container["volumeMounts"]:
            volume = volumes[mount["name"]]
            reference = volume.get("configMap") or volume.get("secret")
            if reference is None:
                continue  # /tmp, which every pod of ours has
            data, place = self.data(reference), directory / mount["name"]
            place.mkdir(exist_ok=True)
            paths = {item["key"]: item["path"] for item in reference.get("items", [])} or {key: key for key in data}
            for key, path in paths.items():
                if key in data:
                    (place / path).write_text(data[key])
            # The runtime creates what is mounted inside of another volume.
            for inner in self.container["volumeMounts"]:
                if inner["mountPath"].startswith(f"{mount['mountPath']}/"):
                    (place / inner["mountPath"].removeprefix(f"{mount['mountPath']}/")).mkdir(exist_ok=True)
            mounts.append((place / mount.get("subPath", ""), mount["mountPath"]))
        return mounts

    async def test_the_daemon_starts_with_its_command_variables_and_mounts(self, tmp_path: Path) -> None:
        account = tmp_path / "account"
        account.mkdir()
        async with ApiServer(tls=True) as api:
            for name, text in (("token", api.token), ("namespace", "argocd"), ("ca.crt", loopback_certificate()[0])):
                (account / name).write_text(text)
            mounts = [*self.mounts(tmp_path), (account, "/var/run/secrets/kubernetes.io/serviceaccount")]
            place = {"KUBERNETES_SERVICE_HOST": "127.0.0.1", "KUBERNETES_SERVICE_PORT": str(api.port)}
            # Ports of this machine that others may use; that the probes fit is shown below.
            place |= {"UPDATER_WEB_LISTEN": "127.0.0.1:0"}
            words = [*self.container["command"], *self.container["args"]]
            command = pod_command(tmp_path / "root", words, mounts, {**self.environ(), **place})
            async with PodProcess(command) as daemon:
                await daemon.wait_for("applications.listed")
                await daemon.wait_for("leadership.gained")
                assert await daemon.end(signal.SIGTERM) == 0
        (started,) = daemon.events("daemon.started")
        assert started.event["interval_seconds"] == 300
        unsupported = {said.event["variable"] for said in daemon.events("variable.unsupported")}
        assert unsupported == {"MAX_CONCURRENT_APPS"}
        assert len(daemon.events("state.temporary")) == 1
        errors = [said.event for said in daemon.said if said.event["level"] == "error"]
        assert errors == []
        assert json.dumps(self.CLUSTER["argocd-image-updater-secret"]["webhook.quay-secret"]) not in str(daemon.said)

    def test_its_probes_come_where_the_daemon_listens(self) -> None:
        for probe in ("livenessProbe", "readinessProbe"):
            assert self.container[probe]["httpGet"]["port"] == Settings().web.listen.port
