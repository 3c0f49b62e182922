"""Git's protocols, spoken by ourselves.

On its import, asyncssh looks for two libraries that it can do without. Where there is a compiler, that is what looks:
in child processes with our whole environment, and whatever secrets are in it. So it finds none, here or anywhere.
"""

import ctypes.util


def _import_asyncssh() -> None:
    find = ctypes.util.find_library
    ctypes.util.find_library = lambda name: None  # noqa: ARG005 - the signature of what it stands for
    try:
        import asyncssh  # noqa: F401, PLC0415 - once imported, it stays as it is
    finally:
        ctypes.util.find_library = find


_import_asyncssh()
