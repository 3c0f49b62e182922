"""Images written straight into the storage of docker-registry, which is faster than pushing them."""

from datetime import datetime
from pathlib import Path

from updater.demo.images import build_image, digest


def store_image(directory: Path, repository: str, tag: str, created: datetime) -> str:
    """Store an image below a registry's directory, and have a tag point to it; return its digest."""
    root = directory / "data" / "docker" / "registry" / "v2"
    image = build_image(created, version=tag)
    place = root / "repositories" / repository
    for content in (*image.blobs, *(body for _, body in image.manifests)):
        name = digest(content).removeprefix("sha256:")
        _write(root / "blobs" / "sha256" / name[:2] / name / "data", content)
        _link(place / "_layers" / "sha256" / name / "link", digest(content))
    top = image.digest.removeprefix("sha256:")
    _link(place / "_manifests" / "revisions" / "sha256" / top / "link", image.digest)
    _link(place / "_manifests" / "tags" / tag / "current" / "link", image.digest)
    _link(place / "_manifests" / "tags" / tag / "index" / "sha256" / top / "link", image.digest)
    return image.digest


def _link(path: Path, to: str) -> None:
    _write(path, to.encode())


def _write(path: Path, content: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
