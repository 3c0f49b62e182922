"""What is asked of a registry: which repository, as whom, and how deep to look."""

from collections.abc import Iterable
from dataclasses import dataclass

from updater.domain.image import Repository
from updater.domain.platform import Platform
from updater.domain.policy import Output, Policy, Strategy
from updater.domain.secrets import CredentialSource


@dataclass(frozen=True, slots=True)
class PollKey:
    """One poll serves every image with the same key, however many applications have it."""

    repository: Repository
    credentials: CredentialSource | None = None
    """The image's own pull secret; None: what the registry's configuration says."""


@dataclass(frozen=True, slots=True)
class RegistryState:
    """How the looks at the repositories of one registry go."""

    host: str
    repositories: int
    failing: int
    """Whose last look was not complete."""
    oldest_look: float
    """Seconds since the last complete look at the repository where it is longest ago."""


@dataclass(frozen=True, slots=True)
class Wants:
    """How deep a poll has to look: the union of what all its subscribers need."""

    names: bool = False
    """The complete tag list is needed; False when `digests` alone will do."""
    digests: frozenset[str] = frozenset()
    """Tags whose digest is needed now."""
    metadata: frozenset[Policy] = frozenset()
    """Policies that compare images by their `created`: tags that pass one's filters need `builds` and `digest`."""
    platforms: frozenset[Platform] = frozenset()
    """For `metadata`; empty is the updater's own platform."""
    winners: frozenset[Policy] = frozenset()
    """Policies that choose by name and write a digest: the tags that each may choose need theirs."""
    times: bool = False
    """When tags were pushed is wanted, where the registry tells."""
    hints: frozenset[str] = frozenset()
    """Tags that somebody says have moved: where they point to is looked at first."""
    awaited: bool = False
    """Somebody told of news: this look goes before those that are only due."""

    @staticmethod
    def union(wants: "Iterable[Wants]") -> "Wants":
        """Merge the wants of all subscribers into one poll's."""
        collected = list(wants)
        return Wants(
            names=any(want.names for want in collected),
            digests=frozenset().union(*(want.digests for want in collected)),
            metadata=frozenset().union(*(want.metadata for want in collected)),
            platforms=frozenset().union(*(want.platforms for want in collected)),
            winners=frozenset().union(*(want.winners for want in collected)),
            times=any(want.times for want in collected),
            hints=frozenset().union(*(want.hints for want in collected)),
            awaited=any(want.awaited for want in collected),
        )


def wants(policy: Policy) -> Wants:
    """Tell how deep a poll has to look for one image: a digest is one HEAD, a list needs no manifest."""
    if policy.strategy is Strategy.DIGEST:
        return Wants(names=bool(policy.pin), digests=frozenset({policy.pin or policy.constraint}))
    writes_digest = policy.output in (Output.DIGEST, Output.TAG_DIGEST)
    by_build = policy.strategy is Strategy.NEWEST_BUILD
    return Wants(
        names=True,
        digests=frozenset({policy.pin}) if policy.pin and writes_digest else frozenset(),
        metadata=frozenset({policy}) if by_build else frozenset(),
        platforms=frozenset(policy.platforms) if by_build else frozenset(),
        winners=frozenset({policy}) if writes_digest and not by_build and not policy.pin else frozenset(),
        times=policy.strategy is Strategy.NEWEST_PUSH or bool(policy.minimum_age),
    )
