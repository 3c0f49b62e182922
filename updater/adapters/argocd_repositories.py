"""Argo CD's Secrets of repositories (`repository`) and of all below an address (`repo-creds`), and which it would take.

A Secret that is of a project serves no other project.
"""

import posixpath
from collections.abc import Callable, Container, Sequence

from updater.domain.docker_hub import canonical_host
from updater.domain.errors import Misconfigured
from updater.domain.image import Repository
from updater.formats.docker_config import Login
from updater.formats.repository_url import covers
from updater.ports.secrets import LabelledSecret, RepositorySecrets

LABEL = "argocd.argoproj.io/secret-type"
_REPOSITORY = "repository"
_TEMPLATE = "repo-creds"
_OCI = "oci"


async def read_repository_secrets(secrets: RepositorySecrets, argocd_namespace: str) -> Sequence[LabelledSecret]:
    """Read all there are.

    Raises:
        ClusterError: they could not be read now.
    """
    return await secrets.secrets_labelled(argocd_namespace, LABEL, (_REPOSITORY, _TEMPLATE))


def serves(secret: LabelledSecret, project: str) -> bool:
    return _project(secret) in ("", project)


def address(secret: LabelledSecret) -> str:
    return secret.data.get("url", b"").decode("utf-8", "replace")


def own(found: Sequence[LabelledSecret], wanted: Container[str], spell: Callable[[str], str]) -> list[LabelledSecret]:
    """Return the Secrets of a repository itself, a project's before those of all; `spell` makes addresses equal."""
    return sorted(
        (each for each in found if each.labels[LABEL] == _REPOSITORY and spell(address(each)) in wanted),
        key=_project,
        reverse=True,
    )


def templates(found: Sequence[LabelledSecret], wanted: str, spell: Callable[[str], str]) -> list[LabelledSecret]:
    """Return the Secrets of all below an address, the longest address first."""
    covering = (each for each in found if each.labels[LABEL] == _TEMPLATE and covers(spell(address(each)), wanted))
    return sorted(covering, key=lambda each: (len(spell(address(each))), _project(each)), reverse=True)


async def chart_login(
    secrets: RepositorySecrets, argocd_namespace: str, project: str, chart: Repository
) -> Login | None:
    """Return the user and password with which Argo CD reads a chart; None when it has none.

    Raises:
        Misconfigured: they are no text.
        ClusterError: they could not be read now.
    """
    found = [each for each in await read_repository_secrets(secrets, argocd_namespace) if serves(each, project)]
    names = [_spelled(str(chart)), _spelled(chart.host if chart.is_helm else posixpath.dirname(str(chart)))]
    logins = map(_login, (*own(found, names, _spelled), *templates(found, names[0], _spelled)))
    return next((each for each in logins if each is not None), None)


def _login(secret: LabelledSecret) -> Login | None:
    try:
        user, password = (secret.data.get(key, b"").decode().strip() for key in ("username", "password"))
    except UnicodeDecodeError:
        raise Misconfigured(
            f"Secret {secret.namespace}/{secret.name} has a username or password that is no text"
        ) from None
    return Login(user, password) if user and password else None


def _spelled(url: str) -> str:
    """Spell the address of charts in one way: those of registries have no scheme, or `oci`, as Argo CD writes them."""
    text = url.strip().lower().rstrip("/")
    scheme, found, rest = text.partition("://")
    if found and scheme != _OCI:
        return text
    host, slash, path = (rest if found else text).partition("/")
    return f"{canonical_host(host)}{slash}{path}"


def _project(secret: LabelledSecret) -> str:
    return secret.data.get("project", b"").decode("utf-8", "replace").strip()
