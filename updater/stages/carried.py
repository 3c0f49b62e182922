"""What else is on a branch of ours, and has to stay there while nobody can tell whether it is still wanted.

The branch is built anew for one change, and after a restart, or while a registry does not answer, nothing is known of
another that it holds. Its commit says what that was: it is proposed once more, by the settings as they are now.
"""

from collections.abc import Collection
from datetime import UTC, datetime

from updater.domain.candidates import Build, Snapshot, TagRecord
from updater.domain.decision import Current, Reason, Update
from updater.domain.election import elect
from updater.domain.errors import Misconfigured
from updater.domain.image import ImageVersion
from updater.domain.messages import ImageIdentity, TrackedApplication, TrackedImage, UpdateDecided
from updater.domain.platform import Platform
from updater.domain.target import Branch, GitTarget, repository_key
from updater.formats.commit import changes_told
from updater.ports.git import Tip
from updater.stages.board import Board

_LONG_AGO = datetime(2014, 1, 1, tzinfo=UTC)
"""It was old enough when it was proposed."""


def carried(
    tip: Tip | None, branch: Branch, board: Board, known: Collection[ImageIdentity], now: datetime
) -> list[UpdateDecided]:
    """Give the changes on a branch that are not among those known, and whose images nothing is decided for yet."""
    found = []
    for name, alias, version in changes_told(tip.message) if tip is not None else ():
        identity = ImageIdentity(name, alias)
        tracked = board.undecided(identity)
        images = [image for image in tracked.images if image.alias == alias] if tracked else []
        if tracked and images and identity not in known and _belongs(images[0], branch):
            found += _proposed_again(tracked, images[0], version, now)
    return found


def _belongs(image: TrackedImage, branch: Branch) -> bool:
    """Tell whether an image is still proposed on a branch of the same base."""
    if not isinstance(image.target, GitTarget):
        return False
    own = image.target.branch
    same = (repository_key(own.url), own.branch) == (repository_key(branch.url), branch.branch)
    return same and bool(own.target or own.pull_request)


def _proposed_again(
    tracked: TrackedApplication, image: TrackedImage, version: ImageVersion, now: datetime
) -> list[UpdateDecided]:
    """Decide as if a registry had nothing but that version: settings that rule it out do so here as well."""
    platforms = image.policy.platforms or (Platform("linux", "amd64"),)
    builds = tuple(Build(platform, _LONG_AGO) for platform in platforms)
    record = TagRecord(version.tag, version.digest, builds, pushed=_LONG_AGO, first_seen=_LONG_AGO)
    try:
        election = elect(image.policy, Snapshot(image.image.repository, (record,), now), now)
    except Misconfigured:
        return []
    message = f"{version} was proposed, and nothing newer is known yet"
    update = Update(reason=Reason.NEWER, message=message, version=version, previous=ImageVersion())
    return [UpdateDecided(tracked, image, election, Current(), update)]
