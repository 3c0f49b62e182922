"""`updater run`: the daemon."""

import os
import sys
from pathlib import Path

import click
import structlog

from updater.cli import EXIT_FAILED, EXIT_USAGE
from updater.cli.inherited_flags import given, inherited_flags
from updater.config.daemon import load_settings
from updater.config.place import settings_file
from updater.domain.errors import Misconfigured, UpdaterError
from updater.logs import configure_logging
from updater.settings.daemon import Settings
from updater.stages.board import Board

log = structlog.get_logger()


@click.command()
@click.option(
    "--config",
    type=click.Path(path_type=Path, dir_okay=False),
    help="Settings file, as config/updater.yaml; without it /app/config/updater.yaml, where there is one.",
)
@click.option("--once", is_flag=True, help="Look at everything once, write what is needed, and exit.")
@click.option("--dry-run", is_flag=True, help="Decide and log, but write nothing.")
@click.option("--compare", is_flag=True, help="A dry run that ends with a table: what is there, what would be written.")
@inherited_flags
def run(config: Path | None, once: bool, dry_run: bool, compare: bool, **inherited: str | None) -> None:  # noqa: FBT001 - as click passes flags
    """Keep the images of Argo CD Applications up to date.

    Logs go to standard error, one JSON object a line. SIGTERM finishes the write under way and exits 0.
    The flags of Argo CD Image Updater are understood as well.
    """
    flags = given(inherited, os.environ)

    def read_settings() -> Settings:
        return load_settings(settings_file(config), flags.environ, flags.names)

    try:
        settings = read_settings()
    except Misconfigured as error:
        click.echo(f"updater: {error}", err=True)
        sys.exit(EXIT_USAGE)
    configure_logging(settings.log)
    for name in flags.without_effect:
        log.warning("flag.unsupported", flag=name, reason="it has no effect: remove it")
    from updater.app import run_daemon  # noqa: PLC0415 - after the settings are known to be good: its imports are heavy
    from updater.cli.comparison import as_table  # noqa: PLC0415 - with what it tables

    def at_end(board: Board) -> None:
        if compare:
            click.echo(as_table(board))

    try:
        dry_run = dry_run or compare
        healthy = run_daemon(settings, flags.environ, read_settings, once=once, dry_run=dry_run, at_end=at_end)
    except Misconfigured as error:
        click.echo(f"updater: {error}", err=True)
        sys.exit(EXIT_USAGE)
    except UpdaterError as error:
        click.echo(f"updater: {error}", err=True)
        sys.exit(EXIT_FAILED)
    sys.exit(0 if healthy else EXIT_FAILED)
