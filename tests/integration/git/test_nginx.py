"""git's http-backend behind nginx with TLS and passwords: what we push, git clones and logs."""

import os
import subprocess
from pathlib import Path

import pytest

from tests.adapters.git.test_git_client import FILES, PASSWORD, Place, Secrets, client_of
from tests.fakes.certificates import loopback_certificate
from tests.fakes.git_http import FaultyGitServer
from tests.fakes.nginx import MISSING, nginx
from updater.demo.gitserver import create_repository
from updater.domain.errors import GitAuthError

pytestmark = [
    pytest.mark.integration,
    pytest.mark.skipif(bool(MISSING), reason=f"{MISSING} is not installed (Debian: nginx-light, fcgiwrap)"),
]


class Nginxed(FaultyGitServer):
    """Stands for nginx where a place wants a server."""

    def url(self, name: str) -> str:
        return f"https://127.0.0.1:{self._port}/{name}"


async def test_commits_arrive_and_git_agrees(tmp_path: Path) -> None:
    repository = create_repository(tmp_path / "git", "gitops.git", FILES)
    client = client_of(
        Secrets({"username": b"bot", "password": PASSWORD.encode()}), ca_data=loopback_certificate().certificate
    )
    async with nginx(tmp_path, tmp_path / "git", "bot", PASSWORD) as server:
        place = Place(Nginxed(tmp_path, username="bot", password=PASSWORD, port=server.port), repository, client)
        await place.write({"apps/one/values.yaml": b"tag: v2\n"})
        before = len(server.requests())
        commit = await place.write({"apps/one/values.yaml": b"tag: v3\n"})
        warm = server.requests()[before:]
        place.client.reach.secrets = Secrets({"username": b"bot", "password": b"wrong"})
        with pytest.raises(GitAuthError):
            await place.branch().head()
        await client.close()
        url = f"https://bot:{PASSWORD}@127.0.0.1:{server.port}/gitops.git"
        environ = {"PATH": os.defpath, "GIT_SSL_CAINFO": f"{tmp_path}/server.pem", "GIT_TERMINAL_PROMPT": "0"}
        subprocess.run(("git", "clone", "--quiet", url, str(tmp_path / "clone")), check=True, env=environ)
    assert [request.split('"')[1].split()[1] for request in warm] == [
        "/gitops.git/git-upload-pack",
        "/gitops.git/git-receive-pack",
    ]
    assert (tmp_path / "clone" / "apps" / "one" / "values.yaml").read_text() == "tag: v3\n"
    assert place.git("log", "--format=%H %an %s", "-1") == f"{commit} updater change"
    place.git("fsck", "--strict")
