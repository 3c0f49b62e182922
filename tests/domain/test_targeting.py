"""Where an image is written: methods, targets, branches, and which of several sources is meant."""

from collections.abc import Mapping
from dataclasses import replace

import pytest

from updater.domain.application import Application, ApplicationName, Parameter, Source
from updater.domain.errors import Misconfigured
from updater.domain.references import parse_entry, parse_reference
from updater.domain.secrets import SecretAccess
from updater.domain.target import ApplicationTarget, Branch, FileKind, GitTarget, ImageKeys, Target
from updater.domain.targeting import choose_target

URL = "https://git.example.com/gitops.git"
HELM = Source(URL, "apps/demo", "main", kind="Helm")
KUSTOMIZE = Source(URL, "overlays/prod", "main", kind="Kustomize")
IMAGE = parse_reference("quay.io/team/app")
TAG = ImageKeys(tag="image.tag")
ACCESS = SecretAccess("argocd", frozenset({"shared"}))


def choose(
    annotations: Mapping[str, str],
    *sources: Source,
    keys: ImageKeys = TAG,
    selector: str = "",
    namespace: str = "argocd",
) -> Target:
    application = Application(ApplicationName(namespace, "demo"), annotations, sources=sources or (HELM,))
    return choose_target(application, IMAGE, keys, selector, ACCESS)


def git(
    annotations: Mapping[str, str],
    *sources: Source,
    keys: ImageKeys = TAG,
    selector: str = "",
    namespace: str = "argocd",
) -> GitTarget:
    given = {"write-back-method": "git", **annotations}
    target = choose(given, *sources, keys=keys, selector=selector, namespace=namespace)
    assert isinstance(target, GitTarget)
    return target


def test_default_is_the_application_itself() -> None:
    assert choose({}) == ApplicationTarget(
        ApplicationName("argocd", "demo"), 0, FileKind.OVERRIDE_HELM, "image.tag", "quay.io/team/app"
    )


def test_git_writes_the_override_file_beside_the_chart() -> None:
    assert git({}) == GitTarget(
        Branch(URL, "main", "repocreds"),
        "apps/demo/.argocd-source-demo.yaml",
        FileKind.OVERRIDE_HELM,
        "apps/demo",
        "image.tag",
        "quay.io/team/app",
    )


def test_application_in_another_namespace_has_it_in_the_files_name() -> None:
    assert git({}, namespace="team").path == "apps/demo/.argocd-source-team_demo.yaml"


def test_kustomize_source_has_kustomize_overrides() -> None:
    assert git({}, KUSTOMIZE, keys=ImageKeys()).kind is FileKind.OVERRIDE_KUSTOMIZE


def test_source_of_unknown_type_is_found_out_by_its_files() -> None:
    assert git({}, Source(URL, "apps/demo", "main"), keys=ImageKeys()).kind is FileKind.OVERRIDE


@pytest.mark.parametrize(
    ("target", "path", "kind"),
    [
        ("helmvalues", "apps/demo/values.yaml", FileKind.HELM_VALUES),
        ("helmvalues:values-prod.yaml", "apps/demo/values-prod.yaml", FileKind.HELM_VALUES),
        ("helmvalues:../common/values.yaml", "apps/common/values.yaml", FileKind.HELM_VALUES),
        ("helmvalues:/env/values.yaml", "env/values.yaml", FileKind.HELM_VALUES),
        ("kustomization", "apps/demo", FileKind.KUSTOMIZATION),
        ("kustomization:../base", "apps/base", FileKind.KUSTOMIZATION),
        ("kustomization:/overlays/prod", "overlays/prod", FileKind.KUSTOMIZATION),
    ],
)
def test_write_back_target_names_the_file(target: str, path: str, kind: FileKind) -> None:
    source = KUSTOMIZE if kind is FileKind.KUSTOMIZATION else HELM
    found = git({"write-back-target": target}, Source(URL, "apps/demo", "main", kind=source.kind))
    assert (found.path, found.kind) == (path, kind)


@pytest.mark.parametrize(
    "target", ["helmvalues:../../../etc/passwd", "helmvalues:/../x.yaml", "helmvalues:/.git/config"]
)
def test_target_outside_of_the_repository_is_refused(target: str) -> None:
    with pytest.raises(Misconfigured, match="leads out of the repository"):
        git({"write-back-target": target})


def test_credentials_of_argo_cd_are_those_of_the_applications_project() -> None:
    annotations = {"write-back-method": "git", "image-list": "app=quay.io/team/app"}
    source = Source(URL, "apps/demo", "main", kind="Helm")
    application = Application(ApplicationName("argocd", "demo"), annotations, project="payments", sources=(source,))
    target = choose_target(application, IMAGE, ImageKeys(), "", ACCESS)
    assert isinstance(target, GitTarget)
    assert target.branch.credentials == "repocreds:payments"


@pytest.mark.parametrize("revision", ["", "HEAD"])
def test_revision_head_is_the_servers_head(revision: str) -> None:
    assert git({}, Source(URL, "apps/demo", revision, kind="Helm")).branch.branch == ""


def test_branch_and_repository_may_be_others() -> None:
    branch = git({"git-branch": "env", "git-repository": "https://git.example.com/env.git"}).branch
    assert branch == Branch("https://git.example.com/env.git", "env", "repocreds")
    assert git({"git-branch": "env:env"}).branch == git({"git-branch": "env"}).branch
    assert git({"git-branch": ":main"}).branch == git({}).branch
    assert git({"git-repository": "https://bot:p4ssword@git.example.com/env.git"}).branch.url == branch.url


@pytest.mark.parametrize(
    ("text", "base", "target"),
    [
        ("env:updates", "env", "updates"),
        (":updates", "main", "updates"),
        ("HEAD:updates", "", "updates"),
        ("env:env", "env", ""),
        ("refs/heads/env", "env", ""),
        (":{{ $x := .AppName }}{{ $x }}", "main", "{{ $x := .AppName }}{{ $x }}"),
    ],
)
def test_branch_may_be_built_on_another(text: str, base: str, target: str) -> None:
    assert git({"git-branch": text}).branch == Branch(URL, base, "repocreds", target)


@pytest.mark.parametrize("revision", ["refs/tags/v1", "0123456789abcdef0123456789abcdef01234567", "main~1", "a..b"])
def test_revision_that_is_no_branch_is_refused(revision: str) -> None:
    with pytest.raises(Misconfigured, match="git-branch"):
        git({}, Source(URL, "apps/demo", revision, kind="Helm"))


def test_branch_without_a_name_behind_its_colon_is_refused() -> None:
    with pytest.raises(Misconfigured, match="behind the colon"):
        git({"git-branch": "main:"})


def test_revision_is_of_the_source_in_the_repository_written_to_however_it_is_spelled() -> None:
    chart = Source("https://charts.example.com", chart="app", target_revision="1.0", kind="Helm")
    values = Source("https://user@GIT.example.com/gitops", ref="values", target_revision="env")
    assert git({"git-repository": URL}, chart, values).branch.branch == "env"


@pytest.mark.parametrize("method", ["git:secret:argocd/creds", "git:secret:creds"])
def test_secret_of_the_applications_own_namespace(method: str) -> None:
    assert git({"write-back-method": method}).branch.credentials == "secret:argocd/creds"


def test_secret_of_a_namespace_that_the_configuration_allows() -> None:
    assert git({"write-back-method": "git:secret:shared/creds"}).branch.credentials == "secret:shared/creds"


def test_secret_of_another_namespace_is_refused_with_the_remedy() -> None:
    with pytest.raises(Misconfigured, match=r"Secret other/creds, .*or add other to applications\.secret_namespaces"):
        choose({"write-back-method": "git:secret:other/creds"})


@pytest.mark.parametrize("method", ["git:secret:/creds", "git:secret:", "git:env:TOKEN", "git:secret"])
def test_other_credentials_are_refused(method: str) -> None:
    with pytest.raises(Misconfigured, match="write-back-method"):
        choose({"write-back-method": method})


def test_chart_repository_is_nothing_to_commit_to() -> None:
    with pytest.raises(Misconfigured, match="git-repository"):
        git({}, Source("https://charts.example.com", chart="app", target_revision="1.0", kind="Helm"))


@pytest.mark.parametrize("method", ["argocd", "git"])
@pytest.mark.parametrize("keys", [ImageKeys(), TAG], ids=["no keys", "helm keys"])
def test_directory_source_has_no_parameters(keys: ImageKeys, method: str) -> None:
    with pytest.raises(Misconfigured, match="Directory"):
        choose({"write-back-method": method}, Source(URL, "plain", "main", kind="Directory"), keys=keys)


def test_plugin_takes_images_as_variables() -> None:
    target = choose({}, Source(URL, "apps/demo", "main", kind="Plugin"))
    assert target.kind is FileKind.OVERRIDE_PLUGIN


def test_image_without_keys_stands_under_the_default_ones() -> None:
    assert git({}, keys=ImageKeys()).key == "image.tag"


def test_image_of_a_kustomization_is_known_by_its_name() -> None:
    assert git({}, KUSTOMIZE, keys=ImageKeys()).key == "quay.io/team/app"
    assert git({}, KUSTOMIZE, keys=ImageKeys(kustomize_name="app")).key == "app"


def test_place_in_a_file_has_a_memory_of_its_own_for_each_key_and_image() -> None:
    places = {git({}, keys=ImageKeys(tag=tag)).identity for tag in ("image.tag", "sidecar.tag")}
    assert len(places) == 2
    assert all(place.endswith("=quay.io/team/app") for place in places)


def test_source_that_only_lends_its_values_is_not_meant() -> None:
    values = Source(URL, ref="values", target_revision="main")
    target = choose({}, values, HELM)
    assert isinstance(target, ApplicationTarget)
    assert target.source == 1


def test_of_several_sources_the_one_of_the_wanted_type_is_meant() -> None:
    target = choose({}, KUSTOMIZE, HELM)
    assert isinstance(target, ApplicationTarget)
    assert target.source == 1


def test_several_sources_of_one_type_have_to_be_told_apart() -> None:
    with pytest.raises(Misconfigured, match=r"set <alias>.source to 0 .*, 1"):
        choose({}, HELM, HELM)


@pytest.mark.parametrize("selector", ["1", "second", "chart"])
def test_source_is_chosen_by_index_name_or_chart(selector: str) -> None:
    second = Source(URL, "b", "main", kind="Helm", name="second", chart="chart")
    target = choose({}, HELM, second, selector=selector)
    assert isinstance(target, ApplicationTarget)
    assert target.source == 1


def test_selector_of_no_source_is_refused() -> None:
    with pytest.raises(Misconfigured, match="choose among 0"):
        choose({}, HELM, selector="third")


CHART = Source(
    "https://charts.example.com",
    chart="shop",
    target_revision="1.2.3",
    kind="Helm",
    value_files=("$values/env/prod.yaml",),
)
VALUES_URL = "https://git.example.com/values.git"
VALUES = Source(VALUES_URL, ref="values", target_revision="release")
VALUES_BRANCH = Branch(VALUES_URL, "release", "repocreds")


@pytest.mark.parametrize(
    "target", ["", "helmvalues", "helmvalues:$values/env/prod.yaml", "helmvalues:/env/prod.yaml", "env/prod.yaml"]
)
def test_values_file_of_a_chart_is_written_where_it_comes_from(target: str) -> None:
    found = git({"write-back-target": target}, CHART, VALUES)
    assert (found.branch, found.path, found.kind) == (VALUES_BRANCH, "env/prod.yaml", FileKind.HELM_VALUES)
    assert found.source == 0


def test_values_file_named_by_its_source_may_be_of_a_source_with_a_path() -> None:
    found = git({"write-back-target": "helmvalues:$values/env/prod.yaml"}, HELM, VALUES)
    assert (found.branch, found.path) == (VALUES_BRANCH, "env/prod.yaml")


def test_values_file_without_its_source_is_of_the_sources_own_repository() -> None:
    own = Source(URL, "apps/demo", "main", kind="Helm", value_files=("$values/env/prod.yaml",))
    found = git({"write-back-target": "helmvalues:prod.yaml"}, own, VALUES)
    assert (found.branch.url, found.path) == (URL, "apps/demo/prod.yaml")


def test_values_file_tells_which_chart_is_meant() -> None:
    other = Source("https://charts.example.com", chart="till", kind="Helm", value_files=("$values/env/till.yaml",))
    found = git({"write-back-target": "helmvalues:$values/env/till.yaml"}, CHART, other, VALUES)
    assert (found.path, found.source) == ("env/till.yaml", 1)


def test_values_file_tells_which_of_several_repositories_is_meant() -> None:
    other = Source("https://git.example.com/other.git", ref="other", target_revision="main")
    found = git({"write-back-target": "helmvalues:/env/prod.yaml"}, CHART, other, VALUES)
    assert found.branch == VALUES_BRANCH


def test_several_values_files_of_a_chart_have_to_be_told_apart() -> None:
    chart = Source(CHART.repo_url, chart="shop", kind="Helm", value_files=("$values/a.yaml", "$values/b.yaml"))
    with pytest.raises(Misconfigured, match=r"helmvalues:\$values/a\.yaml or helmvalues:\$values/b\.yaml"):
        git({}, chart, VALUES)


def test_values_file_of_an_unknown_source_is_refused_with_the_known_ones() -> None:
    with pytest.raises(Misconfigured, match=r"\$common, which is none of \$values"):
        git({"write-back-target": "helmvalues:$common/a.yaml"}, CHART, VALUES)


def test_values_file_named_by_its_source_cannot_lead_out_either() -> None:
    with pytest.raises(Misconfigured, match="leads out of the repository"):
        git({"write-back-target": "helmvalues:$values/../x.yaml"}, CHART, VALUES)


def test_repository_named_by_annotation_is_written_for_a_chart() -> None:
    found = git({"git-repository": VALUES_URL, "write-back-target": "helmvalues:/env/prod.yaml"}, CHART, VALUES)
    assert (found.branch, found.path) == (VALUES_BRANCH, "env/prod.yaml")


def test_version_of_a_chart_is_no_branch() -> None:
    found = git({"git-repository": "https://git.example.com/x.git", "write-back-target": "helmvalues:/a.yaml"}, CHART)
    assert found.branch.branch == ""


def test_parameter_that_is_there_tells_the_source() -> None:
    second = Source(URL, "b", "main", kind="Helm", helm_parameters=(Parameter("image.tag", "v1"),))
    assert choose({}, HELM, second).source == 1


def test_lending_source_takes_no_parameters() -> None:
    with pytest.raises(Misconfigured, match=r"source \$values only lends its files"):
        choose({}, CHART, VALUES, selector="values")


def test_lending_source_may_be_chosen_for_its_file() -> None:
    found = git({"write-back-target": "helmvalues:/env/prod.yaml"}, CHART, VALUES, selector="values")
    assert (found.branch, found.path) == (VALUES_BRANCH, "env/prod.yaml")


@pytest.mark.parametrize(
    ("target", "glob"),
    [
        ("manifests", "apps/[[]web]/*"),
        ("manifests:deployment.yaml", "apps/[[]web]/deployment.yaml"),
        ("manifests:**/*.yaml", "apps/[[]web]/**/*.yaml"),
        ("manifests:/jobs/*.yaml", "jobs/*.yaml"),
    ],
)
def test_plain_manifests_are_a_glob_below_the_source(target: str, glob: str) -> None:
    source = Source(URL, "apps/[web]", "main", kind="Directory")
    found = git({"write-back-target": target}, source)
    assert (found.path, found.kind) == (glob.replace("[[]", "\\["), FileKind.MANIFESTS)


@pytest.mark.parametrize("target", ["manifests:[", "manifests:../../x/*.yaml", "manifests:.git/*"])
def test_glob_that_cannot_be_followed_is_refused(target: str) -> None:
    with pytest.raises(Misconfigured):
        git({"write-back-target": target}, Source(URL, "apps", "main", kind="Directory"))


def chart_target(written: str, *sources: Source, method: str = "argocd", selector: str = "") -> Target:
    application = Application(ApplicationName("argocd", "demo"), {"write-back-method": method}, sources=sources)
    return choose_target(application, parse_entry(written).reference, ImageKeys(), selector, ACCESS)


@pytest.mark.parametrize(
    ("written", "repository"),
    [
        ("https://charts.example.com/stable/shop:~1.2", "https://charts.example.com/stable"),
        ("https://CHARTS.example.com/stable/shop", "https://charts.example.com/stable/"),
        ("oci://registry.example.com/charts/shop:~1", "registry.example.com/charts"),
        ("oci://registry.example.com/charts/shop", "oci://registry.example.com/charts"),
    ],
)
def test_chart_is_written_at_its_own_source(written: str, repository: str) -> None:
    chart = Source(repository, chart="shop", target_revision="1.2.0", kind="Helm")
    target = chart_target(f"chart={written}", VALUES, HELM, chart)
    assert isinstance(target, ApplicationTarget)
    assert (target.source, target.kind, target.key) == (2, FileKind.CHART, "targetRevision")


def test_chart_of_a_source_that_is_a_registrys_artifact_is_found() -> None:
    source = Source("oci://registry.example.com/charts/shop", path=".", target_revision="1.2.0")
    assert chart_target("oci://registry.example.com/charts/shop", source).kind is FileKind.CHART


def test_chart_that_is_no_source_is_refused_with_those_that_are() -> None:
    with pytest.raises(Misconfigured, match=r"whose charts are: https://charts\.example\.com/shop"):
        chart_target("https://charts.example.com/till", CHART, VALUES)


def test_chart_of_several_sources_has_to_be_told_apart() -> None:
    with pytest.raises(Misconfigured, match=r"set <alias>.source to one of 0 \(one\), 1 \(two\)"):
        chart_target("https://charts.example.com/shop", *(replace(CHART, name=name) for name in ("one", "two")))


def test_chart_of_several_sources_is_chosen_by_name() -> None:
    sources = [replace(CHART, name=name) for name in ("one", "two")]
    target = chart_target("https://charts.example.com/shop", *sources, selector="two")
    assert isinstance(target, ApplicationTarget)
    assert target.source == 1


def test_chart_has_no_file_of_its_own_in_git() -> None:
    with pytest.raises(Misconfigured, match="use write-back-method argocd, or name the file with its manifest"):
        chart_target("https://charts.example.com/shop", CHART, method="git")


def in_manifest(*sources: Source, image: str = "quay.io/team/app", **annotations: str) -> GitTarget:
    given = {
        "write-back-method": "git",
        "write-back-target": "application:apps/demo.yaml",
        **{key.replace("_", "-"): value for key, value in annotations.items()},
    }
    application = Application(ApplicationName("argocd", "demo"), given, sources=sources)
    target = choose_target(application, parse_entry(image).reference, ImageKeys(), "", ACCESS)
    assert isinstance(target, GitTarget)
    return target


def test_manifest_of_the_application_may_be_written_in_git() -> None:
    target = in_manifest(HELM)
    assert (target.branch, target.path) == (Branch(URL, "main", "repocreds"), "apps/demo.yaml")
    assert (target.kind, target.manifest_of) == (FileKind.OVERRIDE_HELM, ("argocd", "demo"))


def test_manifest_of_the_application_may_be_in_another_repository() -> None:
    target = in_manifest(CHART, image="https://charts.example.com/shop", git_repository=VALUES_URL, git_branch="live")
    assert (target.branch, target.kind) == (Branch(VALUES_URL, "live", "repocreds"), FileKind.CHART)


@pytest.mark.parametrize("sources", [(CHART,), (CHART, HELM, VALUES)], ids=["no repository", "two repositories"])
def test_repository_of_the_manifest_has_to_be_known(sources: tuple[Source, ...]) -> None:
    with pytest.raises(Misconfigured, match="name it in the annotation git-repository"):
        in_manifest(*sources, image="https://charts.example.com/shop")


def test_manifest_outside_of_the_repository_is_refused() -> None:
    with pytest.raises(Misconfigured, match="leads out of the repository"):
        in_manifest(HELM, write_back_target="application:../demo.yaml")
