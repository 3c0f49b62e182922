"""References to credentials, as annotations and `registries.conf` spell them, and who may use which."""

import re
from dataclasses import dataclass
from enum import StrEnum

from updater.domain.errors import Misconfigured


class SecretKind(StrEnum):
    SECRET = "secret"  # noqa: S105 - the spelling of the reference
    PULL_SECRET = "pullsecret"  # noqa: S105
    SERVICE_ACCOUNT = "serviceaccount"
    ARGOCD = "argocd"
    ENVIRONMENT = "env"
    SCRIPT = "ext"
    AWS = "aws"
    GOOGLE = "gcp"
    AZURE = "azure"
    ALIBABA = "alibaba"
    GITHUB = "github"
    NONE = "none"


OBJECTS = frozenset({SecretKind.SECRET, SecretKind.PULL_SECRET, SecretKind.SERVICE_ACCOUNT, SecretKind.GITHUB})
"""Kinds that name an object of Kubernetes."""
CLOUDS = frozenset({SecretKind.AWS, SecretKind.GOOGLE, SecretKind.AZURE, SecretKind.ALIBABA})
"""Kinds that are the identity which a cloud gives to the daemon itself."""
_PROJECT = re.compile(r"[a-z0-9]([-a-z0-9.]{0,251}[a-z0-9])?")
FORMS = (
    "secret:<namespace>/<name>#<field>, pullsecret:<namespace>/<name>, github:<namespace>/<name>, env:<variable>, "
    "ext:<absolute path>, aws, gcp, azure, alibaba or none"
)


@dataclass(frozen=True, slots=True)
class CredentialSource:
    """Where credentials are to be found; never the credentials themselves.

    `secret:ns/name#field`, `pullsecret:ns/name`, `github:ns/name`, `serviceaccount:ns/name`, `env:NAME`,
    `ext:/absolute/path`, the name of a cloud, or `none`; for charts `argocd:ns/project[#serviceaccount]`, what Argo CD
    has for their repository in a project, else what the ServiceAccount of that namespace has.
    """

    kind: SecretKind
    location: str = ""
    """Name of the variable, path of the script, or name of the Secret or ServiceAccount."""
    namespace: str = ""
    field: str = ""

    def __str__(self) -> str:
        if self.kind in CLOUDS or self.kind is SecretKind.NONE:
            return str(self.kind)
        if self.kind not in (*OBJECTS, SecretKind.ARGOCD):
            return f"{self.kind}:{self.location}"
        field = f"#{self.field}" if self.field else ""
        return f"{self.kind}:{self.namespace}/{self.location}{field}"


def variables_read(*sources: CredentialSource | None) -> frozenset[str]:
    """Name the variables of the daemon's that are among these references."""
    return frozenset(each.location for each in sources if each is not None and each.kind is SecretKind.ENVIRONMENT)


@dataclass(frozen=True, slots=True)
class SecretAccess:
    """Whose Secrets the annotations of an application may use: one rule for all of them, however they are spelled."""

    argocd_namespace: str = "argocd"
    """The daemon's own identity, variables and scripts count as kept here."""
    shared: frozenset[str] = frozenset()
    """Namespaces whose Secrets every application may use."""
    service_account: str = ""
    """Whose imagePullSecrets serve images for which nothing else is configured; empty: nobody's."""

    def refusal(self, namespace: str, application_namespace: str) -> str:
        """Say why an application may not use what is kept in a namespace; empty when it may."""
        if namespace == application_namespace or namespace in self.shared:
            return ""
        return (
            f"is kept in namespace {namespace}: keep it in the application's own namespace {application_namespace}, "
            f"or add {namespace} to applications.secret_namespaces"
        )

    def refusal_of(self, source: CredentialSource, application_namespace: str) -> str:
        """Say why an application may not use these credentials; empty when it may."""
        if source.kind is SecretKind.NONE:
            return ""
        if source.kind is SecretKind.ARGOCD:
            return "is what a chart has without being told: remove it"
        return self.refusal(source.namespace or self.argocd_namespace, application_namespace)

    def fallback_of_chart(self, application_namespace: str, project: str) -> CredentialSource | None:
        """Return what serves a chart for which nothing else is configured: what Argo CD itself reads it with.

        An Application may name a project that cannot exist.
        """
        if not _PROJECT.fullmatch(project):
            return self.fallback(application_namespace)
        return CredentialSource(SecretKind.ARGOCD, project, application_namespace, self.service_account)

    def fallback(self, application_namespace: str) -> CredentialSource | None:
        """Return what serves an application's images for which nothing else is configured."""
        if not self.service_account:
            return None
        return CredentialSource(SecretKind.SERVICE_ACCOUNT, self.service_account, application_namespace)


def parse_credential_source(text: str) -> CredentialSource:
    """Parse a reference such as `secret:argocd/acr#acr`, with an optional `registry=` before it, as AIU allows.

    Raises:
        Misconfigured: the text is none of the forms.
    """
    spelled = text.strip().partition("=")[2] if "=" in text.partition(":")[0] else text.strip()
    kind_text, _, rest = spelled.partition(":")
    try:
        kind = SecretKind(kind_text.strip().lower())
    except ValueError:
        raise Misconfigured(f"credentials {text!r} are not understood: write {FORMS}") from None
    source = _source(kind, rest.strip())
    if source is None:
        raise Misconfigured(f"credentials {text!r} are incomplete; write {FORMS}")
    return source


def _source(kind: SecretKind, rest: str) -> CredentialSource | None:
    if kind in CLOUDS or kind is SecretKind.NONE:
        return None if rest else CredentialSource(kind)
    if kind is SecretKind.ENVIRONMENT:
        return CredentialSource(kind, rest) if rest else None
    if kind is SecretKind.SCRIPT:
        return CredentialSource(kind, rest) if rest.startswith("/") else None
    path, _, field = rest.partition("#")
    namespace, _, name = path.partition("/")
    has_field = bool(field) == (kind is SecretKind.SECRET) or kind is SecretKind.ARGOCD
    complete = namespace and name and "/" not in name and has_field
    return CredentialSource(kind, name, namespace, field) if complete else None
