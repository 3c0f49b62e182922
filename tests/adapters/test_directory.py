"""What is peculiar to a directory: files of many documents, links, broken files, and edits that keep every byte."""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Callable
from contextlib import aclosing, asynccontextmanager
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from tests.fakes.house import eventually
from updater.adapters.directory import DirectoryCluster
from updater.adapters.manifests import rewrite
from updater.domain.application import ApplicationName
from updater.domain.change import Edit
from updater.domain.errors import ApplicationConflict, ClusterError, SecretNotFound
from updater.domain.image import ImageVersion
from updater.domain.references import parse_reference
from updater.domain.target import ApplicationTarget, FileKind, ImageKeys
from updater.ports.cluster import ClusterEvent, Gone, Listed, Readable, Seen, Unreadable

NAME = ApplicationName("argocd", "demo")
TARGET = ApplicationTarget(NAME, 0, FileKind.OVERRIDE_HELM)
EDIT = Edit(parse_reference("quay.io/team/app").at(ImageVersion("v2")), ImageKeys(tag="image.tag"))

DEMO = """\
# what we run
apiVersion: argoproj.io/v1alpha1
kind: Application
metadata:
    name: demo   # no namespace: argocd's
spec:
    source:
        repoURL: "https://git.example.com/a.git"
        helm:
            parameters:
            - {name: image.tag, value: v1}
"""
SECRET = """\
apiVersion: v1
kind: Secret
metadata: {name: acr, namespace: argocd}
stringData: {acr: "bot:hunter22"}
"""


class Files:
    """A directory, and the cluster that is read from it."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.cluster = DirectoryCluster(root, interval=0.01)

    def write(self, name: str, text: str) -> Path:
        path = self.root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        return path

    def read(self, name: str) -> str:
        return (self.root / name).read_text()

    @asynccontextmanager
    async def listening(self) -> AsyncIterator[Callable[[type[ClusterEvent]], "asyncio.Future[list[ClusterEvent]]"]]:
        """Give a function that takes events up to the first of a kind."""
        events = self.cluster.events()
        assert isinstance(events, AsyncGenerator)

        async def until(last: type[ClusterEvent]) -> list[ClusterEvent]:
            taken: list[ClusterEvent] = []
            async with asyncio.timeout(10):
                async for event in events:
                    taken.append(event)
                    if isinstance(event, last):
                        break
            return taken

        async with aclosing(events):
            yield lambda last: asyncio.ensure_future(until(last))

    async def listed(self) -> list[ClusterEvent]:
        async with self.listening() as until:
            return await until(Listed)


@pytest.fixture
def files(tmp_path: Path) -> Files:
    return Files(tmp_path)


def named(name: str) -> str:
    return DEMO.replace("name: demo", f"name: {name}")


def seen(events: list[ClusterEvent]) -> list[str]:
    return sorted(event.application.name.name for event in events if isinstance(event, Seen))


async def test_a_file_may_hold_many_documents(files: Files) -> None:
    files.write("all.yml", f"---\n{DEMO}---\n{SECRET}---\n# nothing\n---\n{named('two')}")
    assert seen(await files.listed()) == ["demo", "two"]
    assert await files.cluster.secret("argocd", "acr") == {"acr": b"bot:hunter22"}


async def test_the_items_of_a_list_are_read(files: Files) -> None:
    items = "".join(
        f"- {line}" if number == 0 else f"  {line}" for number, line in enumerate(DEMO[14:].splitlines(True))
    )
    files.write("list.yaml", f"apiVersion: v1\nkind: List\nitems:\n{items}")
    assert seen(await files.listed()) == ["demo"]


async def test_directories_are_read_to_the_bottom_and_hidden_ones_are_not(files: Files) -> None:
    files.write("a/b/demo.yaml", DEMO)
    files.write(".git/two.yaml", named("two"))
    files.write("a/.three.yaml", named("three"))
    files.write("a/four.txt", named("four"))
    (files.root / "a" / "loop").symlink_to(files.root)
    assert seen(await files.listed()) == ["demo"]


async def test_other_manifests_and_templates_are_none_of_our_business(files: Files) -> None:
    files.write("deployment.yaml", "kind: Deployment\nmetadata: {name: {{ .Values.name }}\n")
    files.write("crd.yaml", "apiVersion: app.k8s.io/v1beta1\nkind: Application\nmetadata: {name: [other]}\n")
    assert [type(event) for event in await files.listed()] == [Listed]


async def test_values_that_look_like_dates_are_texts(files: Files) -> None:
    files.write("demo.yaml", DEMO.replace("value: v1", "value: 2026-01-02"))
    [event, _] = await files.listed()
    assert isinstance(event, Seen)
    assert event.application.sources[0].helm_parameters[0].value == "2026-01-02"


async def test_a_new_version_of_a_mounted_config_map_is_noticed(files: Files) -> None:
    """The kubelet links every file through `..data`, and swaps that one link."""
    files.write("..2026_1/demo.yaml", DEMO)
    files.write("..2026_2/demo.yaml", DEMO.replace("v1}", "v9}"))
    (files.root / "..data").symlink_to("..2026_1")
    (files.root / "demo.yaml").symlink_to("..data/demo.yaml")
    async with files.listening() as until:
        assert seen(await until(Listed)) == ["demo"]
        (files.root / "..new").symlink_to("..2026_2")
        await asyncio.to_thread((files.root / "..new").rename, files.root / "..data")
        [event] = await until(Seen)
    assert isinstance(event, Seen)
    assert event.application.sources[0].helm_parameters[0].value == "v9"


@pytest.mark.parametrize(
    "broken",
    [
        "kind: Application\n  metadata: {",
        "kind: Application\nkind: Application\n",
        "kind: Application\nmetadata: *none\n",
        "kind: Application\n" + "[" * 5_000,
        "kind: Application # \udc80",
    ],
    ids=["syntax", "duplicate key", "unknown anchor", "deep", "no UTF-8"],
)
async def test_a_broken_file_is_told_once_until_it_is_mended(files: Files, broken: str) -> None:
    path = files.write("broken.yaml", "")
    path.write_bytes(broken.encode("utf-8", "surrogateescape"))
    files.write("demo.yaml", DEMO)
    async with files.listening() as until:
        told = await until(Listed)
        [event] = [event for event in told if isinstance(event, Unreadable)]
        assert event.name == str(path)
        assert event.message.startswith(f"{path} cannot be read: ")
        assert seen(told) == ["demo"]
        path.write_text(named("two"))
        told = await until(Seen)
        assert Readable(str(path)) in told
        assert seen(told) == ["two"]


async def test_a_file_that_breaks_keeps_what_it_held_until_it_is_gone(files: Files) -> None:
    path = files.write("demo.yaml", DEMO + "---\n" + SECRET)
    async with files.listening() as until:
        await until(Listed)
        path.write_text(DEMO + "\t}")
        assert [type(event) for event in await until(Unreadable)] == [Unreadable]
        assert await files.cluster.secret("argocd", "acr") == {"acr": b"bot:hunter22"}
        path.unlink()
        told = await until(Readable)
        assert Gone(NAME) in [*told, *(await until(Gone) if Gone(NAME) not in told else [])]


async def test_a_huge_file_is_not_read(files: Files) -> None:
    files.write("huge.yaml", DEMO + "#" * (10 * 2**20))
    [event, _] = await files.listed()
    assert isinstance(event, Unreadable)
    assert event.message.endswith("cannot be read: it is larger than 10 MiB")


async def test_the_same_application_in_two_files_is_said(files: Files) -> None:
    files.write("a.yaml", DEMO)
    second = files.write("b.yaml", DEMO.replace("v1", "v2"))
    told = await files.listed()
    assert seen(told) == ["demo"]
    assert [event.name for event in told if isinstance(event, Unreadable)] == [str(second)]


async def test_a_directory_that_is_not_there_is_waited_for(files: Files) -> None:
    files.root = files.root / "later"
    files.cluster = DirectoryCluster(files.root, interval=0.01)
    with capture_logs() as logs:
        async with files.listening() as until:
            listed = until(Listed)
            await eventually(lambda: bool(logs), lambda: "the warning")
            files.write("demo.yaml", DEMO)
            assert seen(await listed) == ["demo"]
    assert [(log["event"], log["log_level"]) for log in logs] == [
        ("cluster.unreachable", "warning"),
        ("cluster.reachable", "info"),
    ]
    with pytest.raises(ClusterError, match=r"set applications\.directory"):
        await DirectoryCluster(files.root / "none").secret("argocd", "acr")


async def test_an_edit_changes_the_value_and_not_another_byte(files: Files) -> None:
    path = files.write("all.yaml", f"---\r\n{SECRET}---\n{DEMO}")
    path.chmod(0o640)
    before = path.read_bytes()
    assert await files.cluster.set_images(TARGET, [EDIT])
    assert path.read_bytes() == before.replace(b"value: v1}", b"value: v2, forceString: true}")
    assert path.stat().st_mode & 0o777 == 0o640
    assert [each.name for each in files.root.iterdir()] == ["all.yaml"]


async def test_a_linked_file_is_edited_where_it_is(files: Files, tmp_path_factory: pytest.TempPathFactory) -> None:
    real = tmp_path_factory.mktemp("elsewhere") / "real.yaml"
    real.write_text(DEMO)
    link = files.root / "demo.yaml"
    link.symlink_to(real)
    assert await files.cluster.set_images(TARGET, [EDIT])
    assert link.is_symlink()
    assert "v2" in real.read_text()


def test_a_file_that_somebody_else_changes_meanwhile_is_left_to_them(files: Files) -> None:
    path = files.write("demo.yaml", DEMO)

    def change(text: str) -> str:
        path.write_text("theirs")
        return text + "ours"

    with pytest.raises(ApplicationConflict):
        rewrite(path, change)
    assert files.read("demo.yaml") == "theirs"
    assert [each.name for each in files.root.iterdir()] == ["demo.yaml"]


async def test_a_file_that_cannot_be_written_is_named(
    shared_directory: Path, make_read_only: Callable[[], None]
) -> None:
    path = Files(shared_directory).write("demo.yaml", DEMO)
    make_read_only()
    with pytest.raises(ClusterError, match=f"{path} cannot be edited: .* let the updater write it"):
        await DirectoryCluster(shared_directory).set_images(TARGET, [EDIT])


async def test_a_refresh_keeps_comments(files: Files) -> None:
    files.write("demo.yaml", DEMO)
    await files.cluster.refresh(NAME)
    text = files.read("demo.yaml")
    assert "argocd.argoproj.io/refresh: normal" in text
    assert [line for line in text.splitlines() if line not in DEMO.splitlines()] == [
        "    annotations:",
        "        argocd.argoproj.io/refresh: normal",
    ]


async def test_a_secret_that_cannot_be_read_is_hinted_at_without_its_content(files: Files) -> None:
    path = files.write("acr.yaml", SECRET.replace("stringData", "data"))
    with pytest.raises(
        SecretNotFound, match=rf"what cannot be read: {path}: Secret argocd/acr: data.acr is no Base64"
    ) as caught:
        await files.cluster.secret("argocd", "acr")
    assert "hunter22" not in str(caught.value)


async def test_a_broken_file_with_a_secret_does_not_quote_it(files: Files) -> None:
    path = files.write("acr.yaml", SECRET + "password: hunter22: hunter22\n")
    [event, _] = await files.listed()
    assert isinstance(event, Unreadable)
    assert event.message == f"{path} cannot be read: line 5: mapping values are not allowed here"
