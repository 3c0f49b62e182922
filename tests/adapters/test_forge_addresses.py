"""Where the API of each forge is, told by the URL of a repository, and as what credentials are shown there."""

import base64
from collections.abc import AsyncIterator, Callable

import pytest

from tests.adapters.git.test_git_client import NOWHERE, Secrets
from updater.adapters.argocd_trust import ArgoTrust
from updater.adapters.forges.azure import Azure
from updater.adapters.forges.bitbucket import Bitbucket
from updater.adapters.forges.client import ForgeClient
from updater.adapters.forges.gitea import Gitea
from updater.adapters.forges.github import GitHub
from updater.adapters.forges.gitlab import GitLab
from updater.adapters.git.reach import Reach
from updater.domain.errors import Misconfigured
from updater.domain.pull_requests import ForgeKind, PullRequestSettings
from updater.domain.target import Branch
from updater.ports.forges import Forge

Find = Callable[[str, str], Forge]


def branch(kind: str, url: str) -> Branch:
    return Branch(url, "main", "secret:argocd/git-creds", "", PullRequestSettings(ForgeKind(kind)))


async def clients(user: str = "bot") -> AsyncIterator[ForgeClient]:
    secrets = Secrets({"username": user.encode(), "password": b"t0ken"})
    trust = ArgoTrust(secrets, "argocd", tls_directory=NOWHERE, known_hosts_file=NOWHERE / "known_hosts")
    reach = Reach(secrets, trust, argocd_namespace="argocd", timeout=5, environ={})
    yield ForgeClient(reach)
    await reach.close()


@pytest.fixture
async def client() -> AsyncIterator[ForgeClient]:
    async for each in clients():
        yield each


@pytest.mark.parametrize(
    ("url", "rest", "graphql"),
    [
        ("https://github.com/team/gitops.git", "https://api.github.com", "https://api.github.com/graphql"),
        ("https://GitHub.com/team/gitops", "https://api.github.com", "https://api.github.com/graphql"),
        ("git@github.com:team/gitops.git", "https://api.github.com", "https://api.github.com/graphql"),
        ("ssh://git@ssh.github.com:443/team/gitops", "https://api.github.com", "https://api.github.com/graphql"),
        (
            "https://ghe.example.com/team/gitops",
            "https://ghe.example.com/api/v3",
            "https://ghe.example.com/api/graphql",
        ),
        (
            "https://ghe.example.com:8443/team/gitops",
            "https://ghe.example.com:8443/api/v3",
            "https://ghe.example.com:8443/api/graphql",
        ),
        (
            "git@ghe.example.com:team/gitops.git",
            "https://ghe.example.com/api/v3",
            "https://ghe.example.com/api/graphql",
        ),
    ],
)
async def test_addresses_of_github_and_of_enterprise(client: ForgeClient, url: str, rest: str, graphql: str) -> None:
    forge = await client.forge(branch("github", url))
    assert isinstance(forge, GitHub)
    assert (forge.api.base, forge.graphql, forge.repository) == (rest, graphql, "team/gitops")
    assert forge.api.authorization == "Bearer t0ken"


async def test_addresses_of_gitlab_and_gitea(client: ForgeClient) -> None:
    gitlab = await client.forge(branch("gitlab", "https://gitlab.example.com/team/sub/gitops.git"))
    gitea = await client.forge(branch("gitea", "https://example.com/git/team/gitops.git"))
    assert isinstance(gitlab, GitLab)
    assert isinstance(gitea, Gitea)
    assert (gitlab.api.base, gitlab.project) == ("https://gitlab.example.com/api/v4", "team/sub/gitops")
    assert (gitea.api.base, gitea.repository) == ("https://example.com/git/api/v1", "team/gitops")


@pytest.mark.parametrize("url", ["https://bitbucket.org/team/gitops", "git@bitbucket.org:team/gitops.git"])
@pytest.mark.parametrize(
    ("user", "shown"),
    [
        ("x-token-auth", "Bearer t0ken"),
        ("ada@example.com", f"Basic {base64.b64encode(b'ada@example.com:t0ken').decode()}"),
    ],
)
async def test_bitbucket_is_shown_a_token_or_a_user_and_a_password(url: str, user: str, shown: str) -> None:
    async for client in clients(user):
        forge = await client.forge(branch("bitbucket", url))
        assert isinstance(forge, Bitbucket)
        assert (forge.api.base, forge.repository) == ("https://api.bitbucket.org/2.0", "team/gitops")
        assert forge.api.authorization == shown


@pytest.mark.parametrize(
    ("url", "place", "name"),
    [
        ("https://team@dev.azure.com/team/plat%20form/_git/gitops", "https://dev.azure.com/team/plat%20form", "gitops"),
        ("https://dev.azure.com/team/_git/gitops", "https://dev.azure.com/team/gitops", "gitops"),
        ("git@ssh.dev.azure.com:v3/team/platform/gitops", "https://dev.azure.com/team/platform", "gitops"),
        ("https://team.visualstudio.com/platform/_git/gitops", "https://team.visualstudio.com/platform", "gitops"),
        ("https://team.visualstudio.com/_git/gitops", "https://team.visualstudio.com/gitops", "gitops"),
        ("https://tfs.example.com/Main/platform/_git/gitops", "https://tfs.example.com/Main/platform", "gitops"),
    ],
)
async def test_spellings_of_azure_devops(client: ForgeClient, url: str, place: str, name: str) -> None:
    forge = await client.forge(branch("azure", url))
    assert isinstance(forge, Azure)
    assert forge.api.base == f"{place}/_apis/git/repositories/{name}/pullrequests"
    assert forge.web == f"{place}/_git/{name}"


async def test_address_that_is_none_of_azure_devops_says_how_it_is_written(client: ForgeClient) -> None:
    with pytest.raises(Misconfigured, match="_git/<name>"):
        await client.forge(branch("azure", "https://dev.azure.com/team/gitops"))
