"""Names and versions in `kustomize.images`, and in kustomizations as kustomize itself reads them."""

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.fakes.kustomize import kustomize
from tests.formats.builders import DIGEST, edit
from updater.domain.errors import EditError
from updater.domain.image import ImageVersion
from updater.domain.target import FileKind
from updater.formats.kustomize import KustomizeImage, merge_images, read_overrides
from updater.formats.targets import apply_edits, read_version


@pytest.mark.parametrize(
    ("text", "image"),
    [
        ("nginx", KustomizeImage("nginx")),
        ("nginx:1", KustomizeImage("nginx", version=ImageVersion("1"))),
        ("q.io:5000/a", KustomizeImage("q.io:5000/a")),
        ("q.io:5000/a:1", KustomizeImage("q.io:5000/a", version=ImageVersion("1"))),
        (f"a@{DIGEST}", KustomizeImage("a", version=ImageVersion("", DIGEST))),
        (f"a:1@{DIGEST}", KustomizeImage("a", version=ImageVersion("1", DIGEST))),
        ("web=q.io:5000/a:1", KustomizeImage("web", "q.io:5000/a", ImageVersion("1"))),
        ("PLACEHOLDER=a", KustomizeImage("PLACEHOLDER", "a")),
    ],
)
def test_notation_is_read_and_written(text: str, image: KustomizeImage) -> None:
    assert KustomizeImage.parse(text) == image
    assert str(image) == text


class TestReading:
    @pytest.mark.parametrize(
        ("images", "version"),
        [
            ([], None),
            (["other:1"], None),
            (["nginx"], None),
            (["nginx:1"], "1"),
            (["docker.io/library/nginx:1"], "1"),
            (["index.docker.io/nginx:1", "nginx:2"], "2"),
            (["web=nginx:1"], "1"),
            (["nginx=mirror.io/nginx:1"], "1"),
            (["nginx=mirror.io/nginx:1", "web=nginx:2"], "2"),
        ],
    )
    def test_image_is_found_under_any_spelling(self, images: list[str], version: str | None) -> None:
        assert read_overrides(images, edit("nginx")) == (ImageVersion(version) if version else None)

    @pytest.mark.parametrize(
        ("images", "version"),
        [
            (["web=q.io/a:1"], "1"),
            (["docker.io/web=q.io/a:1"], "1"),
            (["q.io/a:1"], None),
            (["web:1"], None),
            (["web=other:1"], None),
        ],
    )
    def test_rename_is_found_by_the_original_name(self, images: list[str], version: str | None) -> None:
        found = read_overrides(images, edit("q.io/a", kustomize_name="web"))
        assert found == (ImageVersion(version) if version else None)


class TestMerging:
    @pytest.mark.parametrize(
        ("image", "kustomize_name", "before", "after"),
        [
            ("nginx:2", "", [], ["nginx:2"]),
            ("nginx:2", "", ["a:1", "nginx:1", "b:1"], ["a:1", "nginx:2", "b:1"]),
            ("nginx:2", "", ["docker.io/library/nginx:1"], ["docker.io/library/nginx:2"]),
            ("docker.io/nginx:2", "", ["nginx:1"], ["nginx:2"]),
            ("q.io/a:2", "", ["web=q.io/a:1"], ["web=q.io/a:2"]),
            ("nginx:2", "", ["nginx=mirror.io/nginx:1"], ["nginx=mirror.io/nginx:2"]),
            ("reg:5000/a:2", "", ["reg:5000/b:1"], ["reg:5000/b:1", "reg:5000/a:2"]),
            (f"a@{DIGEST}", "", ["a:1"], [f"a@{DIGEST}"]),
            (f"a:2@{DIGEST}", "", ["a:1"], [f"a:2@{DIGEST}"]),
            ("a:2", "", [f"a@{DIGEST}"], ["a:2"]),
            ("q.io/a:2", "web", [], ["web=q.io/a:2"]),
            ("q.io/a:2", "web", ["web:1"], ["web=q.io/a:2"]),
            ("q.io/a:2", "web", ["web=old.io/a:1"], ["web=q.io/a:2"]),
            ("q.io/a:2", "PLACEHOLDER", ["PLACEHOLDER=q.io/a:1"], ["PLACEHOLDER=q.io/a:2"]),
        ],
    )
    def test_own_entry_is_changed_and_keeps_its_spelling(
        self,
        image: str,
        kustomize_name: str,
        before: list[str],
        after: list[str],
    ) -> None:
        wanted = [edit(image, kustomize_name=kustomize_name)]
        assert merge_images(before, wanted) == tuple(after)
        assert merge_images(after, wanted) == tuple(after)

    def test_images_that_claim_one_entry_are_refused(self) -> None:
        with pytest.raises(EditError, match="tell them apart"):
            merge_images(["nginx:1"], [edit("nginx:2"), edit("docker.io/nginx:3")])

    def test_entries_that_are_no_images_are_left_alone(self) -> None:
        assert merge_images(["", "=", "UPPER CASE", "a:1"], [edit("a:2")]) == ("", "=", "UPPER CASE", "a:2")

    @settings(deadline=None)
    @given(st.lists(st.sampled_from(["nginx:1", "web=nginx:1", "docker.io/nginx", "a:1", "nginx=q.io/a:1", "x=y"])))
    def test_what_is_merged_is_read(self, images: list[str]) -> None:
        for wanted in (edit("nginx:2"), edit("nginx:2", kustomize_name="web"), edit("q.io/a:2")):
            after = merge_images(images, [wanted])
            assert read_overrides(after, wanted) == ImageVersion("2")
            assert merge_images(after, [wanted]) == after
            assert len(after) <= len(images) + 1


class TestKustomization:
    def test_missing_file_is_refused(self) -> None:
        with pytest.raises(EditError, match="there is no kustomization"):
            apply_edits(FileKind.KUSTOMIZATION, None, [edit("a:1")])

    def test_several_documents_are_refused(self) -> None:
        with pytest.raises(EditError, match="line 3: a second document begins"):
            apply_edits(FileKind.KUSTOMIZATION, "images: []\n---\nimages: []\n", [edit("a:1")])

    def test_unquoted_number_is_read_as_kustomize_reads_it(self) -> None:
        text = "images:\n- name: a\n  newTag: 1.20\n"
        assert read_version(FileKind.KUSTOMIZATION, text, edit("a")) == ImageVersion("1.2")
        assert apply_edits(FileKind.KUSTOMIZATION, text, [edit("a:1.20")]) == text.replace("1.20", '"1.20"')

    def test_entry_that_merges_its_digest_in_is_refused(self) -> None:
        text = f"x: &x {{digest: {DIGEST}}}\nimages:\n- name: a\n  <<: *x\n"
        with pytest.raises(EditError, match="line 3: digest is merged in from another place"):
            apply_edits(FileKind.KUSTOMIZATION, text, [edit("a:1")])

    @pytest.mark.parametrize(
        ("entry", "wanted", "rendered"),
        [
            ("newTag: v0", edit("shop:1.20"), "shop:1.20"),
            ("newName: q.io/shop", edit(f"q.io/shop@{DIGEST}"), f"q.io/shop@{DIGEST}"),
            (f"digest: {DIGEST}", edit("q.io/shop:1.20", kustomize_name="shop"), "q.io/shop:1.20"),
        ],
    )
    @pytest.mark.integration
    def test_kustomize_renders_the_new_image(
        self,
        tmp_path: Path,
        entry: str,
        wanted: object,
        rendered: str,
    ) -> None:
        assert isinstance(wanted, type(edit("a:1")))
        before = f"resources:\n- pod.yaml\nimages:\n- name: shop\n  {entry}\n"
        after = apply_edits(FileKind.KUSTOMIZATION, before, [wanted])
        (tmp_path / "kustomization.yaml").write_text(after)
        (tmp_path / "pod.yaml").write_text(
            "apiVersion: v1\nkind: Pod\nmetadata: {name: a}\nspec: {containers: [{name: a, image: 'shop:v0'}]}\n",
        )
        assert f"image: {rendered}\n" in kustomize(tmp_path)
