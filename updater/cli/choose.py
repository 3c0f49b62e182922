"""`updater choose`: the decision alone, offline."""

import sys
from datetime import UTC, datetime
from typing import TextIO

import click
import msgspec

from updater.cli import EXIT_USAGE
from updater.domain.annotations import STRATEGIES
from updater.domain.candidates import Snapshot
from updater.domain.decision import Current, Decision, Memory, Origin
from updater.domain.election import Election, elect, judge
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
@click.option("--current", default="", metavar="TAG", help="What is there now: tag, or tag@digest.")
@click.option("--allow-downgrade", is_flag=True, help="Also take something older than what is there now.")
@click.option(
    "--tags", "file", type=click.File(encoding="utf-8"), default="-", help="File with tags; - is standard input."
)
@click.option("-o", "--output", type=click.Choice(["text", "json"]), default="text", help="How to print the decision.")
def choose(
    strategy: str,
    constraint: str,
    allow_tags: str,
    ignore_tags: tuple[str, ...],
    current: str,
    allow_downgrade: bool,  # noqa: FBT001 - click passes flags by position
    file: TextIO,
    output: str,
) -> None:
    """Choose among tags as the daemon would, and say why.

    Tags are one a line, or JSON: [{"name": "v1", "digest": "sha256:...", "created": "2026-01-31T12:00:00Z"}, ...]
    """
    policy = Policy(
        strategy=STRATEGIES[strategy],
        constraint=constraint,
        allow_tags=allow_tags,
        ignore_tags=ignore_tags,
        allow_downgrade=allow_downgrade,
    )
    now = datetime.now(UTC)
    present = Current(ImageVersion.parse(current), Origin.TARGET) if current else Current()
    try:
        snapshot = Snapshot(Repository("", ""), parse_tag_list(file.read()), now)
        election = elect(policy, snapshot, now)
    except (Misconfigured, UnicodeDecodeError) as error:
        click.echo(f"updater: {error}", err=True)
        sys.exit(EXIT_USAGE)
    decision = judge(election, present, Memory(), now)
    click.echo(_as_json(decision, election) if output == "json" else _as_text(decision, election))


def _as_json(decision: Decision, election: Election) -> str:
    return msgspec.json.format(msgspec.json.encode(decision_record(decision, election))).decode()


def _as_text(decision: Decision, election: Election) -> str:
    kind = type(decision).__name__
    lines = [f"{kind} ({decision.reason}): {decision.message}"]
    width = max((len(verdict.tag) for verdict in election.verdicts), default=0)
    for verdict in election.verdicts:
        rank = f"#{verdict.rank}" if verdict.rank is not None else "-"
        lines.append(f"  {verdict.tag:<{width}}  {rank:>6}  {verdict.reason}")
    return "\n".join(lines)
