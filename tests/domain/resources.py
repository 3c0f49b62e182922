"""Short ways to write ImageUpdaters down."""

from typing import Any

from updater.adapters.imageupdaters import convert_image_updater
from updater.domain.resources import ImageUpdater


def manifest(name: str = "team", *refs: dict[str, Any], namespace: str = "argocd", **spec: Any) -> dict[str, Any]:
    return {
        "apiVersion": "argocd-image-updater.argoproj.io/v1alpha1",
        "kind": "ImageUpdater",
        "metadata": {"name": name, "namespace": namespace},
        "spec": {"applicationRefs": list(refs), **spec},
    }


def resource(name: str = "team", *refs: dict[str, Any], namespace: str = "argocd", **spec: Any) -> ImageUpdater:
    return convert_image_updater(manifest(name, *refs, namespace=namespace, **spec), namespace)


def ref(pattern: str, *images: dict[str, Any], **fields: Any) -> dict[str, Any]:
    return {"namePattern": pattern, "images": list(images), **fields}


def image(alias: str = "app", name: str = "registry.example.com/team/app", **fields: Any) -> dict[str, Any]:
    return {"alias": alias, "imageName": name, **fields}
