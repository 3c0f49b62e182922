"""Where a change is written: a file of a Git branch, or the Application itself."""

from dataclasses import dataclass, field
from enum import StrEnum
from functools import lru_cache
from typing import NamedTuple

from updater.domain.application import ApplicationName
from updater.domain.errors import Misconfigured
from updater.domain.pull_requests import PullRequestSettings
from updater.domain.references import parse_reference


class FileKind(StrEnum):
    """How a file says which image it wants."""

    OVERRIDE = "override"
    """`.argocd-source-<app>.yaml` of a source whose type has to be found out from the files beside it."""
    OVERRIDE_HELM = "override-helm"
    """`.argocd-source-<app>.yaml` with Helm parameters."""
    OVERRIDE_KUSTOMIZE = "override-kustomize"
    """`.argocd-source-<app>.yaml` with Kustomize images."""
    OVERRIDE_PLUGIN = "override-plugin"
    HELM_VALUES = "helmvalues"
    KUSTOMIZATION = "kustomization"
    MANIFESTS = "manifests"
    """Plain manifests: the images of containers, and marked lines, in several files together."""
    CHART = "chart"
    """The `targetRevision` of a source that is a chart."""


@dataclass(frozen=True, slots=True)
class ImageKeys:
    """Under which names one image stands in a target; which of them count depends on the target's kind."""

    name: str = ""
    """Helm parameter, values path or environment variable that takes the image's name; empty: it is not written."""
    tag: str = ""
    spec: str = ""
    """Takes `name:tag` as a whole, instead of the two."""
    kustomize_name: str = ""
    """The image's name in the kustomization, where it is another than the image's own."""
    source_type: str = ""
    """`Plugin` when the names are meant for a plugin's environment alone."""


class Branch(NamedTuple):
    """A branch to write to, as an application's settings spell it."""

    url: str
    branch: str
    """Empty: the branch that the server's HEAD names. What is written is compared with this one in any case."""
    credentials: str
    """`repocreds`, `repocreds:<project>` (of any project but `default`), or `secret:<namespace>/<name>`.

    The secret itself is looked up when it is needed.
    """
    target: str = ""
    """A template for the name of another branch, which is built on `branch` and pushed instead of it; empty: none."""
    pull_request: PullRequestSettings | None = None
    """How what is on the other branch is proposed; None: a person merges it without."""


class BranchKey(NamedTuple):
    """What changes are queued by: one branch of one repository, however each application spells it."""

    repository: str
    branch: str


def without_login(url: str) -> str:
    """Leave out of a URL what must not be shown; a user of SSH is no secret and stays."""
    scheme, found, rest = url.partition("://")
    authority, slash, path = rest.partition("/")
    login, at, host = authority.rpartition("@")
    if not (found and at):
        return url
    user = login.partition(":")[0] if scheme.lower().endswith("ssh") else ""
    return f"{scheme}://{user}{'@' if user else ''}{host}{slash}{path}"


def repository_key(url: str) -> str:
    """Name a repository in one way for all spellings of its URL: scheme, user, `.git` and a standard port aside."""
    text = url.strip()
    scheme, found, rest = text.partition("://")
    if not found:  # user@host:path, as ssh has it
        host, _, path = text.partition(":")
    else:
        host, _, path = rest.partition("/")
        host = host.removesuffix(_STANDARD_PORTS.get(scheme.lower(), ""))
    return f"{host.rpartition('@')[2].lower()}/{path.strip('/').removesuffix('.git')}"


_STANDARD_PORTS = {"https": ":443", "http": ":80", "ssh": ":22"}


@dataclass(frozen=True, slots=True)
class GitTarget:
    """A place in a file of a Git branch."""

    branch: Branch
    path: str
    """Inside the repository, cleaned, no slash in front: the directory of a kustomization, the glob of manifests."""
    kind: FileKind
    base_path: str = ""
    """The source's directory, for override files: what it holds is what the override file overrides."""
    key: str = ""
    """Where in the file the version stands: a values path, a parameter, or the name of an image."""
    image: str = ""
    """Whose version it is; another image at the same place has another history."""
    manifest_of: ApplicationName | None = None
    """The Application whose manifest the file holds, where that is what changes."""
    source: int = field(default=0, compare=False)
    """Index of the Application's source that takes the image, whoever keeps the file."""
    override_path: str = field(default="", compare=False)
    """Of a kustomization: where the Application's override file would be, by which AIU names its pull requests."""

    def __str__(self) -> str:
        return f"{self.branch.url}@{self.branch.branch or 'HEAD'}:{self.path}"

    @property
    def place(self) -> str:
        """Where the version stands, whatever it is of and whoever writes it, however they spell the repository."""
        owner = f"{self.manifest_of}#{self.source}#" if self.manifest_of else ""
        spot = f"{owner}{_spot(self.kind, self.key)}"
        return f"{repository_key(self.branch.url)}@{self.branch.branch or 'HEAD'}:{self.path}#{spot}"

    @property
    def identity(self) -> str:
        """By what a write is remembered: the credentials may change, the place and the image may not."""
        return f"{self}#{self.key}={self.image}"


@dataclass(frozen=True, slots=True)
class ApplicationTarget:
    """The parameters of one source in the Application itself."""

    application: ApplicationName
    source: int
    """Index into the Application's sources."""
    kind: FileKind
    """One of the `OVERRIDE_…` kinds: the same parameters, at another place; or `CHART`."""
    key: str = ""
    """Under which name the version stands: a parameter, or the name of an image."""
    image: str = ""
    """Whose version it is."""

    def __str__(self) -> str:
        return f"application:{self.application}#{self.source}"

    @property
    def place(self) -> str:
        return f"{self}#{_spot(self.kind, self.key)}"

    @property
    def identity(self) -> str:
        return f"{self}#{self.key}={self.image}"


Target = GitTarget | ApplicationTarget


@lru_cache(maxsize=4096)
def _spot(kind: FileKind, key: str) -> str:
    """Name what an entry of a kustomization is for in one way, as an entry is found under any spelling."""
    if kind not in (FileKind.OVERRIDE_KUSTOMIZE, FileKind.KUSTOMIZATION):
        return key
    try:
        return str(parse_reference(key).repository)
    except Misconfigured:
        return key
