"""How notices are worded, for people and for programs."""

import json
from datetime import UTC, datetime

import pytest

from updater.formats.gotemplate import Template, TemplateError
from updater.formats.notices import Notice, NoticeKind, cloud_event, json_body, slack_body, templated_body


def notice(kind: str = "updated", alias: str = "app", message: str = "v2.0 is newer than v1.0") -> Notice:
    return Notice(
        id="an-id",
        kind=NoticeKind(kind),
        namespace="argocd",
        application="demo",
        alias=alias,
        image="registry.example.com/team/app",
        previous="v1.0",
        version="v2.0",
        commit="c0ffee",
        message=message,
        at=datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC),
    )


def test_slack_gets_a_line_for_each() -> None:
    text = json.loads(slack_body([notice(), notice("failed", "", "no such branch")]))["text"]
    assert text.splitlines() == [
        ":rocket: *argocd/demo/app* updated: registry.example.com/team/app v1.0 → v2.0",
        ":warning: *argocd/demo* failed: no such branch",
    ]


def test_slack_is_not_flooded() -> None:
    lines = json.loads(slack_body([notice()] * 500))["text"].splitlines()
    assert (len(lines), lines[-1]) == (21, "… and 480 more")


def test_words_of_a_server_make_no_mention_and_no_link() -> None:
    text = json.loads(slack_body([notice("failed", message="<!channel> <https://evil|here>\n*now*")]))["text"]
    assert "<" not in text
    assert len(text.splitlines()) == 1


def test_programs_get_every_field() -> None:
    (event,) = json.loads(json_body([notice()]))["events"]
    assert event == {
        "id": "an-id",
        "kind": "updated",
        "namespace": "argocd",
        "application": "demo",
        "alias": "app",
        "image": "registry.example.com/team/app",
        "previous": "v1.0",
        "version": "v2.0",
        "commit": "c0ffee",
        "message": "v2.0 is newer than v1.0",
        "at": "2026-01-02T03:04:05+00:00",
    }


def test_cloud_event_has_what_version_one_asks_for() -> None:
    event = json.loads(cloud_event(notice("held")))
    assert event["data"]["version"] == "v2.0"
    del event["data"]
    assert event == {
        "specversion": "1.0",
        "id": "an-id",
        "source": "/updater",
        "type": "io.argoproj.updater.image.held",
        "subject": "argocd/demo/app",
        "time": "2026-01-02T03:04:05+00:00",
        "datacontenttype": "application/json",
    }


def test_template_words_a_batch() -> None:
    template = Template.parse("{{ range .Events }}{{ .AppName }} {{ .Kind }} {{ .OldTag }}→{{ .NewTag }};{{ end }}")
    assert (
        templated_body(template, [notice(), notice("held")]).decode() == "demo updated v1.0→v2.0;demo held v1.0→v2.0;"
    )


def test_template_that_asks_for_what_there_is_not_fails() -> None:
    with pytest.raises(TemplateError):
        templated_body(Template.parse("{{ range .Events }}{{ .Nothing }}{{ end }}"), [notice()])
