"""Lists of Helm parameters and environment variables: of an Application, and in override files."""

import pytest

from tests.formats.builders import DIGEST, edit
from updater.domain.application import Parameter
from updater.domain.errors import EditError
from updater.domain.image import ImageVersion
from updater.domain.target import FileKind
from updater.formats.overrides import merge_environment, merge_parameters
from updater.formats.targets import apply_edits, read_version


def override(*items: str) -> str:
    return "helm:\n  parameters:\n" + "".join(f"  - {{{item}}}\n" for item in items)


def test_parameters_are_changed_in_place_or_appended() -> None:
    before = [Parameter("image.tag", "v1"), Parameter("replicas", "3")]
    after = merge_parameters(before, [edit("q.io/a:v2", name="image.name", tag="image.tag")])
    assert after == (
        Parameter("image.tag", "v2", force_string=True),
        Parameter("replicas", "3"),
        Parameter("image.name", "q.io/a", force_string=True),
    )
    assert merge_parameters(after, [edit("q.io/a:v2", name="image.name", tag="image.tag")]) == after


def test_every_parameter_of_a_name_gets_the_value() -> None:
    after = merge_parameters([Parameter("tag", "1"), Parameter("tag", "2")], [edit("a:3", tag="tag")])
    assert [parameter.value for parameter in after] == ["3", "3"]


def test_environment_variables_are_strings_by_themselves() -> None:
    assert merge_environment([Parameter("TAG", "1")], [edit("a:2", tag="TAG")]) == (Parameter("TAG", "2"),)


@pytest.mark.parametrize(
    ("image", "value"),
    [("a:1", "1"), (f"a:1@{DIGEST}", f"1@{DIGEST}"), (f"a@{DIGEST}", f"latest@{DIGEST}")],
)
def test_tag_takes_the_digest_along(image: str, value: str) -> None:
    assert merge_parameters([], [edit(image, tag="tag")]) == (Parameter("tag", value, force_string=True),)


def test_spec_takes_the_whole_reference_and_the_others_nothing() -> None:
    after = merge_parameters([], [edit(f"q.io/a:1@{DIGEST}", name="name", tag="tag", spec="image")])
    assert after == (Parameter("image", f"q.io/a:1@{DIGEST}", force_string=True),)


def test_images_that_share_a_key_are_refused() -> None:
    with pytest.raises(EditError, match=r"image\.tag is to hold both '1' and '2': give each image keys of its own"):
        merge_parameters([], [edit("a:1", tag="image.tag"), edit("b:2", tag="image.tag")])


def test_images_may_share_a_key_for_one_value() -> None:
    assert len(merge_parameters([], [edit("a:1", tag="tag"), edit("b:1", tag="tag")])) == 1


def test_edit_without_a_place_for_its_version_is_refused() -> None:
    with pytest.raises(EditError, match=r"set the annotation <alias>\.helm\.image-tag"):
        merge_parameters([], [edit("a:1", name="image.name")])


def test_edit_without_a_version_is_refused() -> None:
    with pytest.raises(EditError, match="image a has neither tag nor digest"):
        merge_parameters([], [edit("a", tag="tag")])


class TestReading:
    def read(self, text: str, image: str = "a", *, tag: str = "tag", spec: str = "") -> ImageVersion | None:
        return read_version(FileKind.OVERRIDE_HELM, text, edit(image, tag=tag, spec=spec))

    @pytest.mark.parametrize(
        "text",
        ["", "# empty\n", "helm:\n", "helm: {parameters: []}\n", "kustomize: {}\n", override("name: tag", "value: x")],
    )
    def test_silent_file_gives_nothing(self, text: str) -> None:
        assert self.read(text) is None

    def test_last_parameter_of_a_name_counts(self) -> None:
        assert self.read(override("name: tag, value: v1", "name: tag, value: v2")) == ImageVersion("v2")

    def test_number_is_read_as_argo_cd_reads_it(self) -> None:
        assert self.read(override("name: tag, value: 1.20")) == ImageVersion("1.2")
        assert self.read(override('name: tag, value: "1.20"')) == ImageVersion("1.20")

    def test_digest_is_told_from_the_tag(self) -> None:
        assert self.read(override(f'name: tag, value: "1@{DIGEST}"')) == ImageVersion("1", DIGEST)

    @pytest.mark.parametrize(
        ("written", "version"),
        [("q.io/a:v1", "v1"), ("a:v1", "v1"), ("q.io/b:v1", ""), ("docker.io/a:v1", ""), ("q.io:5000/a:v1", "")],
    )
    def test_spec_is_the_version_of_this_image_alone(self, written: str, version: str) -> None:
        """A chart may have the registry in another parameter."""
        found = self.read(override(f'name: image, value: "{written}"'), "q.io/a", spec="image")
        assert found == (ImageVersion(version) if version else None)

    def test_spec_that_is_no_reference_is_refused_unseen(self) -> None:
        with pytest.raises(EditError, match="image holds no image") as error:
            self.read(override('name: image, value: "Hunter 2"'), spec="image")
        assert "Hunter" not in str(error.value)

    @pytest.mark.parametrize(
        ("text", "says"),
        [
            ("- a\n", "line 1: a list stands where a mapping is expected"),
            ("text\n", "line 1: a single value stands where a mapping is expected"),
            ("helm:\n  parameters:\n    tag: v1\n", "line 3: a mapping stands where a list is expected"),
            ("helm:\n  parameters: [tag]\n", "line 2: a single value stands where a mapping is expected"),
            (
                "helm:\n  parameters: [{name: tag, value: [v1]}]\n",
                "line 2: a (list stands|value with a type of its own)",
            ),
            ("helm: {}\nhelm: {}\n", "line 2: the key helm is there twice"),
            ("helm: {}\n---\nhelm: {}\n", "line 3: a second document begins"),
        ],
    )
    def test_file_of_another_shape_is_refused(self, text: str, says: str) -> None:
        with pytest.raises(EditError, match=says):
            self.read(text)
        with pytest.raises(EditError, match=says):
            apply_edits(FileKind.OVERRIDE_HELM, text, [edit("a:1", tag="tag")])


def test_list_that_another_place_shares_is_refused() -> None:
    text = "x: &x [{name: tag, value: v1}]\nhelm:\n  parameters: *x\n"
    with pytest.raises(EditError, match="line 3: an alias, which is shared"):
        apply_edits(FileKind.OVERRIDE_HELM, text, [edit("a:1", tag="tag")])


def test_mark_for_strings_is_understood_in_either_spelling() -> None:
    text = override("name: a, value: v1, forceString: true", "name: b, value: v1, forcestring: true")
    after = apply_edits(FileKind.OVERRIDE_HELM, text, [edit("a:v2", tag="a"), edit("b:v2", tag="b")])
    assert after == text.replace("v1", "v2")
