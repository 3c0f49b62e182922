"""References follow Docker's grammar, and an image-list's entries carry a constraint behind them."""

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from updater.domain.docker_hub import canonical_host
from updater.domain.errors import Misconfigured
from updater.domain.image import ImageEntry, ImageReference, ImageVersion, Repository
from updater.domain.references import parse_entry, parse_image_list, parse_reference, split_image_list

SHA = "sha256:" + "0123456789abcdef" * 4
NGINX = Repository("docker.io", "library/nginx")
SAMPLE: dict[str, list[str] | None] = json.loads(
    (Path(__file__).parents[1] / "samples" / "references.json").read_text("utf-8")
)["references"]


def meaning(text: str) -> tuple[Repository, ImageVersion] | None:
    """Say what a reference names; None when it is refused."""
    try:
        reference = parse_reference(text)
    except Misconfigured:
        return None
    return reference.repository, reference.version


def expected(answer: list[str] | None) -> tuple[Repository, ImageVersion] | None:
    """Give Docker's answer in our words: Docker Hub has one name for each repository here."""
    if answer is None:
        return None
    domain, path, tag, digest = answer
    host = canonical_host(domain)
    name = f"library/{path}" if host == "docker.io" and "/" not in path else path
    return Repository(host, name), ImageVersion(tag, digest)


def test_every_reference_of_the_sample_means_what_it_means_to_docker() -> None:
    """Or is refused, as there; all rows are one test, for there are hundreds of them."""
    assert {text: meaning(text) for text in SAMPLE} == {text: expected(answer) for text, answer in SAMPLE.items()}


@pytest.mark.parametrize(
    "spelling",
    [
        "nginx",
        "library/nginx",
        "docker.io/nginx",
        "docker.io/library/nginx",
        "index.docker.io/nginx",
        "index.docker.io/library/nginx",
        "registry-1.docker.io/library/nginx",
        "registry.hub.docker.com/library/nginx",
        "Docker.io/nginx",
    ],
)
def test_spellings_of_docker_hub_are_one_repository_and_kept_as_written(spelling: str) -> None:
    assert parse_reference(f"{spelling}:1.25") == ImageReference(NGINX, spelling, ImageVersion("1.25"))


@pytest.mark.parametrize(
    ("text", "host", "name"),
    [
        ("team/app", "docker.io", "team/app"),
        ("quay.io/team/app", "quay.io", "team/app"),
        ("localhost/app", "localhost", "app"),
        ("localhost:5000/app", "localhost:5000", "app"),
        ("registry:5000/team/sub/app", "registry:5000", "team/sub/app"),
        ("127.0.0.1:5000/app", "127.0.0.1:5000", "app"),
        ("[2001:db8::1]:5000/app", "[2001:db8::1]:5000", "app"),
        ("Registry/app", "registry", "app"),
        ("a__b/c---d.e_f", "docker.io", "a__b/c---d.e_f"),
        ("docker.io/team/app", "docker.io", "team/app"),
    ],
)
def test_registry_is_told_from_the_path(text: str, host: str, name: str) -> None:
    assert parse_reference(text).repository == Repository(host, name)


@pytest.mark.parametrize(
    ("text", "tag", "digest"),
    [
        ("localhost:5000/app", "", ""),
        ("localhost:5000", "5000", ""),
        ("app:v1.0_rc-1", "v1.0_rc-1", ""),
        (f"app@{SHA}", "", SHA),
        (f"quay.io:443/app:1@{SHA}", "1", SHA),
        (f"app:{'x' * 128}", "x" * 128, ""),
        (f"app@sha512:{'a' * 128}", "", f"sha512:{'a' * 128}"),
    ],
)
def test_version_is_told_from_the_name(text: str, tag: str, digest: str) -> None:
    reference = parse_reference(text)
    assert reference.version == ImageVersion(tag, digest)
    assert str(reference) == text


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("", "names no image"),
        ("0123456789abcdef" * 4, "is an image ID"),
        ("App", "has the name 'App': write lower case"),
        ("quay.io/Team/app", "has the name 'Team/app': write lower case"),
        ("quay.io/", "has the name ''"),
        ("a//b", "has the name 'a//b'"),
        ("a..b", "has the name"),
        ("a___b", "has the name"),
        ("-a", "has the name"),
        ("/app", "has the name"),
        ("quay.io/team/*", "has the name"),
        ("my_registry:5000/app", "has the registry 'my_registry:5000'"),
        ("registry:port/app", "has the registry"),
        ("https://quay.io/app", "has the registry 'https:'"),
        ("app:", "has the tag ''"),
        ("app:~1", "has the tag '~1'"),
        ("app:1:2", "has the tag '1:2'"),
        (f"app:{'x' * 129}", "has the tag"),
        ("app@", "has the digest ''"),
        ("app@latest", "has the digest 'latest'"),
        (f"app@{SHA}0", "has the digest"),
        (f"app@{SHA.upper()}", "has the digest"),
        (f"app@md5:{'a' * 32}", "has the digest"),
        (f"quay.io/{'a' * 256}", "has a name of 256 characters"),
        ("app\n", "has the name"),
    ],
)
def test_bad_reference_is_refused_by_text_and_fault(text: str, fault: str) -> None:
    with pytest.raises(Misconfigured) as caught:
        parse_reference(text)
    assert str(caught.value).startswith(f"image {text!r} {fault}")


@pytest.mark.parametrize(
    ("text", "alias", "written", "constraint"),
    [
        ("nginx", "nginx", "nginx", ""),
        ("docker.io/library/nginx", "nginx", "docker.io/library/nginx", ""),
        ("quay.io/team/app", "team_app", "quay.io/team/app", ""),
        ("=quay.io/team/app", "team_app", "quay.io/team/app", ""),
        ("app=quay.io/team/app", "app", "quay.io/team/app", ""),
        (" app = quay.io/team/app:1.x ", "app", "quay.io/team/app", "1.x"),
        ("team/app=quay.io/team/app", "team_app", "quay.io/team/app", ""),
        ("nginx:~1.26", "nginx", "nginx", "~1.26"),
        ("localhost:5000/foo:~1", "foo", "localhost:5000/foo", "~1"),
        ("registry:5000/foo:1", "foo", "registry:5000/foo", "1"),
        ("nginx:>=1.0", "nginx", "nginx", ">=1.0"),
        ("nginx:=1.2", "nginx", "nginx", "=1.2"),
        ("app=nginx:>=1.0, <2 || =3", "app", "nginx", ">=1.0, <2 || =3"),
        ("nginx: ^1 ", "nginx", "nginx", "^1"),
        ("nginx:*", "nginx", "nginx", "*"),
        ("nginx:", "nginx", "nginx", ""),
        (f"nginx@{SHA}", "nginx", "nginx", ""),
        (f"nginx:1.25@{SHA}", "nginx", "nginx", "1.25"),
        ("app=localhost:5000/foo:1.0 - 1.5", "app", "localhost:5000/foo", "1.0 - 1.5"),
    ],
)
def test_entry_is_alias_image_and_constraint(text: str, alias: str, written: str, constraint: str) -> None:
    assert parse_entry(text) == ImageEntry(alias, parse_reference(written), constraint)


@pytest.mark.parametrize(
    ("text", "host", "name"),
    [
        ("quay.io/team/*", "quay.io", "team/*"),
        ("localhost:5000/team/sub/*:~1", "localhost:5000", "team/sub/*"),
        ("team/*", "docker.io", "team/*"),
        ("docker.io/library/*", "docker.io", "library/*"),
    ],
)
def test_wildcard_entry_names_an_organisation(text: str, host: str, name: str) -> None:
    assert parse_entry(text).reference.repository == Repository(host, name)


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("", "names no image"),
        ("app=", "names no image"),
        ("app=Nginx", "has the name 'Nginx'"),
        ("nginx>=1.0", "has the alias 'nginx>'"),
        ("_app=nginx", "has the alias '_app'"),
        ("<2.0", "has the name '<2.0'"),
        ("quay.io/*", "has no organisation before /*"),
        ("*", "has the name '*'"),
        ("quay.io/Team/*", "has the name 'Team/any'"),
        ("quay.io/te*m/app", "has the name"),
        ("nginx@sha256:1", "has the digest"),
    ],
)
def test_bad_entry_is_refused_by_text_and_fault(text: str, fault: str) -> None:
    with pytest.raises(Misconfigured) as caught:
        parse_entry(text)
    assert str(caught.value).startswith(f"image-list entry {text!r} {fault}")


@pytest.mark.parametrize(
    ("text", "items"),
    [
        ("a,b", ("a", "b")),
        (" a:1 ,, b=c ,", ("a:1", "b=c")),
        ("app=foo/bar:>=1.0,<2.0, other=x/y", ("app=foo/bar:>=1.0,<2.0", "other=x/y")),
        ("a:>=1, <2 || >=3, <4,b:!=1,!=2", ("a:>=1, <2 || >=3, <4", "b:!=1,!=2")),
        ("a:>1,=<2,b", ("a:>1,=<2", "b")),
        ("a:1.x,*,b", ("a:1.x,*", "b")),
        ("a:>1\n,b:2\n", ("a:>1", "b:2")),
        ("<2,a", ("<2", "a")),
        (" , ", ()),
    ],
)
def test_comma_that_a_constraint_goes_on_behind_does_not_end_an_entry(text: str, items: tuple[str, ...]) -> None:
    assert split_image_list(text) == items


def test_image_list_is_read_in_its_order() -> None:
    entries = parse_image_list("app=foo/bar:>=1.0,<2.0, nginx, other=x/y:latest")
    assert [(entry.alias, entry.constraint) for entry in entries] == [
        ("app", ">=1.0,<2.0"),
        ("nginx", ""),
        ("other", "latest"),
    ]


@pytest.mark.parametrize("text", ["", " ", ",,"])
def test_image_list_without_an_image_is_refused(text: str) -> None:
    with pytest.raises(Misconfigured, match="image-list is empty: name an image"):
        parse_image_list(text)


def test_all_faults_of_an_image_list_are_named_at_once() -> None:
    with pytest.raises(
        Misconfigured, match=r"entry 'a=A' has .*; image-list entry 'b=' names no image.*; .* alias 'c'"
    ):
        parse_image_list("a=A, b=, c=x, c=y")


_PIECES = st.lists(
    st.sampled_from([*"aA1/:@=,*<~ .-_", "app", "quay.io", "localhost:5000", "~1", ">=1", SHA, "[::1]"]), max_size=8
)
_TEXTS = st.text() | _PIECES.map("".join)


@given(_TEXTS)
def test_no_text_fails_in_another_way(text: str) -> None:
    for parse in (parse_reference, parse_entry, parse_image_list):
        try:
            parse(text)
        except Misconfigured:
            continue


@given(_TEXTS)
def test_reference_is_what_it_is_written_as(text: str) -> None:
    try:
        reference = parse_reference(text)
    except Misconfigured:
        return
    assert str(reference) == text
    if reference.repository.host.strip("abcdefghijklmnopqrstuvwxyz0123456789-"):  # else it would be Docker Hub's
        assert parse_reference(str(reference.repository)).repository == reference.repository


@given(_TEXTS)
def test_list_of_one_entry_is_that_entry(text: str) -> None:
    try:
        entry = parse_entry(text)
    except Misconfigured:
        return
    if split_image_list(text) == (text.strip(),):
        assert parse_image_list(text) == (entry,)


@pytest.mark.parametrize(
    ("text", "alias", "repository", "constraint"),
    [
        (
            "chart=https://charts.example.com/stable/shop:~1.2",
            "chart",
            "https://charts.example.com/stable/shop",
            "~1.2",
        ),
        ("https://charts.example.com:8443/shop:>=1, <2", "shop", "https://charts.example.com:8443/shop", ">=1, <2"),
        ("http://localhost:8080/shop", "shop", "http://localhost:8080/shop", ""),
        ("oci://registry.example.com/charts/shop:^1", "charts_shop", "registry.example.com/charts/shop", "^1"),
    ],
)
def test_chart_is_written_with_its_scheme(text: str, alias: str, repository: str, constraint: str) -> None:
    [item] = split_image_list(text)
    entry = parse_entry(item)
    assert (entry.alias, str(entry.reference.repository), entry.constraint) == (alias, repository, constraint)
    assert entry.reference.is_chart


@pytest.mark.parametrize(
    "text",
    [
        "ftp://charts.example.com/shop",
        "https://shop",
        "https:///shop",
        "https://charts.example.com:70000/shop",
        "https://charts.example.com/",
        "https://user:password@charts.example.com/shop",
        "https://charts.example.com/*",
        "oci://registry.example.com/Charts",
    ],
)
def test_what_is_no_charts_address_is_refused(text: str) -> None:
    with pytest.raises(Misconfigured):
        parse_entry(text)
