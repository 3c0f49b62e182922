"""Where an application's images are written: write-back method, target, branch, and which source is meant."""

import posixpath
from dataclasses import dataclass

from updater.domain.application import Application, ApplicationName, Source
from updater.domain.branches import base_branch, split_branch
from updater.domain.errors import Misconfigured
from updater.domain.image import ImageReference
from updater.domain.path_globs import PathGlob, quoted
from updater.domain.pull_request_settings import read_settings
from updater.domain.secrets import SecretAccess
from updater.domain.sources import chart_source, choose_source, lender_of, lends_only, only_lent_file
from updater.domain.target import (
    ApplicationTarget,
    Branch,
    FileKind,
    GitTarget,
    ImageKeys,
    Target,
    repository_key,
    without_login,
)

DEFAULT_KEYS = ImageKeys(name="image.name", tag="image.tag")
"""Where no annotation names any: AIU's defaults for Helm; Kustomize has no need of them."""
_OVERRIDE_KINDS = {
    "Helm": FileKind.OVERRIDE_HELM,
    "Kustomize": FileKind.OVERRIDE_KUSTOMIZE,
    "Plugin": FileKind.OVERRIDE_PLUGIN,
}
_BY_NAME = (FileKind.OVERRIDE_KUSTOMIZE, FileKind.KUSTOMIZATION, FileKind.MANIFESTS)
"""Kinds in which an image is known by its name."""


def choose_target(
    application: Application,
    image: ImageReference,
    keys: ImageKeys,
    selector: str,
    access: SecretAccess,
) -> Target:
    """Decide where one image of an application is written.

    Args:
        application: with its annotations.
        image: without a version.
        keys: what the image's own annotations say; they tell a source's type where the Application does not.
        selector: the annotation `<alias>.source`; empty when there is none.
        access: which Secrets may be named, and where Argo CD lives: applications elsewhere have other override files.

    Raises:
        Misconfigured: the annotations cannot be followed.
    """
    method = application.annotations.get("write-back-method", "").strip() or "argocd"
    name, _, credentials = method.partition(":")
    if name != "git" and method != "argocd":
        raise Misconfigured(
            f"annotation write-back-method is {method!r}: write argocd, git, git:repocreds or "
            "git:secret:<namespace>/<name>",
        )
    if name != "git" and application.annotations.get("pull-request", "").strip().lower() not in ("", "false"):
        raise Misconfigured(f"annotation pull-request needs write-back-method git, and that is {method!r}")
    target = _write_back_target(application)
    if image.is_chart:
        index = chart_source(application, image, selector)
        written = ApplicationTarget(application.name, index, FileKind.CHART, "targetRevision", str(image.repository))
        return written if name == "argocd" else _in_manifest(application, written, target, credentials, access)
    wanted = _wanted_type(target, keys)
    values = target.argument if target.kind == "helmvalues" else ""
    index, source = choose_source(application, wanted, keys, selector, values)
    if name == "git" and target.kind != "application":
        file = _file(application, source, wanted, keys, target, access.argocd_namespace)
        branch = _branch(application, file.lender, _credentials(application, credentials, access))
        key = _key(file.kind, image, keys)
        repository = str(image.repository)
        override = file.override_path
        path, kind, base = file.path, file.kind, file.base_path
        return GitTarget(branch, path, kind, base, key, repository, source=index, override_path=override)
    kind = FileKind.OVERRIDE_PLUGIN if source.kind == "Plugin" else _parameters_of(source, wanted, keys)
    if kind is FileKind.OVERRIDE:
        raise Misconfigured(
            f"the type of source {source.repo_url} cannot be told: give it a helm or kustomize block, "
            "or use write-back-method git",
        )
    written = ApplicationTarget(application.name, index, kind, _key(kind, image, keys), str(image.repository))
    return written if name == "argocd" else _in_manifest(application, written, target, credentials, access)


def _in_manifest(
    application: Application,
    written: ApplicationTarget,
    target: "_WriteBackTarget",
    credentials: str,
    access: SecretAccess,
) -> GitTarget:
    """Write where the Application's own manifest is kept in Git, what else would be patched."""
    if target.kind != "application" or not target.argument:
        raise Misconfigured(
            f"the version of {written.image} stands in the Application itself: use write-back-method argocd, or name "
            "the file with its manifest as write-back-target: application:<path from the root of git-repository>"
        )
    in_git = [each for each in application.sources if not each.chart and not each.repo_url.startswith("oci:")]
    repositories = {repository_key(each.repo_url) for each in in_git}
    if len(repositories) != 1 and not application.annotations.get("git-repository", "").strip():
        raise Misconfigured(
            "write-back-target is application:<path>, and nothing says in which repository that is: "
            "name it in the annotation git-repository"
        )
    lender = in_git[0] if len(repositories) == 1 else application.sources[written.source]
    return GitTarget(
        _branch(application, lender, _credentials(application, credentials, access)),
        _inside("", target.argument, "write-back-target"),
        written.kind,
        key=written.key,
        image=written.image,
        manifest_of=application.name,
        source=written.source,
    )


@dataclass(frozen=True, slots=True)
class _WriteBackTarget:
    """The annotation `write-back-target`: `<kind>[:<argument>]`, or the path of a file."""

    kind: str = ""
    argument: str = ""
    path: str = ""


def _write_back_target(application: Application) -> _WriteBackTarget:
    text = application.annotations.get("write-back-target", "").strip()
    kind, _, argument = text.partition(":")
    if kind in ("helmvalues", "kustomization", "manifests", "application"):
        return _WriteBackTarget(kind, argument)
    if text and not posixpath.basename(text).startswith(".argocd-source-"):
        return _WriteBackTarget("helmvalues", f"/{text.lstrip('/')}", text)
    return _WriteBackTarget(path=text)


def _wanted_type(target: _WriteBackTarget, keys: ImageKeys) -> str:
    """Tell which type of source the annotations speak of; empty when they leave it open."""
    if target.kind == "manifests":
        return "Directory"
    if keys.kustomize_name or target.kind == "kustomization":
        return "Kustomize"
    if keys.source_type:
        return keys.source_type
    return "Helm" if target.kind == "helmvalues" or keys.name or keys.tag or keys.spec else ""


def _parameters_of(source: Source, wanted: str, keys: ImageKeys) -> FileKind:
    """Tell how a source takes images; `OVERRIDE` when its files have to tell."""
    if lends_only(source):
        raise Misconfigured(
            f"source ${source.ref} only lends its files to others, and takes no parameters: choose another in "
            "<alias>.source, or name a file in write-back-target"
        )
    if source.kind == "Directory":
        raise Misconfigured(
            f"source {source.repo_url} is of type Directory, which has no image parameters: "
            "use a Helm or Kustomize source, or a write-back-target",
        )
    variables = {each.name for each in source.plugin_env}
    if source.kind == "Plugin" and wanted == "Helm" and not variables.intersection((keys.tag, keys.spec)):
        return FileKind.OVERRIDE_HELM
    return _OVERRIDE_KINDS.get(source.kind or wanted, FileKind.OVERRIDE)


def _key(kind: FileKind, image: ImageReference, keys: ImageKeys) -> str:
    """Tell under which name the image's version stands in a target of a kind."""
    if kind in _BY_NAME:
        return keys.kustomize_name or str(image.repository)
    unknown = kind is FileKind.OVERRIDE  # it may turn out to go by name
    return keys.spec or keys.tag or (str(image.repository) if unknown else DEFAULT_KEYS.tag)


def _credentials(application: Application, text: str, access: SecretAccess) -> str:
    """Normalise the credentials of `git:<credentials>`; a Secret without a namespace is in the application's own."""
    if text in ("", "repocreds"):
        return "repocreds" if application.project == "default" else f"repocreds:{application.project}"
    kind, _, path = text.partition(":")
    namespace, slash, name = path.rpartition("/")
    if kind != "secret" or not name:
        raise Misconfigured(
            f"annotation write-back-method is 'git:{text}': write git:repocreds or git:secret:<namespace>/<name>",
        )
    own = application.name.namespace
    namespace = namespace if slash else own
    if refusal := access.refusal(namespace, own):
        raise Misconfigured(f"annotation write-back-method names the Secret {namespace}/{name}, which {refusal}")
    return f"secret:{namespace}/{name}"


@dataclass(frozen=True, slots=True)
class _File:
    """A file, and the source in whose repository it is."""

    lender: Source
    path: str
    kind: FileKind
    base_path: str = ""
    override_path: str = ""


def _file(
    application: Application,
    source: Source,
    wanted: str,
    keys: ImageKeys,
    target: _WriteBackTarget,
    argocd_namespace: str,
) -> _File:
    override = override_name(application.name, argocd_namespace)
    if target.kind == "kustomization":
        path = _inside(source.path, target.argument, "write-back-target")
        would_be = _inside(source.path, override, "path")
        return _File(source, path, FileKind.KUSTOMIZATION, override_path=would_be)
    if target.kind == "manifests":
        glob = _inside(quoted(source.path), target.argument or "*", "write-back-target")
        return _File(source, PathGlob.of(glob).text, FileKind.MANIFESTS)
    elsewhere = bool(application.annotations.get("git-repository", "").strip())
    lent = source.chart and not elsewhere
    if target.kind == "helmvalues" or (lent and not target.path):
        named = target.argument or (only_lent_file(source) if lent else "values.yaml")
        lender, path = (source, named) if elsewhere and named[0] != "$" else lender_of(application, source, named)
        return _File(lender, _inside(source.path, path, "write-back-target"), FileKind.HELM_VALUES)
    lender = lender_of(application, source, target.path)[0] if lent else source
    path = _inside("", target.path, "write-back-target") if target.path else _inside(source.path, override, "path")
    base = posixpath.normpath(source.path.strip("/") or ".")
    return _File(lender, path, _parameters_of(source, wanted, keys), base)


def _branch(application: Application, lender: Source, credentials: str) -> Branch:
    """Give the branch that holds the lender's files, or the one that annotations name instead."""
    annotations = application.annotations
    url = without_login(annotations.get("git-repository", "").strip()) or lender.repo_url
    base, target = split_branch(annotations.get("git-branch", ""))
    proposed = read_settings(annotations, url)
    if base:
        branch = base_branch(base, "annotation git-branch")
    else:
        branch = base_branch(_revision(application, lender, url).strip(), "targetRevision")
    return Branch(url, branch, credentials, "" if target == branch else target, proposed)


def _revision(application: Application, lender: Source, url: str) -> str:
    """Give the revision of the source that lives in the repository written to; a chart's version is no branch."""
    written_to = repository_key(url)
    in_git = [each for each in (lender, *application.sources) if not each.chart]
    found = (each.target_revision for each in in_git if repository_key(each.repo_url) == written_to)
    return next(found, "" if lender.chart else lender.target_revision)


def override_name(application: ApplicationName, argocd_namespace: str) -> str:
    """Return the name of the override file that is of one application alone, as Argo CD looks for it."""
    prefix = "" if argocd_namespace in {application.namespace, "default"} else f"{application.namespace}_"
    return f".argocd-source-{prefix}{application.name}.yaml"


def _inside(base: str, path: str, place: str) -> str:
    """Join a path below `base`, or below the repository when it starts with `/`; it may not lead out."""
    joined = path if path.startswith("/") else posixpath.join("/", base, path)
    depth = 0
    for component in joined.strip("/").split("/"):
        depth += {"..": -1, ".": 0, "": 0}.get(component, 1)
        if depth < 0 or component.lower() == ".git":
            raise Misconfigured(f"{place} {path!r} leads out of the repository: name a path inside it")
    return posixpath.normpath(joined).strip("/") or "."
