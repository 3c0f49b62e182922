"""The ImageUpdater kind, by the API server's own code: it takes the definition, and refuses what it should."""

import json
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.config.test_kubernetes_manifests import KUBERNETES, MISTAKES, SAMPLES, resource

pytestmark = pytest.mark.integration

DEFINITION = KUBERNETES / "crd" / "imageupdaters.yaml"


def objections(*resources: Path) -> list[str]:
    """Say what the API server objects to, in the definition and in resources."""
    if not shutil.which("crd-check"):
        pytest.skip("build crd-check: go build -C tests/apiserver -o /usr/local/bin/crd-check .")
    command = ["crd-check", *map(str, (DEFINITION, *resources))]
    done = subprocess.run(command, check=False, capture_output=True, text=True, timeout=60)
    assert done.returncode in (0, 1), done.stderr
    return done.stdout.splitlines()


def test_definition_and_documented_resources_are_taken_as_they_are() -> None:
    assert objections(*SAMPLES) == []


def test_each_mistake_is_refused(tmp_path: Path) -> None:
    paths = [tmp_path / f"{number}.json" for number in range(len(MISTAKES))]
    for path, (change, _) in zip(paths, MISTAKES, strict=True):
        path.write_text(json.dumps(resource(change)))
    told = objections(*paths)
    assert {line.partition(":")[0] for line in told} == set(map(str, paths))


def test_field_that_there_is_not_is_pruned(tmp_path: Path) -> None:
    path = tmp_path / "resource.json"
    path.write_text(json.dumps(resource({"writeback": {}})))
    assert objections(path) == [f"{path}: spec.applicationRefs[0].writeback is pruned"]
