"""Which user name and password a repository is written with: of a named Secret, or Argo CD's own for it."""

from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import urlsplit

from updater.domain.errors import GitAuthError
from updater.domain.target import Branch
from updater.ports import RepositorySecrets

_LABEL = "argocd.argoproj.io/secret-type"


@dataclass(frozen=True, slots=True)
class GitLogin:
    """How a server is to be spoken to."""

    username: str = ""
    password: str = ""
    insecure: bool = False
    """Do not verify the server's certificate."""

    def __repr__(self) -> str:
        return "GitLogin(***)"


async def find_login(secrets: RepositorySecrets, branch: Branch, argocd_namespace: str) -> GitLogin:
    """Read the credentials that a branch names.

    Raises:
        SecretNotFound: the Secret does not exist.
        GitAuthError: it does not hold what is needed, or Argo CD knows no credentials for the repository.
        ClusterError: it could not be read now.
    """
    if branch.credentials == "repocreds":
        return await _repository_login(secrets, branch.url, argocd_namespace)
    namespace, _, name = branch.credentials.removeprefix("secret:").partition("/")
    data = await secrets.secret(namespace, name)
    return _login(data, f"Secret {namespace}/{name}")


async def _repository_login(secrets: RepositorySecrets, url: str, namespace: str) -> GitLogin:
    """Take Argo CD's credentials: those of the repository itself, else those of the longest prefix that has some."""
    found = await secrets.secrets_labelled(namespace, _LABEL, ("repository", "repo-creds"))
    wanted = normalised(url)
    exact = [each for each in found if each.labels[_LABEL] == "repository" and _url(each.data) == wanted]
    prefixed = [each for each in found if each.labels[_LABEL] == "repo-creds" and _covers(_url(each.data), wanted)]
    prefixed.sort(key=lambda each: len(_url(each.data)), reverse=True)
    for each in (*exact, *prefixed):
        if "password" in each.data:
            return _login(each.data, f"Secret {each.namespace}/{each.name}")
    raise GitAuthError(
        f"Argo CD has no user name and password for {wanted}: add the repository in Argo CD, "
        "or use write-back-method git:secret:<namespace>/<name>",
    )


def _login(data: Mapping[str, bytes], place: str) -> GitLogin:
    if "password" not in data:
        raise GitAuthError(f"{place} has no field password: add username and password, or a token as password")
    try:
        username, password = data.get("username", b"").decode().strip(), data["password"].decode().strip()
    except UnicodeDecodeError:
        raise GitAuthError(f"{place} has a username or password that is no UTF-8 text: correct it") from None
    insecure = data.get("insecure", b"").strip().lower() == b"true"
    return GitLogin(username or "git", password, insecure)


def _url(data: Mapping[str, bytes]) -> str:
    return normalised(data.get("url", b"").decode("utf-8", "replace"))


def _covers(prefix: str, url: str) -> bool:
    return bool(prefix) and (url == prefix or url.startswith(f"{prefix.rstrip('/')}/"))


def normalised(url: str) -> str:
    """Spell a URL as Argo CD compares them: without user, `.git` and a slash at its end, the host in lower case."""
    parts = urlsplit(url.strip())
    host = (parts.hostname or "") + (f":{parts.port}" if parts.port else "")
    return f"{parts.scheme.lower()}://{host}{parts.path.rstrip('/').removesuffix('.git')}"
