"""What is kept of an image's config."""

import json

import pytest

from updater.domain.candidates import Labels
from updater.formats.oci import decode_config

REVISION = "org.opencontainers.image.revision"


def labels(found: object) -> Labels:
    return decode_config(json.dumps({"os": "linux", "config": {"Labels": found}}).encode()).labels


def test_standard_labels_come_first() -> None:
    assert labels({"a": "1", REVISION: "4f1c2ab"}) == ((REVISION, "4f1c2ab"), ("a", "1"))


def test_standard_labels_are_kept_where_others_are_too_many() -> None:
    kept = dict(labels({**{f"a{number}": "x" * 100 for number in range(1000)}, REVISION: "4f1c2ab"}))
    assert kept[REVISION] == "4f1c2ab"
    assert sum(len(key) + len(value) for key, value in kept.items()) <= 1024


@pytest.mark.parametrize("found", [None, {}, {"licences": "x" * 10_000}, {"odd": None, "odder": {}}])
def test_what_is_no_label_or_too_long_is_left_out(found: object) -> None:
    assert labels(found) == ()
