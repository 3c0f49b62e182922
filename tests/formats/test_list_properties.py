"""What holds for every list of images, parameters and containers, in whatever style it is written."""

import io
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st
from ruamel.yaml import YAML

from tests.formats.builders import DIGEST, edit
from updater.domain.change import Edit
from updater.domain.target import FileKind
from updater.formats.targets import apply_edits, read_versions
from updater.formats.yaml_scalars import render

COMMENTS = st.sampled_from(["", "", "", "  # old: [v1", " #"])
GAPS = st.sampled_from([[], [], [""], ["# - name: a"], ["", "  # indented", ""]])
TAGS = st.sampled_from(["v1.2.3", "1.20", "007", "latest", "1e5", "2024-01-05"])
STYLES = st.sampled_from(["", "", "'", '"'])
NGINX = ["nginx", "docker.io/nginx", "docker.io/library/nginx", "index.docker.io/library/nginx"]
OTHERS = ["redis", "quay.io/team/app", "ghcr.io/nginx", "team/nginx"]

Fields = dict[str, str]


@dataclass(frozen=True)
class Case:
    """A text, and what it says."""

    text: str
    entries: list[Fields]


@st.composite
def items(draw: st.DrawFn, entries: st.SearchStrategy[Fields], key: Callable[[Fields], str]) -> list[Fields]:
    return draw(st.lists(entries, min_size=1, max_size=4, unique_by=key))


@st.composite
def list_of(draw: st.DrawFn, entries: list[Fields], column: int) -> list[str]:
    """Write entries as a list, each in a style of its own."""
    gap = " " * draw(st.integers(1, 3))
    lines: list[str] = []
    for entry in entries:
        fields = [
            f"{key}: {value if key == 'forceString' else render(value, draw(STYLES), flow=True)}"
            for key, value in draw(st.permutations(list(entry.items())))
        ]
        if draw(st.integers(0, 3)) == 0:
            lines.append(f"{' ' * column}-{gap}{{{', '.join(fields)}}}{draw(COMMENTS)}")
        else:
            lines.append(f"{' ' * column}-{gap}{fields[0]}{draw(COMMENTS)}")
            lines += [f"{' ' * (column + 1 + len(gap))}{field}{draw(COMMENTS)}" for field in fields[1:]]
        lines += draw(GAPS)
    return lines


@st.composite
def document(draw: st.DrawFn, path: list[str], entries: list[Fields]) -> str:
    """Write entries below the keys of a path, between other keys."""
    step = draw(st.integers(1, 4))
    lines = draw(st.sampled_from([[], ["# top"], ["---", "a: b"], ["resources: [x.yaml]  # y", ""]]))
    lines += [f"{' ' * (step * depth)}{key}:{draw(COMMENTS)}" for depth, key in enumerate(path)]
    lines += draw(list_of(entries, step * (len(path) - 1) + draw(st.sampled_from([0, 2]))))
    lines += draw(st.sampled_from([[], ["z: 1 # end"], ["# end"]]))
    eol = draw(st.sampled_from(["\n", "\n", "\r\n"]))
    return eol.join(lines) + draw(st.sampled_from([eol, ""]))


def entry_of_kustomization() -> st.SearchStrategy[Fields]:
    optional = {
        "newName": st.sampled_from(["mirror.example.com/nginx", "quay.io/x"]),
        "newTag": TAGS,
        "digest": st.just("sha256:" + "00" * 32),
    }
    return st.fixed_dictionaries({"name": st.sampled_from([*NGINX, *OTHERS])}, optional=optional)


def parameter() -> st.SearchStrategy[Fields]:
    names = st.sampled_from(["image.tag", "image.name", "other", "x.y"])
    return st.fixed_dictionaries({"name": names, "value": TAGS}, optional={"forceString": st.just("true")})


def container() -> st.SearchStrategy[Fields]:
    image = st.builds(lambda name, tag: name + tag, st.sampled_from([*NGINX, *OTHERS]), st.sampled_from(["", ":1.25"]))
    return st.fixed_dictionaries({"name": st.sampled_from("abcdef"), "image": image})


def load(text: str) -> list[Any]:
    return list(YAML(typ="safe", pure=True).load_all(io.StringIO(text)))


def applied(kind: FileKind, text: str, wanted: Edit) -> str:
    after = apply_edits(kind, text, [wanted])
    assert apply_edits(kind, after, [wanted]) == after
    assert [str(version) for version in read_versions(kind, {"": after}, wanted)] == [str(wanted.image.version)]
    return after


def comments(text: str) -> list[str]:
    return [line[line.index("#") :].strip() for line in text.splitlines() if "#" in line]


@settings(deadline=None, max_examples=25)
@given(items(entry_of_kustomization(), lambda entry: entry["name"]), st.data())
def test_entry_of_a_kustomization_changes_alone(entries: list[Fields], data: st.DataObject) -> None:
    text = data.draw(document(["images"], entries))
    chosen = data.draw(st.sampled_from(entries))
    digest = data.draw(st.booleans())
    wanted = edit(f"q.io/new@{DIGEST}" if digest else "q.io/new:1.30", kustomize_name=chosen["name"])
    kept = {key: value for key, value in chosen.items() if key == "name"}
    version = {"digest": DIGEST} if digest else {"newTag": "1.30"}
    expected = [{**kept, "newName": "q.io/new", **version} if entry is chosen else entry for entry in entries]
    after = applied(FileKind.KUSTOMIZATION, text, wanted)
    assert load(after) == [{**load(text)[0], "images": expected}]
    assert set(comments(after)) <= set(comments(text))  # the comment of a field goes with the field


@settings(deadline=None, max_examples=25)
@given(items(parameter(), lambda entry: entry["name"]), st.data())
def test_parameter_of_an_override_changes_alone(entries: list[Fields], data: st.DataObject) -> None:
    text = data.draw(document(["helm", "parameters"], entries))
    chosen = data.draw(st.sampled_from(entries))
    written = applied(FileKind.OVERRIDE_HELM, text, edit("a:1.30", tag=chosen["name"]))
    assert comments(written) == comments(text)
    before, after = load(text), load(written)
    marked = "forceString" if any("forceString" in entry for entry in entries) else "forcestring"
    for entry, was in zip(after[0]["helm"]["parameters"], before[0]["helm"]["parameters"], strict=True):
        is_chosen = entry["name"] == chosen["name"]
        assert entry == ({**was, "value": "1.30", marked: True} if is_chosen else was)
    assert {**after[0], "helm": None} == {**before[0], "helm": None}


@settings(deadline=None, max_examples=25)
@given(items(parameter(), lambda entry: entry["name"]), st.data())
def test_parameter_that_is_missing_is_added_behind_the_others(entries: list[Fields], data: st.DataObject) -> None:
    text = data.draw(document(["helm", "parameters"], entries))
    after = applied(FileKind.OVERRIDE_HELM, text, edit("a:1.30", tag="fresh.tag"))
    before_parameters, parameters = load(text)[0]["helm"]["parameters"], load(after)[0]["helm"]["parameters"]
    assert parameters[:-1] == before_parameters
    assert (parameters[-1]["name"], parameters[-1]["value"]) == ("fresh.tag", "1.30")
    assert (
        after.splitlines()[: 1 if text.startswith("#") else 0] == text.splitlines()[: 1 if text.startswith("#") else 0]
    )


@settings(deadline=None, max_examples=25)
@given(st.lists(items(container(), lambda entry: entry["name"]), min_size=1, max_size=3), st.data())
def test_containers_of_an_image_change_and_no_others(pods: list[list[Fields]], data: st.DataObject) -> None:
    path = data.draw(st.sampled_from([["spec", "containers"], ["spec", "template", "spec", "initContainers"]]))
    head = "apiVersion: v1\nkind: Any\n"
    texts = [head + data.draw(document(path, pod)).removeprefix("---\n").removeprefix("---\r\n") for pod in pods]
    text = "\n---\n".join(texts)
    after = apply_edits(FileKind.MANIFESTS, text, [edit("nginx:1.27")])
    assert load(after) == [with_new_images(each) for each in load(text)]
    assert len(after.splitlines()) == len(text.splitlines())
    assert comments(after) == comments(text)


def with_new_images(node: Any) -> Any:
    if isinstance(node, dict):
        return {key: new_image(value) if key == "image" else with_new_images(value) for key, value in node.items()}
    return [with_new_images(each) for each in node] if isinstance(node, list) else node


def new_image(text: str) -> str:
    name = text.removesuffix(":1.25")
    return f"{name}:1.27" if name in NGINX else text
