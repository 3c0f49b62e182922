"""What somebody took back stays back, until there is something newer or the settings say otherwise."""

from typing import NamedTuple

from updater.domain.decision import Hold, Memory, Reason
from updater.domain.image import ImageVersion
from updater.domain.ranking import Candidate, Election


class Rejection(NamedTuple):
    """A version that somebody took back, and that candidates are not newer than."""

    version: ImageVersion
    released: bool
    """The annotation `release` lets it be written again, once."""


def rejection_of(candidate: Candidate, election: Election, present: ImageVersion, memory: Memory) -> Rejection | None:
    """Return what was taken back and concerns a candidate; None when nothing does.

    `present` is what somebody may have put in place of `memory.written`; empty when that is not known. A version that
    the settings would not allow any more forbids nothing: who took it back has said so there.
    """
    rolled_back = memory.written if _was_rolled_back(election, present, memory.written) else ImageVersion()
    found = [
        Rejection(rejected, _is_released(rejected, election.policy.release, memory.released))
        for rejected in (rolled_back, memory.rejected)
        if rejected and election.standing(rejected).choosable and not _is_newer(candidate, rejected, election)
    ]
    return min(found, key=lambda rejection: rejection.released, default=None)


def taken_back(version: ImageVersion, rejected: ImageVersion, declined_in: str = "") -> Hold:
    """Hold a version because a person took it, or a newer one, back: in the target, or in a pull request."""
    how = f"declined: {declined_in} was closed without being merged" if declined_in else "rolled back by hand"
    message = (
        f"{version} is held because {rejected} was {how}: a newer version ends that, "
        f"or the annotation <alias>.release: {rejected}, or rollback: overwrite"
    )
    return Hold(
        reason=Reason.ROLLED_BACK,
        message=message,
        candidate=version,
        rejected=rejected,
        declined_in=declined_in,
    )


def names_version(text: str, version: ImageVersion) -> bool:
    """Tell whether a text names a version: by its tag, its digest, or both."""
    return bool(text) and text in (version.tag, version.digest, str(version))


def _is_released(rejected: ImageVersion, release: str, used: ImageVersion) -> bool:
    return names_version(release, rejected) and not names_version(release, used)


def _was_rolled_back(election: Election, present: ImageVersion, written: ImageVersion) -> bool:
    """Tell whether somebody replaced what we wrote, and not with something newer."""
    if not present or not written or same_version(present, written):
        return False
    present_key, written_key = election.standing(present).key, election.standing(written).key
    if present_key is None or written_key is None:
        return True
    return present_key < written_key or (present_key == written_key and _digests_differ(present, written))


def _is_newer(candidate: Candidate, rejected: ImageVersion, election: Election) -> bool:
    """Compare with a version taken back; of one whose place is not known any more, only a digest can be newer."""
    key = election.standing(rejected).key
    moved = _digests_differ(ImageVersion(candidate.record.name, candidate.record.digest), rejected)
    if key is None:
        return not rejected.tag and moved
    return key < candidate.key or (key == candidate.key and moved)


def same_version(one: ImageVersion, other: ImageVersion) -> bool:
    """Compare as far as both versions say something."""
    if _digests_differ(one, other):
        return False
    if one.tag and other.tag:
        return one.tag == other.tag
    return bool(one.digest) and one.digest == other.digest


def _digests_differ(one: ImageVersion, other: ImageVersion) -> bool:
    return bool(one.digest and other.digest) and one.digest != other.digest
