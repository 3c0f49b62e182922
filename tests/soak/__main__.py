"""`python -m tests.soak [--seconds 600] [--seed N]`: print what happens, and end with 1 if something is violated."""

import argparse
import asyncio
import random
import shutil
import sys
import tempfile
import time
from pathlib import Path

from tests.soak.run import soak


def main() -> int:
    parser = argparse.ArgumentParser(prog="tests.soak", description=__doc__)
    parser.add_argument("--seconds", type=float, default=600, help="of trouble; hours are good, too")
    parser.add_argument("--seed", type=int, default=random.SystemRandom().randrange(10**6))
    given = parser.parse_args()
    root, started = Path(tempfile.mkdtemp(prefix="updater-soak-")), time.monotonic()

    def say(text: str) -> None:
        print(f"{time.monotonic() - started:8.1f} s  {text}", flush=True)  # noqa: T201 - a program

    found = asyncio.run(soak(root, given.seed, given.seconds, say))
    for each in found:
        say(f"VIOLATED: {each}")
    if found:
        say(f"seed {given.seed} again: make soak SECONDS={given.seconds:g} SEED={given.seed}; all is in {root}")
        return 1
    shutil.rmtree(root)
    say("nothing was violated")
    return 0


if __name__ == "__main__":
    sys.exit(main())
