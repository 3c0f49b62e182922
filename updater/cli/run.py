"""`updater run`: the daemon."""

import os
import sys
from pathlib import Path

import click

from updater.cli import EXIT_FAILED, EXIT_USAGE
from updater.config.daemon import load_settings
from updater.domain.errors import Misconfigured, UpdaterError
from updater.logs import configure_logging


@click.command()
@click.option(
    "--config",
    type=click.Path(path_type=Path, dir_okay=False),
    help="Settings file, as config/updater.yaml; without it, built-in defaults and the environment hold.",
)
@click.option("--once", is_flag=True, help="Look at everything once, write what is needed, and exit.")
@click.option("--dry-run", is_flag=True, help="Decide and log, but write nothing.")
def run(config: Path | None, once: bool, dry_run: bool) -> None:  # noqa: FBT001 - click passes flags by position
    """Keep the images of Argo CD Applications up to date.

    Logs go to standard error, one JSON object a line. SIGTERM finishes the write under way and exits 0.
    """
    try:
        settings = load_settings(config, os.environ)
    except Misconfigured as error:
        click.echo(f"updater: {error}", err=True)
        sys.exit(EXIT_USAGE)
    configure_logging(settings.log.level, settings.log.format)
    from updater.app import run_daemon  # noqa: PLC0415 - after the settings are known to be good: its imports are heavy

    try:
        healthy = run_daemon(settings, os.environ, once=once, dry_run=dry_run)
    except Misconfigured as error:
        click.echo(f"updater: {error}", err=True)
        sys.exit(EXIT_USAGE)
    except UpdaterError as error:
        click.echo(f"updater: {error}", err=True)
        sys.exit(EXIT_FAILED)
    sys.exit(0 if healthy else EXIT_FAILED)
