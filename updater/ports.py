"""What the stages wish for. Adapters fulfil it; `app.py` hands them over, and mypy proves that they fit."""

from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Protocol

from updater.domain.application import Application, ApplicationName
from updater.domain.application_sets import ApplicationSetRules
from updater.domain.candidates import Build, Snapshot
from updater.domain.change import Edit
from updater.domain.decision import Memory
from updater.domain.image import ImageVersion, Repository
from updater.domain.platform import Platform
from updater.domain.polling import PollKey, Wants
from updater.domain.pull_requests import PullRequest
from updater.domain.resources import ImageUpdater, ResourceName, Verification
from updater.domain.target import ApplicationTarget, Branch, Target


class Listed:
    """Every Application that exists has been told; what comes now are changes."""


@dataclass(frozen=True, slots=True)
class Seen:
    application: Application


@dataclass(frozen=True, slots=True)
class Gone:
    name: ApplicationName


@dataclass(frozen=True, slots=True)
class Unreadable:
    """A manifest that is there but cannot be understood."""

    name: str
    """Of the Application where it can be told, else the file."""
    message: str


@dataclass(frozen=True, slots=True)
class Readable:
    """What was told as `Unreadable` is so no more."""

    name: str


@dataclass(frozen=True, slots=True)
class ResourceSeen:
    resource: ImageUpdater


@dataclass(frozen=True, slots=True)
class ResourceGone:
    name: ResourceName


ClusterEvent = Listed | Seen | Gone | Unreadable | Readable | ResourceSeen | ResourceGone


class ApplicationSource(Protocol):
    """Tells which Applications and ImageUpdaters there are."""

    def events(self) -> AsyncIterator[ClusterEvent]:
        """Tell all that exist, then `Listed`, then changes, for ever; reconnect and tell all again as needed.

        The ImageUpdaters of a namespace are told before its Applications: without them these cannot be understood.
        After a relist, what is gone is told as `Gone` or `ResourceGone` before `Listed`.
        """
        ...


class Secrets(Protocol):
    """Reads Secrets."""

    async def secret(self, namespace: str, name: str) -> Mapping[str, bytes]:
        """Return the decoded data of a Secret.

        Raises:
            SecretNotFound: there is no such Secret.
            ClusterError: it could not be read now.
        """
        ...


class ServiceAccounts(Protocol):
    """Knows with which Secrets the pods of a ServiceAccount pull their images."""

    async def pull_secrets(self, namespace: str, service_account: str) -> Sequence[str]:
        """Return the names of its imagePullSecrets; none when it does not exist, or must not be read.

        Raises:
            ClusterError: it could not be read now.
        """
        ...


class Authorities(Protocol):
    """Knows the certificates that Argo CD trusts."""

    async def tls_certificates(self, namespace: str) -> Mapping[str, str]:
        """Return the PEM certificates of each host, as `argocd-tls-certs-cm` has them; none when there is no such.

        Raises:
            ClusterError: they could not be read now.
        """
        ...


@dataclass(frozen=True, slots=True)
class LabelledSecret:
    """A Secret found by its label."""

    namespace: str
    name: str
    labels: Mapping[str, str]
    data: Mapping[str, bytes]

    def __repr__(self) -> str:
        return f"LabelledSecret({self.namespace}/{self.name})"


class RepositorySecrets(Secrets, Protocol):
    """Reads Secrets, also those that Argo CD keeps for its repositories."""

    async def secrets_labelled(self, namespace: str, label: str, values: Sequence[str]) -> Sequence[LabelledSecret]:
        """Return the Secrets of a namespace whose `label` has one of `values`.

        Raises:
            ClusterError: they could not be read now.
        """
        ...


@dataclass(frozen=True, slots=True)
class ApplicationEvent:
    """An Event of Kubernetes."""

    application: ApplicationName
    reason: str
    message: str
    warning: bool
    at: datetime
    annotations: Mapping[str, str] = field(default_factory=dict)


class ApplicationWriter(Protocol):
    """Changes Applications, narrowly."""

    async def set_images(self, target: ApplicationTarget, edits: Sequence[Edit]) -> bool:
        """Make the target's parameters hold the edits, and nothing else; False when they did already.

        Raises:
            Misconfigured: the source cannot take them.
            ApplicationConflict: somebody else was faster, also on a second try.
            ClusterError: refused or unreachable.
        """
        ...

    async def holds(self, target: ApplicationTarget, edits: Sequence[Edit]) -> bool:
        """Tell whether the target's parameters hold the edits now.

        Raises:
            Misconfigured, ClusterError: as `set_images`.
        """
        ...

    async def application_set(self, namespace: str, name: str) -> ApplicationSetRules:
        """Return what an ApplicationSet says of changes to the Applications that it generates.

        Raises:
            ClusterError: it is not there, or could not be read now.
        """
        ...

    async def refresh(self, name: ApplicationName, *, hydrate: bool = False) -> None:
        """Ask Argo CD to look at its Git repository now; `hydrate`: and to render what it finds there.

        By the annotations `argocd.argoproj.io/refresh` and `argocd.argoproj.io/hydrate`.
        """
        ...


class LeaseReader(Protocol):
    """Looks at the Leases of others."""

    async def renewal(self, namespace: str, name: str) -> str:
        """Return when a Lease was last renewed, in its holder's words; an empty text when nobody holds it.

        Raises:
            ClusterError: it could not be read.
        """
        ...


class ResourceStatuses(Protocol):
    """Tells those who wrote an ImageUpdater what became of it."""

    async def write_status(self, name: ResourceName, status: Mapping[str, object]) -> None:
        """Replace a resource's status; one that is gone needs none.

        Raises:
            ClusterError: refused or unreachable.
        """
        ...


class ApplicationEvents(Protocol):
    """Tells those who look at an Application what was done to it."""

    async def record_event(self, event: ApplicationEvent) -> None:
        """Attach an Event to an Application.

        Raises:
            ClusterError: refused or unreachable.
        """
        ...


class Registry(Protocol):
    """Looks into registries."""

    async def observe(self, key: PollKey, wants: Wants) -> Snapshot:
        """Return a complete snapshot, as deep as wanted; the same object again when nothing changed.

        Raises:
            RegistryError: no complete answer could be had; RegistryThrottled carries when to come again.
            Misconfigured: credentials or configuration have to be mended by somebody.
        """
        ...

    def forget(self, key: PollKey) -> None:
        """Drop what was kept from look to look: nobody wants the repository any more."""
        ...

    def interval(self, key: PollKey) -> float | None:
        """Return the seconds between two looks that the registry is configured for; None: as many as usual."""
        ...


class Signatures(Protocol):
    """Looks whether images are signed."""

    async def check(self, key: PollKey, version: ImageVersion, verification: Verification, namespace: str) -> str:
        """Return why an image is not signed as demanded, or an empty text when it is.

        The key's Secret is in `namespace`.

        Raises:
            RegistryError, ClusterError: whether it is could not be found out now.
            Misconfigured: there is no such key, or nothing that identities could be verified with.
        """
        ...


class ImageMetadata(Protocol):
    """Remembers for ever what a digest stands for: a manifest never changes under its digest."""

    async def builds(self, digests: Sequence[str], platforms: Sequence[Platform]) -> Mapping[str, tuple[Build, ...]]:
        """Return what is known of those of `digests` that were looked into for exactly these platforms."""
        ...

    async def remember_builds(self, digest: str, platforms: Sequence[Platform], builds: Sequence[Build]) -> None: ...


class TagMemory(Protocol):
    """Remembers the last complete list of each repository."""

    async def digests(self, repository: Repository) -> Mapping[str, str]:
        """Return tag -> digest, as last observed."""
        ...

    async def first_seen(self, repository: Repository) -> Mapping[str, datetime]:
        """Return tag -> when it was first in a complete list; without those that never were."""
        ...

    async def pushed(self, repository: Repository) -> Mapping[str, datetime]:
        """Return tag -> when it was pushed, as the registry last told; without those of which it never did."""
        ...

    async def record(self, key: PollKey, snapshot: Snapshot) -> Snapshot:
        """Store a complete snapshot in one transaction and return it with the first-seen times filled in."""
        ...


@dataclass(frozen=True, slots=True)
class Due:
    """When a repository was looked at, and when it is to be looked at again."""

    polled_at: datetime
    due_at: datetime


class DueTimes(Protocol):
    """Remembers when each poll is due, so that a restart neither bunches nor skips."""

    async def due_times(self) -> Mapping[PollKey, Due]: ...

    async def set_due(self, key: PollKey, due: Due) -> None: ...


@dataclass(frozen=True, slots=True)
class PendingWrite:
    """A commit that was about to be pushed when it was noted; whether it arrived, the branch tells."""

    target: Target
    alias: str
    version: ImageVersion
    commit: str


class WriteMemory(Protocol):
    """Remembers what was written where; keyed by (application, alias, target)."""

    async def memory(self, name: ApplicationName, alias: str, target: Target) -> Memory: ...

    async def begin(self, pending: Mapping[ApplicationName, Sequence[PendingWrite]]) -> None:
        """Note before a push what it carries, of all applications at once."""
        ...

    async def pending(self, name: ApplicationName, alias: str, target: Target) -> PendingWrite | None: ...

    async def written(
        self,
        name: ApplicationName,
        alias: str,
        target: Target,
        version: ImageVersion,
        commit: str,
        at: datetime,
    ) -> None:
        """Record a confirmed write, and forget that it was pending."""
        ...

    async def finish(self, writes: Mapping[ApplicationName, Sequence[PendingWrite]], at: datetime) -> None:
        """Record the confirmed writes of many applications at once."""
        ...

    async def rejected(
        self, name: ApplicationName, alias: str, target: Target, version: ImageVersion, declined_in: str = ""
    ) -> None:
        """Record that a person took `version` back; `declined_in` is the pull request in which they did so.

        When it was taken back before, in another pull request, the release that let it be proposed again is used up.
        """
        ...

    async def forget_release(self, name: ApplicationName, alias: str, target: Target) -> None:
        """Let a release of the version that was written again count once more."""
        ...


class Leadership(Protocol):
    """Tells whether it is this process that writes, where several could."""

    def holds(self) -> bool:
        """Tell whether we may write at this moment; to be asked right before each write."""
        ...

    async def held(self) -> bool:
        """Wait until we may write; False when that is not to be expected any more."""
        ...

    def stop_waiting(self) -> None:
        """Let those who wait go: the process is about to end."""
        ...


@dataclass(frozen=True, slots=True)
class Author:
    """Who a commit is by."""

    name: str
    email: str


Sign = Callable[[bytes], str]
"""Returns the armoured signature of a commit, given all of its other bytes."""


class CommitSigner(Protocol):
    """Knows the key that commits are signed with."""

    async def signer(self) -> Sign | None:
        """Return what signs with the key as it is now; None when commits are not to be signed.

        Raises:
            Misconfigured: there is no such key, or it cannot sign.
            ClusterError: it could not be read now.
        """
        ...


@dataclass(frozen=True, slots=True)
class Tip:
    """The commit that a branch points to."""

    commit: str
    parents: tuple[str, ...]
    committer: str
    """The address alone."""
    message: str


class GitBranch(Protocol):
    """One branch of one Git repository on a server, and what is built on it."""

    @property
    def name(self) -> str:
        """The branch's own name, also where HEAD stands for it; known once `head` has answered."""
        ...

    async def head(self) -> str:
        """Return the commit the branch points to now, as 40 hex digits.

        Raises:
            BranchNotFound, GitAuthError, GitError
        """
        ...

    async def tip(self, name: str) -> Tip | None:
        """Return what another branch of the repository points to; None when there is no such branch.

        Raises:
            GitAuthError, GitError
        """
        ...

    async def read(self, head: str, paths: Sequence[str]) -> Mapping[str, bytes | None]:
        """Return the content of files at `head`; None for one that does not exist.

        A path ending in `/` asks for a directory (`/` alone for the root): its value is the newline-joined names of its
        files and, with a `/` behind, of its directories.

        Raises:
            EditError: a path leads through a symlink or submodule, or a file is larger than allowed.
            GitError: it could not be read.
        """
        ...

    async def commit(
        self,
        head: str,
        files: Mapping[str, bytes],
        message: str,
        author: Author,
        at: datetime,
        sign: Sign | None = None,
    ) -> str:
        """Build a commit on `head` with whole new contents of `files`; return its hash. Nothing is sent yet."""
        ...

    async def push(self, old: str, commit: str, name: str = "") -> str:
        """Move the branch, or the one called `name`, from `old` to `commit`, or raise and leave it as it is.

        Return the commit it is at then: of the same content, but another one where the forge makes and signs it.

        Another branch need not have `old` in the history of `commit`; an empty `old` creates it, an empty `commit`
        deletes it.

        Raises:
            PushStale: the branch is not at `old` any more.
            PushRefused: a hook or a rule of the server declined.
            GitAuthError: the credentials may not push.
            GitError: it is unknown whether it arrived.
        """
        ...


class Forge(Protocol):
    """One repository's pull requests, as one user. Every method may raise `ForgeError`."""

    async def pull_requests(self) -> Sequence[PullRequest]:
        """Return those that come from the repository itself: all open ones, and others as far back as we looked."""
        ...

    async def open(self, wanted: "NewPullRequest") -> PullRequest:
        """Open a pull request, or return the one that is open for the branch already."""
        ...

    async def decorate(self, number: int, labels: Sequence[str], reviewers: Sequence[str]) -> None:
        """Add labels and ask for reviews."""
        ...

    async def edit(self, pull_request: PullRequest, title: str, body: str, base: str) -> None: ...

    async def close(self, number: int, body: str) -> None:
        """Close it without merging, with another text."""
        ...

    async def comment(self, number: int, text: str) -> None: ...

    async def has_comment(self, number: int, text: str) -> bool:
        """Tell whether somebody commented with a text."""
        ...

    async def automerge(self, pull_request: PullRequest, commit: str, method: str) -> None:
        """Let the forge merge it by itself as soon as it may, if its branch is at `commit` then."""
        ...


@dataclass(frozen=True, slots=True)
class NewPullRequest:
    """A pull request to be opened."""

    head: str
    base: str
    title: str
    body: str
    draft: bool = False


class Forges(Protocol):
    """Opens forges; connections, and what they told, are shared behind it."""

    async def forge(self, branch: Branch) -> Forge:
        """Log in to the forge that has a branch's repository.

        Raises:
            Misconfigured, ClusterError, GitError, ForgeError: there are no credentials for it.
        """
        ...


class GitServer(Protocol):
    """Opens branches; connections and objects are shared behind it."""

    def branch(self, branch: Branch) -> GitBranch: ...
