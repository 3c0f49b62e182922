"""`updater version`."""

import platform

import click

from updater import __version__


@click.command()
@click.option("--short", is_flag=True, help="The version alone.")
def version(short: bool) -> None:  # noqa: FBT001 - click passes flags by position
    """Print the version."""
    click.echo(__version__ if short else f"updater {__version__} (Python {platform.python_version()})")
