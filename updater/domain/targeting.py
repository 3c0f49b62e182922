"""Where an application's images are written: write-back method, target, branch, and which source is meant."""

import posixpath
from dataclasses import dataclass

from updater.domain.application import Application, Source
from updater.domain.branches import base_branch, split_branch
from updater.domain.errors import Misconfigured
from updater.domain.target import ApplicationTarget, Branch, FileKind, GitTarget, ImageKeys, Target, repository_key

_OVERRIDE_KINDS = {
    "Helm": FileKind.OVERRIDE_HELM,
    "Kustomize": FileKind.OVERRIDE_KUSTOMIZE,
    "Plugin": FileKind.OVERRIDE_PLUGIN,
}


def choose_target(application: Application, keys: ImageKeys, selector: str, argocd_namespace: str) -> Target:
    """Decide where one image of an application is written.

    Args:
        application: with its annotations.
        keys: what the image's own annotations say; they tell a source's type where the Application does not.
        selector: the annotation `<alias>.source`; empty when there is none.
        argocd_namespace: where Argo CD itself lives; applications elsewhere have other override files.

    Raises:
        Misconfigured: the annotations cannot be followed.
    """
    method = application.annotations.get("write-back-method", "").strip() or "argocd"
    name, _, credentials = method.partition(":")
    wanted = _wanted_type(application, keys)
    index, source = _choose_source(application, wanted, selector)
    kind = _source_type(source, wanted)
    if name == "git":
        return _git_target(application, source, kind, _credentials(application, credentials), argocd_namespace)
    if method != "argocd":
        raise Misconfigured(
            f"annotation write-back-method is {method!r}: write argocd, git, git:repocreds or "
            "git:secret:<namespace>/<name>",
        )
    if kind not in _OVERRIDE_KINDS:
        raise Misconfigured(
            f"the type of source {source.repo_url} cannot be told: give it a helm or kustomize block, "
            "or use write-back-method git",
        )
    return ApplicationTarget(application.name, index, _OVERRIDE_KINDS[kind])


def _wanted_type(application: Application, keys: ImageKeys) -> str:
    """Tell which type of source the annotations speak of; empty when they leave it open."""
    target = application.annotations.get("write-back-target", "").strip()
    if keys.kustomize_name or target.partition(":")[0] == "kustomization":
        return "Kustomize"
    helm_file = target.endswith((".yaml", ".yml")) and not posixpath.basename(target).startswith(".argocd-source-")
    if target.partition(":")[0] == "helmvalues" or helm_file or keys.name or keys.tag or keys.spec:
        return "Helm"
    return ""


def _source_type(source: Source, wanted: str) -> str:
    """Give the source's type; for a type of its own that only the annotations tell, theirs."""
    explicit = source.kind
    if explicit == "Plugin" and wanted == "Helm":
        return "Helm"
    if explicit == "Directory" and not wanted:
        raise Misconfigured(
            f"source {source.repo_url} is of type Directory, which has no image parameters: "
            "use a Helm or Kustomize source, or a write-back-target",
        )
    return wanted if explicit in ("", "Directory") else explicit


def _choose_source(application: Application, wanted: str, selector: str) -> tuple[int, Source]:
    numbered = list(enumerate(application.sources))
    if not numbered:
        raise Misconfigured("the Application has no source: spec.source or spec.sources is needed")
    if selector:
        chosen = [item for item in numbered if selector in (str(item[0]), item[1].name, item[1].ref, item[1].chart)]
    else:
        able = [item for item in numbered if not _values_only(item[1])] or numbered
        typed = [item for item in able if item[1].kind == wanted or (not wanted and item[1].kind in _OVERRIDE_KINDS)]
        chosen = typed or able
    if len(chosen) == 1:
        return chosen[0]
    names = ", ".join(_label(index, source) for index, source in chosen or numbered)
    if selector:
        raise Misconfigured(f"annotation source is {selector!r}, which is not one source: choose among {names}")
    raise Misconfigured(f"the Application has several sources that could take the image: set <alias>.source to {names}")


def _values_only(source: Source) -> bool:
    """Tell whether a source only lends its files to others, by `$ref`."""
    return bool(source.ref) and not source.path and not source.chart


def _label(index: int, source: Source) -> str:
    return f"{index} ({source.name or source.ref or source.chart or source.path or source.repo_url})"


def _credentials(application: Application, text: str) -> str:
    """Normalise the credentials of `git:<credentials>`; the Secret has to be in the application's namespace."""
    if text in ("", "repocreds"):
        return "repocreds"
    kind, _, path = text.partition(":")
    namespace, slash, name = path.rpartition("/")
    if kind != "secret" or not name:
        raise Misconfigured(
            f"annotation write-back-method is 'git:{text}': write git:repocreds or git:secret:<namespace>/<name>",
        )
    if slash and namespace != application.name.namespace:
        raise Misconfigured(
            f"annotation write-back-method names the Secret {namespace}/{name}: it has to be in the application's "
            f"own namespace {application.name.namespace}",
        )
    return f"secret:{application.name.namespace}/{name}"


def _git_target(
    application: Application,
    source: Source,
    kind: str,
    credentials: str,
    argocd_namespace: str,
) -> GitTarget:
    annotations = application.annotations
    url = annotations.get("git-repository", "").strip() or source.repo_url
    if source.chart and url == source.repo_url:
        raise Misconfigured(
            f"source {source.repo_url} is a chart repository, not a Git repository: name the one to write to "
            "in the annotation git-repository",
        )
    branch = Branch(url, *_branch(application, source, url, credentials))
    file = _file(application, source, kind, argocd_namespace)
    return GitTarget(branch, file.path, file.kind, file.base_path)


def _branch(application: Application, source: Source, url: str, credentials: str) -> tuple[str, str, str]:
    """Give the base, the credentials and the target; the base is the source's own where the annotation names none."""
    base, target = split_branch(application.annotations.get("git-branch", ""))
    if base:
        return base_branch(base, "annotation git-branch"), credentials, target
    return base_branch(_revision(application, source, url).strip(), "targetRevision"), credentials, target


def _revision(application: Application, source: Source, url: str) -> str:
    """Give the revision of the source that lives in the repository written to."""
    written_to = repository_key(url)
    found = (each.target_revision for each in application.sources if repository_key(each.repo_url) == written_to)
    return next(found, source.target_revision)


@dataclass(frozen=True, slots=True)
class _File:
    path: str
    kind: FileKind
    base_path: str = ""


def _file(application: Application, source: Source, kind: str, argocd_namespace: str) -> _File:
    text = application.annotations.get("write-back-target", "").strip()
    target, _, argument = text.partition(":")
    if target == "kustomization":
        return _File(_inside(source.path, argument, "write-back-target"), FileKind.KUSTOMIZATION)
    if target == "helmvalues":
        return _File(_inside(source.path, argument or "values.yaml", "write-back-target"), FileKind.HELM_VALUES)
    if text:
        path = _inside("", text, "write-back-target")
        if not posixpath.basename(path).startswith(".argocd-source-"):
            return _File(path, FileKind.HELM_VALUES)
    else:
        path = _inside(source.path, _override_name(application, argocd_namespace), "path")
    base = posixpath.normpath(source.path.strip("/") or ".")
    return _File(path, _OVERRIDE_KINDS.get(kind, FileKind.OVERRIDE), base)


def _override_name(application: Application, argocd_namespace: str) -> str:
    namespace, name = application.name
    prefix = "" if argocd_namespace in {namespace, "default"} else f"{namespace}_"
    return f".argocd-source-{prefix}{name}.yaml"


def _inside(base: str, path: str, place: str) -> str:
    """Join a path below `base`, or below the repository when it starts with `/`; it may not lead out."""
    joined = path if path.startswith("/") else posixpath.join("/", base, path)
    depth = 0
    for component in joined.strip("/").split("/"):
        depth += {"..": -1, ".": 0, "": 0}.get(component, 1)
        if depth < 0 or component == ".git":
            raise Misconfigured(f"{place} {path!r} leads out of the repository: name a path inside it")
    return posixpath.normpath(joined).strip("/") or "."
