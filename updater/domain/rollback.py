"""What somebody took back stays back, until there is something newer or the settings say otherwise."""

from updater.domain.decision import Memory
from updater.domain.image import ImageVersion
from updater.domain.ranking import Candidate, Election

_NOTHING = ImageVersion()


def rejection_of(candidate: Candidate, election: Election, present: ImageVersion, memory: Memory) -> ImageVersion:
    """Return the version taken back that forbids a candidate; empty when none does.

    `present` is what somebody may have put in place of `memory.written`; empty when that is not known. A version that
    the settings would not allow any more forbids nothing: who took it back has said so there.
    """
    rolled_back = memory.written if _was_rolled_back(election, present, memory.written) else _NOTHING
    for rejected in filter(None, (rolled_back, memory.rejected)):
        if election.standing(rejected).choosable and not _is_newer(candidate, rejected, election):
            return rejected
    return _NOTHING


def _was_rolled_back(election: Election, present: ImageVersion, written: ImageVersion) -> bool:
    """Tell whether somebody replaced what we wrote, and not with something newer."""
    if not present or not written or _same(present, written):
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


def _same(one: ImageVersion, other: ImageVersion) -> bool:
    """Compare as far as both versions say something."""
    if _digests_differ(one, other):
        return False
    if one.tag and other.tag:
        return one.tag == other.tag
    return bool(one.digest) and one.digest == other.digest


def _digests_differ(one: ImageVersion, other: ImageVersion) -> bool:
    return bool(one.digest and other.digest) and one.digest != other.digest
