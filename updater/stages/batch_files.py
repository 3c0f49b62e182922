"""Read the files that a batch needs from its branch, all together."""

from collections.abc import Hashable, Sequence
from itertools import chain

from updater.domain.errors import EditError
from updater.domain.messages import UpdateDecided
from updater.ports.git import GitBranch
from updater.stages.batch import Files, manifests_to_find, paths_to_read
from updater.stages.manifest_files import find_manifests


async def read_batch(
    remote: GitBranch,
    head: str,
    batch: Sequence[UpdateDecided],
) -> tuple[Files, dict[Hashable, tuple[UpdateDecided, str]]]:
    """Read what the batch needs; what cannot be read for one update alone keeps none of the others waiting.

    It is looked for by halves: the rest of a large batch costs a few reads more, and not one for each update.
    """
    try:
        return await _read_together(remote, head, batch), {}
    except EditError as error:
        if len(batch) == 1:
            return {}, {batch[0].identity: (batch[0], str(error))}
    middle = len(batch) // 2
    files, unreadable = await read_batch(remote, head, batch[:middle])
    more_files, more_unreadable = await read_batch(remote, head, batch[middle:])
    return {**files, **more_files}, {**unreadable, **more_unreadable}


async def _read_together(remote: GitBranch, head: str, batch: Sequence[UpdateDecided]) -> Files:
    paths = dict.fromkeys(chain.from_iterable(map(paths_to_read, batch)))
    globs = {glob for decided in batch if (glob := manifests_to_find(decided))}
    paths |= dict.fromkeys(await find_manifests(remote, head, globs))
    return await remote.read(head, list(paths))
