"""Minimal images, and how they are pushed to any registry."""

import gzip
import io
import json
import tarfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from hashlib import sha256
from urllib.parse import urljoin

from aiohttp import ClientSession, encode_basic_auth

INDEX = "application/vnd.oci.image.index.v1+json"
MANIFEST = "application/vnd.oci.image.manifest.v1+json"
CONFIG = "application/vnd.oci.image.config.v1+json"
LAYER = "application/vnd.oci.image.layer.v1.tar+gzip"
"""Media types of OCI."""


@dataclass(frozen=True, slots=True)
class Image:
    """An image ready to be pushed."""

    blobs: tuple[bytes, ...]
    manifests: tuple[tuple[str, bytes], ...]
    """Media types and contents; the last is what a tag points to."""

    @property
    def digest(self) -> str:
        return digest(self.manifests[-1][1])


def build_image(created: datetime, platforms: Sequence[str] = ("linux/amd64",), version: str = "") -> Image:
    """Build an image without files; an index of several where there are several platforms."""
    layer = _empty_layer()
    configs = [_config(created, platform, version, layer) for platform in platforms]
    manifests = [(MANIFEST, _manifest(config, layer)) for config in configs]
    if len(manifests) > 1:
        children = [_child(body, platform) for (_, body), platform in zip(manifests, platforms, strict=True)]
        manifests.append((INDEX, _json({"schemaVersion": 2, "mediaType": INDEX, "manifests": children})))
    return Image((layer, *configs), tuple(manifests))


async def push_image(
    host: str,
    repository: str,
    tag: str,
    *,
    username: str,
    password: str,
    created: datetime,
    platforms: Sequence[str] = ("linux/amd64",),
) -> str:
    """Push a minimal image by plain HTTP with basic authentication; return the digest that the tag points to."""
    image = build_image(created, platforms, tag)
    base = f"http://{host}/v2/{repository}"
    headers = {"Authorization": encode_basic_auth(username, password)}
    async with ClientSession(headers=headers, raise_for_status=True) as session:
        for blob in image.blobs:
            async with session.post(f"{base}/blobs/uploads/") as begun:
                location = urljoin(base, begun.headers["Location"])
            separator = "&" if "?" in location else "?"
            async with session.put(f"{location}{separator}digest={digest(blob)}", data=blob):
                pass
        for reference, (media_type, body) in zip(_references(image, tag), image.manifests, strict=True):
            url = f"{base}/manifests/{reference}"
            async with session.put(url, data=body, headers={"Content-Type": media_type}):
                pass
    return image.digest


def digest(content: bytes) -> str:
    return f"sha256:{sha256(content).hexdigest()}"


def _references(image: Image, tag: str) -> Iterator[str]:
    """Name each manifest by its digest, and the last by the tag."""
    yield from (digest(body) for _, body in image.manifests[:-1])
    yield tag


def _empty_layer() -> bytes:
    tar = io.BytesIO()
    tarfile.open(fileobj=tar, mode="w").close()
    return gzip.compress(tar.getvalue(), mtime=0)


def _config(created: datetime, platform: str, version: str, layer: bytes) -> bytes:
    system, architecture, *variant = platform.split("/")
    return _json(
        {
            "created": created.astimezone(UTC).isoformat().replace("+00:00", "Z"),
            "os": system,
            "architecture": architecture,
            **({"variant": variant[0]} if variant else {}),
            "config": {"Labels": {"org.opencontainers.image.version": version}},
            "rootfs": {"type": "layers", "diff_ids": [digest(gzip.decompress(layer))]},
        },
    )


def _manifest(config: bytes, layer: bytes) -> bytes:
    return _json(
        {
            "schemaVersion": 2,
            "mediaType": MANIFEST,
            "config": {"mediaType": CONFIG, "digest": digest(config), "size": len(config)},
            "layers": [{"mediaType": LAYER, "digest": digest(layer), "size": len(layer)}],
        },
    )


def _child(manifest: bytes, platform: str) -> dict[str, object]:
    names = ("os", "architecture", "variant")
    return {
        "mediaType": MANIFEST,
        "digest": digest(manifest),
        "size": len(manifest),
        "platform": dict(zip(names, platform.split("/"), strict=False)),
    }


def _json(value: object) -> bytes:
    return json.dumps(value, indent=2).encode()
