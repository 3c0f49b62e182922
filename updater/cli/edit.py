"""`updater edit`: the edit that write-back would make to a file, offline."""

import difflib
import sys
from pathlib import Path

import click

from updater.cli import EXIT_FAILED, EXIT_USAGE
from updater.domain.change import Edit
from updater.domain.errors import EditError, Misconfigured
from updater.domain.image import ImageReference, ImageVersion, Repository
from updater.domain.references import parse_reference
from updater.domain.target import FileKind, ImageKeys
from updater.formats.targets import apply_edits

_TARGETS = {
    "helmvalues": FileKind.HELM_VALUES,
    "kustomization": FileKind.KUSTOMIZATION,
    "override": FileKind.OVERRIDE_HELM,
    "override-kustomize": FileKind.OVERRIDE_KUSTOMIZE,
}
_NO_IMAGE = ImageReference(Repository("", ""), "")


@click.command()
@click.argument("file", type=click.Path(path_type=Path, dir_okay=False))
@click.option(
    "--target", type=click.Choice(list(_TARGETS)), required=True, help="How the file says which image it wants."
)
@click.option("--set", "settings", multiple=True, metavar="PATH=TAG", help="Set the tag at a values path or parameter.")
@click.option("--image", "images", multiple=True, metavar="[NAME=]IMAGE:TAG", help="Set an image of a kustomization.")
@click.option("-w", "--write", is_flag=True, help="Write the file instead of showing the difference.")
def edit(file: Path, target: str, settings: tuple[str, ...], images: tuple[str, ...], write: bool) -> None:  # noqa: FBT001
    """Show, as a diff, the edit that write-back would make to FILE; only the bytes of the value change."""
    try:
        edits = _edits(settings, images)
        before = file.read_bytes().decode() if file.exists() else None
        after = apply_edits(_TARGETS[target], before, edits)
    except (Misconfigured, UnicodeDecodeError) as error:
        click.echo(f"updater: {error}", err=True)
        sys.exit(EXIT_USAGE)
    except (EditError, OSError) as error:
        click.echo(f"updater: {file}: {error}", err=True)
        sys.exit(EXIT_FAILED)
    if write:
        file.write_bytes(after.encode())
        return
    lines = difflib.unified_diff(
        (before or "").splitlines(keepends=True),
        after.splitlines(keepends=True),
        str(file),
        str(file),
    )
    for line in lines:
        click.echo(line if line.endswith("\n") else f"{line}\n\\ No newline at end of file\n", nl=False)


def _edits(settings: tuple[str, ...], images: tuple[str, ...]) -> list[Edit]:
    edits = [*map(_setting, settings), *map(_image, images)]
    if not edits:
        raise Misconfigured("nothing is to be changed: give --set or --image")
    return edits


def _setting(text: str) -> Edit:
    path, equals, tag = text.partition("=")
    if not equals or not path or not tag:
        raise Misconfigured(f"--set is {text!r}: write PATH=TAG, such as image.tag=v2.0")
    return Edit(_NO_IMAGE.at(ImageVersion.parse(tag)), ImageKeys(tag=path))


def _image(text: str) -> Edit:
    name, equals, image = text.rpartition("=")
    reference = parse_reference(image)
    if not reference.version:
        raise Misconfigured(f"--image is {text!r}: write the tag or digest as well, such as quay.io/team/app:v2.0")
    return Edit(reference, ImageKeys(kustomize_name=name if equals else ""))
