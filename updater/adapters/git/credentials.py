"""Which Secret holds the credentials of a repository: the one that is named, or Argo CD's own."""

from collections.abc import Mapping, Sequence

from updater.adapters.argocd_repositories import address, own, read_repository_secrets, serves, templates
from updater.domain.errors import GitAuthError
from updater.domain.target import Branch
from updater.formats.repository_url import normalised
from updater.ports.secrets import LabelledSecret, RepositorySecrets

_DEFAULT_PROJECT = "default"
CREDENTIALS = (
    "password",
    "bearerToken",
    "sshPrivateKey",
    "githubAppPrivateKey",
    "gcpServiceAccountKey",
    "useAzureWorkloadIdentity",
    "useAwsWorkloadIdentity",
    "awsAccessKeyID",
)
"""The fields that tell who somebody is, in the order in which they count; others tell how the server is reached."""

Fields = Mapping[str, str]


async def find_fields(secrets: RepositorySecrets, branch: Branch, argocd_namespace: str) -> tuple[str, Fields]:
    """Read the Secret that a branch's credentials name; return what it is called, and its fields.

    Raises:
        SecretNotFound: the Secret does not exist.
        GitAuthError: Argo CD knows no credentials for the repository, or they cannot be understood.
        ClusterError: it could not be read now.
    """
    source, _, rest = branch.credentials.partition(":")
    if source == "repocreds":
        found = await read_repository_secrets(secrets, argocd_namespace)
        return _of_argocd(found, branch.url, rest or _DEFAULT_PROJECT)
    namespace, _, name = rest.partition("/")
    place = f"Secret {namespace}/{name}"
    return place, _texts(await secrets.secret(namespace, name), place)


def _of_argocd(found: Sequence[LabelledSecret], url: str, project: str) -> tuple[str, Fields]:
    """Take what Argo CD would: the repository's own Secret, or, where that has no credentials, a template's as well."""
    wanted = normalised(url)
    allowed = [each for each in found if serves(each, project)]
    exact = own(allowed, (wanted,), normalised)[:1]
    for secret in (*exact, *templates(allowed, wanted, normalised)):
        if any(field in secret.data for field in CREDENTIALS):
            place = f"Secret {secret.namespace}/{secret.name}"
            return place, {**_texts(secret.data, place), **(_texts(exact[0].data, place) if exact else {})}
    others = any(normalised(address(each)) == wanted for each in found if each not in allowed)
    hint = "those it has are of another project; " if others else ""
    raise GitAuthError(
        f"Argo CD has no credentials for {wanted} in project {project}: {hint}add the "
        "repository in Argo CD, or use write-back-method git:secret:<namespace>/<name>",
    )


def _texts(data: Mapping[str, bytes], place: str) -> Fields:
    try:
        return {key: value.decode().strip() for key, value in data.items()}
    except UnicodeDecodeError:
        raise GitAuthError(f"{place} has a field that is no UTF-8 text: correct it") from None
