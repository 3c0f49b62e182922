"""The Git client against git's own http-backend: requests counted, results checked by git itself."""

import asyncio
import ssl
import subprocess
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

import pytest
from aiohttp import web

from tests.fakes.certificates import loopback_certificate
from tests.fakes.git_http import FaultyGitServer
from updater.adapters.argocd_trust import ArgoTrust
from updater.adapters.git.client import GitClient, RemoteBranch
from updater.adapters.git.objects import ObjectCache
from updater.adapters.git.reach import Reach
from updater.demo.gitserver import GitHttpServer, commit_files, create_repository
from updater.domain.errors import (
    BranchNotFound,
    EditError,
    GitAuthError,
    GitError,
    Misconfigured,
    PushRefused,
    PushStale,
    SecretNotFound,
)
from updater.domain.target import Branch
from updater.ports.git import Author, Tip
from updater.ports.secrets import LabelledSecret

pytestmark = pytest.mark.integration

PASSWORD = "s3cret-password"
FILES = {"apps/one/values.yaml": "tag: v1\n", "apps/two/values.yaml": "tag: v1\n", "README.md": "read me\n"}
NOWHERE = Path("/nonexistent")
AUTHOR = Author("updater", "updater@example.com")


@dataclass
class Secrets:
    """Secrets in memory."""

    data: Mapping[str, bytes]
    labelled: Sequence[LabelledSecret] = ()
    config_maps: Mapping[str, Mapping[str, str]] = field(default_factory=dict)

    async def config_map(self, namespace: str, name: str) -> Mapping[str, str]:
        return self.config_maps.get(name, {})

    async def secret(self, namespace: str, name: str) -> Mapping[str, bytes]:
        if name != "git-creds":
            raise SecretNotFound(f"there is no Secret {namespace}/{name}")
        return self.data

    async def secrets_labelled(self, namespace: str, label: str, values: Sequence[str]) -> Sequence[LabelledSecret]:
        return [each for each in self.labelled if each.namespace == namespace and each.labels[label] in values]


def client_of(
    secrets: Secrets,
    *,
    ca_data: str = "",
    max_file_bytes: int = 10**7,
    timeout: float = 20,
    environ: Mapping[str, str] | None = None,
) -> GitClient:
    trust = ArgoTrust(secrets, "argocd", tls_directory=NOWHERE, known_hosts_file=NOWHERE / "ssh" / "known_hosts")
    reach = Reach(secrets, trust, argocd_namespace="argocd", ca_data=ca_data, timeout=timeout, environ=environ or {})
    return GitClient(reach, max_pack_bytes=2**26, cache_bytes=2**25, max_file_bytes=max_file_bytes)


@dataclass
class Place:
    """A server with one repository, and a client."""

    server: FaultyGitServer
    repository: Path
    client: GitClient

    def branch(self, name: str = "main", credentials: str = "secret:argocd/git-creds", url: str = "") -> RemoteBranch:
        return self.client.branch(Branch(url or self.server.url("gitops.git"), name, credentials))

    async def write(self, files: Mapping[str, bytes], branch: str = "main") -> str:
        remote = self.branch(branch)
        head = await remote.head()
        await remote.read(head, list(files))
        commit = await remote.commit(head, files, "change\n", AUTHOR, datetime.now(UTC))
        await remote.push(head, commit)
        return commit

    def git(self, *arguments: str) -> str:
        command = ("git", "-C", str(self.repository), *arguments)
        return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()


@pytest.fixture
async def place(tmp_path: Path) -> AsyncIterator[Place]:
    repository = create_repository(tmp_path, "gitops.git", FILES)
    client = client_of(Secrets({"username": b"bot", "password": PASSWORD.encode()}))
    async with FaultyGitServer(tmp_path, username="bot", password=PASSWORD) as server:
        yield Place(server, repository, client)
        await client.close()


async def test_head_is_what_git_says(place: Place) -> None:
    assert await place.branch().head() == place.git("rev-parse", "main")


async def test_empty_branch_is_the_one_that_head_names(place: Place) -> None:
    await place.write({"README.md": b"new\n"}, branch="")
    assert place.git("show", "main:README.md") == "new"


async def test_files_are_read_and_missing_ones_are_none(place: Place) -> None:
    remote = place.branch()
    paths = ["apps/one/values.yaml", "apps/three/values.yaml", "apps/one/nothing.yaml"]
    found = await remote.read(await remote.head(), paths)
    assert found == dict(zip(paths, [b"tag: v1\n", None, None], strict=True))


async def test_directory_is_listed(place: Place) -> None:
    remote = place.branch()
    found = await remote.read(await remote.head(), ["/", "apps/", "apps/one/", "missing/"])
    assert found == {"/": b"README.md\napps/", "apps/": b"one/\ntwo/", "apps/one/": b"values.yaml", "missing/": None}


async def test_pushed_commit_is_sound_and_changes_nothing_else(place: Place) -> None:
    before = place.git("rev-parse", "main")
    commit = await place.write({"apps/one/values.yaml": b"tag: v2\n"})
    assert place.git("rev-parse", "main") == commit
    assert place.git("diff", "--name-only", before, commit) == "apps/one/values.yaml"
    place.git("fsck", "--strict")


async def test_new_directories_are_made(place: Place) -> None:
    await place.write({"a/b/c/new.yaml": b"x\n"})
    assert place.git("show", "main:a/b/c/new.yaml") == "x"
    place.git("fsck", "--strict")


async def test_executable_file_stays_executable(place: Place) -> None:
    blob = place.git("rev-parse", "main:README.md")
    tree = place.git("rev-parse", "main^{tree}")
    listing = place.git("ls-tree", tree) + f"\n100755 blob {blob}\trun.sh"
    command = ("git", "-C", str(place.repository), "mktree")
    made = subprocess.run(command, input=listing, check=True, capture_output=True, text=True).stdout.strip()
    environ = ("-c", "user.name=x", "-c", "user.email=x@example.com")
    place.git("update-ref", "refs/heads/main", place.git(*environ, "commit-tree", made, "-p", "main", "-m", "x"))
    await place.write({"run.sh": b"echo\n"})
    assert place.git("ls-tree", "main", "run.sh").startswith("100755")


async def test_unmoved_branch_costs_one_request(place: Place) -> None:
    await place.write({"README.md": b"new\n"})
    place.server.requests.clear()
    remote = place.branch()
    await remote.read(await remote.head(), ["README.md"])
    assert [request.path for request in place.server.requests] == ["/gitops.git/git-upload-pack"]


async def test_cache_stays_small_and_a_batch_keeps_what_it_needs(place: Place) -> None:
    place.client.objects = ObjectCache(100)
    commit = await place.write({"apps/one/values.yaml": b"tag: v2\n", "apps/two/values.yaml": b"tag: v2\n"})
    assert place.git("rev-parse", "main") == commit
    assert sum(len(each.data) for each in place.client.objects.values()) <= 300


async def test_push_on_a_branch_that_moved_is_stale_and_changes_nothing(place: Place) -> None:
    remote = place.branch()
    head = await remote.head()
    await remote.read(head, ["README.md"])
    commit = await remote.commit(head, {"README.md": b"ours\n"}, "change\n", AUTHOR, datetime.now(UTC))
    commit_files(place.repository, {"README.md": "theirs\n"}, "theirs")
    with pytest.raises(PushStale):
        await remote.push(head, commit)
    assert place.git("show", "main:README.md") == "theirs"


async def propose(place: Place, name: str, old: str, text: bytes) -> str:
    """Push a commit on main to another branch."""
    remote = place.branch()
    head = await remote.head()
    await remote.read(head, ["README.md"])
    commit = await remote.commit(head, {"README.md": text}, "change\n\nKey: é\n", AUTHOR, datetime.now(UTC))
    await remote.push(old, commit, name)
    return commit


async def test_branch_is_made_and_tells_whose_it_is(place: Place) -> None:
    assert await place.branch().tip("team/updates") is None
    commit = await propose(place, "team/updates", "", b"one\n")
    main = place.git("rev-parse", "main")
    tip = await place.branch().tip("team/updates")
    assert tip == Tip(commit, (main,), "updater@example.com", "change\n\nKey: é\n")
    assert place.git("rev-parse", "team/updates") == commit
    place.git("fsck", "--strict")


async def test_other_branch_is_replaced_only_where_it_was_seen(place: Place) -> None:
    first = await propose(place, "updates", "", b"one\n")
    second = await propose(place, "updates", first, b"two\n")
    for old in ("", first):
        with pytest.raises(PushStale):
            await propose(place, "updates", old, b"three\n")
    assert place.git("rev-parse", "updates") == second


async def test_push_to_a_branch_of_our_own_makes_none_to_the_base_optimistic(place: Place) -> None:
    """What is remembered of the one must not be believed of the other, though both stand on the same commit."""
    base = await place.branch().head()
    await propose(place, "updates", "", b"one\n")
    commit_files(place.repository, {"README.md": "somebody's\n"}, "Somebody's")
    with pytest.raises(PushStale):
        await propose(place, "", base, b"two\n")
    written = await place.write({"README.md": b"three\n"})
    assert place.git("show", "main~:README.md") == "somebody's"
    assert place.git("rev-parse", "main") == written


async def test_base_that_is_moved_to_the_branch_of_our_own_and_back_is_read_as_it_is(place: Place) -> None:
    base = place.git("rev-parse", "main")
    await propose(place, "updates", "", b"one\n")
    for commit, text in (("updates", b"one\n"), (base, b"read me\n"), ("updates", b"one\n")):
        place.git("update-ref", "refs/heads/main", commit)
        remote = place.branch()
        assert await remote.read(await remote.head(), ["README.md"]) == {"README.md": text}


async def test_branch_that_was_forced_deleted_and_made_again_is_written_to(place: Place) -> None:
    await place.write({"README.md": b"one\n"})
    place.git("update-ref", "refs/heads/main", "main~")
    commit_files(place.repository, {"README.md": "forced\n"}, "Forced")
    await place.write({"apps/one/values.yaml": b"tag: v2\n"})
    assert place.git("show", "main:README.md") == "forced"
    place.git("update-ref", "-d", "refs/heads/main")
    with pytest.raises(BranchNotFound):
        await place.branch().head()
    place.git("reflog", "expire", "--expire=now", "--all")
    place.git("gc", "--quiet", "--prune=now")
    tree = place.git("mktree", "--missing")
    who = ("-c", "user.name=x", "-c", "user.email=x@example.com")
    place.git("update-ref", "refs/heads/main", place.git(*who, "commit-tree", tree, "-m", "Anew"))
    await place.write({"apps/one/values.yaml": b"tag: v3\n"})
    assert place.git("ls-tree", "-r", "--name-only", "main") == "apps/one/values.yaml"
    place.git("fsck", "--strict")


async def test_default_branch_that_is_renamed_is_followed(place: Place) -> None:
    await place.write({"README.md": b"one\n"}, "")
    place.git("branch", "--move", "main", "trunk")
    place.git("symbolic-ref", "HEAD", "refs/heads/trunk")
    commit = await place.write({"README.md": b"two\n"}, "")
    assert place.git("for-each-ref", "--format=%(refname) %(objectname)") == f"refs/heads/trunk {commit}"


async def test_odd_names_are_written_and_those_that_no_text_can_hold_are_not_listed(place: Place) -> None:
    odd = ["a b/é.yaml", 'a b/"q".yaml', "a b/x\\y.yaml", "a b/-d.yaml", "a b/😀.yaml"]
    commit_files(place.repository, dict.fromkeys(odd, "tag: v1\n"), "Odd")
    blob = place.git("rev-parse", "main:README.md")
    entries = f"100644 blob {blob}\tb.yaml\0".encode() + b"100644 blob " + blob.encode() + b"\t\xff.yaml\0"
    entries += b"100644 blob " + blob.encode() + b"\ta\nb.yaml\0"
    made = subprocess.run(
        ("git", "-C", str(place.repository), "mktree", "-z"), input=entries, check=True, capture_output=True
    )
    listing = place.git("ls-tree", "main") + f"\n040000 tree {made.stdout.decode().strip()}\todd"
    root = subprocess.run(
        ("git", "-C", str(place.repository), "mktree"), input=listing, check=True, capture_output=True, text=True
    )
    who = ("-c", "user.name=x", "-c", "user.email=x@example.com")
    place.git("update-ref", "refs/heads/main", place.git(*who, "commit-tree", root.stdout.strip(), "-m", "x"))
    await place.write(dict.fromkeys(odd, b"tag: v2\n"))
    assert [place.git("show", f"main:{path}") for path in odd] == ["tag: v2"] * len(odd)
    remote = place.branch()
    assert await remote.read(await remote.head(), ["odd/"]) == {"odd/": b"b.yaml"}
    place.git("fsck", "--strict")


async def test_name_below_that_of_another_branch_is_refused_for_good(place: Place) -> None:
    place.git("branch", "updates", "main")
    with pytest.raises(PushRefused, match="'refs/heads/updates' exists; cannot create 'refs/heads/updates/one'"):
        await propose(place, "updates/one", "", b"one\n")


async def test_tag_is_told_from_a_branch(place: Place) -> None:
    place.git("tag", "v1", "main")
    with pytest.raises(BranchNotFound, match="as a tag"):
        await place.branch("v1").head()


async def test_head_has_a_name(place: Place) -> None:
    remote = place.branch("")
    await remote.head()
    assert remote.name == "main"


async def test_hook_that_declines_is_quoted(place: Place) -> None:
    hook = place.repository / "hooks" / "pre-receive"
    hook.write_text("#!/bin/sh\necho 'only on Mondays' >&2\nexit 1\n")
    hook.chmod(0o755)
    with pytest.raises(PushRefused, match="only on Mondays"):
        await place.write({"README.md": b"new\n"})


async def test_wrong_password_names_the_secret_and_not_the_password(place: Place) -> None:
    place.client.reach.secrets = Secrets({"username": b"bot", "password": b"wrong-password"})
    with pytest.raises(GitAuthError, match="Secret argocd/git-creds") as caught:
        await place.branch().head()
    assert "wrong-password" not in str(caught.value)


async def test_user_who_may_not_push_is_told_so(place: Place) -> None:
    place.git("config", "http.receivepack", "false")
    with pytest.raises(GitAuthError, match="Secret argocd/git-creds"):
        await place.write({"README.md": b"new\n"})


async def test_missing_secret_is_misconfigured(place: Place) -> None:
    with pytest.raises(Misconfigured, match="argocd/other"):
        await place.branch(credentials="secret:argocd/other").head()


async def test_missing_branch_names_the_remedy(place: Place) -> None:
    with pytest.raises(BranchNotFound, match="targetRevision"):
        await place.branch("nope").head()


async def test_empty_repository_has_no_branch(place: Place, tmp_path: Path) -> None:
    create_repository(tmp_path, "empty.git", {})
    with pytest.raises(BranchNotFound):
        await place.branch("", url=place.server.url("empty.git")).head()


async def test_missing_repository_is_said(place: Place) -> None:
    with pytest.raises(GitError, match="is not there"):
        await place.branch(url=place.server.url("other.git")).head()


async def test_repository_of_another_hash_is_refused(place: Place, tmp_path: Path) -> None:
    other = tmp_path / "sha256.git"
    subprocess.run(("git", "init", "--quiet", "--bare", "--object-format=sha256", str(other)), check=True)
    with pytest.raises(GitError, match="SHA-1"):
        await place.branch(url=place.server.url("sha256.git")).head()


@pytest.mark.parametrize("path", ["../x", "/etc/passwd", "apps/../../x", ".git/config", "apps//x"])
async def test_path_that_leads_out_is_refused(place: Place, path: str) -> None:
    remote = place.branch()
    with pytest.raises(EditError):
        await remote.read(await remote.head(), [path])


async def test_symlink_is_not_followed(place: Place) -> None:
    target = subprocess.run(
        ("git", "-C", str(place.repository), "hash-object", "-w", "--stdin"),
        input="/etc/passwd",
        check=True,
        capture_output=True,
        text=True,
    ).stdout.strip()
    command = ("git", "-C", str(place.repository), "mktree")
    listing = f"120000 blob {target}\tlink"
    made = subprocess.run(command, input=listing, check=True, capture_output=True, text=True).stdout.strip()
    environ = ("-c", "user.name=x", "-c", "user.email=x@example.com")
    place.git("update-ref", "refs/heads/main", place.git(*environ, "commit-tree", made, "-m", "x"))
    remote = place.branch()
    with pytest.raises(EditError, match="symlink"):
        await remote.read(await remote.head(), ["link"])


async def test_file_that_is_too_large_is_refused(place: Place) -> None:
    place.client.max_file_bytes = 3
    remote = place.branch()
    with pytest.raises(EditError, match="max_file"):
        await remote.read(await remote.head(), ["README.md"])


async def test_credentials_of_argo_cd_are_found_by_the_longest_prefix(place: Place) -> None:
    def creds(name: str, path: str, password: str) -> LabelledSecret:
        labels = {"argocd.argoproj.io/secret-type": "repo-creds"}
        data = {"url": place.server.url(path).encode(), "username": b"bot", "password": password.encode()}
        return LabelledSecret("argocd", name, labels, data)

    place.client.reach.secrets = Secrets({}, (creds("short", "", "wrong"), creds("long", "gitops", PASSWORD)))
    assert await place.branch(credentials="repocreds").head()


async def test_server_that_is_not_there_is_said(place: Place) -> None:
    with pytest.raises(GitError, match="cannot be reached"):
        await place.branch(url="http://127.0.0.1:1/gitops.git").head()


async def test_server_that_is_none_of_gits_is_said(place: Place) -> None:
    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 13\r\nConnection: close\r\n\r\n<html></html>")
        await writer.drain()
        writer.close()

    async with await asyncio.start_server(answer, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        with pytest.raises(GitError, match="no Git repository"):
            await place.branch(url=f"http://127.0.0.1:{port}/x.git").head()


async def test_push_whose_answer_is_lost_is_looked_up(place: Place) -> None:
    place.server.lose_pushes = 1
    commit = await place.write({"README.md": b"new\n"})
    assert place.git("rev-parse", "main") == commit


async def test_push_whose_answer_is_lost_is_found_below_what_others_pushed_since(place: Place) -> None:
    def push_too(request: web.Request, body: bytes) -> None:
        if place.server.lose_pushes == 0 and not theirs:
            commit_files(place.repository, {"other.txt": "theirs\n"}, "theirs")
            theirs.append(True)

    theirs: list[bool] = []
    remote = place.branch()
    head = await remote.head()
    await remote.read(head, ["README.md"])
    commit = await remote.commit(head, {"README.md": b"new\n"}, "change\n", AUTHOR, datetime.now(UTC))
    place.server.lose_pushes = 1
    place.server.fault = push_too
    await remote.push(head, commit)
    assert place.git("rev-parse", "main^") == commit


async def test_push_that_is_lost_before_it_arrives_is_no_success(place: Place) -> None:
    def hang_up(request: web.Request, body: bytes) -> None:
        if request.path.endswith("/git-receive-pack"):
            assert request.transport is not None
            request.transport.close()
            raise web.HTTPBadGateway

    place.server.fault = hang_up
    with pytest.raises(GitError, match="did not arrive"):
        await place.write({"README.md": b"new\n"})


async def test_private_authority_is_trusted_when_it_is_given(tmp_path: Path) -> None:
    create_repository(tmp_path, "gitops.git", FILES)
    made = loopback_certificate()
    pem = tmp_path / "server.pem"
    pem.write_text(made.certificate + made.key)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(pem)
    secrets = Secrets({"username": b"bot", "password": PASSWORD.encode()})
    async with GitHttpServer(tmp_path, username="bot", password=PASSWORD, ssl_context=context) as server:
        branch = Branch(server.url("gitops.git"), "main", "secret:argocd/git-creds")
        trusting, strict = client_of(secrets, ca_data=made.certificate), client_of(secrets)
        assert await trusting.branch(branch).head()
        with pytest.raises(GitError, match="not trusted"):
            await strict.branch(branch).head()
        await trusting.close()
        await strict.close()
