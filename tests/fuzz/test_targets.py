"""A short run over all formats: whatever comes is read, or refused as documented."""

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.fuzz.mutation import mutated
from tests.fuzz.targets import TARGETS


@pytest.mark.parametrize("name", TARGETS)
def test_whatever_comes_is_read_or_refused(name: str) -> None:
    target = TARGETS[name]

    @given(st.sampled_from(target.seeds), st.randoms(use_true_random=False))
    def run(seed: bytes, chance: random.Random) -> None:
        target(mutated(seed, chance))

    run()


@pytest.mark.parametrize("name", TARGETS)
@pytest.mark.parametrize("piece", [b"[", b'{"a":', b"(", b"{{if 1}}", b"- ", b"0", b"\x00", b"||", b"&a ", b"'"])
def test_what_is_deep_or_long_is_read_or_refused(name: str, piece: bytes) -> None:
    TARGETS[name](piece * 20_000)
    TARGETS[name](b"\n" + piece * 20_000)
    TARGETS[name](b"\x03" + piece * 20_000)
