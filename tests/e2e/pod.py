"""A container without Docker: the image's environment around the command that the tests have installed."""

import os
import shutil
import sys
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

import pytest

from updater.demo.daemon import DaemonProcess

REPOSITORY = Path(__file__).parents[2]
_SCRIPT = Path(__file__).with_name("pod.sh")
_VENV = Path(sys.prefix)
_PATH = "/app/venv/bin:/usr/bin:/bin"
Mounts = Iterable[tuple[Path | None, str]]
"""From where to where; None: an empty volume."""


def pod_command(root: Path, command: Sequence[str], mounts: Mounts, environ: Mapping[str, str]) -> list[str]:
    """Return what runs a command in a pod whose root is made at an empty directory; environ is all there is of it."""
    if os.getuid() != 0 or shutil.which("unshare") is None:
        pytest.skip("run as root: mounting is needed to make a read-only root")
    root.mkdir()
    own = (*((Path(each), each) for each in ("/usr", "/etc", "/dev", "/proc")), (None, "/tmp"))
    # What is below /tmp comes after the volume that would hide it.
    code = {REPOSITORY, _VENV.resolve(), Path(sys.base_prefix)} - {Path("/usr")}
    all_mounts = [*own, *((path, str(path)) for path in sorted(code)), *mounts]
    said = "\n".join(f"{source or '-'} {target}" for source, target in all_mounts)
    variables = {"PATH": _PATH, "HOME": "/nonexistent", "PYTHONDONTWRITEBYTECODE": "1", **environ}
    return [
        *("unshare", "--mount", "env", f"MOUNTS={said}", "sh", str(_SCRIPT), str(root), str(_VENV)),
        *("/usr/bin/env", "-i", *(f"{name}={text}" for name, text in variables.items()), *command),
    ]


class PodProcess(DaemonProcess):
    """The daemon in a pod."""

    def __init__(self, command: Sequence[str]) -> None:
        super().__init__(Path("/app/config/updater.yaml"))
        self._command = [*command]
