"""Keep the garbage collector from stopping the loop.

Almost all of what the daemon holds lives as long as an Application or a tag list, and is not in cycles. With millions
of objects a full collection takes a second, comes again and again while they are loaded, and finds nothing.
"""

import gc
import time
from collections.abc import Mapping

_LONG = 0.02
"""Seconds."""


def keep_collections_short() -> None:
    """Have what survives a long full collection passed over by later ones; reference counts still free it."""
    gc.freeze()
    gc.callbacks.append(_Watch())


class _Watch:
    _begun = 0.0

    def __call__(self, phase: str, info: Mapping[str, int]) -> None:
        if phase == "start":
            self._begun = time.perf_counter()
        elif info["generation"] == 2 and time.perf_counter() - self._begun > _LONG:  # noqa: PLR2004 - the oldest
            gc.freeze()
