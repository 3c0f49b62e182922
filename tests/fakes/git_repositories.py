"""Repositories as large as those of whole companies, made in a moment."""

import subprocess
from collections.abc import Mapping
from pathlib import Path

from updater.demo.gitserver import create_repository


def large_repository(root: Path, name: str, files: Mapping[str, str], commits: int = 1) -> Path:
    """Make a bare repository with these files, and so many commits that change the first of them."""
    repository = create_repository(root, name, {})
    first = next(iter(files))
    stream = bytearray()
    for number in range(commits):
        stream += b"commit refs/heads/main\ncommitter x <x@example.com> %d +0000\n" % (1_700_000_000 + number)
        stream += b"data 4\nseed\n"
        changed = files if number == 0 else {first: f"{files[first]}# {number}\n"}
        for path, text in changed.items():
            stream += b"M 100644 inline %s\ndata %d\n%s\n" % (path.encode(), len(text), text.encode())
    stream += b"done\n"
    command = ("git", "-C", str(repository), "fast-import", "--quiet", "--done")
    subprocess.run(command, input=bytes(stream), check=True, capture_output=True)
    return repository


def values_file(number: int) -> str:
    """Write a values file of some lines, no two of them the same."""
    lines = [f"name: service-{number}", "image:", f"  repository: registry.example.com/team/service-{number}"]
    lines += ["  tag: v1.0.0", *(f"option{line}: {number * 7919 + line}" for line in range(12))]
    return "\n".join(lines) + "\n"
