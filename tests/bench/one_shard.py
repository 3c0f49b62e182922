"""The daemon as one of several shards: `python -m tests.bench.one_shard SHARD SHARDS run --config FILE`.

The product has no shards. This is what would make them, at the place where it would be: all Applications are watched,
and those are kept whose repository falls to this shard.
"""

import sys
import zlib

from updater.cli import main
from updater.domain.governing import govern
from updater.domain.messages import TrackedApplication
from updater.domain.target import GitTarget, repository_key
from updater.stages import watcher


def shard_of(tracked: TrackedApplication, shards: int) -> int:
    """Choose by the repository that is written to: one repository has one writer, and a base image one commit."""
    keys = [repository_key(each.target.branch.url) for each in tracked.images if isinstance(each.target, GitTarget)]
    return zlib.crc32(min(keys, default=str(tracked.name)).encode()) % shards


def keep(shard: int, shards: int) -> None:
    """Have the watcher pass on what belongs to one shard, and nothing else."""

    def mine(*arguments: object) -> TrackedApplication | None:
        tracked = govern(*arguments)  # type: ignore[arg-type]
        return tracked if tracked and shard_of(tracked, shards) == shard else None

    watcher.govern = mine  # type: ignore[attr-defined, assignment]


if __name__ == "__main__":
    keep(int(sys.argv.pop(1)), int(sys.argv.pop(1)))
    main()
