"""`updater explain`: what the daemon thinks of an application, and why."""

import asyncio
import os
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import click

from updater.cli import EXIT_FAILED, EXIT_USAGE
from updater.cli.report import as_json, as_text, wrapped
from updater.config.daemon import load_settings
from updater.config.place import settings_file
from updater.domain.application import ApplicationName
from updater.domain.errors import Misconfigured, UpdaterError
from updater.logs import configure_logging
from updater.settings.daemon import Log, Settings

Report = Mapping[str, Any]


@click.command()
@click.argument("application", metavar="[NAMESPACE/]APPLICATION")
@click.option("--image", "alias", metavar="ALIAS", help="One image alone.")
@click.option(
    "--config",
    type=click.Path(path_type=Path, dir_okay=False),
    help="The daemon's settings file; without it /app/config/updater.yaml, where there is one.",
)
@click.option("-o", "--output", type=click.Choice(["text", "json"]), default="text", help="How to print the decisions.")
def explain(application: str, alias: str | None, config: Path | None, output: str) -> None:
    """Show what is decided for an application's images, why, and what became of every tag.

    The running daemon is asked. When none answers, all is looked at anew, as the daemon would; nothing is written.
    """
    try:
        settings = load_settings(settings_file(config), os.environ)
        report = asyncio.run(_report(settings, _name(application, settings)))
    except Misconfigured as error:
        click.echo(f"updater: {error}", err=True)
        sys.exit(EXIT_USAGE)
    except UpdaterError as error:
        click.echo(f"updater: {error}", err=True)
        sys.exit(EXIT_FAILED)
    if report is None:
        click.echo(f"updater: there is no application {application} with annotations of the updater", err=True)
        sys.exit(EXIT_FAILED)
    _print(report, alias, output)


def _name(text: str, settings: Settings) -> ApplicationName:
    namespace, _, name = text.rpartition("/")
    return ApplicationName(namespace or settings.argocd.namespace, name)


async def _report(settings: Settings, name: ApplicationName) -> Report | None:
    from updater.web.client import NobodyAnswers, ask_application  # noqa: PLC0415 - `updater --help` needs none of it

    try:
        return await ask_application(settings.api_socket, name)
    except NobodyAnswers:
        from updater.app import evaluate  # noqa: PLC0415 - nor of the daemon's adapters

        configure_logging(Log(level="error", format=settings.log.format))
        click.echo("no daemon answers: looking anew, without writing anything", err=True)
        return await evaluate(settings, name)


def _print(report: Report, alias: str | None, output: str) -> None:
    """Print all images, or one; of one alone, JSON is its record."""
    images = [image for image in report["images"] if alias in (None, image["alias"])]
    problems = [problem for problem in report["problems"] if alias in (None, "", problem["alias"])]
    if alias is not None and not images and not problems:
        aliases = [each["alias"] for each in (*report["images"], *report["problems"])]
        known = ", ".join(dict.fromkeys(filter(None, aliases))) or "none"
        click.echo(f"updater: {report['application']} has no image {alias}: its images are {known}", err=True)
        sys.exit(EXIT_FAILED)
    if output == "json":
        click.echo(as_json(images[0] if alias is not None and images else {**report, "problems": problems}))
        return
    texts = [as_text(image) for image in images]
    for problem in problems:
        place = f"  {problem['alias']}" if problem["alias"] else ""
        word = click.style("misconfigured", fg="red", bold=True)
        texts.append(f"{report['application']}{place}\n{word}\n{wrapped(problem['message'])}")
    click.echo("\n\n".join(texts))
