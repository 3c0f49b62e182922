"""`python -m tests.fuzz [--seconds 60] [TARGET…]`: a long run of each target, by atheris where it is installed.

`.venv/bin/pip install atheris` installs it; it begins with the seeds that the quick tests mutate.

Without atheris, inputs are mutated blindly, from a seed that is printed. What breaks a target ends its run.
"""

import argparse
import random
import subprocess
import sys
import time
from importlib.util import find_spec
from pathlib import Path
from tempfile import TemporaryDirectory

from tests.fuzz.mutation import mutated
from tests.fuzz.targets import TARGETS

_SLOW = 2.0
"""Seconds for one input."""


def main() -> int:
    parser = argparse.ArgumentParser(prog="tests.fuzz", description=__doc__)
    parser.add_argument("--seconds", type=int, default=60, help="for each target")
    parser.add_argument("--guided", nargs=2, metavar=("TARGET", "CORPUS"), help=argparse.SUPPRESS)
    parser.add_argument("targets", nargs="*", help="; ".join(TARGETS))
    given = parser.parse_args()
    if given.guided:
        name, corpus = given.guided
        _guided(name, corpus, given.seconds)
    failed = [name for name in given.targets or TARGETS if not _run(name, given.seconds)]
    print(f"broken: {', '.join(failed)}" if failed else "all inputs were read or refused")  # noqa: T201 - a program
    return 1 if failed else 0


def _run(name: str, seconds: int) -> bool:
    if find_spec("atheris") is None:
        return _blindly(name, seconds)
    with TemporaryDirectory(prefix="updater-fuzz-") as corpus:
        for number, seed in enumerate(TARGETS[name].seeds):
            (Path(corpus) / str(number)).write_bytes(seed)
        command = (sys.executable, "-m", "tests.fuzz", "--guided", name, corpus, "--seconds", str(seconds))
        return subprocess.run(command, check=False).returncode == 0


def _blindly(name: str, seconds: int) -> bool:
    seed, target, count = random.SystemRandom().randrange(10**6), TARGETS[name], 0
    chance, end = random.Random(seed), time.monotonic() + seconds
    while time.monotonic() < end:
        data, started = mutated(chance.choice(list(target.seeds)), chance), time.process_time()
        try:
            target(data)
        except Exception as error:  # noqa: BLE001 - the point
            print(f"{name}: {error!r} for {data!r}, seed {seed}")  # noqa: T201
            return False
        count += 1
        if time.process_time() - started > _SLOW:
            print(f"{name}: slow for {data!r}, seed {seed}")  # noqa: T201
            return False
    print(f"{name}: {count} inputs, seed {seed}")  # noqa: T201
    return True


def _guided(name: str, corpus: str, seconds: int) -> None:
    import atheris  # noqa: PLC0415 - an optional library

    atheris.instrument_all()
    options = [f"-max_total_time={seconds}", "-timeout=5", "-max_len=4096", "-print_final_stats=1"]
    atheris.Setup([sys.argv[0], *options, corpus], TARGETS[name])
    atheris.Fuzz()


if __name__ == "__main__":
    sys.exit(main())
