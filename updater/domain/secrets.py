"""References to credentials, as annotations and `registries.conf` spell them."""

from dataclasses import dataclass
from enum import StrEnum

from updater.domain.errors import Misconfigured


class SecretKind(StrEnum):
    SECRET = "secret"  # noqa: S105 - the spelling of the reference
    PULL_SECRET = "pullsecret"  # noqa: S105
    ENVIRONMENT = "env"
    SCRIPT = "ext"


@dataclass(frozen=True, slots=True)
class CredentialSource:
    """Where credentials are to be found; never the credentials themselves.

    `secret:ns/name#field`, `pullsecret:ns/name`, `env:NAME` or `ext:/absolute/path`.
    """

    kind: SecretKind
    location: str
    """Name of the variable, path of the script, or name of the Secret."""
    namespace: str = ""
    field: str = ""

    def __str__(self) -> str:
        if self.kind in (SecretKind.ENVIRONMENT, SecretKind.SCRIPT):
            return f"{self.kind}:{self.location}"
        field = f"#{self.field}" if self.field else ""
        return f"{self.kind}:{self.namespace}/{self.location}{field}"


def parse_credential_source(text: str) -> CredentialSource:
    """Parse a reference such as `secret:argocd/acr#acr`, with an optional `registry=` before it, as AIU allows.

    Raises:
        Misconfigured: the text is none of the four forms.
    """
    spelled = text.strip().partition("=")[2] if "=" in text.partition(":")[0] else text.strip()
    kind_text, _, rest = spelled.partition(":")
    try:
        kind = SecretKind(kind_text.strip().lower())
    except ValueError:
        raise Misconfigured(
            f"credentials {text!r} are none of secret:<namespace>/<name>#<field>, pullsecret:<namespace>/<name>, "
            "env:<variable> and ext:<absolute path>",
        ) from None
    rest = rest.strip()
    if kind is SecretKind.ENVIRONMENT and rest:
        return CredentialSource(kind, rest)
    if kind is SecretKind.SCRIPT and rest.startswith("/"):
        return CredentialSource(kind, rest)
    if kind in (SecretKind.SECRET, SecretKind.PULL_SECRET):
        path, _, field = rest.partition("#")
        namespace, _, name = path.partition("/")
        wants_field = kind is SecretKind.SECRET
        if namespace and name and "/" not in name and bool(field) == wants_field:
            return CredentialSource(kind, name, namespace, field)
    raise Misconfigured(
        f"credentials {text!r} are incomplete; write secret:<namespace>/<name>#<field>, pullsecret:<namespace>/<name>, "
        "env:<variable> or ext:<absolute path>",
    )
