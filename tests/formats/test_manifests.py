"""Plain manifests: containers of any kind by repository, and marked lines."""

import pytest

from tests.formats.builders import DIGEST, edit
from updater.domain.change import Edit
from updater.domain.errors import EditError
from updater.domain.image import ImageVersion
from updater.domain.target import FileKind
from updater.formats.targets import apply_edits, apply_to_all, read_version, read_versions

WEB = edit("nginx:1.27", alias="web")
HEAD = "apiVersion: v1\nkind: Pod\nspec:\n"


def applied(text: str, *edits: Edit) -> str:
    wanted = edits or (WEB,)
    after = apply_edits(FileKind.MANIFESTS, text, wanted)
    assert apply_edits(FileKind.MANIFESTS, after, wanted) == after
    return after


def pod(image: str, container: str = "containers") -> str:
    return f"{HEAD}  {container}:\n  - image: {image}\n"


@pytest.mark.parametrize("written", ["nginx", "docker.io/nginx", "docker.io/library/nginx", "index.docker.io/nginx"])
def test_spellings_of_a_repository_are_one_and_stay(written: str) -> None:
    assert applied(pod(f"{written}:1.25")) == pod(f"{written}:1.27")


@pytest.mark.parametrize("other", ["ghcr.io/nginx:1.25", "team/nginx:1.25", "nginx-unprivileged:1.25", "${IMAGE}", "1"])
def test_other_images_stay(other: str) -> None:
    assert applied(pod(other)) == pod(other)


def test_two_aliases_that_want_the_same_of_one_line_are_one_edit() -> None:
    assert applied(pod("nginx:1.25"), WEB, edit("nginx:1.27", alias="proxy")) == pod("nginx:1.27")


@pytest.mark.parametrize("container", ["containers", "initContainers", "ephemeralContainers"])
@pytest.mark.parametrize(
    "path",
    [
        ("Pod", "spec"),
        ("Deployment", "spec", "template", "spec"),
        ("CronJob", "spec", "jobTemplate", "spec", "template", "spec"),
        ("Service", "spec", "template", "spec"),
        ("Rollout", "spec", "template", "spec"),
        ("Whatever", "spec", "nodeSets", "podTemplate", "spec"),
    ],
)
def test_containers_are_found_in_any_kind(path: tuple[str, ...], container: str) -> None:
    kind, *keys = path
    lines = ["apiVersion: example.com/v1", f"kind: {kind}"]
    lines += [f"{' ' * column}{key}:" for column, key in enumerate(keys)]
    lines += [f"{' ' * len(keys)}{container}:", f"{' ' * len(keys)}- image: nginx:1.25"]
    text = "\n".join(lines)
    assert applied(text) == text.replace("1.25", "1.27")


def test_objects_in_a_list_are_found() -> None:
    text = "apiVersion: v1\nkind: List\nitems:\n- spec:\n    containers:\n    - image: nginx:1.25\n"
    assert applied(text) == text.replace("1.25", "1.27")


def test_json_is_edited_in_place() -> None:
    text = '{"apiVersion": "v1", "kind": "Pod", "spec": {"containers": [{"image": "nginx:1.25"}]}}'
    assert applied(text) == text.replace("1.25", "1.27")


def test_all_documents_are_edited_and_nothing_else_of_them() -> None:
    first, second = pod("nginx:1.25  # first"), pod("'nginx:1.26'\n  - image:   redis")
    text = f"# top\n---\n{first}---\n\n# second\n{second}...\n"
    assert applied(text) == text.replace("1.25", "1.27").replace("1.26", "1.27")


def test_file_that_is_no_object_is_left_alone() -> None:
    text = "containers:\n- image: nginx:1.25\n"
    assert applied(text) == text


def test_what_is_no_yaml_is_left_alone_while_it_does_not_name_the_image() -> None:
    text = "{{ if .x }}\n"
    assert applied(text) == text
    with pytest.raises(EditError, match="no valid YAML"):
        applied(text + "nginx")


def test_image_without_version_gets_one() -> None:
    assert read_versions(FileKind.MANIFESTS, {"a.yaml": pod("nginx")}, WEB) == (ImageVersion(),)
    assert applied(pod("nginx")) == pod("nginx:1.27")


def test_digest_goes_with_the_version_that_had_it() -> None:
    assert applied(pod(f"nginx:1.25@{DIGEST}")) == pod("nginx:1.27")


def test_digest_is_written_beside_or_instead_of_the_tag() -> None:
    assert applied(pod("nginx:1.25"), edit(f"nginx:1.27@{DIGEST}")) == pod(f"nginx:1.27@{DIGEST}")
    assert applied(pod("nginx:1.25"), edit(f"nginx@{DIGEST}")) == pod(f"nginx@{DIGEST}")


def test_anchored_image_is_changed_where_it_stands() -> None:
    text = pod("&web nginx:1.25\n  - image: *web")
    assert applied(text) == text.replace("1.25", "1.27")


def test_merged_container_is_changed_where_it_stands() -> None:
    text = f"{HEAD}  x-base: &base\n    image: nginx:1.25\n  containers:\n  - <<: *base\n    name: a\n"
    assert applied(text) == text.replace("1.25", "1.27")


@pytest.mark.parametrize("mark", ['{"$imagepolicy": "flux-system:web"}', "updater: web", "updater:web"])
def test_marked_line_is_written_whatever_it_is_called(mark: str) -> None:
    text = f"spec:\n  values:\n    picture: nginx:1.25 # {mark}\n"
    assert applied(text) == text.replace("1.25", "1.27")


def test_marked_line_of_another_image_takes_ours() -> None:
    assert applied("a: TODO # updater: web\n") == "a: nginx:1.27 # updater: web\n"


def test_parts_of_an_image_are_marked_apart() -> None:
    wanted = edit(f"quay.io/team/nginx:1.27@{DIGEST}", alias="web")
    text = (
        'repository: old # {"$imagepolicy": "flux-system:web:name"}\n'
        'tag: "1.25" # {"$imagepolicy": "flux-system:web:tag"}\n'
        'digest: "" # {"$imagepolicy": "flux-system:web:digest"}\n'
    )
    after = applied(text, wanted)
    assert [line.partition(" #")[0] for line in after.splitlines()] == [
        "repository: quay.io/team/nginx",
        'tag: "1.27"',
        f'digest: "{DIGEST}"',
    ]
    assert read_version(FileKind.MANIFESTS, after, wanted) == wanted.image.version


def test_tag_marked_alone_takes_the_digest_too() -> None:
    wanted = edit(f"nginx:1.27@{DIGEST}", alias="web")
    after = applied("tag: v1 # updater: web:tag\n", wanted)
    assert after == f"tag: 1.27@{DIGEST} # updater: web:tag\n"
    assert read_version(FileKind.MANIFESTS, after, wanted) == wanted.image.version


def test_marked_digest_needs_one() -> None:
    with pytest.raises(EditError, match=r"line 1: .* set the annotation web\.output to tag@digest"):
        applied("digest: x # updater: web:digest\n")


def test_line_marked_for_another_alias_is_left_alone() -> None:
    text = pod("nginx:1.25 # updater: canary\n  - image: nginx:1.25")
    assert applied(text) == text.replace("image: nginx:1.25\n", "image: nginx:1.27\n")


def test_two_aliases_of_one_image_are_told_apart_by_marks() -> None:
    text = pod("nginx:1.25 # updater: web\n  - image: nginx:1.25 # updater: canary")
    after = applied(text, WEB, edit("nginx:2.0", alias="canary"))
    assert after == pod("nginx:1.27 # updater: web\n  - image: nginx:2.0 # updater: canary")


def test_two_aliases_without_marks_are_refused() -> None:
    with pytest.raises(EditError, match=r"line 5: one image is to be both nginx:1\.27 and nginx:2\.0: give the line"):
        applied(pod("nginx:1.25"), WEB, edit("nginx:2.0", alias="canary"))


@pytest.mark.parametrize(
    "text", ["a: # updater: web\n", "# updater: web\na: nginx:1\n", "a:\n  b: {} # updater: web\n"]
)
def test_mark_without_a_value_is_refused(text: str) -> None:
    with pytest.raises(EditError, match="before the mark of web: mark the line of a single value"):
        applied(text)


def test_mark_inside_a_value_is_none() -> None:
    text = 'a: |\n  x: nginx:1 # updater: web\nb: "nginx # updater: web\n  "\n'
    assert applied(text) == text


def test_marks_are_found_in_flow_and_with_carriage_returns() -> None:
    assert applied("a: {b: nginx:1} # updater: web\r\n") == 'a: {b: "nginx:1.27"} # updater: web\r\n'


def test_versions_of_all_files_are_told() -> None:
    texts = {"a.yaml": pod("nginx:1.25"), "b.yaml": pod("nginx:1.26"), "c.yaml": pod("nginx:1.25"), "d.yaml": None}
    assert read_versions(FileKind.MANIFESTS, texts, WEB) == (ImageVersion("1.25"), ImageVersion("1.26"))


def test_all_files_that_name_the_image_are_changed() -> None:
    texts = {"a.yaml": pod("nginx:1.25"), "b.yaml": pod("redis:1"), "c.yaml": pod("nginx:1.27")}
    assert apply_to_all(FileKind.MANIFESTS, texts, [WEB]) == {"a.yaml": pod("nginx:1.27")}


def test_image_that_no_file_names_is_refused() -> None:
    with pytest.raises(EditError, match="no container has the image nginx and no line is marked for web"):
        apply_to_all(FileKind.MANIFESTS, {"a.yaml": pod("redis:1")}, [WEB])


def test_error_names_the_file() -> None:
    with pytest.raises(EditError, match=r"^b\.yaml: line 1: no valid YAML"):
        apply_to_all(FileKind.MANIFESTS, {"a.yaml": pod("nginx:1.25"), "b.yaml": "nginx: ["}, [WEB])
