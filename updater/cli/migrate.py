"""`updater migrate`: annotations as ImageUpdaters, or the other way round."""

import asyncio
import sys
from collections.abc import Iterable, Sequence
from contextlib import aclosing
from io import StringIO
from pathlib import Path

import click
from ruamel.yaml import YAML

from updater.cli import EXIT_FAILED, EXIT_USAGE
from updater.cli.manifest_files import Found, find_manifests
from updater.domain.errors import ClusterError, Misconfigured
from updater.domain.migration import Manifest, Migration, to_annotations, to_resources
from updater.ports.cluster import Listed, ResourceSeen, Seen, Unreadable

_PATIENCE = 60.0
"""Seconds for a cluster to list what it has."""


@click.command()
@click.option("--to", "kind", type=click.Choice(["cr", "annotations"]), required=True, help="What to print.")
@click.option("--name", default="updater", help="Of the ImageUpdater in each namespace.")
@click.option("--namespace", "-n", "namespaces", multiple=True, help="With a cluster: whose; patterns are allowed.")
@click.option("--kubeconfig", type=click.Path(path_type=Path, dir_okay=False), help="Read a cluster instead of files.")
@click.option("--context", default="", help="Of the kubeconfig.")
@click.argument("files", nargs=-1, type=click.Path(exists=True, path_type=Path))
def migrate(
    kind: str, name: str, namespaces: tuple[str, ...], kubeconfig: Path | None, context: str, files: tuple[Path, ...]
) -> None:
    """Print what says the same as the Applications and ImageUpdaters in FILES (or in a cluster) at another place.

    Nothing is changed. What cannot be carried is said on standard error, and the exit code is 1 then.
    """
    if bool(files) == (kubeconfig is not None):
        click.echo("updater: name FILES with Applications and ImageUpdaters, or a cluster with --kubeconfig", err=True)
        sys.exit(EXIT_USAGE)
    try:
        found = find_manifests(files) if files else asyncio.run(_from_cluster(kubeconfig, context, namespaces))
    except (ClusterError, Misconfigured) as error:
        click.echo(f"updater: {error}", err=True)
        sys.exit(EXIT_FAILED)
    migration = _migrated(kind, name, found)
    for manifest in migration.manifests:
        click.echo(f"---\n{as_yaml(manifest)}", nl=False)
    _tell([*found.problems, *migration.left])


def _migrated(kind: str, name: str, found: Found) -> Migration:
    if kind == "cr":
        return to_resources(found.applications, name)
    return to_annotations(found.applications, found.resources)


def _tell(left: Sequence[str]) -> None:
    for text in left:
        click.echo(f"not carried: {text}", err=True)
    if left:
        sys.exit(EXIT_FAILED)


async def _from_cluster(kubeconfig: Path | None, context: str, namespaces: Iterable[str]) -> Found:
    from updater.adapters.kubernetes.cluster import KubernetesCluster  # noqa: PLC0415 - its import costs seconds

    cluster = await KubernetesCluster.open(tuple(namespaces) or ("argocd",), kubeconfig, context)
    found = Found()
    try:
        async with asyncio.timeout(_PATIENCE), aclosing(cluster.events()) as events:  # type: ignore[type-var]
            async for event in events:
                match event:
                    case Seen(application):
                        found.applications.append(application)
                    case ResourceSeen(resource):
                        found.resources.append(resource)
                    case Unreadable(name, message):
                        found.problems.append(f"{name}: {message}")
                    case Listed():
                        break
    except TimeoutError:
        raise ClusterError(f"the cluster did not list its Applications within {_PATIENCE:g} s") from None
    finally:
        await cluster.close()
    return found


def as_yaml(manifest: Manifest) -> str:
    yaml = YAML()
    yaml.indent(mapping=2, sequence=4, offset=2)
    yaml.width = 10_000
    stream = StringIO()
    yaml.dump(manifest, stream)
    return stream.getvalue()
