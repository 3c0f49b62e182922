"""The examples of docs/registries.md are what the daemon reads."""

import re
from pathlib import Path

import pytest

from tests.fakes.certificates import loopback_certificate
from updater.config.registries_conf import KEYS, parse_registries_conf
from updater.domain.image import Repository
from updater.domain.secrets import parse_credential_source
from updater.settings.registries import RegistrySettings

DOCUMENT = (Path(__file__).parents[2] / "docs" / "registries.md").read_text()
EXAMPLES = re.findall(r"```yaml\n(.*?)```", DOCUMENT, re.DOTALL)
REFERENCES = re.findall(r"pull-secret: (.*)", DOCUMENT)


def read(example: str, directory: Path) -> tuple[RegistrySettings, ...]:
    certificate, key = loopback_certificate()
    for name, content in (("ca.crt", certificate), ("tls.crt", certificate), ("tls.key", key)):
        (directory / name).write_text(content)
    return parse_registries_conf(example.replace("/app/config/example", str(directory)), "docs").entries


@pytest.mark.parametrize("example", EXAMPLES)
def test_each_example_is_read(example: str, tmp_path: Path) -> None:
    assert read(example, tmp_path)


def test_the_mirror_of_the_example_is_asked_as_the_text_says(tmp_path: Path) -> None:
    mirror = read(EXAMPLES[0], tmp_path)[1]
    assert str(mirror.own_name(Repository("docker.io", "library/nginx"))) in DOCUMENT


@pytest.mark.parametrize("reference", REFERENCES)
def test_each_reference_is_read(reference: str) -> None:
    assert str(parse_credential_source(reference)) == reference


def test_every_kind_of_credentials_has_an_example() -> None:
    kinds = {reference.partition(":")[0] for reference in REFERENCES}
    kinds |= {each.partition(":")[0] for example in EXAMPLES for each in re.findall(r"credentials: (\S+)", example)}
    assert kinds == {"pullsecret", "secret", "env", "ext", "aws", "gcp", "azure", "alibaba", "github"}


def test_every_key_is_described() -> None:
    described = set(re.findall(r"`([a-z_]+)`", "".join(re.findall(r"^\| (`.*?`) \|", DOCUMENT, re.MULTILINE))))
    assert described >= set(KEYS)
