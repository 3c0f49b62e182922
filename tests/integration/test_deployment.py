"""What is shipped for Kubernetes, rendered by Kustomize: valid, restricted, and as the daemon expects it."""

import json
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping
from functools import cache
from io import StringIO
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import kubernetes_validate
import pytest
import yaml

from tests.fakes.kustomize import kustomize
from updater.adapters.argocd_trust import KNOWN_HOSTS_FILE, TLS_DIRECTORY
from updater.config.daemon import load_settings
from updater.config.environment import INHERITED, UNSUPPORTED
from updater.config.options import OPTIONS
from updater.settings.daemon import (
    DEFAULT_COMMIT_TEMPLATE,
    DEFAULT_REGISTRIES_CONF,
    DEFAULT_SETTINGS,
    DEFAULT_STATE,
    Settings,
)

pytestmark = pytest.mark.integration

ROOT = Path(__file__).parents[2]
KUBERNETES = ROOT / "config" / "kubernetes"
SWAP = ROOT / "tests" / "samples" / "swap"
VERSIONS = ("1.29", "1.32", "1.35")
"""Of Kubernetes: Argo CD supports about so many."""
Manifest = Mapping[str, Any]


@pytest.fixture(params=["sidecar", "deployment"])
def component(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def rendered(component: str) -> list[Manifest]:
    return render(component)


@cache
def render(component: str) -> list[Manifest]:
    """Render a component as a user includes it, beside Argo CD in a namespace of the user's choice."""
    with TemporaryDirectory() as name:
        directory = Path(name)
        shutil.copytree(KUBERNETES, directory / "updater")
        shutil.copy(SWAP / "argocd-server.yaml", directory)
        overlay = {
            "namespace": "gitops",
            "resources": ["argocd-server.yaml"],
            "components": [f"updater/components/{component}"],
            "images": [{"name": "registry.example.com/platform/updater", "newTag": "v1"}],
        }
        (directory / "kustomization.yaml").write_text(json.dumps(overlay))
        return build(directory)


def build(directory: Path) -> list[Manifest]:
    return [each for each in yaml.safe_load_all(StringIO(kustomize(directory))) if each]


def found(rendered: list[Manifest], kind: str, name: str = "updater") -> Manifest:
    (manifest,) = (each for each in rendered if each["kind"] == kind and each["metadata"]["name"] == name)
    return manifest


def pods(rendered: list[Manifest], component: str) -> Manifest:
    name = {"sidecar": "argocd-server", "deployment": "updater"}[component]
    pod: Manifest = found(rendered, "Deployment", name)["spec"]["template"]
    return pod


def container(rendered: list[Manifest], component: str) -> Manifest:
    (one,) = (each for each in pods(rendered, component)["spec"]["containers"] if each["name"] == "updater")
    return dict(one)


@pytest.mark.parametrize("version", VERSIONS)
def test_every_manifest_is_valid(rendered: list[Manifest], version: str) -> None:
    for manifest in rendered:
        kubernetes_validate.validate(manifest, version, strict=True)


def test_everything_is_in_the_namespace_of_the_user(rendered: list[Manifest]) -> None:
    namespaces = {each["metadata"].get("namespace") for each in rendered if each["kind"] != "CustomResourceDefinition"}
    subjects = {subject["namespace"] for subject in found(rendered, "RoleBinding")["subjects"]}
    assert namespaces == subjects == {"gitops"}


def test_the_image_is_chosen_by_the_user(rendered: list[Manifest], component: str) -> None:
    assert container(rendered, component)["image"] == "registry.example.com/platform/updater:v1"


def test_the_container_is_restricted(rendered: list[Manifest], component: str) -> None:
    """As the Pod Security Standard "restricted" wants it, and with a read-only root besides."""
    assert container(rendered, component)["securityContext"] == {
        "runAsNonRoot": True,
        "runAsUser": 1000,
        "runAsGroup": 1000,
        "readOnlyRootFilesystem": True,
        "allowPrivilegeEscalation": False,
        "capabilities": {"drop": ["ALL"]},
        "seccompProfile": {"type": "RuntimeDefault"},
    }


def test_nothing_but_state_and_tmp_can_be_written(rendered: list[Manifest], component: str) -> None:
    mounts = container(rendered, component)["volumeMounts"]
    writable = {mount["mountPath"] for mount in mounts if not mount.get("readOnly")}
    assert writable == {str(DEFAULT_STATE.parent), "/tmp"}


def test_files_are_where_the_daemon_looks_for_them(rendered: list[Manifest], component: str) -> None:
    volumes = {each["name"]: each for each in pods(rendered, component)["spec"]["volumes"]}
    files: dict[str, str] = {}
    for mount in container(rendered, component)["volumeMounts"]:
        volume = volumes[mount["name"]]
        sources = volume.get("projected", {}).get("sources", [volume])
        for name, paths in (named(source) for source in sources):
            files |= {f"{mount['mountPath']}/{path}": name for path in paths}
    assert files[str(DEFAULT_REGISTRIES_CONF)] == "argocd-image-updater-config"
    assert files[str(DEFAULT_COMMIT_TEMPLATE)] == "argocd-image-updater-config"
    assert files[f"{DEFAULT_SETTINGS.parent}/*"] == "updater-config"
    assert files[f"{TLS_DIRECTORY}/*"] == "argocd-tls-certs-cm"
    assert files[f"{KNOWN_HOSTS_FILE.parent}/*"] == "argocd-ssh-known-hosts-cm"
    assert files["/app/ssh-keys/id_rsa"] == "ssh-git-creds"


def test_ports_are_those_that_the_daemon_listens_on(rendered: list[Manifest], component: str) -> None:
    settings = Settings()
    ports = {each["name"]: each["containerPort"] for each in container(rendered, component)["ports"]}
    assert ports == {"updater-web": settings.web.listen.port, "updater-hooks": settings.webhooks.listen.port}
    served = {each["targetPort"]: each["port"] for each in found(rendered, "Service")["spec"]["ports"]}
    assert served == ports


def named(source: Manifest) -> tuple[str, list[str]]:
    """Tell which ConfigMap or Secret a volume is made of, and which files it makes; `*` for each of its keys."""
    reference = source.get("configMap") or source.get("secret") or {}
    paths = [item["path"] for item in reference.get("items", [])] or ["*"]
    assert not reference or reference["optional"]
    return reference.get("name") or reference.get("secretName", ""), paths


def test_every_variable_is_known_to_the_daemon(rendered: list[Manifest], component: str) -> None:
    known = {*INHERITED, *UNSUPPORTED, *(option.variable for option in OPTIONS.values())}
    assert {variable["name"] for variable in container(rendered, component)["env"]} <= known


def test_every_key_of_the_old_config_map_has_the_same_variable_as_before(
    rendered: list[Manifest], component: str
) -> None:
    (old,) = yaml.safe_load((SWAP / "controller.yaml").read_text())["spec"]["template"]["spec"]["containers"]
    ours = {each["name"]: each["valueFrom"] for each in container(rendered, component)["env"] if "valueFrom" in each}
    assert {name: ours.get(name) for name in (each["name"] for each in old["env"])} == {
        each["name"]: each["valueFrom"] for each in old["env"]
    }


def test_the_shipped_settings_are_read(rendered: list[Manifest], tmp_path: Path) -> None:
    path = tmp_path / "updater.yaml"
    path.write_text(found(rendered, "ConfigMap", "updater-config")["data"]["updater.yaml"])
    assert load_settings(path, {}) == load_settings(None, {})


def test_what_selects_pods_selects_these(rendered: list[Manifest], component: str) -> None:
    labels = pods(rendered, component)["metadata"]["labels"].items()
    for selector in selectors(rendered):
        assert selector.items() <= labels


class TestSidecar:
    @pytest.fixture
    def component(self) -> str:
        return "sidecar"

    def test_argocd_server_stays_as_it_is(self, rendered: list[Manifest]) -> None:
        before = next(yaml.safe_load_all((SWAP / "argocd-server.yaml").read_text()))["spec"]["template"]["spec"]
        after = pods(rendered, "sidecar")["spec"]
        assert [each for each in after["containers"] if each["name"] != "updater"] == before["containers"]
        assert [each for each in after["volumes"] if not each["name"].startswith("updater-")] == before["volumes"]
        assert after["serviceAccountName"] == before["serviceAccountName"]

    def test_commands_without_a_container_reach_argocd_server(self, rendered: list[Manifest]) -> None:
        annotations = pods(rendered, "sidecar")["metadata"]["annotations"]
        assert annotations["kubectl.kubernetes.io/default-container"] == "argocd-server"

    def test_the_rights_are_given_to_the_account_of_the_pod(self, rendered: list[Manifest]) -> None:
        (subject,) = found(rendered, "RoleBinding")["subjects"]
        assert subject["name"] == "argocd-server"
        assert [each["metadata"]["name"] for each in rendered if each["kind"] == "ServiceAccount"] == ["argocd-server"]

    def test_argocd_server_is_ready_whatever_the_updater_waits_for(self, rendered: list[Manifest]) -> None:
        """A pod is ready when all of its containers are: a registry that is down would take Argo CD from its users."""
        updater = next(each for each in pods(rendered, "sidecar")["spec"]["containers"] if each["name"] == "updater")
        assert "readinessProbe" not in updater

    def test_nothing_limits_the_pods_of_argocd_server(self, rendered: list[Manifest]) -> None:
        """A second budget makes evictions fail, and a policy for one port shuts the others."""
        assert not {each["kind"] for each in rendered} & {"PodDisruptionBudget", "NetworkPolicy"}


class TestDeployment:
    @pytest.fixture
    def component(self) -> str:
        return "deployment"

    def test_registry_that_is_down_makes_no_pod_unready(self, rendered: list[Manifest]) -> None:
        (updater,) = pods(rendered, "deployment")["spec"]["containers"]
        assert updater["readinessProbe"]["httpGet"]["path"] == "/readyz?exclude=registries"

    def test_the_token_is_mounted_where_it_is_needed_alone(self, rendered: list[Manifest]) -> None:
        assert found(rendered, "ServiceAccount")["automountServiceAccountToken"] is False
        pod = pods(rendered, "deployment")["spec"]
        assert (pod["serviceAccountName"], pod["automountServiceAccountToken"]) == ("updater", True)

    def test_the_pod_is_restricted(self, rendered: list[Manifest]) -> None:
        security = pods(rendered, "deployment")["spec"]["securityContext"]
        assert security == {"runAsNonRoot": True, "seccompProfile": {"type": "RuntimeDefault"}}

    def test_the_daemon_has_time_to_end(self, rendered: list[Manifest]) -> None:
        grace = load_settings(None, {}).shutdown.grace
        assert pods(rendered, "deployment")["spec"]["terminationGracePeriodSeconds"] > grace


PAGES = {page: (ROOT / page).read_text() for page in ("README.md", "docs/install.md")}
EXAMPLES = [
    (page, text)
    for page, content in PAGES.items()
    for text in re.findall(r"```yaml\n(# kustomization.yaml\n.*?)```", content, re.DOTALL)
]
(CLAIM,) = re.findall(r"```yaml\n# claim.yaml\n(.*?)```", PAGES["docs/install.md"], re.DOTALL)


@pytest.mark.parametrize(("page", "text"), EXAMPLES)
def test_examples_of_the_pages_are_rendered_and_valid(page: str, text: str, tmp_path: Path) -> None:
    shutil.copytree(KUBERNETES, tmp_path / "updater")
    shutil.copy(SWAP / "argocd-server.yaml", tmp_path)
    (tmp_path / "claim.yaml").write_text(CLAIM)
    (tmp_path / "kustomization.yaml").write_text(text)
    rendered = build(tmp_path)
    for manifest in rendered:
        kubernetes_validate.validate(manifest, VERSIONS[-1], strict=True)
    claims = [
        volume["persistentVolumeClaim"]["claimName"]
        for manifest in rendered
        if manifest["kind"] == "Deployment"
        for volume in manifest["spec"]["template"]["spec"]["volumes"]
        if "persistentVolumeClaim" in volume
    ]
    assert claims == [each["metadata"]["name"] for each in rendered if each["kind"] == "PersistentVolumeClaim"]


def selectors(rendered: list[Manifest]) -> Iterator[Manifest]:
    for manifest in rendered:
        spec = manifest.get("spec", {})
        if manifest["kind"] in ("PodDisruptionBudget", "Deployment") and manifest["metadata"]["name"] == "updater":
            yield spec["selector"]["matchLabels"]
        if manifest["kind"] == "NetworkPolicy":
            yield spec["podSelector"]["matchLabels"]
        if manifest["kind"] == "Service":
            yield spec["selector"]


def test_the_dockerfile_is_clean() -> None:
    hadolint = Path(sys.executable).with_name("hadolint")
    result = subprocess.run([hadolint, ROOT / "Dockerfile"], check=False, capture_output=True, text=True)
    assert (result.returncode, result.stdout) == (0, "")
