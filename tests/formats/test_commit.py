"""Commit messages: AIU's words, users' templates, trailers; and names of branches out of templates."""

from collections.abc import Sequence
from dataclasses import replace

import pytest

from updater.domain.application import ApplicationName
from updater.domain.change import Change
from updater.domain.errors import Misconfigured
from updater.domain.image import ImageVersion
from updater.domain.target import Branch, FileKind, GitTarget
from updater.formats.branch_name import branch_name
from updater.formats.commit import CommitStyle
from updater.formats.gotemplate import Template, TemplateError


def change(application: str = "demo", alias: str = "app", image: str = "ghcr.io/team/app") -> Change:
    labels = {"org.opencontainers.image.revision": "4f1c2ab"}
    name = ApplicationName("argocd", application)
    return Change(name, alias, image, ImageVersion("v1.0"), ImageVersion("v2.0"), labels)


def message(template: str, *changes: Change, signed_off_by: str = "") -> str:
    return CommitStyle(Template.parse(template), signed_off_by).message(changes or [change()])


def test_one_application_has_the_words_of_aiu() -> None:
    assert CommitStyle().message([change(alias="web", image="nginx"), change()]) == (
        "build: automatic update of demo\n"
        "\n"
        "updates image team/app tag 'v1.0' to 'v2.0'\n"
        "updates image nginx tag 'v1.0' to 'v2.0'\n"
        "\n"
        "Image-Updated: argocd/demo app v2.0 was v1.0\n"
        "Image-Updated: argocd/demo web v2.0 was v1.0\n"
    )


def test_many_applications_are_listed() -> None:
    assert CommitStyle().message([change("b"), change("a")]) == (
        "build: automatic update of 2 applications\n"
        "\n"
        "argocd/a:\n"
        "updates image team/app tag 'v1.0' to 'v2.0'\n"
        "\n"
        "argocd/b:\n"
        "updates image team/app tag 'v1.0' to 'v2.0'\n"
        "\n"
        "Image-Updated: argocd/a app v2.0 was v1.0\n"
        "Image-Updated: argocd/b app v2.0 was v1.0\n"
    )


def test_template_for_one_application_is_rendered_for_each_of_many() -> None:
    text = message("chore({{.AppName}}): {{(index .AppChanges 0).NewTag}}\n", change("a"), change("b"))
    assert text.startswith("build: automatic update of 2 applications\n\nchore(a): v2.0\n\nchore(b): v2.0\n\n")


def test_template_that_knows_of_batches_is_rendered_once() -> None:
    template = "chore: {{len .Applications}} apps{{range .Applications}}\n- {{.AppNamespace}}/{{.AppName}}{{end}}"
    assert message(template, change("a"), change("b")).startswith("chore: 2 apps\n- argocd/a\n- argocd/b\n\nImage-")


def test_labels_and_aliases_can_be_asked_for() -> None:
    template = '{{range .AppChanges}}{{.Alias}} {{index .Labels "org.opencontainers.image.revision"}}{{end}}'
    assert message(template).startswith("app 4f1c2ab\n\n")


def test_message_is_tidied_as_git_does() -> None:
    assert message("\n\nsubject  \n\n\n\nbody\t\n\n").startswith("subject\n\nbody\n\nImage-Updated: ")


def test_trailers_of_the_template_and_ours_are_one_paragraph() -> None:
    assert "\n\nTicket: OPS-1\nImage-Updated: " in message("subject\n\nTicket: OPS-1\n")


def test_version_of_several_lines_makes_no_trailers_of_its_own() -> None:
    odd = replace(change("a"), previous=ImageVersion("v1\nSigned-off-by: Somebody <else@example.com>\n\nx"))
    trailers = CommitStyle().message([odd]).strip().rpartition("\n\n")[2]
    assert trailers == "Image-Updated: argocd/a app v2.0 was v1 Signed-off-by: Somebody <else@example.com> x"


def test_subject_that_looks_like_a_trailer_stays_alone() -> None:
    assert message("build: demo").startswith("build: demo\n\nImage-Updated: ")


def test_sign_off_is_the_last_line() -> None:
    assert message("x", signed_off_by="Bot <bot@example.com>").endswith("\nSigned-off-by: Bot <bot@example.com>\n")


def test_empty_message_is_refused() -> None:
    with pytest.raises(TemplateError, match="empty"):
        message("{{/* nothing */}}\n")


def test_commit_of_a_branch_of_its_own_says_so() -> None:
    assert CommitStyle().message([change()], "updates").endswith("\nImage-Updater-Branch: updates\n")


def name(template: str, changes: Sequence[Change] = ()) -> str:
    branch = Branch("https://git.example.com/a.git", "main", "repocreds", template)
    return branch_name(changes or [change()], GitTarget(branch, "apps/values.yaml", FileKind.HELM_VALUES))


@pytest.mark.parametrize(
    ("template", "expected"),
    [
        ("image-updates", "image-updates"),
        ("{{range .Images}}{{.Name}}-{{.Alias}}-{{.OldTag}}-{{.NewTag}}{{end}}", "team/app-app-v1.0-v2.0"),
        ("bot/{{.AppNamespace}}/{{.AppName}}", "bot/argocd/demo"),
        ("u-{{slice .SHA256 0 12}}", "u-f50b1271dc0b"),
        ("u-{{.TargetKey}}", "u-1b11c87b"),
    ],
)
def test_branch_name_has_all_fields(template: str, expected: str) -> None:
    assert name(template) == expected


def test_branch_name_is_made_legal() -> None:
    assert name("update {{.AppName}}: {{(index .Images 0).NewTag}}.lock") == "update-demo--v2.0-lock"


def test_broken_branch_template_is_refused() -> None:
    with pytest.raises(Misconfigured, match=r"\.Nope"):
        name("{{.Nope}}")
