"""Which forge a repository is on, where its API is, and as whom it is spoken to."""

import base64
import binascii
from dataclasses import replace
from typing import NamedTuple
from urllib.parse import quote, unquote, urlsplit

import aiohttp

from updater.adapters.forges.api import Api, Memory
from updater.adapters.forges.azure import Azure, Looks
from updater.adapters.forges.bitbucket import Bitbucket
from updater.adapters.forges.gitea import Gitea
from updater.adapters.forges.github import GitHub
from updater.adapters.forges.gitlab import GitLab
from updater.adapters.forges.listing import Listings
from updater.adapters.forges.making import CommitMaker, GitHubCommits, GitLabCommits
from updater.adapters.git.login import Login
from updater.adapters.git.reach import Reach
from updater.domain.errors import Misconfigured
from updater.domain.pull_request_settings import forge_by_name
from updater.domain.pull_requests import ForgeKind
from updater.domain.target import Branch
from updater.formats.repository_url import is_ssh, plain, ssh_address
from updater.ports.forges import Forge

_GITHUB = "github.com"
_BITBUCKET = "bitbucket.org"
_ACCESS_TOKEN = "x-token-auth"  # noqa: S105 - the user whose password is one
_AZURE_HOSTS = ("dev.azure.com", "visualstudio.com")


class _Home(NamedTuple):
    """Where a repository is on its server."""

    server: str
    """`https://<host>[:<port>]`."""
    host: str
    path: str

    @property
    def graphql(self) -> str:
        """Address of GitHub's GraphQL API."""
        return f"https://api.{_GITHUB}/graphql" if self.host == _GITHUB else f"{self.server}/api/graphql"


class ForgeClient:
    """Implements `Forges`; what forges told, and when they want to be left alone, is kept for all repositories."""

    def __init__(self, reach: Reach) -> None:
        self._reach = reach
        self._memory = Memory()
        self._listings = Listings()
        self._looks = Looks()

    async def forge(self, branch: Branch) -> Forge:
        assert branch.pull_request is not None  # noqa: S101 - else nobody asks
        home = _home(branch.url)
        match branch.pull_request.forge:
            case ForgeKind.GITHUB:
                return GitHub(await self._github(branch, home), self._listings, home.path, home.graphql)
            case ForgeKind.GITLAB:
                return GitLab(await self._gitlab(branch, home), self._listings, home.path)
            case ForgeKind.GITEA:
                above, _, name = home.path.rpartition("/")
                root, _, owner = above.rpartition("/")
                base = "/".join(filter(None, (home.server, root, "api/v1")))
                return Gitea(await self._api(branch, base, basic=True), self._listings, f"{owner}/{name}")
            case ForgeKind.BITBUCKET:
                cloud = home.host.endswith(_BITBUCKET)
                base = f"https://api.{_BITBUCKET}/2.0" if cloud else f"{home.server}/api/2.0"
                api = await self._api(branch, base, basic=True)
                return Bitbucket(replace(api, authorization=_of_bitbucket(api.login)), self._listings, home.path)
            case ForgeKind.AZURE:
                place, name = _azure_place(home)
                base = f"{place}/_apis/git/repositories/{name}/pullrequests"
                return Azure(await self._api(branch, base, basic=True), self._looks, f"{place}/_git/{name}")

    async def maker(self, branch: Branch) -> CommitMaker:
        """Log in to the forge that makes commits in a branch's repository.

        Raises:
            Misconfigured: there is none, or it has no API for that here.
            ClusterError, GitError: there are no credentials for it.
        """
        kind = branch.pull_request.forge if branch.pull_request else forge_by_name(branch.url)
        if kind is None:
            raise Misconfigured(
                f"git.commit_method api: the name of {_home(branch.url).host} tells no forge, so it is pushed to by "
                "Git, and signed by nobody else: only the annotation pull-request (github, gitlab) can say which it is"
            )
        if kind not in (ForgeKind.GITHUB, ForgeKind.GITLAB):
            raise Misconfigured("git.commit_method api is for GitHub and GitLab: this repository is pushed to by Git")
        home = _home(branch.url)
        if kind is ForgeKind.GITHUB:
            return GitHubCommits(await self._github(branch, home), home.path, home.graphql)
        return GitLabCommits(await self._gitlab(branch, home), home.path)

    async def _github(self, branch: Branch, home: _Home) -> Api:
        base = f"https://api.{_GITHUB}" if home.host == _GITHUB else f"{home.server}/api/v3"
        return await self._api(branch, base, accept="application/vnd.github+json")

    async def _gitlab(self, branch: Branch, home: _Home) -> Api:
        return await self._api(branch, f"{home.server}/api/v4")

    async def _api(self, branch: Branch, base: str, *, accept: str = "application/json", basic: bool = False) -> Api:
        """Log in; with `basic`, the forge's API takes passwords and tokens in the way that Git does."""
        login, trust = await self._reach.http_login(branch, base)
        return Api(
            session=self._reach.session,
            base=base,
            login=login,
            authorization=login.authorization if basic else _bearer(login),
            trust=trust,
            timeout=self._reach.timeout,
            memory=self._memory,
            accept=accept,
        )


def _home(url: str) -> _Home:
    """Find the web server beside a Git server.

    Raises:
        Misconfigured: the URL names no repository on one.
    """
    place = plain(url)
    if is_ssh(place):
        address = ssh_address(place)
        host, server, path = address.host, f"https://{address.host}", address.path
    else:
        parts = urlsplit(place)
        host, server, path = parts.hostname or "", f"{parts.scheme}://{parts.netloc}", unquote(parts.path)
    path = path.strip("/").removesuffix(".git")
    if not host or "/" not in path:
        raise Misconfigured(f"{place} names no repository on a forge, such as https://<host>/<owner>/<name>")
    return _Home(server, host.lower().removeprefix("ssh."), path)


def _azure_place(home: _Home) -> tuple[str, str]:
    """Give the address of a project of Azure DevOps, and the name of the repository in it.

    Over SSH a repository is `v3/<organisation>/<project>/<name>`, over HTTP `[<organisation>/][<project>/]_git/<name>`:
    one that is called as its project is may be spelled without it.

    Raises:
        Misconfigured: it is spelled in another way.
    """
    above, git, name = home.path.partition("_git/")
    server = home.server
    if home.path.startswith("v3/"):
        _, organisation, project, name = (*home.path.split("/", 3), "", "")[:4]
        above, git, server = f"{organisation}/{project}", "_git/", f"https://{_AZURE_HOSTS[0]}"
    above = above.strip("/")
    named = above.split("/") if above else []
    if home.host == _AZURE_HOSTS[0] and len(named) == 1:
        above = f"{above}/{name}"
    elif home.host.endswith(_AZURE_HOSTS[1]) and named in ([], ["DefaultCollection"]):
        above = "/".join([*named, name])
    if not git or not name or "/" in name or not above:
        raise Misconfigured(
            f"{home.server}/{home.path} is no repository of Azure DevOps: write …/<project>/_git/<name>"
        )
    return f"{server}/{quote(above)}", quote(name)


def _of_bitbucket(login: Login) -> str:
    """Show as a token what is one: Git is shown it as the password of a certain user."""
    user = _user(login)
    return _bearer(login) if user == _ACCESS_TOKEN else login.authorization


def _user(login: Login) -> str:
    kind, _, value = login.authorization.partition(" ")
    try:
        return base64.b64decode(value).decode().partition(":")[0] if kind == "Basic" else ""
    except (binascii.Error, UnicodeDecodeError):
        return ""


def _bearer(login: Login) -> str:
    """Show as a token what Git is shown as a password."""
    kind, _, value = login.authorization.partition(" ")
    if kind != "Basic":
        return login.authorization
    try:
        user, _, password = base64.b64decode(value).decode().partition(":")
    except (binascii.Error, UnicodeDecodeError):
        return login.authorization
    return f"Bearer {password}" if password else aiohttp.encode_basic_auth(user, password)
