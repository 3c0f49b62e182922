"""Which document and which source is meant; whole files are in `tests/golden/application`."""

from dataclasses import replace

import pytest

from tests.formats.builders import edit
from updater.domain.application import ApplicationName
from updater.domain.change import Edit
from updater.domain.errors import EditError
from updater.domain.image import ImageVersion
from updater.domain.references import parse_entry
from updater.domain.target import FileKind, ImageKeys
from updater.formats.application_manifest import annotate_application, edit_application
from updater.formats.targets import apply_edits, read_version

SHOP = ApplicationName("argocd", "shop")
HEAD = "apiVersion: argoproj.io/v1alpha1\nkind: Application\nmetadata: {name: shop}\n"
SINGLE = HEAD + "spec:\n  source: {repoURL: https://git.example.com/shop.git}\n"
MULTI = HEAD + "spec:\n  sources:\n  - ref: values\n  - path: shop\n"


def write(text: str, source: int | None = None, kind: FileKind = FileKind.OVERRIDE_HELM) -> str:
    return edit_application(text, SHOP, source, kind, [edit("q.io/a:v2", tag="image.tag")])


def test_other_documents_stay() -> None:
    other = SINGLE.replace("name: shop", "name: other")
    text = f"{other}---\n# a comment\n---\n{SINGLE}---\nkind: ConfigMap\nmetadata: {{name: shop}}\n"
    after = write(text)
    assert after.startswith(f"{other}---\n# a comment\n---\n{HEAD}")
    assert "parameters: [{name: image.tag, value: v2, forceString: true}]" in after
    assert after.endswith("---\nkind: ConfigMap\nmetadata: {name: shop}\n")


def test_namespace_tells_applications_of_one_name_apart() -> None:
    other = SINGLE.replace("name: shop", "name: shop, namespace: team")
    after = edit_application(
        f"{SINGLE}---\n{other}",
        ApplicationName("team", "shop"),
        None,
        FileKind.OVERRIDE_KUSTOMIZE,
        [edit("q.io/a:v2")],
    )
    assert after.startswith(f"{SINGLE}---\n")
    assert 'images: ["q.io/a:v2"]' in after


def test_default_namespace_can_be_another() -> None:
    after = annotate_application(SINGLE, ApplicationName("gitops", "shop"), "a", "b", default_namespace="gitops")
    assert "metadata: {name: shop, annotations: {a: b}}" in after


def test_hydrated_application_is_changed_where_it_is_dry() -> None:
    text = HEAD + "spec:\n  sourceHydrator:\n    drySource:\n      path: shop\n    syncSource: {path: out}\n"
    after = write(text)
    assert "      path: shop\n      helm:\n        parameters:\n        - name: image.tag\n" in after
    assert after.endswith("    syncSource: {path: out}\n")


def test_source_of_many_is_chosen_by_its_number() -> None:
    assert write(MULTI, 1).startswith(MULTI + "    helm:\n")


def test_environment_of_a_plugin_has_no_mark() -> None:
    after = write(MULTI, 1, FileKind.OVERRIDE_PLUGIN)
    assert after == MULTI + "    plugin:\n      env:\n      - name: image.tag\n        value: v2\n"


@pytest.mark.parametrize(
    ("text", "source", "says"),
    [
        (HEAD.replace("shop", "other"), None, "argocd/shop is not in this file"),
        (SINGLE.replace("argoproj.io", "example.com"), None, "argocd/shop is not in this file"),
        (f"{SINGLE}---\n{SINGLE}", None, "argocd/shop is in this file 2 times"),
        (MULTI, None, "line 6: the Application has 2 sources: set <alias>.source"),
        (MULTI, 2, "line 6: the Application has 2 sources, not one of number 2"),
        (HEAD, None, "line 1: spec is missing"),
        (HEAD + "spec: {}\n", None, "line 4: source is missing"),
        (HEAD + "spec: text\n", None, "line 4: a single value stands where a mapping is expected"),
        (HEAD + "spec: {source: {helm: {parameters: {a: b}}}}\n", None, "line 4: a mapping stands where a list"),
        ("", None, "is not in this file"),
        ("- a\n", None, "is not in this file"),
        ("kind: Application\nmetadata: [a]\n", None, "is not in this file"),
    ],
)
def test_application_that_cannot_be_told_is_refused(text: str, source: int | None, says: str) -> None:
    with pytest.raises(EditError, match=says):
        write(text, source)


def test_kind_that_applications_do_not_have_is_refused() -> None:
    with pytest.raises(EditError, match="no parameters of the kind helmvalues"):
        write(SINGLE, kind=FileKind.HELM_VALUES)


class TestAnnotating:
    @pytest.mark.parametrize(
        ("before", "after"),
        [
            ("metadata: {name: shop}\n", 'metadata: {name: shop, annotations: {a/b: "true"}}\n'),
            ("metadata:\n  name: shop\n", 'metadata:\n  name: shop\n  annotations:\n    a/b: "true"\n'),
            ("metadata:\n  annotations:\n  name: shop\n", 'metadata:\n  annotations:\n    a/b: "true"\n  name: shop\n'),
            (
                "metadata:\n  annotations: # x\n    c: d # y\n  name: shop\n",
                'metadata:\n  annotations: # x\n    c: d # y\n    a/b: "true"\n  name: shop\n',
            ),
            (
                "metadata:\n  annotations:\n    a/b: 'old' # y\n  name: shop\n",
                "metadata:\n  annotations:\n    a/b: 'true' # y\n  name: shop\n",
            ),
        ],
    )
    def test_annotation_is_set_and_all_else_stays(self, before: str, after: str) -> None:
        head = "apiVersion: argoproj.io/v1alpha1\nkind: Application\n"
        assert annotate_application(head + before, SHOP, "a/b", "true") == head + after
        assert annotate_application(head + after, SHOP, "a/b", "true") == head + after


CHARTS = (
    HEAD
    + """\
spec:
  sources:
  - ref: values
  - repoURL: https://charts.example.com
    chart: shop
    targetRevision: "1.2.0"  # ours
    helm: {parameters: [{name: a, value: b}]}
"""
)


def chart_edit(version: str, chart: str = "shop", source: int = 1) -> Edit:
    reference = parse_entry(f"https://charts.example.com/{chart}").reference
    return Edit(reference.at(ImageVersion(version)), ImageKeys(), "", SHOP, source)


def test_version_of_a_chart_changes_where_it_stands() -> None:
    after = apply_edits(FileKind.CHART, CHARTS, [chart_edit("1.3.0")])
    assert after == CHARTS.replace('"1.2.0"', '"1.3.0"')
    assert read_version(FileKind.CHART, after, chart_edit("")) == ImageVersion("1.3.0")


def test_version_of_a_chart_is_added_where_it_is_missing() -> None:
    text = CHARTS.replace('    targetRevision: "1.2.0"  # ours\n', "")
    assert read_version(FileKind.CHART, text, chart_edit("")) is None
    assert "    targetRevision: 1.3.0\n" in apply_edits(FileKind.CHART, text, [chart_edit("1.3.0")])


@pytest.mark.parametrize(
    ("text", "revision"),
    [(CHARTS, "1.3.0+1"), (CHARTS.replace("    chart: shop\n", "    path: .\n"), "1.3.0_1")],
    ids=["Helm's", "an artifact's"],
)
def test_build_metadata_is_spelled_as_the_source_is_looked_up(text: str, revision: str) -> None:
    after = apply_edits(FileKind.CHART, text, [chart_edit("1.3.0+1")])
    assert after == text.replace("1.2.0", revision)
    assert read_version(FileKind.CHART, after, chart_edit("")) == ImageVersion("1.3.0+1")


def test_version_of_another_chart_is_refused() -> None:
    with pytest.raises(EditError, match="the source is the chart shop"):
        apply_edits(FileKind.CHART, CHARTS, [chart_edit("1.3.0", "till")])


def test_parameters_of_two_applications_in_one_file_are_written_each_at_its_own() -> None:
    text = f"{SINGLE}---\n{SINGLE.replace('name: shop', 'name: till')}"
    till = ApplicationName("argocd", "till")
    edits = [replace(edit(f"q.io/a:v{n}", tag="image.tag"), manifest_of=name) for n, name in ((2, SHOP), (3, till))]
    after = apply_edits(FileKind.OVERRIDE_HELM, text, edits)
    assert [str(read_version(FileKind.OVERRIDE_HELM, after, each)) for each in edits] == ["v2", "v3"]


def test_kustomize_images_of_an_application_are_read() -> None:
    wanted = replace(edit("q.io/a:v2"), manifest_of=SHOP)
    after = apply_edits(FileKind.OVERRIDE_KUSTOMIZE, SINGLE, [wanted])
    assert read_version(FileKind.OVERRIDE_KUSTOMIZE, SINGLE, wanted) is None
    assert read_version(FileKind.OVERRIDE_KUSTOMIZE, after, wanted) == ImageVersion("v2")


def test_manifest_that_is_not_there_is_not_made() -> None:
    with pytest.raises(EditError, match="there is no such file"):
        apply_edits(FileKind.CHART, None, [chart_edit("1.3.0")])
