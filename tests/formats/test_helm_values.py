"""Which value a key path means, and how names keep their spelling; whole files are in `tests/golden/helmvalues`."""

import pytest

from tests.formats.builders import DIGEST, edit
from updater.domain.errors import EditError
from updater.domain.image import ImageVersion
from updater.domain.target import FileKind
from updater.formats.helm_values import Segment, parse_path
from updater.formats.targets import apply_edits, read_version


def read(text: str, *, tag: str = "image.tag", spec: str = "") -> ImageVersion | None:
    return read_version(FileKind.HELM_VALUES, text, edit("q.io/a", tag=tag, spec=spec))


def write(text: str, image: str = "q.io/a:v2", *, name: str = "", tag: str = "image.tag", spec: str = "") -> str:
    return apply_edits(FileKind.HELM_VALUES, text, [edit(image, name=name, tag=tag, spec=spec)])


class TestPath:
    @pytest.mark.parametrize(
        ("path", "segments"),
        [
            ("tag", [Segment("tag")]),
            ("a.b-c.d/e", [Segment("a"), Segment("b-c"), Segment("d/e")]),
            ("a[0].b[12]", [Segment("a"), Segment("[0]", 0), Segment("b"), Segment("[12]", 12)]),
            ('"a.b".c', [Segment("a.b", quoted=True), Segment("c")]),
            ("a['b.c'].d", [Segment("a"), Segment("b.c", quoted=True), Segment("d")]),
        ],
    )
    def test_path_is_read(self, path: str, segments: list[Segment]) -> None:
        assert parse_path(path) == tuple(segments)

    @pytest.mark.parametrize(
        "path", ["", ".", ".a", "a.", "a..b", "[0]", "a[x]", "a[-1]", "a[0", '"a', "a" + ".a" * 40]
    )
    def test_anything_else_is_refused(self, path: str) -> None:
        with pytest.raises(EditError, match="cannot be read: write it as"):
            parse_path(path)


class TestReading:
    @pytest.mark.parametrize(
        ("text", "version"),
        [
            ("image: {tag: v1}", "v1"),
            ("image.tag: v1\nimage: {tag: v2}", "v1"),
            ("image.tag:\n  x: 1\nimage: {other: 1}", "refused"),
            ("x: &x {tag: v1}\nimage: *x", "v1"),
            ("x: &x {tag: v1}\nimage: {<<: *x}", "v1"),
            ("x: &x {tag: v1}\ny: &y {tag: v2}\nimage: {<<: [*x, *y]}", "v1"),
            ("x: &x {tag: v1}\nimage: {<<: *x, tag: v3}", "v3"),
            ("image: {tag: 'v1 '}\n---\nimage: {tag: v2}", "v1"),
            ("image: {tag: }", None),
            ("image: {tag: ''}", None),
            ("image: v1", None),
            ("image: [v1]", None),
            ("other: 1", None),
            ("", None),
            ("---\n---\nimage: {tag: v1}", None),
        ],
    )
    def test_value_is_found_where_helm_finds_it(self, text: str, version: str | None) -> None:
        if version == "refused":
            with pytest.raises(EditError, match=r"image\.tag is a mapping: name the key of a single value"):
                read(text)
        else:
            assert read(text) == (ImageVersion(version) if version else None)

    def test_index_leads_into_a_list(self) -> None:
        text = "c:\n- image: q.io/b:v1\n- image: q.io/a:v2\n"
        assert read(text, spec="c[1].image") == ImageVersion("v2")
        assert read(text, spec="c[2].image") is None

    def test_key_that_looks_like_an_index_counts(self) -> None:
        assert read("a[1]: v1\n", tag="a[1]") == ImageVersion("v1")

    def test_absent_file_says_nothing(self) -> None:
        assert read_version(FileKind.HELM_VALUES, None, edit("a", tag="t")) is None

    def test_image_without_a_place_for_its_version_is_unknown(self) -> None:
        assert read_version(FileKind.HELM_VALUES, "image: {name: a}", edit("a", name="image.name")) is None


class TestName:
    @pytest.mark.parametrize(
        ("current", "image", "after"),
        [
            ("repository: a/b", "q.io/a/b:v2", "a/b"),
            ("repository: nginx", "docker.io/library/nginx:v2", "nginx"),
            ("repository: docker.io/nginx", "nginx:v2", "docker.io/nginx"),
            ("repository: old/b", "q.io/a/b:v2", "q.io/a/b"),
            ("repository: q.io/old", "q.io/a/b:v2", "q.io/a/b"),
            ("registry: q.io, repository: old/b", "q.io/a/b:v2", "a/b"),
            ("registry: x.io, repository: old/b", "q.io/a/b:v2", "q.io/a/b"),
            ("repository: ''", "q.io/a/b:v2", "q.io/a/b"),
            ("repository: Not An Image", "q.io/a/b:v2", "q.io/a/b"),
        ],
    )
    def test_name_stays_while_it_means_the_image(self, current: str, image: str, after: str) -> None:
        text = f"image: {{{current}, tag: v1}}\n"
        written = write(text, image, name="image.repository")
        assert f"repository: {after}," in written.replace('"', "").replace("'", "")
        assert write(written, image, name="image.repository") == written

    @pytest.mark.parametrize(
        ("current", "after"),
        [
            ("a/b:v1", "a/b:v2"),
            ("q.io/a/b", "q.io/a/b:v2"),
            (f"q.io/a/b:v1@{DIGEST}", "q.io/a/b:v2"),
            ("old:v1", "q.io/a/b:v2"),
            ("", "q.io/a/b:v2"),
        ],
    )
    def test_whole_reference_keeps_its_name(self, current: str, after: str) -> None:
        assert write(f"image: '{current}'\n", "q.io/a/b:v2", spec="image") == f"image: '{after}'\n"

    def test_value_that_is_no_image_is_not_overwritten(self) -> None:
        with pytest.raises(EditError, match=r"image\.pullPolicy holds no image"):
            write("image: {pullPolicy: IfNotPresent}", spec="image.pullPolicy")


class TestRefusing:
    @pytest.mark.parametrize(
        ("text", "path", "says"),
        [
            ("x: &x {tag: v1}\nimage: *x\n", "image.tag", r"line 1: image\.tag is an alias, and shares its value"),
            ("x: &x {image: {tag: v1}}\n<<: *x\n", "image.tag", r"line 1: image\.tag is an alias, and shares"),
            ("x: &x {image: {a: 1}}\ny: {<<: *x}\n", "y.image.tag", "line 2: y.image.tag: image is merged in"),
            ("x: &x {a: 1}\nimage: *x\n", "image.tag", r"line 2: image\.tag: an alias, which is shared with another"),
            ("c: [{image: a}]\n", "c[1].tag", r"line 1: c\[1\]\.tag: the list has 1 items"),
            ("c: [{image: a}]\n", "c.tag", r"line 1: c\.tag: tag is looked for in a list"),
            ("a: 1\n", "c[0].tag", r"line 1: c\[0\]\.tag: there is no such list"),
            ("a:\n", "a[0].tag", r"line 2: a\[0\]\.tag: there is no such list"),
            ("image: {tag: {a: 1}}\n", "image.tag", r"line 1: image\.tag is a mapping"),
            ("image: v1\n", "image.tag", r"line 1: image\.tag: a single value stands where tag is looked for: name"),
            ("image: {tag: v1}\n", "image[0]", r"line 1: image\[0\]: a mapping stands where \[0\] is looked for: name"),
            ("- a\n", "image.tag", "line 1: a list stands where a mapping is expected"),
            ("image: {tag: v1}\nimage: {tag: v2}\n", "image.tag", "line 2: the key image is there twice"),
            ("---\n---\nimage: {tag: v1}\n", "image.tag", "cannot be changed without changing others"),
            ("{{ if .x }}\nimage: {}\n", "image.tag", "no valid YAML"),
        ],
    )
    def test_place_that_is_not_its_own_is_refused_with_a_remedy(self, text: str, path: str, says: str) -> None:
        with pytest.raises(EditError, match=says):
            write(text, tag=path)

    def test_images_that_share_a_key_are_refused(self) -> None:
        with pytest.raises(EditError, match="is to hold both"):
            apply_edits(FileKind.HELM_VALUES, "", [edit("a:1", tag="tag"), edit("b:2", tag="tag")])


def test_value_that_moves_with_an_anchor_gets_its_own() -> None:
    text = "a:\n  tag: &tag v1\nb:\n  tag: *tag\n"
    edits = [edit("q.io/a:v2", tag="a.tag"), edit("q.io/b:v1", tag="b.tag")]
    assert apply_edits(FileKind.HELM_VALUES, text, edits) == "a:\n  tag: &tag v2\nb:\n  tag: v1\n"


def test_alias_that_has_the_wanted_value_stays() -> None:
    text = "a:\n  tag: &tag v1\nb:\n  tag: *tag\n"
    assert write(text, "q.io/a:v1", tag="b.tag") == text


def test_crlf_and_byte_order_mark_stay() -> None:
    text = "\ufeffimage:\r\n  tag: v1 # x\r\n\r\nb: 1"
    assert write(text) == text.replace("v1", "v2")
    assert write(text, tag="image.new") == text.replace("# x\r\n", "# x\r\n  new: v2\r\n")


class TestDigestBesideTheTag:
    TEXT = f"image:\n  tag: v1  # t\n  digest: {DIGEST}  # d\n"
    OTHER = "sha256:" + "f" * 64

    def test_is_part_of_the_version(self) -> None:
        assert read_version(FileKind.HELM_VALUES, self.TEXT, edit("a", tag="image.tag")) == ImageVersion("v1", DIGEST)

    def test_is_exchanged_with_the_tag(self) -> None:
        after = apply_edits(FileKind.HELM_VALUES, self.TEXT, [edit(f"a:v2@{self.OTHER}", tag="image.tag")])
        assert after == self.TEXT.replace("v1", "v2").replace(DIGEST, self.OTHER)

    def test_is_emptied_when_the_version_has_none(self) -> None:
        after = apply_edits(FileKind.HELM_VALUES, self.TEXT, [edit("a:v2", tag="image.tag")])
        assert after == self.TEXT.replace("v1", "v2").replace(DIGEST, '""')

    def test_that_is_empty_stays_so(self) -> None:
        text = 'image:\n  tag: v1\n  digest: ""\n'
        after = apply_edits(FileKind.HELM_VALUES, text, [edit(f"a:v2@{DIGEST}", tag="image.tag")])
        assert after == f'image:\n  tag: v2@{DIGEST}\n  digest: ""\n'

    def test_that_is_merged_in_is_overridden(self) -> None:
        text = f"x: &x {{digest: {DIGEST}}}\nimage:\n  <<: *x\n  tag: v1\n"
        after = apply_edits(FileKind.HELM_VALUES, text, [edit("a:v2", tag="image.tag")])
        assert after == text.replace("v1", "v2") + '  digest: ""\n'


def test_two_aliases_that_want_the_same_of_one_key_are_one_edit() -> None:
    edits = [edit("q.io/a:v2", tag="image.tag", alias=alias) for alias in ("one", "two")]
    assert apply_edits(FileKind.HELM_VALUES, "image:\n  tag: v1\n", edits) == "image:\n  tag: v2\n"
