"""Commits as the writer makes them: a broken template stops nothing, a key that cannot sign stops everything."""

from datetime import timedelta

import pytest

from tests.fakes.cluster import helm_application
from tests.fakes.house import House, now
from updater.domain.candidates import Labels
from updater.domain.errors import Misconfigured, RegistryError
from updater.domain.image import ImageVersion
from updater.formats.commit import CommitStyle
from updater.formats.gotemplate import Template
from updater.ports.git import Author, Sign
from updater.stages.commits import Commits

IMAGE = "registry.example.com/team/app"
URL = "https://git.example.com/gitops.git"
AUTHOR = Author("Bot", "bot@example.com")


@pytest.fixture
def house() -> House:
    house = House()
    house.git.seed(URL, {"apps/one/Chart.yaml": "name: one\n", "apps/one/values.yaml": "image:\n  tag: v1.0\n"})
    house.registry.push(IMAGE, "v1.0", "v2.0")
    house.cluster.put(helm_application("one", IMAGE))
    return house


class Key:
    """A signer whose key can be broken."""

    broken = False

    async def signer(self) -> Sign | None:
        if self.broken:
            raise Misconfigured("the key cannot sign")
        return lambda data: f"signature of {len(data)} bytes"


async def test_template_of_the_settings_words_the_message(house: House) -> None:
    house.commits = Commits(AUTHOR, CommitStyle(Template.parse("chore: {{.AppName}}")))
    async with house.running():
        await house.hear("image.updated")
    assert house.git.log(URL)[-1].message.startswith("chore: one\n\nImage-Updated: argocd/one app v2.0 was v1.0\n")


async def test_template_that_does_not_fit_is_said_once_and_stops_nothing(house: House) -> None:
    house.commits = Commits(AUTHOR, CommitStyle(Template.parse("{{.Nope}}")))
    async with house.running():
        await house.hear("image.updated")
        house.registry.push(IMAGE, "v3.0")
        await house.hear("image.updated", count=2)
    assert len(house.said("git.template_failed")) == 1
    assert house.git.log(URL)[-1].message.startswith("build: automatic update of one\n")


async def test_commit_is_signed(house: House) -> None:
    house.commits = Commits(AUTHOR, signer=Key())
    async with house.running():
        await house.hear("image.updated")
    assert house.git.log(URL)[-1].signature.startswith("signature of")


async def test_key_that_cannot_sign_writes_nothing_until_it_can(house: House) -> None:
    key = Key()
    key.broken = True
    house.commits = Commits(AUTHOR, signer=key)
    async with house.running():
        failed = await house.hear("image.write_failed")
        assert len(house.git.log(URL)) == 1
        key.broken = False
        await house.hear("image.updated")
    assert failed["reason"] == "the key cannot sign"
    assert house.git.log(URL)[-1].signature


async def test_labels_of_a_newest_build_reach_the_message(house: House) -> None:
    asked = '{{ range .AppChanges }}{{ .NewTag }} is {{ index .Labels "revision" }}{{ end }}'
    house.commits = Commits(AUTHOR, CommitStyle(Template.parse(asked)))
    house.cluster.put(helm_application("one", IMAGE, {"app.update-strategy": "newest-build"}))
    house.registry.push(IMAGE, "v1.0", created=now() - timedelta(days=2))
    house.registry.push(IMAGE, "v2.0", created=now() - timedelta(days=1), labels=(("revision", "4f1c2ab"),))
    async with house.running():
        await house.hear("image.updated")
    assert house.git.log(URL)[-1].message.startswith("v2.0 is 4f1c2ab\n")


LABELLED = CommitStyle(
    Template.parse('{{ range .AppChanges }}{{ .NewTag }} is {{ index .Labels "revision" }}.{{ end }}')
)


async def test_labels_that_no_look_needed_are_read_once_for_all_that_have_the_image(house: House) -> None:
    house.commits = Commits(AUTHOR, LABELLED, labels=house.registry)
    house.registry.labelled["v2.0"] = (("revision", "4f1c2ab"),)
    house.cluster.put(helm_application("two", IMAGE))
    house.git.seed(URL, {"apps/two/Chart.yaml": "name: two\n"})
    async with house.running():
        await house.hear("image.updated", count=2)
    assert house.git.log(URL)[-1].message.count("v2.0 is 4f1c2ab.") == 2
    assert house.registry.labels_read == [ImageVersion("v2.0")]


async def test_labels_that_cannot_be_read_hold_nothing_up(house: House) -> None:
    class Silent:
        async def labels(self, *_: object) -> Labels:
            raise RegistryError("does not answer")

    house.commits = Commits(AUTHOR, LABELLED, labels=Silent())
    async with house.running():
        await house.hear("image.updated")
    assert house.git.log(URL)[-1].message.startswith("v2.0 is .\n")
    assert house.said("git.labels_unread")[0]["reason"] == "does not answer"


async def test_labels_that_no_message_asks_for_are_not_read(house: House) -> None:
    house.commits = Commits(AUTHOR, labels=house.registry)
    async with house.running():
        await house.hear("image.updated")
    assert house.registry.labels_read == []
