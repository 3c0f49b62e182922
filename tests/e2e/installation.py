"""A small installation of real parts: registry with a password, Git server with TLS, API server, and the daemon."""

import asyncio
import base64
import ssl
import subprocess
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from textwrap import dedent
from typing import Any, Literal

from ruamel.yaml import YAML

from tests.fakes.apiserver import ApiServer
from tests.fakes.certificates import loopback_certificate
from tests.fakes.docker_registry import DockerRegistry, Notified
from tests.fakes.git_http import FaultyGitServer
from updater.demo.daemon import DaemonProcess
from updater.demo.files import GITOPS_FILES
from updater.demo.gitserver import create_repository
from updater.demo.registry import DemoRegistry, push_image

REPOSITORY = "haoshuwei24/echo-server"
OVERRIDE = "manifests/helm/.argocd-source-gitops-demo.yaml"
_PREFIX = "argocd-image-updater.argoproj.io"
_USER = "bot"
_REGISTRY_PASSWORD = "registry-p4ssword"
_GIT_PASSWORD = "git-p4ssword"


@dataclass
class Installation:
    """Everything around one daemon; what is in it may be changed before and while the daemon runs."""

    root: Path
    registry: DockerRegistry | DemoRegistry
    git: FaultyGitServer
    api: ApiServer
    repository: Path
    source: Literal["kubernetes", "directory"] = "kubernetes"
    """Where the daemon finds Applications and Secrets."""
    registry_password: str = _REGISTRY_PASSWORD
    git_password: str = _GIT_PASSWORD
    registries_conf_form: str = "registries:\n"
    """Empty for the bare list of ACR's manual."""
    git_options: str = "linger: 100ms"
    """Of the section `git`."""
    lease: str = "3s"
    """How long a replica leads; short ones are lost by a machine that is busy."""
    interval: str = "500ms"
    """Between two looks at a repository."""
    more_settings: str = ""
    """Whole sections, a line each."""

    async def push(self, *tags: str, repository: str = REPOSITORY, created: datetime | None = None) -> None:
        for tag in tags:
            await push_image(
                self.registry.host,
                repository,
                tag,
                username=_USER,
                password=_REGISTRY_PASSWORD,
                created=created or datetime.now(UTC),
            )

    def application(
        self,
        name: str = "gitops-demo",
        annotations: Mapping[str, str | None] | None = None,
        source: Mapping[str, object] | None = None,
        spec: Mapping[str, object] | None = None,
        metadata: Mapping[str, object] | None = None,
    ) -> None:
        """Create the walk-through's Application.

        With other annotations (None: without one), another source, or, with `spec`, no source but what that says.
        """
        given: dict[str, str | None] = {
            "image-list": f"echoserver={self.image}",
            "echoserver.helm.image-tag": "image.tag",
            "echoserver.update-strategy": "semver",
            "echoserver.allow-tags": "regexp:^v[1-9].*",
            "write-back-method": "git:secret:argocd/git-creds",
            **(annotations or {}),
        }
        written = {f"{_PREFIX}/{key}": value for key, value in given.items() if value is not None}
        place = {
            "repoURL": self.git.url("gitops.git"),
            **(source or {"path": "manifests/helm", "targetRevision": "main"}),
        }
        self.put(
            {
                "apiVersion": "argoproj.io/v1alpha1",
                "kind": "Application",
                "metadata": {"name": name, "namespace": "argocd", "annotations": written, **(metadata or {})},
                "spec": {"project": "default", **(spec or {"source": place})},
            },
        )

    @property
    def image(self) -> str:
        return f"{self.registry.host}/{REPOSITORY}"

    def stored(self, name: str = "gitops-demo") -> dict[str, Any]:
        """Read an Application back from where it lives."""
        if self.source == "kubernetes":
            return self.api.get("argocd", name)
        manifest: dict[str, Any] = YAML(typ="safe").load(self.root / f"manifests/{name}.yaml")
        return manifest

    def put_secret(self, name: str, data: Mapping[str, str]) -> None:
        self.put(_secret(name, data))

    def put(self, manifest: dict[str, Any]) -> None:
        if self.source == "kubernetes":
            self.api.put(manifest)
            return
        path = self.root / "manifests" / f"{manifest['metadata']['name']}.yaml"
        path.parent.mkdir(exist_ok=True)
        YAML().dump(manifest, path)

    def configure(self, replica: str = "updater") -> Path:
        """Write the settings of a replica and registries.conf, and create the Secrets."""
        entry = dedent(f"""\
            - name: AlibabaCloud Container Registry
              api_url: http://{self.registry.host}
              prefix: {self.registry.host}
              insecure: no
              credentials: secret:argocd/acr#acr
        """)
        (self.root / "registries.conf").write_text(self.registries_conf_form + entry)
        self.put(_secret("acr", {"acr": f"{_USER}:{self.registry_password}"}))
        self.put(_secret("git-creds", {"username": _USER, "password": self.git_password}))
        (self.root / "ca.pem").write_text(loopback_certificate().certificate)
        self.api.kubeconfig(self.root / "kubeconfig")
        where = {"kubernetes": "kubeconfig: kubeconfig", "directory": "directory: manifests"}[self.source]
        settings = dedent(f"""\
            applications: {{source: {self.source}, {where}}}
            registries: {{file: registries.conf}}
            polling: {{interval: {self.interval}}}
            git: {{{self.git_options}, ca_file: ca.pem}}
            leader_election: {{duration: {self.lease}}}
            web: {{listen: "127.0.0.1:0"}}
            state: {{path: state/{replica}.db}}
        """)
        path = self.root / f"{replica}.yaml"
        path.write_text(settings + self.more_settings)
        return path

    def daemon(self, *arguments: str, replica: str = "updater") -> DaemonProcess:
        return DaemonProcess(self.configure(replica), *arguments)

    def run_git(self, *arguments: str) -> str:
        command = ("git", "-C", str(self.repository), *arguments)
        return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()

    def hook(self, name: str, script: str) -> None:
        """Have the Git server run a script at a step of each push."""
        hook = self.repository / "hooks" / name
        hook.write_text(f"#!/bin/sh\n{script}\n")
        hook.chmod(0o755)

    def commits(self) -> int:
        return int(self.run_git("rev-list", "--count", "main"))

    def file(self, path: str = OVERRIDE) -> str:
        return self.run_git("show", f"main:{path}") + "\n"


@asynccontextmanager
async def installed(root: Path, notified: Notified | None = None) -> AsyncIterator[Installation]:
    """Start the servers, with v1.0 in the registry and the chart in Git; the registry may tell somebody of pushes."""
    made = loopback_certificate()
    (root / "server.pem").write_text(made.certificate + made.key)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(root / "server.pem")
    repository = await asyncio.to_thread(create_repository, root / "git", "gitops.git", GITOPS_FILES)
    async with (
        DockerRegistry(root / "registry", _USER, _REGISTRY_PASSWORD, notified=notified) as registry,
        FaultyGitServer(root / "git", username=_USER, password=_GIT_PASSWORD, ssl_context=context) as git,
        ApiServer() as api,
    ):
        installation = Installation(root, registry, git, api, repository)
        await installation.push("v1.0")
        yield installation


def _secret(name: str, data: Mapping[str, str]) -> dict[str, Any]:
    encoded = {key: base64.b64encode(value.encode()).decode() for key, value in data.items()}
    metadata = {"name": name, "namespace": "argocd"}
    return {"apiVersion": "v1", "kind": "Secret", "metadata": metadata, "data": encoded}
