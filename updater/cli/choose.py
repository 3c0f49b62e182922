"""`updater choose`: the decision alone, offline."""

import sys
from datetime import UTC, datetime, timedelta
from typing import TextIO

import click

from updater.cli import EXIT_USAGE
from updater.cli.report import as_json, as_text
from updater.domain.annotations import STRATEGIES
from updater.domain.candidates import Snapshot
from updater.domain.decision import Current, Memory, Origin
from updater.domain.durations import parse_go_duration
from updater.domain.election import elect, judge
from updater.domain.errors import Misconfigured
from updater.domain.image import ImageVersion, Repository
from updater.domain.policy import Policy
from updater.domain.record import decision_record
from updater.formats.tag_list import parse_tag_list


@click.command()
@click.option("--strategy", type=click.Choice(list(STRATEGIES)), default="semver", help="What makes one tag newer.")
@click.option("--constraint", default="", help="Version range for semver, tag for digest; as behind the image's name.")
@click.option("--allow-tags", default="", help="`any` or `regexp:<RE2>`.")
@click.option("--ignore-tags", multiple=True, metavar="GLOB", help="May be given several times.")
@click.option("--skip-tags", multiple=True, metavar="TAG", help="Never to be chosen; may be given several times.")
@click.option("--extract", default="", metavar="RE2", help="Named groups that cut the sort key out of a tag.")
@click.option("--sort", default="", metavar="ORDER", help="Such as `year desc, build desc`, or `tag asc`.")
@click.option("--minimum-age", default="0s", metavar="DURATION", help="Such as 72h, since `pushed` or `first_seen`.")
@click.option("--current", default="", metavar="TAG", help="What is there now: tag, or tag@digest.")
@click.option("--allow-downgrade", is_flag=True, help="Also take something older than what is there now.")
@click.option(
    "--tags", "file", type=click.File(encoding="utf-8"), default="-", help="File with tags; - is standard input."
)
@click.option("-o", "--output", type=click.Choice(["text", "json"]), default="text", help="How to print the decision.")
def choose(
    *,
    strategy: str,
    constraint: str,
    allow_tags: str,
    ignore_tags: tuple[str, ...],
    skip_tags: tuple[str, ...],
    extract: str,
    sort: str,
    minimum_age: str,
    current: str,
    allow_downgrade: bool,
    file: TextIO,
    output: str,
) -> None:
    """Choose among tags as the daemon would, and say why.

    Tags are one a line, or JSON: [{"name": "v1", "digest": "sha256:...", "created": "2026-01-31T12:00:00Z"}, ...]
    """
    now = datetime.now(UTC)
    present = Current(ImageVersion.parse(current), Origin.TARGET) if current else Current()
    try:
        policy = Policy(
            strategy=STRATEGIES[strategy],
            constraint=constraint,
            allow_tags=allow_tags,
            ignore_tags=ignore_tags,
            skip_tags=skip_tags,
            extract=extract,
            sort=sort,
            minimum_age=timedelta(seconds=parse_go_duration(minimum_age)),
            allow_downgrade=allow_downgrade,
        )
        snapshot = Snapshot(Repository("", ""), parse_tag_list(file.read()), now)
        election = elect(policy, snapshot, now)
    except UnicodeDecodeError:
        click.echo(f"updater: --tags {file.name}: no UTF-8 text: name a file with tags, one a line, or JSON", err=True)
        sys.exit(EXIT_USAGE)
    except Misconfigured as error:
        click.echo(f"updater: {error}", err=True)
        sys.exit(EXIT_USAGE)
    record = decision_record(judge(election, present, Memory(), now), election)
    click.echo(as_json(record) if output == "json" else as_text(record))
