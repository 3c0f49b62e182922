"""Defaults that the place decides: in a pod, Argo CD's namespace is the pod's own, and the root may be read-only.

Manifests of Argo CD Image Updater name neither its namespace nor a volume for state: with them, the one is where the
pod runs, and the other the only directory that can be written.
"""

import os
from collections.abc import Mapping
from pathlib import Path

from updater.settings.daemon import DEFAULT_SETTINGS, DEFAULT_STATE, TEMPORARY_STATE

_ROOT = Path("/")
_NAMESPACE = "var/run/secrets/kubernetes.io/serviceaccount/namespace"


def settings_file(named: Path | None) -> Path | None:
    """Return the file that settings come from: the one that is named, else the one where our manifests mount it."""
    if named is not None or not DEFAULT_SETTINGS.is_file():
        return named
    return DEFAULT_SETTINGS


def pod_defaults(root: Path = _ROOT) -> Mapping[str, object]:
    """Return the options whose defaults differ in this pod; none outside of a pod, where `/tmp` is everybody's."""
    try:
        namespace = (root / _NAMESPACE).read_text("utf-8").strip()
    except (OSError, UnicodeDecodeError):
        return {}
    state = {} if _can_be_made(_below(root, DEFAULT_STATE.parent)) else {"state.path": TEMPORARY_STATE}
    return {"argocd.namespace": namespace, **state} if namespace else state


def _below(root: Path, path: Path) -> Path:
    return root / path.relative_to("/")


def _can_be_made(directory: Path) -> bool:
    """Tell whether files can be created in a directory, which may not be there yet."""
    there = next(each for each in (directory, *directory.parents) if each.exists())
    return there.is_dir() and os.access(there, os.W_OK | os.X_OK)
