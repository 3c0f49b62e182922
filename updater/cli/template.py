"""`updater template`: what a commit message's template makes of sample data."""

import sys
from collections.abc import Mapping, Sequence
from typing import TextIO

import click

from updater.cli import EXIT_FAILED
from updater.domain.application import ApplicationName
from updater.domain.change import Change
from updater.domain.image import ImageVersion
from updater.formats.commit import CommitStyle
from updater.formats.gotemplate import Template, TemplateError

_LABELS = {"org.opencontainers.image.revision": "4f1c2ab", "org.opencontainers.image.source": "https://example.com/app"}
_Sample = tuple[str, str, str, str, str, Mapping[str, str]]
_CHANGES: Sequence[_Sample] = (
    ("example", "app", "ghcr.io/team/app", "v1.0.0", "v1.1.0", _LABELS),
    ("example", "proxy", "nginx", "1.27", "1.28", {}),
    ("other", "app", "ghcr.io/team/app", "v1.0.0", "v1.1.0", _LABELS),
)


@click.command()
@click.argument("file", type=click.File("r", encoding="utf-8"), required=False)
@click.option("--batch", is_flag=True, help="Render for several applications in one commit.")
def template(file: TextIO | None, batch: bool) -> None:  # noqa: FBT001 - click passes flags by position
    """Render the template in FILE (- for standard input), or the built-in one, with sample data."""
    try:
        style = CommitStyle(Template.parse(file.read())) if file else CommitStyle()
        message = style.message(_sample(batch=batch))
    except (TemplateError, UnicodeDecodeError) as error:
        click.echo(f"updater: {file.name if file else 'the built-in template'}: {error}", err=True)
        sys.exit(EXIT_FAILED)
    click.echo(message, nl=False)


def _sample(*, batch: bool) -> list[Change]:
    return [
        Change(
            application=ApplicationName("argocd", application),
            alias=alias,
            image=image,
            previous=ImageVersion(previous),
            version=ImageVersion(version),
            labels=labels,
        )
        for application, alias, image, previous, version, labels in _CHANGES
        if batch or application == _CHANGES[0][0]
    ]
