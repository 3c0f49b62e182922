"""`updater test`: what would be chosen for one image now, and why; asks its registry, and changes nothing."""

import asyncio
import platform
import sys
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import AsyncExitStack
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import click
import msgspec

from updater.cli import EXIT_FAILED, EXIT_USAGE
from updater.config.registries_conf import load_registries
from updater.domain.annotations import STRATEGIES
from updater.domain.candidates import Snapshot
from updater.domain.decision import Current, Decision, Hold, Memory, Reason, Update
from updater.domain.election import Election, elect, judge
from updater.domain.errors import Misconfigured, RegistryError, UpdaterError
from updater.domain.image import ImageEntry
from updater.domain.platform import own_platform, parse_platform
from updater.domain.policy import Output, Policy
from updater.domain.polling import PollKey, wants
from updater.domain.record import decision_record
from updater.domain.references import parse_entry
from updater.domain.secrets import parse_credential_source
from updater.domain.sentences import because, tags, time_of
from updater.settings.daemon import RegistryFiles
from updater.settings.registries import Registries

if TYPE_CHECKING:
    from updater.adapters.kubernetes.cluster import KubernetesCluster

_LEVELS: Mapping[str, Literal["debug", "info", "warning", "error"]] = {
    "trace": "debug",
    "debug": "debug",
    "info": "info",
    "warn": "warning",
    "warning": "warning",
    "error": "error",
}
_MOST_SHOWN = 20


@dataclass(frozen=True, slots=True, kw_only=True)
class _Question:
    """What the command line asks."""

    entry: ImageEntry
    policy: Policy
    poll: PollKey
    registries: Path | None
    kubeconfig: Path | None
    limit: float | None


@click.command()
@click.argument("image")
@click.option("--semver-constraint", default="", help="Version range, as behind the image's name in an image-list.")
@click.option("--allow-tags", default="", help="`any` or `regexp:<RE2>`.")
@click.option("--ignore-tags", multiple=True, metavar="GLOB", help="May be given several times.")
@click.option("--update-strategy", type=click.Choice(list(STRATEGIES), case_sensitive=False), default="semver")
@click.option(
    "--output-as",
    type=click.Choice([str(each) for each in Output]),
    default=None,
    help="What would be written of the choice.",
)
@click.option(
    "--registries-conf-path",
    type=click.Path(path_type=Path, dir_okay=False),
    help="A registries.conf; without it the usual one, if there is one.",
)
@click.option("--loglevel", type=click.Choice(list(_LEVELS), case_sensitive=False), default="warn", show_default=True)
@click.option(
    "--kubeconfig",
    type=click.Path(path_type=Path, dir_okay=False),
    help="Only read when credentials are in a Secret; without it, what kubectl would use.",
)
@click.option("--credentials", default="", metavar="REFERENCE", help="pullsecret:, secret:, env: or ext: reference.")
@click.option("--platforms", multiple=True, metavar="OS/ARCH", help="Several, or separated by commas; default: ours.")
@click.option("--rate-limit", type=click.FloatRange(min=0), default=None, help="Requests a second.")
@click.option("-o", "--output", type=click.Choice(["text", "json"]), default="text", help="How to print the decision.")
def test(
    *,
    image: str,
    semver_constraint: str,
    allow_tags: str,
    ignore_tags: tuple[str, ...],
    update_strategy: str,
    output_as: str | None,
    registries_conf_path: Path | None,
    loglevel: str,
    kubeconfig: Path | None,
    credentials: str,
    platforms: tuple[str, ...],
    rate_limit: float | None,
    output: str,
) -> None:
    """Ask a registry what IMAGE would be updated to, and say why. No cluster is needed.

    What stands behind the image's name is its constraint, as in an image-list: nginx:1.25.x, or app:latest for the
    strategy digest.
    """
    from updater.logs import configure_logging  # noqa: PLC0415 - `updater --help` starts without it
    from updater.settings.daemon import Log  # noqa: PLC0415 - as above

    configure_logging(Log(level=_LEVELS[loglevel.lower()], format="text" if sys.stderr.isatty() else "json"))
    try:
        entry = parse_entry(image)
        policy = Policy(
            strategy=STRATEGIES[update_strategy.lower()],
            constraint=semver_constraint or entry.constraint,
            allow_tags=allow_tags,
            ignore_tags=ignore_tags,
            platforms=tuple(parse_platform(each) for text in platforms for each in text.split(",")),
            output=Output(output_as) if output_as else None,
        )
        source = parse_credential_source(credentials) if credentials else None
        question = _Question(
            entry=entry,
            policy=policy,
            poll=PollKey(entry.reference.repository, source),
            registries=registries_conf_path,
            kubeconfig=kubeconfig,
            limit=rate_limit,
        )
        decision, election = asyncio.run(_ask(question))
    except Misconfigured as error:
        click.echo(f"updater: {error}", err=True)
        sys.exit(EXIT_USAGE)
    except UpdaterError as error:
        click.echo(f"updater: {error}", err=True)
        sys.exit(EXIT_FAILED)
    click.echo(_as_json(decision, election) if output == "json" else _as_text(question, decision, election))
    if isinstance(decision, Hold) and decision.reason is Reason.INCOMPLETE:
        sys.exit(EXIT_FAILED)


async def _ask(question: _Question) -> tuple[Decision, Election]:
    """Look once, as the daemon does, with a memory that ends with the command.

    Raises:
        Misconfigured: the question, registries.conf or the credentials have to be mended.
    """
    from updater.adapters.registry.client import RegistryClient  # noqa: PLC0415 - its imports are heavy
    from updater.adapters.sqlite.store import SqliteStore  # noqa: PLC0415

    repository = question.poll.repository
    elect(question.policy, Snapshot(repository, (), _now()), _now())  # a policy that cannot be followed asks nobody
    async with AsyncExitStack() as stack:
        directory = stack.enter_context(tempfile.TemporaryDirectory())
        store = await SqliteStore.open(Path(directory) / "state.db")
        stack.push_async_callback(store.close)
        secrets = _Secrets(question.kubeconfig)
        stack.push_async_callback(secrets.close)
        client = RegistryClient(
            _registries(question),
            secrets,
            store,
            store,
            own_platform=own_platform(platform.system(), platform.machine()),
            now=_now,
            script_directories=RegistryFiles().script_directories,
        )
        stack.push_async_callback(client.close)
        try:
            observed = await client.observe(question.poll, wants(question.policy))
            snapshot = await store.record(question.poll, observed)
        except RegistryError as error:
            snapshot = Snapshot(repository, (), _now(), incomplete=str(error))
    election = elect(question.policy, snapshot, _now())
    return judge(election, Current(), Memory(), _now()), election


def _registries(question: _Question) -> Registries:
    registries = load_registries(question.registries)
    if question.limit is None:
        return registries
    return Registries((replace(registries.serving(question.poll.repository), limit=question.limit),))


class _Secrets:
    """Reads Secrets from the cluster that the kubeconfig names, which is looked for when the first is wanted."""

    def __init__(self, kubeconfig: Path | None) -> None:
        self._kubeconfig = kubeconfig
        self._cluster: KubernetesCluster | None = None

    async def secret(self, namespace: str, name: str) -> Mapping[str, bytes]:
        if self._cluster is None:
            from updater.adapters.kubernetes.cluster import KubernetesCluster  # noqa: PLC0415 - costs seconds

            self._cluster = await KubernetesCluster.open((namespace,), self._kubeconfig)
        return await self._cluster.secret(namespace, name)

    async def close(self) -> None:
        if self._cluster is not None:
            await self._cluster.close()


def _as_json(decision: Decision, election: Election) -> str:
    return msgspec.json.format(msgspec.json.encode(decision_record(decision, election))).decode()


def _as_text(question: _Question, decision: Decision, election: Election) -> str:
    image = question.entry.reference
    if isinstance(decision, Update):
        first = f"latest image according to constraint is {image.at(decision.version)}"
    else:
        first = f"no image according to constraint: {decision.reason}"
    return "\n".join([first, f"  because {decision.message}", *_best(election), *_dropped(election)])


def _best(election: Election) -> Iterator[str]:
    """Tell the best candidates, with what is known of each."""
    shown = [candidate.record for candidate in election.candidates[:_MOST_SHOWN]]
    width = max((len(record.name) for record in shown), default=0)
    for rank, record in enumerate(shown, start=1):
        created = max((build.created for build in record.builds or () if build.created), default=None)
        times = [f"{what} {time_of(at)}" for what, at in (("pushed", record.pushed), ("built", created)) if at]
        yield "  ".join(filter(None, [f"  #{rank:<3} {record.name:<{width}}", *times, record.digest])).rstrip()
    if len(election.candidates) > _MOST_SHOWN:
        yield f"  and {tags(len(election.candidates) - _MOST_SHOWN)} more"


def _dropped(election: Election) -> Iterator[str]:
    """Tell how many tags cannot be chosen, and why."""
    for word, count in sorted(election.counts.items(), key=lambda each: -each[1]):
        example = next(tag for tag, dropped in sorted(election.dropped.items()) if dropped == word)
        yield f"  not: {tags(count)}, such as {example}: {because(word, election.policy)}"


def _now() -> datetime:
    return datetime.now(UTC)
