"""Kustomize itself, as a program of its own or as the one within kubectl."""

import shutil
import subprocess
from pathlib import Path

import pytest


def kustomize(directory: Path | str) -> str:
    """Render a directory. Debian's kubectl is older than components are: `kustomize` is preferred where it is there.

    Raises AssertionError with what Kustomize objected to.
    """
    if shutil.which("kustomize"):
        command = ["kustomize", "build"]
    elif shutil.which("kubectl"):
        command = ["kubectl", "kustomize"]
    else:
        pytest.skip("install kustomize: go install sigs.k8s.io/kustomize/kustomize/v5@v5.5.0")
    done = subprocess.run([*command, str(directory)], check=False, capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout
