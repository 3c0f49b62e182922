"""Tag lists in the shapes of registries' own APIs, and in shapes that nobody should send."""

from collections.abc import Callable
from datetime import UTC, datetime

import pytest

from tests.fakes.vendors import SAMPLES
from updater.domain.candidates import Build
from updater.domain.platform import Platform
from updater.formats.oci import Malformed
from updater.formats.vendor_tags import (
    Page,
    decode_azure,
    decode_docker_hub,
    decode_gitlab,
    decode_google,
    decode_harbor,
    decode_quay,
)

Decode = Callable[[bytes], Page]
DECODERS: dict[str, Decode] = {
    "docker-hub": decode_docker_hub,
    "quay": decode_quay,
    "harbor": decode_harbor,
    "gitlab": decode_gitlab,
    "azure": decode_azure,
    "google": decode_google,
}
PUSHED = datetime(2026, 1, 29, 9, 0, 1, tzinfo=UTC)


@pytest.mark.parametrize("vendor", DECODERS)
def test_tag_digest_and_time_of_push_are_read(vendor: str) -> None:
    [tag] = DECODERS[vendor]((SAMPLES / f"{vendor}.json").read_bytes()).tags
    assert (tag.name, tag.digest) == ("v1.0.0", "sha256:" + "2" * 64)
    assert tag.pushed is not None
    assert tag.pushed.replace(microsecond=0) == PUSHED


@pytest.mark.parametrize("vendor", DECODERS)
@pytest.mark.parametrize(
    "body", [b"", b"null", b"[1]", b'{"tags": 5}', b'{"results": 5}', b"<html>", b'"\xff"', b"[" * 10_000]
)
def test_what_is_no_list_is_refused(vendor: str, body: bytes) -> None:
    with pytest.raises(Malformed):
        DECODERS[vendor](body)


def test_name_that_no_tag_can_have_is_left_out() -> None:
    assert decode_gitlab(b'[{"name": "../etc"}, {"name": "ok"}]').tags[0].name == "ok"


def test_digest_that_is_none_counts_as_not_told() -> None:
    assert decode_gitlab(b'[{"name": "ok", "digest": "sha256:../../etc"}]').tags[0].digest == ""


def test_tag_of_quay_that_has_ended_is_none() -> None:
    assert decode_quay(b'{"tags": [{"name": "gone", "start_ts": 5, "end_ts": 6}]}').tags == ()


def test_further_pages_are_told_by_hub_and_quay() -> None:
    assert decode_docker_hub(b'{"results": [], "next": "https://hub.docker.com/x?page=2", "count": 7}') == Page(
        (), "https://hub.docker.com/x?page=2", 7
    )
    assert decode_quay(b'{"tags": [], "page": 3, "has_additional": true}').more.startswith("?limit=100&page=4")


def test_harbor_tells_the_build_of_an_image_of_one_platform() -> None:
    [tag] = decode_harbor((SAMPLES / "harbor.json").read_bytes()).tags
    assert tag.builds == (Build(Platform("linux", "amd64"), datetime(2026, 1, 29, 8, 55, 0, 123457, tzinfo=UTC)),)


@pytest.mark.parametrize(
    ("written", "instead"),
    [
        ('"references": null', '"references": [{"child_digest": "x"}]'),
        ('"type": "IMAGE"', '"type": "CHART"'),
        ('"architecture": "amd64"', '"architecture": "arm"'),
        ('"created": "2026-01-29T08:55:00.123456789Z"', '"created": "yesterday"'),
        ('"created": "2026-01-29T08:55:00.123456789Z"', '"created": null'),
    ],
)
def test_harbor_leaves_to_the_manifest_what_it_does_not_tell(written: str, instead: str) -> None:
    body = (SAMPLES / "harbor.json").read_text()
    assert written in body
    assert decode_harbor(body.replace(written, instead).encode()).tags[0].builds is None


def test_tag_without_a_manifest_is_listed_all_the_same() -> None:
    assert [tag.name for tag in decode_google(b'{"manifest": {}, "tags": ["a"]}').tags] == ["a"]


def test_list_without_googles_map_is_none_of_its() -> None:
    with pytest.raises(Malformed):
        decode_google(b'{"name": "a", "tags": ["a"]}')
