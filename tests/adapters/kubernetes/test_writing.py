"""Patches of Applications while others write too, and answers that are refused."""

from collections.abc import Callable

import pytest

from tests.adapters.kubernetes.conftest import application
from tests.fakes.apiserver import ApiServer, Fault, Manifest
from updater.adapters.kubernetes.cluster import KubernetesCluster
from updater.domain.application import ApplicationName
from updater.domain.application_sets import ApplicationSetRules, IgnoreRule
from updater.domain.change import Edit
from updater.domain.errors import ApplicationConflict, ClusterError
from updater.domain.image import ImageVersion
from updater.domain.references import parse_reference
from updater.domain.target import ApplicationTarget, FileKind, ImageKeys

NAME = ApplicationName("argocd", "demo")
TARGET = ApplicationTarget(NAME, 0, FileKind.OVERRIDE_HELM)
EDIT = Edit(parse_reference("quay.io/team/app").at(ImageVersion("v2")), ImageKeys(tag="image.tag"))
SET = {"parameters": [{"name": "image.tag", "value": "v2", "forceString": True}]}


def somebody(server: ApiServer, change: Callable[[Manifest], None], times: int) -> None:
    """Let somebody else write between our reading and our writing, so many times."""
    left = [change] * times

    def write() -> None:
        if left:
            manifest = server.get(*NAME)
            left.pop()(manifest)
            server.put(manifest)

    server.before_patch = write


def _add_parameter(manifest: Manifest) -> None:
    parameters = manifest["spec"]["source"].setdefault("helm", {}).setdefault("parameters", [])
    parameters.append({"name": f"theirs{len(parameters)}", "value": "1"})


def _set_status(manifest: Manifest) -> None:
    manifest["status"] = {"summary": {"images": [str(manifest["metadata"]["resourceVersion"])]}}


async def test_a_concurrent_change_of_the_source_is_kept(server: ApiServer, cluster: KubernetesCluster) -> None:
    server.put(application())
    somebody(server, _add_parameter, 1)
    assert await cluster.set_images(TARGET, [EDIT])
    parameters = server.get(*NAME)["spec"]["source"]["helm"]["parameters"]
    assert [each["name"] for each in parameters] == ["theirs0", "image.tag"]


async def test_version_that_somebody_sets_meanwhile_is_kept(server: ApiServer, cluster: KubernetesCluster) -> None:
    def set_version(manifest: Manifest) -> None:
        manifest["spec"]["source"]["helm"] = {"parameters": [{"name": "image.tag", "value": "v0"}]}

    server.put(application())
    somebody(server, set_version, 1)
    with pytest.raises(ApplicationConflict, match="something else by now"):
        await cluster.set_images(TARGET, [EDIT], lambda now: not now.sources[0].helm_parameters)
    assert server.get(*NAME)["spec"]["source"]["helm"]["parameters"] == [{"name": "image.tag", "value": "v0"}]


async def test_after_two_concurrent_changes_it_is_left_for_later(server: ApiServer, cluster: KubernetesCluster) -> None:
    server.put(application())
    somebody(server, _add_parameter, 2)
    with pytest.raises(ApplicationConflict, match="argocd/demo"):
        await cluster.set_images(TARGET, [EDIT])
    parameters = server.get(*NAME)["spec"]["source"]["helm"]["parameters"]
    assert [each["name"] for each in parameters] == ["theirs0", "theirs1"]


async def test_changes_of_the_status_are_no_conflict(server: ApiServer, cluster: KubernetesCluster) -> None:
    server.put(application())
    somebody(server, _set_status, 100)
    assert await cluster.set_images(TARGET, [EDIT])
    assert sum(request.startswith("PATCH") for request in server.requests) == 1


async def test_what_is_set_already_is_not_patched(server: ApiServer, cluster: KubernetesCluster) -> None:
    server.put(application(source={"repoURL": "https://git.example.com/a.git", "helm": SET}))
    assert not await cluster.set_images(TARGET, [EDIT])
    assert [request.split()[0] for request in server.requests] == ["GET"]


async def test_a_change_that_the_cluster_takes_back_is_an_error(server: ApiServer, cluster: KubernetesCluster) -> None:
    server.put(application())
    server.prune = lambda manifest: manifest["spec"]["source"].pop("helm", None)
    with pytest.raises(ClusterError, match="did not keep the change"):
        await cluster.set_images(TARGET, [EDIT])


async def test_a_missing_permission_is_named_with_the_rule_to_add(
    server: ApiServer, cluster: KubernetesCluster
) -> None:
    server.put(application())
    server.forbidden.add(("patch", "applications"))
    with pytest.raises(ClusterError, match=r"patch applications\.argoproj\.io demo in namespace argocd: 403 .*verbs"):
        await cluster.set_images(TARGET, [EDIT])
    with pytest.raises(ClusterError, match="403"):
        await cluster.refresh(NAME)


async def test_an_answer_that_is_no_object_is_an_error(server: ApiServer, cluster: KubernetesCluster) -> None:
    server.put(application())
    server.fail(Fault(200, "<html>", path="GET"))
    with pytest.raises(ClusterError, match="is no object"):
        await cluster.set_images(TARGET, [EDIT])


async def test_a_secret_that_may_not_be_read_is_named_with_the_rule_to_add(
    server: ApiServer, cluster: KubernetesCluster
) -> None:
    server.forbidden.add(("get", "secrets"))
    with pytest.raises(ClusterError, match=r'get secrets acr .* apiGroups \[""\], resources \["secrets"\]'):
        await cluster.secret("argocd", "acr")


async def test_a_secret_is_not_quoted_when_it_is_not_understood(server: ApiServer, cluster: KubernetesCluster) -> None:
    server.put({"kind": "Secret", "metadata": {"name": "acr"}, "data": {"acr": "hunter22 is no Base64"}})
    with pytest.raises(ClusterError, match=r"Secret argocd/acr cannot be read: data\.acr is no Base64") as caught:
        await cluster.secret("argocd", "acr")
    assert "hunter22" not in str(caught.value)


async def test_labelled_secrets_of_many_pages_are_found(server: ApiServer, cluster: KubernetesCluster) -> None:
    for number in range(1_001):
        server.put({"kind": "Secret", "metadata": {"name": f"s{number:04}", "labels": {"kind": "repository"}}})
    assert len(await cluster.secrets_labelled("argocd", "kind", ["repository"])) == 1_001


async def test_rules_of_an_application_set_are_read(server: ApiServer, cluster: KubernetesCluster) -> None:
    rule = {"name": "demo", "jsonPointers": ["/spec/source/helm"], "jqPathExpressions": [".spec.source.kustomize"]}
    spec = {"syncPolicy": {"applicationsSync": "create-update"}, "ignoreApplicationDifferences": [rule]}
    server.put({"kind": "ApplicationSet", "metadata": {"name": "demos"}, "spec": spec})
    assert await cluster.application_set("argocd", "demos") == ApplicationSetRules(
        "create-update", (IgnoreRule("demo", ("/spec/source/helm",), (".spec.source.kustomize",)),)
    )


async def test_application_set_that_may_not_be_read_is_named_with_the_rule_to_add(
    server: ApiServer, cluster: KubernetesCluster
) -> None:
    server.forbidden.add(("get", "applicationsets"))
    with pytest.raises(ClusterError, match=r'apiGroups \["argoproj.io"\], resources \["applicationsets"\]'):
        await cluster.application_set("argocd", "demos")


async def test_whether_an_edit_holds_is_asked_of_the_server(server: ApiServer, cluster: KubernetesCluster) -> None:
    server.put(application())
    assert not await cluster.holds(TARGET, [EDIT])
    await cluster.set_images(TARGET, [EDIT])
    assert await cluster.holds(TARGET, [EDIT])
