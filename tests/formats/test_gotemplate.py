"""Go's text/template: what the real one made of the same templates and data, and the bounds that are our own."""

import contextlib
import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from updater.formats.gotemplate import Struct, Template, TemplateError, Value

SAMPLES = json.loads((Path(__file__).parents[1] / "samples" / "gotemplates.json").read_text())
"""Rendered by Go 1.26 with `DATA`; null where Go refuses the template or its execution."""

DATA = Struct(
    AppName="demo",
    AppChanges=[
        Struct(
            Image="team/app",
            OldTag="v1.0",
            NewTag="v2.0",
            Labels={"org.opencontainers.image.revision": "abc", "b": "<x>"},
        ),
        Struct(Image="nginx", OldTag="", NewTag="1.27", Labels={}),
    ],
    Count=7,
    Ratio=2.5,
    Yes=True,
    Nothing=None,
    Numbers=[3, 1, 2],
    Words=["x", "é", "z y"],
    Labels={"one": "1", "two": "2"},
    Empty=[],
)


def render(text: str, data: Value = DATA) -> str:
    return Template.parse(text).render(data)


def output(text: str) -> str | None:
    """Render a template; None when it is refused."""
    try:
        return render(text)
    except TemplateError:
        return None


def test_every_template_of_the_sample_is_rendered_as_by_go() -> None:
    """Or refused, as there; all rows are one test, for there are hundreds of them."""
    expected = {str(sample["template"]): sample["output"] for sample in SAMPLES}
    assert {text: output(text) for text in expected} == expected


@given(st.text(alphabet="{}.$ |()\"`'-:=,*/ifendrangewhtlsAb1\n", max_size=60))
def test_any_text_is_rendered_or_refused(text: str) -> None:
    with contextlib.suppress(TemplateError):
        assert isinstance(render("{{" + text), str)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a\n{{ .Nope }}", r"line 2: there is no field \.Nope here; there are \.AppName"),
        ("a\n\n{{ nope }}", "line 3: there is no function nope; there are and, eq"),
        ("{{ if .Yes }}", "line 1: the template ends before its"),
        ("\n{{ .AppName", "line 2: the action does not end: write }}"),
        ("{{ $x }}", r"line 1: there is no variable \$x here: declare it with :="),
        ("{{ range .AppName }}{{ end }}", "line 1: range cannot go over a string"),
    ],
)
def test_error_names_line_and_remedy(text: str, message: str) -> None:
    with pytest.raises(TemplateError, match=message):
        render(text)


@pytest.mark.parametrize(
    "text",
    [
        '{{define "a"}}{{template "a"}}{{end}}{{template "a"}}',
        "{{range 1000000000}}{{end}}",
        "{{range 100000}}0123456789 0123456789{{end}}",
        '{{$x := "0123456789"}}{{range 30}}{{$x = print $x $x}}{{end}}',
        "{{range 1000}}{{printf `%1000000d` 1}}{{end}}",
        "{{printf `" + "%1000000d" * 500 + "` " + "1 " * 500 + "}}",
        "{{$x := printf `%900000d` 1}}{{range 400000}}{{len $x}}{{end}}",
        "{{if true}}" * 2000 + "{{end}}" * 2000,
    ],
    ids=["recursion", "steps", "output", "doubling", "width", "widths", "time", "nesting"],
)
def test_harm_is_bounded(text: str) -> None:
    with pytest.raises(TemplateError):
        render(text)


def test_fields_that_a_template_asks_for_are_known() -> None:
    template = Template.parse("{{ range $a := (index .Applications 0).AppChanges }}{{ $a.Image }}{{ end }}")
    assert [template.asks_for(name) for name in ("Applications", "AppChanges", "Image", "Labels")] == [True] * 3 + [
        False
    ]
