"""A small installation of real parts: a registry with a password, a Git server with TLS, manifests, and the daemon."""

import asyncio
import ssl
import subprocess
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from textwrap import dedent, indent

from tests.fakes.certificates import loopback_certificate
from tests.fakes.docker_registry import DockerRegistry
from updater.demo.daemon import DaemonProcess
from updater.demo.files import GITOPS_FILES
from updater.demo.gitserver import GitHttpServer, create_repository
from updater.demo.registry import push_image

REPOSITORY = "haoshuwei24/echo-server"
OVERRIDE = "manifests/helm/.argocd-source-gitops-demo.yaml"
_PREFIX = "argocd-image-updater.argoproj.io"
_USER = "bot"
_REGISTRY_PASSWORD = "registry-p4ssword"
_GIT_PASSWORD = "git-p4ssword"


@dataclass
class Installation:
    """Everything around one daemon; its files may be changed before and while it runs."""

    root: Path
    registry: DockerRegistry
    git: GitHttpServer
    repository: Path
    registry_password: str = _REGISTRY_PASSWORD
    git_password: str = _GIT_PASSWORD
    registries_conf_form: str = "registries:\n"
    """Empty for the bare list of ACR's manual."""
    settings: Mapping[str, str] = field(default_factory=dict)

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

    def application(self, name: str = "gitops-demo", image: str = "", source: str = "", **annotations: str) -> None:
        """Write the walk-through's Application; `__` in a keyword stands for `.`, `_` for `-`; "" removes a default."""
        given = {
            "image-list": f"echoserver={image or f'{self.registry.host}/{REPOSITORY}'}",
            "echoserver.helm.image-tag": "image.tag",
            "echoserver.update-strategy": "semver",
            "echoserver.allow-tags": "regexp:^v[1-9].*",
            "write-back-method": "git:secret:argocd/git-creds",
            **{key.replace("__", ".").replace("_", "-"): value for key, value in annotations.items()},
        }
        lines = "".join(f"    {_PREFIX}/{key}: {value}\n" for key, value in given.items() if value)
        text = (
            f"apiVersion: argoproj.io/v1alpha1\nkind: Application\nmetadata:\n  name: {name}\n  namespace: argocd\n"
            f"  annotations:\n{lines}spec:\n  project: default\n  source:\n    repoURL: {self.git.url('gitops.git')}\n"
            + indent(dedent(source or "path: manifests/helm\ntargetRevision: main\n"), "    ")
        )
        self.write(f"applications/{name}.yaml", text)

    def write(self, name: str, text: str) -> None:
        path = self.root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)

    def configure(self) -> Path:
        """Write the settings, registries.conf and the Secrets."""
        self.write(
            "registries.conf",
            self.registries_conf_form
            + dedent(f"""\
            - name: AlibabaCloud Container Registry
              api_url: http://{self.registry.host}
              prefix: {self.registry.host}
              insecure: no
              credentials: secret:argocd/acr#acr
        """),
        )
        secrets = {
            "acr": {"acr": f"{_USER}:{self.registry_password}"},
            "git-creds": {"username": _USER, "password": self.git_password},
        }
        self.write("applications/secrets.yaml", "---\n".join(_secret(name, data) for name, data in secrets.items()))
        self.write("ca.pem", loopback_certificate().certificate)
        self.write(
            "updater.yaml",
            dedent("""\
            applications: {source: directory, directory: applications}
            registries: {file: registries.conf}
            polling: {interval: 500ms}
            git: {linger: 100ms, ca_file: ca.pem}
            state: {path: state/state.db}
        """),
        )
        return self.root / "updater.yaml"

    def daemon(self, *arguments: str) -> DaemonProcess:
        return DaemonProcess(self.configure(), *arguments)

    def run_git(self, *arguments: str) -> str:
        command = ("git", "-C", str(self.repository), *arguments)
        return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()

    def commits(self) -> int:
        return int(self.run_git("rev-list", "--count", "main"))

    def file(self, path: str = OVERRIDE) -> str:
        return self.run_git("show", f"main:{path}") + "\n"


@asynccontextmanager
async def installed(root: Path) -> AsyncIterator[Installation]:
    """Start the servers, with v1.0 in the registry and the chart in Git."""
    made = loopback_certificate()
    (root / "server.pem").write_text(made.certificate + made.key)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(root / "server.pem")
    repository = await asyncio.to_thread(create_repository, root / "git", "gitops.git", GITOPS_FILES)
    async with (
        DockerRegistry(root / "registry", _USER, _REGISTRY_PASSWORD) as registry,
        GitHttpServer(root / "git", username=_USER, password=_GIT_PASSWORD, ssl_context=context) as git,
    ):
        installation = Installation(root, registry, git, repository)
        await installation.push("v1.0")
        yield installation


def _secret(name: str, data: Mapping[str, str]) -> str:
    fields = "".join(f"  {key}: {value}\n" for key, value in data.items())
    return f"apiVersion: v1\nkind: Secret\nmetadata:\n  name: {name}\n  namespace: argocd\nstringData:\n{fields}"
