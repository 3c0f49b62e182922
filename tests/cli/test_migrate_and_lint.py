"""`updater migrate` and `updater lint`, as somebody at a terminal sees them."""

from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from ruamel.yaml import YAML

from tests.domain.resources import manifest
from tests.fakes.apiserver import ApiServer
from updater.cli.lint import lint
from updater.cli.migrate import migrate

APPLICATION = """\
apiVersion: argoproj.io/v1alpha1
kind: Application
metadata:
  name: demo
  namespace: argocd
  annotations:
    argocd-image-updater.argoproj.io/image-list: app=registry.example.com/team/app:~1.2
    argocd-image-updater.argoproj.io/app.update-strategy: semver
spec:
  source:
    repoURL: https://git.example.com/gitops.git
    path: apps/demo
    helm: {}
"""
RESOURCE = """\
apiVersion: argocd-image-updater.argoproj.io/v1alpha1
kind: ImageUpdater
metadata:
  name: team
  namespace: argocd
spec:
  applicationRefs:
    - namePattern: demo
      images:
        - alias: web
          imageName: nginx:1.x
"""


def call(command: object, *arguments: object) -> Result:
    return CliRunner().invoke(command, [str(each) for each in arguments])  # type: ignore[arg-type]


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "manifests.yaml"
    path.write_text(APPLICATION)
    return path


def test_annotations_become_a_resource(file: Path) -> None:
    result = call(migrate, "--to", "cr", file)
    assert result.exit_code == 0
    assert YAML(typ="safe").load(result.stdout) == manifest(
        "updater",
        {
            "namePattern": "demo",
            "images": [
                {
                    "alias": "app",
                    "imageName": "registry.example.com/team/app:~1.2",
                    "commonUpdateSettings": {"updateStrategy": "semver"},
                }
            ],
        },
    )


def test_a_resource_becomes_annotations(file: Path) -> None:
    bare = APPLICATION.replace("image-list", "unrelated").replace("app.update-strategy", "other")
    bare = bare.replace("argocd-image-updater.argoproj.io/", "example.com/")
    file.write_text(f"{bare}---\n{RESOURCE}")
    result = call(migrate, "--to", "annotations", file)
    assert result.exit_code == 0
    annotations = YAML(typ="safe").load(result.stdout)["metadata"]["annotations"]
    assert annotations == {"argocd-image-updater.argoproj.io/image-list": "web=nginx:1.x"}


def test_what_cannot_be_carried_is_said_beside_what_can(file: Path) -> None:
    file.write_text(APPLICATION.replace("app.update-strategy: semver", "nonsense: x"))
    result = call(migrate, "--to", "cr", file)
    assert result.exit_code == 1
    assert "kind: ImageUpdater" in result.stdout
    assert result.stderr == (
        "not carried: argocd/demo: annotation argocd-image-updater.argoproj.io/nonsense has no field\n"
    )


def test_migration_needs_a_source() -> None:
    assert call(migrate, "--to", "cr").exit_code == 2


async def test_a_cluster_is_read_and_not_written(tmp_path: Path) -> None:
    import asyncio  # noqa: PLC0415

    async with ApiServer() as server:
        server.put(YAML(typ="safe").load(APPLICATION))
        kubeconfig = server.kubeconfig(tmp_path / "kubeconfig")
        result = await asyncio.to_thread(call, migrate, "--to", "cr", "--kubeconfig", kubeconfig)
        assert {request.split()[0] for request in server.requests} == {"GET"}
    assert result.exit_code == 0
    assert "namePattern: demo" in result.stdout


def test_nothing_wrong_is_silence(file: Path) -> None:
    result = call(lint, file)
    assert (result.exit_code, result.stdout, result.stderr) == (0, "", "0 mistakes\n")


@pytest.mark.parametrize(
    ("before", "after", "line", "message"),
    [
        ("app.update-strategy: semver", "app.update-strategy: newest", 8, "is 'newest': write one of"),
        ("app.update-strategy", "app.updatestrategy", 8, "did you mean app.update-strategy?"),
        ("app.update-strategy: semver", "app.allow-tags: regexp:(", 0, "is not understood"),
        ("app.update-strategy: semver", "app.ignore-tags: '['", 0, "is not understood"),
        ("app:~1.2", "app:latest", 0, "latest"),
        ("image-list: app", "write-back-method: app", 6, "image-list is missing or empty"),
    ],
)
def test_mistakes_that_argocd_image_updater_ignores_have_a_line_and_a_remedy(
    file: Path, before: str, after: str, line: int, message: str
) -> None:
    assert before in APPLICATION
    file.write_text(APPLICATION.replace(before, after))
    result = call(lint, file)
    assert result.exit_code == 1
    assert message in result.stdout
    if line:
        assert f"{file}:{line}: Application argocd/demo" in result.stdout


@pytest.mark.parametrize(
    ("before", "after", "line", "message"),
    [
        (
            "alias: web",
            "alais: web",
            10,
            "spec.applicationRefs[0].images[0].alais is not understood: did you mean alias?",
        ),
        ("namePattern: demo", "namePattern: '['", 8, "namePattern '[' is no pattern"),
        ("imageName: nginx:1.x", "imageName: ''", 11, "imageName is missing"),
        ("images:", "useAnnotations: true\n      images:", 10, "images is not read, because useAnnotations is true"),
    ],
)
def test_mistakes_in_resources_have_the_fields_line(
    file: Path, before: str, after: str, line: int, message: str
) -> None:
    file.write_text(RESOURCE.replace(before, after))
    result = call(lint, file)
    assert message in result.stdout
    assert f"{file}:{line}: ImageUpdater argocd/team" in result.stdout


def test_two_claims_on_one_image_are_told_of_the_loser(file: Path) -> None:
    file.write_text(f"{APPLICATION}---\n{RESOURCE.replace('alias: web', 'alias: app')}")
    result = call(lint, file)
    assert "ImageUpdater argocd/team: app of argocd/demo belongs to the annotations of the Application" in result.stdout


def test_registries_in_a_file_and_in_a_configmap(tmp_path: Path) -> None:
    conf = "registries:\n  - name: one\n    api_uri: https://one.example.com\n"
    (tmp_path / "registries.conf").write_text(conf)
    indented = "".join(f"    {line}\n" for line in conf.splitlines())
    (tmp_path / "cm.yaml").write_text(
        f"apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: x\ndata:\n  registries.conf: |\n{indented}"
    )
    result = call(lint, tmp_path / "registries.conf", tmp_path / "cm.yaml")
    assert f"{tmp_path}/registries.conf:3: there is no such key api_uri" in result.stdout
    assert f"{tmp_path}/cm.yaml:9: registries.conf: there is no such key api_uri" in result.stdout


def test_settings_are_checked_too(tmp_path: Path) -> None:
    path = tmp_path / "updater.yaml"
    path.write_text("git:\n  lingr: 2s\n")
    result = call(lint, path)
    assert f"{path}:2: there is no such setting git.lingr" in result.stdout


def test_the_documented_settings_are_without_mistakes() -> None:
    assert call(lint, Path(__file__).parents[2] / "config" / "updater.yaml").exit_code == 0


def test_what_is_no_yaml_is_said(file: Path) -> None:
    file.write_text("kind: Application\n  bad: [\n")
    result = call(lint, file)
    assert result.exit_code == 1
    assert "cannot be read" in result.stdout
