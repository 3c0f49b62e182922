"""The words of a pull request: what people read, and what is read out of them again."""

from collections.abc import Sequence

from hypothesis import given
from hypothesis import strategies as st

from updater.domain.application import ApplicationName
from updater.domain.change import Change
from updater.domain.image import ImageVersion
from updater.domain.pull_requests import ForgeKind, Proposed, PullRequestSettings
from updater.formats import pull_request
from updater.formats.commit import CommitStyle
from updater.formats.pull_request import Words, is_marked, proposals_in, without_proposals

SETTINGS = PullRequestSettings(ForgeKind.GITHUB)
WORDS = st.from_regex(r"[A-Za-z0-9][A-Za-z0-9._-]{0,20}", fullmatch=True)


def change(alias: str = "app", version: str = "v2.0", labels: dict[str, str] | None = None) -> Change:
    return Change(
        ApplicationName("argocd", "demo"),
        alias,
        "registry.example.com/team/app",
        ImageVersion.parse("v1.0"),
        ImageVersion.parse(version),
        labels or {},
    )


def proposed(change: Change) -> Proposed:
    return Proposed(str(change.application), change.alias, str(change.version), "12345678")


def word(
    changes: list[Change], style: CommitStyle, settings: PullRequestSettings, pending: Sequence[str] = ()
) -> Words:
    return pull_request.word(changes, map(proposed, changes), style, settings, pending)


def test_what_is_proposed_is_read_again_whatever_a_forge_does_to_line_ends() -> None:
    changes = [change("app"), change("web", f"v3.0@sha256:{'a' * 64}")]
    body = word(changes, CommitStyle(), SETTINGS).body
    assert proposals_in(body) == proposals_in(body.replace("\n", "\r\n")) == frozenset(map(proposed, changes))


@given(alias=WORDS, tag=WORDS)
def test_any_alias_and_tag_are_read_again(alias: str, tag: str) -> None:
    made = change(alias, tag)
    assert proposals_in(word([made], CommitStyle(), SETTINGS).body) == {proposed(made)}


@given(st.text())
def test_any_text_proposes_something_or_nothing(text: str) -> None:
    assert proposals_in(text) == frozenset()


def test_text_without_proposals_keeps_its_words() -> None:
    body = word([change()], CommitStyle(), SETTINGS).body
    rest = without_proposals(body)
    assert proposals_in(rest) == frozenset()
    assert body.startswith(rest)


def test_labels_of_the_image_link_to_its_source() -> None:
    labels = {
        "org.opencontainers.image.source": "https://github.com/team/app.git",
        "org.opencontainers.image.revision": "c0ffee",
        "org.opencontainers.image.documentation": "javascript:alert(1)",
    }
    body = word([change(labels=labels)], CommitStyle(), SETTINGS).body
    assert "([source](https://github.com/team/app/commit/c0ffee)) |" in body
    assert "javascript" not in body


def test_what_is_pending_is_listed() -> None:
    assert "Also to be had:\n\n- something else" in word([change()], CommitStyle(), SETTINGS, ["something else"]).body


def test_title_and_body_are_bounded() -> None:
    settings = PullRequestSettings(ForgeKind.GITHUB, title="x" * 999, body="y" * 99_999)
    changes = [change(f"app{number}") for number in range(500)]
    words = word(changes, CommitStyle(), settings)
    assert len(words.title) == 255
    assert len(words.body) < 65_536
    assert len(proposals_in(words.body)) == 500


def test_text_for_azure_is_short_and_begins_with_what_it_proposes() -> None:
    settings = PullRequestSettings(ForgeKind.AZURE, body="y" * 99_999)
    words = word([change(f"app{number}") for number in range(20)], CommitStyle(), settings)
    assert len(words.body) == 4_000
    assert is_marked(words.body[:400])
    assert len(proposals_in(words.body)) == 20
    assert not is_marked(without_proposals(words.body))
