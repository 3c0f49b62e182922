"""Short ways to say what shall be edited."""

from updater.domain.change import Edit
from updater.domain.references import parse_reference
from updater.domain.target import ImageKeys

DIGEST = "sha256:" + "0123456789abcdef" * 4


def edit(
    image: str,
    *,
    name: str = "",
    tag: str = "",
    spec: str = "",
    kustomize_name: str = "",
    alias: str = "",
) -> Edit:
    return Edit(parse_reference(image), ImageKeys(name, tag, spec, kustomize_name), alias)
