"""Single changes to a text: what goes, what comes, and what is refused instead of being damaged."""

import pytest

from updater.domain.errors import EditError
from updater.formats.yaml_layout import Content
from updater.formats.yaml_lookup import find, lookup, own_items, put, put_in
from updater.formats.yaml_splice import Draft
from updater.formats.yaml_tree import MappingNode, SequenceNode, parse


def put_text(text: str, path: str, content: Content) -> str:
    stream = parse(text)
    draft = Draft(stream)
    put_in(draft, stream, path.split("."), content)
    return draft.finish().text


def remove(text: str, path: str, key: str) -> str:
    stream = parse(text)
    root = stream.documents[0]
    assert isinstance(root, MappingNode)
    mapping = lookup(root, *path.split(".")) if path else root
    assert isinstance(mapping, MappingNode)
    index = find(mapping, key)
    assert index is not None
    draft = Draft(stream)
    draft.remove_key(mapping, index)
    return draft.finish().text


class TestAdding:
    @pytest.mark.parametrize(
        ("text", "after"),
        [
            ("{a: 1}", "{a: 1, b: c}"),
            ("{ a: 1 }", "{ a: 1, b: c }"),
            ("{a: 1,}", "{a: 1, b: c,}"),
            ('{"a": 1}', '{"a": 1, "b": "c"}'),
            ("{\n  a: 1 # x\n}", "{\n  a: 1, # x\n  b: c\n}"),
            ("{\n  a: 1, # x\n}", "{\n  a: 1, # x\n  b: c,\n}"),
            ("{\r\n\ta: 1 }", "{\r\n\ta: 1,\r\n\tb: c }"),
        ],
    )
    def test_key_joins_a_mapping_in_braces_in_its_manner(self, text: str, after: str) -> None:
        assert put_text(text, "b", "c") == after

    @pytest.mark.parametrize(
        ("text", "after"),
        [
            ("l: [a]\n", "l: [a, b]\n"),
            ("l: []\n", "l:\n- b\n"),
            ("l:\n", "l:\n- b\n"),
            ("l:\n- a\n", "l:\n- a\n- b\n"),
            ("l:\n  -   a # x\n\n# y\n", "l:\n  -   a # x\n  -   b\n\n# y\n"),
            ("l:\n- - a\n", "l:\n- - a\n- b\n"),
            ("l:\n  -\n    a: 1\n", "l:\n  -\n    a: 1\n  - b\n"),
            ("k:\n  - a\nl: # x\nm: 1\n", "k:\n  - a\nl: # x\n  - b\nm: 1\n"),
        ],
    )
    def test_item_joins_a_list_in_its_manner(self, text: str, after: str) -> None:
        assert put_text(text, "l", ["b"]) == after

    def test_first_content_goes_below_comments(self) -> None:
        assert put_text("# only this", "a.b", "c") == "# only this\na:\n  b: c\n"
        assert put_text("---\n# x\n", "a", "c") == "---\n# x\na: c\n"

    def test_key_goes_behind_the_last_line_of_what_is_nested_deepest(self) -> None:
        text = "a:\n  b:\n    - c: |\n        text\n\n# next\nd: 1\n"
        assert put_text(text, "a.e", "f") == "a:\n  b:\n    - c: |\n        text\n  e: f\n\n# next\nd: 1\n"

    @pytest.mark.parametrize(
        ("text", "says"),
        [
            ("a:\n  - x\n  -\n", "line 2: a list ends with an empty item"),
            ("? a\n: b\n", "line 1: this place cannot be changed without changing others"),
            ("a: |\n  x", "line 1: this place cannot be changed without changing others"),
            ("{\n# only a comment\n}", "line 1: nothing but a comment stands here"),
        ],
    )
    def test_place_that_cannot_take_a_key_is_refused(self, text: str, says: str) -> None:
        with pytest.raises(EditError, match=says):
            put_text(text, "new", "v")

    @pytest.mark.parametrize(
        ("text", "says"),
        [
            ("a: 1\n", "line 1: a single value stands where a mapping is expected"),
            ("a: [x]\n", "line 1: a list stands where a mapping is expected"),
            ("b: &b {c: 1}\na: *b\n", "line 2: an alias, which is shared"),
            ("b: &b {a: {c: 1}}\n<<: *b\n", "a is merged in from another place"),
            ("a: &x {}\n", "line 1: another kind of value"),
            ("a: {\n  # x\n}\n", "line 1: nothing but a comment stands here"),
            ("a: {k: 1}\na: {k: 1}\n", "line 2: the key a is there twice"),
        ],
    )
    def test_way_that_leads_elsewhere_is_refused(self, text: str, says: str) -> None:
        with pytest.raises(EditError, match=says):
            put_text(text, "a.new", "v")


class TestRemoving:
    @pytest.mark.parametrize(
        ("text", "after"),
        [
            ("a: 1\nb: 2 # x\n# y\nc: 3\n", "a: 1\n# y\nc: 3\n"),
            ("a: 1\r\nb:\r\n  - 2\r\n", "a: 1\r\n"),
            ("a: 1\r\nb: 2", "a: 1"),
            ("b: 2\nc: 3", "c: 3"),
            ("{a: 1, b: 2, c: 3}", "{a: 1, c: 3}"),
            ("{a: 1, b: 2}", "{a: 1}"),
            ("{b: 2, a: 1}", "{a: 1}"),
        ],
    )
    def test_key_goes_with_its_line(self, text: str, after: str) -> None:
        assert remove(text, "", "b") == after

    def test_first_key_of_an_item_leaves_the_dash(self) -> None:
        text = "l:\n- b: 1\n  c: 2\n"
        stream = parse(text)
        root = stream.documents[0]
        assert isinstance(root, MappingNode)
        item = own_items(root, "l")[0]
        assert isinstance(item, MappingNode)
        draft = Draft(stream)
        draft.remove_key(item, 0)
        assert draft.finish().text == "l:\n- c: 2\n"

    @pytest.mark.parametrize(
        ("text", "says"),
        [
            ("m: {b: 1}\n", "the only key"),
            ("m: {b: 1,\n # why\n c: 2}\n", "a comment stands between"),
            ("m:\n  b: &x 1\n  c: *x\n", "cannot be changed without changing others"),
        ],
    )
    def test_key_that_others_depend_on_is_refused(self, text: str, says: str) -> None:
        with pytest.raises(EditError, match=says):
            remove(text, "m", "b")


def test_nothing_to_change_gives_the_same_text() -> None:
    text = "a: 'v1'\n"
    assert put_text(text, "a", "v1") is text


def test_two_changes_of_one_value_are_refused() -> None:
    stream = parse("a: 1\n")
    root = stream.documents[0]
    assert isinstance(root, MappingNode)
    draft = Draft(stream)
    draft.replace(root.pairs[0][1], "v1")
    draft.replace(root.pairs[0][1], "v2")
    with pytest.raises(EditError, match="two changes touch the same place"):
        draft.finish()


def test_value_with_a_type_of_its_own_is_refused() -> None:
    with pytest.raises(EditError, match="line 1: a value with a type of its own"):
        put_text("a: !secret x\n", "a", "v1")


def test_empty_item_of_a_list_is_refused() -> None:
    stream = parse("l:\n-\n- a\n")
    root = stream.documents[0]
    assert isinstance(root, MappingNode)
    items = root.pairs[0][1]
    assert isinstance(items, SequenceNode)
    with pytest.raises(EditError, match="the value is empty"):
        Draft(stream).replace(items.items[0], "v1")


def test_errors_never_show_what_a_value_holds() -> None:
    with pytest.raises(EditError) as error:
        put_text("password: hunter2\n", "password.tag", "v1")
    assert "hunter2" not in str(error.value)


def test_merges_may_refer_to_each_other_any_number_of_times() -> None:
    lines = ["m0: &m0 {k: v}"] + [f"m{n}: &m{n} {{<<: [{', '.join([f'*m{n - 1}'] * 9)}]}}" for n in range(1, 40)]
    root = parse("\n".join(lines)).documents[0]
    assert isinstance(root, MappingNode)
    assert lookup(root, "m39", "missing") is None
    assert lookup(root, "m39", "k") is not None


def test_a_list_goes_below_a_key_that_has_another_value() -> None:
    stream = parse("a: 1\n")
    root = stream.documents[0]
    assert isinstance(root, MappingNode)
    with pytest.raises(EditError, match="another kind of value"):
        put(Draft(stream), root, ["a"], ["x"])
