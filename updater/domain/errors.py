"""The errors of this project, in one tree.

UpdaterError
├── Misconfigured           a person has to change something; retrying does not help
│   └── SecretNotFound      the Secret, or the field in it, does not exist (yet)
├── RegistryError           a registry did not give a complete answer; retried
│   ├── RegistryAuthError   the credentials were refused
│   ├── RepositoryNotFound  the registry does not know the repository
│   ├── RegistryThrottled   the registry asks for fewer requests (`retry_after`)
│   └── DoubtfulList          a tag list lost so much that a second look has to confirm it (`retry_after`)
├── GitError                a Git server did not do what it was asked; retried
│   ├── GitAuthError        the credentials were refused, or may not push
│   ├── BranchNotFound      the branch does not exist
│   ├── PushStale           somebody pushed first: fetch, apply again, push again
│   └── PushRefused         a hook or a protected branch declined; the server's words are in the text
├── ForgeError              a forge did not do what it was asked; retried
│   ├── ForgeRefused        it understood, and said no
│   └── ForgeThrottled      it asks for fewer requests
├── EditError               a document cannot be edited without risk to other bytes
├── ClusterError            the API server failed, or refused a request
│   └── ApplicationConflict the Application changed since it was read
├── StoreError              the database cannot be used
└── LeadershipLost          another one of us writes now

A class exists because somebody catches it. Texts name the place, the value and the remedy, and never a secret.
"""


class UpdaterError(Exception):
    """Anything this project raises on purpose."""


class Misconfigured(UpdaterError):
    """A setting, annotation or secret reference is wrong; somebody has to change it."""


class SecretNotFound(Misconfigured):
    """The Secret, or the field in it, does not exist."""


class RegistryError(UpdaterError):
    """A registry did not give a complete answer."""


class RegistryAuthError(RegistryError):
    """A registry refused the credentials."""


class RegistryUnanswered(RegistryError):
    """A registry, or what stands in front of it, does not answer, or is left alone because it did not."""


class RepositoryNotFound(RegistryError):
    """A registry does not know the repository."""


class RegistryThrottled(RegistryError):
    """A registry asks for fewer requests."""

    def __init__(self, message: str, retry_after: float | None = None) -> None:
        super().__init__(message)
        self.retry_after = retry_after
        """Seconds to wait, as the registry said; None when it did not say."""


class DoubtfulList(RegistryError):
    """A tag list lost half of its tags or more, or is another repository's by its name; nobody has confirmed it yet."""

    def __init__(self, message: str, retry_after: float) -> None:
        super().__init__(message)
        self.retry_after = retry_after
        """Seconds until a second look counts as confirmation."""


class GitError(UpdaterError):
    """A Git server did not do what it was asked."""


class GitAuthError(GitError):
    """A Git server refused the credentials, or they may not push."""


class BranchNotFound(GitError):
    """The branch does not exist on the server."""


class PushStale(GitError):
    """The branch moved since it was read."""


class PushRefused(GitError):
    """A hook or a protected branch declined the push; final for this batch."""


class ForgeError(UpdaterError):
    """A forge did not do what it was asked; unless it refused, it may have done it all the same."""


class ForgeRefused(ForgeError):
    """A forge understood, and said no: nothing has changed there."""


class ForgeThrottled(ForgeRefused):
    """A forge asks for fewer requests; until then it is not asked."""


class EditError(UpdaterError):
    """A document cannot be edited without risk to other bytes."""


class ClusterError(UpdaterError):
    """The API server failed, or refused a request."""


class ApplicationConflict(ClusterError):
    """The Application changed since it was read."""


class LeadershipLost(UpdaterError):
    """Another replica may write by now; what was to be written is its business."""


class StoreError(UpdaterError):
    """The database cannot be used."""
