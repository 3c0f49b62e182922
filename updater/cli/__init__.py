"""The command line. Each command lives in a module of its own, imported only when it is called."""

import importlib

import click

from updater import __version__

_COMMANDS = {
    "run": "Keep the images of Argo CD Applications up to date.",
    "demo": "Watch one update happen, on this machine alone.",
    "test": "Ask a registry what an image would be updated to, and why.",
    "choose": "Choose among tags offline, and say why.",
    "explain": "Show what is decided for an application, and why.",
    "edit": "Show the edit that write-back would make to a file.",
    "template": "Render a commit message's template with sample data.",
    "lint": "Check Applications, resources and settings offline.",
    "migrate": "Turn annotations into ImageUpdaters, or back.",
    "version": "Print the version.",
}

EXIT_FAILED = 1
EXIT_USAGE = 2


class _LazyGroup(click.Group):
    """Imports a command's module when the command is called, so that `updater version` starts fast."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002 - click's signature
        return list(_COMMANDS)

    def get_command(self, ctx: click.Context, name: str) -> click.Command | None:  # noqa: ARG002 - click's signature
        if name not in _COMMANDS:
            return None
        command: click.Command = getattr(importlib.import_module(f"updater.cli.{name}"), name)
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:  # noqa: ARG002 - click's
        with formatter.section("Commands"):
            formatter.write_dl(list(_COMMANDS.items()))


@click.group(cls=_LazyGroup, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, message="updater %(version)s")
def main() -> None:
    """Keep the container images of Argo CD Applications up to date.

    Exit codes: 0 done, 1 failed, 2 wrong usage or configuration.
    """
