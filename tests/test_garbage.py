"""Full collections that take long freeze what survives them."""

import gc
from collections.abc import Iterator

import pytest

from updater import garbage


@pytest.fixture(autouse=True)
def _thawed() -> Iterator[None]:
    callbacks = list(gc.callbacks)
    yield
    gc.callbacks[:] = callbacks
    gc.unfreeze()


@pytest.mark.parametrize(("long", "frozen"), [(0.0, True), (1e9, False)])
def test_what_survives_a_long_collection_is_passed_over_by_later_ones(
    long: float,
    frozen: bool,  # noqa: FBT001 - as parametrize passes it
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    garbage.keep_collections_short()
    gc.unfreeze()
    monkeypatch.setattr(garbage, "_LONG", long)
    gc.collect()
    assert (gc.get_freeze_count() > 0) is frozen
