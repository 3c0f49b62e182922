"""Edited kustomizations, rendered by Kustomize itself: the wanted image differs, and not a line beside it."""

import difflib
from pathlib import Path

import pytest

from tests.fakes.kustomize import kustomize
from tests.formats.builders import DIGEST, edit
from updater.domain.change import Edit
from updater.domain.target import FileKind
from updater.formats.targets import apply_edits

pytestmark = pytest.mark.integration

DEPLOYMENT = """\
apiVersion: apps/v1
kind: Deployment
metadata:
  name: shop
spec:
  selector: {matchLabels: {app: shop}}
  template:
    metadata: {labels: {app: shop}}
    spec:
      initContainers:
      - {name: migrate, image: 'shop:v0'}
      containers:
      - {name: shop, image: 'shop:v0'}
      - {name: proxy, image: 'nginx:1.20'}
      - {name: cache, image: 'quay.io/team/cache:v0'}
"""
COMPONENT = """\
apiVersion: kustomize.config.k8s.io/v1alpha1
kind: Component
images:
- name: nginx  # the proxy of all environments
  newTag: "1.25"
patches:
- target: {kind: Deployment}
  patch: |-
    - op: add
      path: /metadata/labels
      value: {proxied: "yes"}
"""
OVERLAY = """\
apiVersion: kustomize.config.k8s.io/v1beta1
kind: Kustomization
namespace: prod   # where it runs

resources:
  - ../base
components:
  - ../component

replicas:
  - {name: shop, count: 3}

images:
  # from the team's own registry
  - name: shop
    newName: registry.example.com/team/shop   # mirrored
    newTag: v1.0.0

  - {name: quay.io/team/cache, newTag: v1}

patches:
  - path: patch.yaml
"""
PATCH = "apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: shop, annotations: {team: shop}}\n"


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    files = {
        "base/Kustomization": "resources: [deployment.yaml]\n",
        "base/deployment.yaml": DEPLOYMENT,
        "component/kustomization.yml": COMPONENT,
        "overlay/kustomization.yaml": OVERLAY,
        "overlay/patch.yaml": PATCH,
    }
    for name, text in files.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(text)
    return tmp_path


def render(directory: Path) -> list[str]:
    return kustomize(directory).splitlines()


def changed(before: list[str], after: list[str]) -> list[str]:
    """Give the lines that came, without their indentation; each has to replace one that went."""
    lines = list(difflib.ndiff(before, after))
    came = [line[2:].strip(" -") for line in lines if line.startswith("+ ")]
    assert len(came) == len([line for line in lines if line.startswith("- ")])
    return came


@pytest.mark.parametrize(
    ("file", "wanted", "rendered"),
    [
        (
            "overlay/kustomization.yaml",
            edit("registry.example.com/team/shop:v1.20"),
            ["image: registry.example.com/team/shop:v1.20"] * 2,
        ),
        (
            "overlay/kustomization.yaml",
            edit("ghcr.io/team/shop:v2", kustomize_name="shop"),
            ["image: ghcr.io/team/shop:v2"] * 2,
        ),
        (
            "overlay/kustomization.yaml",
            edit(f"registry.example.com/team/shop@{DIGEST}"),
            [f"image: registry.example.com/team/shop@{DIGEST}"] * 2,
        ),
        (
            "overlay/kustomization.yaml",
            edit(f"quay.io/team/cache:v2@{DIGEST}"),
            [f"image: quay.io/team/cache:v2@{DIGEST}"],
        ),
        ("component/kustomization.yml", edit("docker.io/library/nginx:1.27"), ["image: nginx:1.27"]),
        ("base/Kustomization", edit("quay.io/team/cache:v9"), []),
    ],
)
def test_only_the_wanted_image_is_rendered_anew(tree: Path, file: str, wanted: Edit, rendered: list[str]) -> None:
    before = render(tree / "overlay")
    text = (tree / file).read_text()
    (tree / file).write_text(apply_edits(FileKind.KUSTOMIZATION, text, [wanted]))
    assert (tree / file).read_text() != text
    assert changed(before, render(tree / "overlay")) == rendered


def test_entry_that_was_missing_takes_effect(tree: Path) -> None:
    text = apply_edits(FileKind.KUSTOMIZATION, (tree / "base/Kustomization").read_text(), [edit("nginx:1.27")])
    (tree / "base/Kustomization").write_text(text)
    assert "image: nginx:1.27" in [line.strip(" -") for line in render(tree / "base")]
