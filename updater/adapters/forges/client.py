"""Which forge a repository is on, where its API is, and as whom it is spoken to."""

import base64
import binascii
from typing import NamedTuple
from urllib.parse import unquote, urlsplit

import aiohttp

from updater.adapters.forges.api import Api, Memory
from updater.adapters.forges.gitea import Gitea
from updater.adapters.forges.github import GitHub
from updater.adapters.forges.gitlab import GitLab
from updater.adapters.forges.listing import Listings
from updater.adapters.forges.making import CommitMaker, GitHubCommits, GitLabCommits
from updater.adapters.git.login import Login
from updater.adapters.git.reach import Reach
from updater.domain.errors import Misconfigured
from updater.domain.pull_request_settings import forge_of
from updater.domain.pull_requests import ForgeKind
from updater.domain.target import Branch
from updater.formats.repository_url import is_ssh, ssh_address, without_login
from updater.ports.forges import Forge

_GITHUB = "github.com"


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

    async def maker(self, branch: Branch) -> CommitMaker:
        """Log in to the forge that makes commits in a branch's repository.

        Raises:
            Misconfigured: there is none, or it has no API for that here.
            ClusterError, GitError: there are no credentials for it.
        """
        kind = branch.pull_request.forge if branch.pull_request else forge_of(branch.url)
        if kind is ForgeKind.GITEA:
            raise Misconfigured("git.commit_method api is for GitHub and GitLab: this repository is pushed to")
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
    place = without_login(url)
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
