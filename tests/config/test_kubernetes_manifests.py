"""What is shipped for Kubernetes: resources written for Argo CD Image Updater apply unchanged, and are understood.

Quick tests hold the schema to the rules for structural schemas, and have its CEL rules evaluated by another
implementation of the language; what the API server's own code says is in `tests/integration/test_definition.py`.
"""

import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import cel
import jsonschema
import pytest
from ruamel.yaml import YAML

from updater.adapters.imageupdaters import COMMON_FIELDS, convert_image_updater
from updater.adapters.kubernetes.connection import (
    _VERBS,
    APPLICATION_SETS,
    APPLICATIONS,
    EVENTS,
    IMAGE_UPDATERS,
    SERVICE_ACCOUNTS,
    Resource,
)

ROOT = Path(__file__).parents[2]
KUBERNETES = ROOT / "config" / "kubernetes"
SAMPLES = sorted((ROOT / "tests" / "samples" / "imageupdaters").glob("*.yaml"))


def load(path: Path) -> Any:
    return YAML(typ="safe", pure=True).load(path.read_text())


DEFINITION = load(KUBERNETES / "crd" / "imageupdaters.yaml")
(VERSION,) = DEFINITION["spec"]["versions"]
SCHEMA = VERSION["schema"]["openAPIV3Schema"]


def schemas(schema: dict[str, Any], path: str = "$") -> Iterator[tuple[str, dict[str, Any]]]:
    yield path, schema
    for name, inner in schema.get("properties", {}).items():
        yield from schemas(inner, f"{path}.{name}")
    for key in ("items", "additionalProperties"):
        if isinstance(schema.get(key), dict):
            yield from schemas(schema[key], f"{path}.{key}")


def at(path: str) -> dict[str, Any]:
    return dict(schemas(SCHEMA))[f"$.spec{path}"]


def refused(value: Any, schema: dict[str, Any] = SCHEMA, path: str = "") -> list[str]:
    """Say why the API server would refuse or prune a value: types, unknown fields, CEL rules, keys of lists."""
    told = [error.message for error in jsonschema.Draft4Validator(schema).iter_errors(value)] if not path else []
    told += [
        rule["message"]
        for rule in schema.get("x-kubernetes-validations", [])
        if not cel.evaluate(rule["rule"], {"self": value})
    ]
    if isinstance(value, dict) and "properties" in schema and path != ".metadata":
        told += [f"{path}.{name} is pruned" for name in value if name not in schema["properties"]]
        for name, inner in value.items():
            told += refused(inner, schema["properties"].get(name, {}), f"{path}.{name}")
    if isinstance(value, list):
        keys = schema.get("x-kubernetes-list-map-keys", [])
        identities = [tuple(item[key] for key in keys) for item in value] if keys else []
        told += [f"{path} has duplicates"] if len(set(identities)) < len(identities) else []
        for item in value:
            told += refused(item, schema["items"], f"{path}[]")
    return told


@pytest.mark.parametrize("path", SAMPLES, ids=lambda path: path.stem)
def test_documented_resources_apply_unchanged(path: Path) -> None:
    assert refused(load(path)) == []


@pytest.mark.parametrize("path", SAMPLES, ids=lambda path: path.stem)
def test_documented_resources_are_understood_whole(path: Path) -> None:
    spec = convert_image_updater(load(path), "argocd").spec
    assert spec.warnings == ()
    assert spec.problems == ()


MISTAKES: list[tuple[dict[str, Any], str]] = [
    ({"images": []}, "images is needed unless useAnnotations is true"),
    ({"images": [{"alias": "a=b", "imageName": "nginx"}]}, "'a=b' does not match"),
    ({"images": [{"alias": "a", "imageName": "x"}, {"alias": "a", "imageName": "y"}]}, "duplicates"),
    ({"imagesVerification": {}}, "cosignKey or keyless is needed unless enabled is false"),
    ({"imagesVerification": {"enabled": True}}, "cosignKey or keyless is needed unless enabled is false"),
    ({"writeBackConfig": {"method": "svn"}}, "'svn' does not match"),
    ({"writeBackConfig": {"gitConfig": {"pullRequest": {}}}}, "exactly one of github, gitlab, gitea, bitbucket"),
    ({"images": [{"alias": "a", "imageName": "x", "manifestTargets": {}}]}, "exactly one of helm, kustomize"),
    (
        {"images": [{"alias": "a", "imageName": "x", "manifestTargets": {"plugin": {"tag": "T"}}}]},
        "plugin needs spec or name",
    ),
    ({"commonUpdateSettings": {"ignoreTags": "*"}}, "'*' is not of type 'array'"),
]


def resource(change: dict[str, Any]) -> dict[str, Any]:
    """Say something else of the only reference of a resource."""
    reference = {"namePattern": "app", "images": [{"alias": "app", "imageName": "nginx"}], **change}
    return {"apiVersion": "v", "kind": "ImageUpdater", "metadata": {}, "spec": {"applicationRefs": [reference]}}


@pytest.mark.parametrize(("change", "reason"), MISTAKES)
def test_mistakes_are_refused(change: dict[str, Any], reason: str) -> None:
    assert any(reason in told for told in refused(resource(change)))


def test_annotations_need_no_images() -> None:
    reference = {"namePattern": "app", "useAnnotations": True}
    assert refused({"spec": {"applicationRefs": [reference]}}) == []


@pytest.mark.parametrize(
    "place",
    [
        ".commonUpdateSettings",
        ".applicationRefs.items.commonUpdateSettings",
        ".applicationRefs.items.images.items.commonUpdateSettings",
    ],
)
def test_every_setting_is_in_the_schema_at_every_level(place: str) -> None:
    assert set(at(place)["properties"]) == set(COMMON_FIELDS)


def test_the_schema_is_structural() -> None:
    """Kubernetes wants a type everywhere, one way to describe an object's fields, and no definitions elsewhere."""
    for path, schema in schemas(SCHEMA):
        assert "type" in schema, path
        assert not {"$ref", "oneOf", "anyOf", "allOf", "not", "definitions", "patternProperties"} & set(schema), path
        assert not ("properties" in schema and "additionalProperties" in schema), path
        assert (schema["type"] == "array") == ("items" in schema), path
        for key in schema.get("x-kubernetes-list-map-keys", []):
            assert key in schema["items"]["required"], path


def test_a_rule_that_needs_a_field_asks_whether_it_is_there() -> None:
    """CEL fails on a missing field, and a failing rule refuses everything."""
    for path, schema in schemas(SCHEMA):
        for rule in schema.get("x-kubernetes-validations", []):
            assert isinstance(cel.evaluate(rule["rule"], {"self": {}}), bool), path


def test_columns_are_those_of_argocd_image_updater() -> None:
    names = [column["name"] for column in VERSION["additionalPrinterColumns"]]
    assert names == ["Apps", "Images", "Last Checked", "Ready", "Age"]
    assert VERSION["subresources"] == {"status": {}}


@pytest.mark.integration
@pytest.mark.parametrize("directory", ["crd", "rbac", "rbac/cluster"])
def test_directories_are_kustomizations(directory: str) -> None:
    command = ["kubectl", "kustomize", str(KUBERNETES / directory)]
    result = subprocess.run(command, check=False, capture_output=True, text=True)
    assert result.returncode == 0, result.stderr


def granted(path: str) -> set[tuple[str, str]]:
    role = next(YAML(typ="safe", pure=True).load_all((KUBERNETES / "rbac" / path).read_text()))
    return {(plural, verb) for rule in role["rules"] for plural in rule["resources"] for verb in rule["verbs"]}


def needed(*resources: Resource) -> set[tuple[str, str]]:
    return {(resource.plural, verb) for resource in resources for verb in _VERBS[resource].split(", ")}


def test_the_role_of_argocds_namespace_grants_all_that_is_asked_for() -> None:
    assert needed(*_VERBS) | {("imageupdaters/status", "patch")} == granted("role.yaml")


@pytest.mark.parametrize("path", ["applications-role.yaml", "cluster/clusterrole.yaml"])
def test_the_roles_of_other_namespaces_grant_what_applications_need(path: str) -> None:
    """Secrets are read by name there, and never listed."""
    wanted = needed(APPLICATIONS, APPLICATION_SETS, IMAGE_UPDATERS, EVENTS, SERVICE_ACCOUNTS)
    assert wanted | {("secrets", "get"), ("imageupdaters/status", "patch")} == granted(path)
