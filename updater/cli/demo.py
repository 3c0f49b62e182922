"""`updater demo`: the main job, on this machine alone."""

import asyncio
import shutil
import signal
import sys
import time

import click
from rich.console import Console
from rich.syntax import Syntax
from rich.text import Text

from updater.cli import EXIT_FAILED
from updater.demo.daemon import DaemonSilent, Event
from updater.demo.scenario import NEW_TAG, DemoFailed, Story, play

_INTERRUPTED = 130
_UNTOLD = frozenset({"time", "level", "event", "image", "application", "alias", "repository", "pid", "version"})
_STYLES = {"registry": "magenta", "git": "magenta", "argocd": "magenta", "you": "bold yellow", "updater": "cyan"}


@click.command()
def demo() -> None:
    """Watch one update happen, on this machine alone.

    Starts a registry and a Git server on loopback and the daemon beside them, pushes a new image, and shows the commit.
    Needs no cluster and no root, and leaves nothing behind.
    """
    console = Console(highlight=False, soft_wrap=not sys.stdout.isatty())
    if shutil.which("git") is None:
        click.echo("updater: the demonstration needs the program git: install the package git", err=True)
        sys.exit(EXIT_FAILED)
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.default_int_handler)
    try:
        story = asyncio.run(play(_Teller(console)))
    except (DemoFailed, DaemonSilent) as error:
        click.echo(f"updater: {error}", err=True)
        sys.exit(EXIT_FAILED)
    except KeyboardInterrupt:
        click.echo("updater: interrupted; everything is stopped and removed", err=True)
        sys.exit(_INTERRUPTED)
    _tell_end(console, story)


class _Teller:
    """Prints each step with the time since the start."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._start = time.monotonic()

    def step(self, who: str, what: str) -> None:
        line = Text(f"{time.monotonic() - self._start:6.2f} s  ", style="dim")
        line.append(f"{who:<9}", style=_STYLES[who]).append(what, style="default")
        self._console.print(line)

    def daemon(self, event: Event) -> None:
        facts = " ".join(f"{key}={value}" for key, value in event.items() if key not in _UNTOLD)
        self.step("updater", f"{event['event']} {facts}".rstrip())


def _tell_end(console: Console, story: Story) -> None:
    console.print()
    if console.is_terminal:
        console.print(Syntax(story.diff.rstrip(), "diff", background_color="default"))
    else:
        console.print(story.diff.rstrip(), markup=False)
    console.print()
    total = story.decided_after + story.written_after
    console.print(
        f"{NEW_TAG} went from push to decision in {story.decided_after:.2f} s (registries were polled every second), "
        f"and from decision to commit in {story.written_after:.2f} s: {total:.2f} s in all.",
    )
    console.print("Everything was stopped and removed. To go on:")
    console.print("  updater run --help        the daemon that did this")
    console.print("  config/updater.yaml       every setting, explained")
    console.print("  README.md                 how to run it beside argocd-server")
