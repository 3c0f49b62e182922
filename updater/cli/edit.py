"""`updater edit`: the edit that write-back would make to a file, offline."""

import difflib
import io
import os
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import click

from updater.cli import EXIT_FAILED, EXIT_USAGE
from updater.domain.application import ApplicationName
from updater.domain.change import Edit
from updater.domain.errors import EditError, Misconfigured
from updater.domain.image import ImageReference, ImageVersion, Repository
from updater.domain.references import parse_reference
from updater.domain.target import FileKind, ImageKeys
from updater.formats.application_manifest import applications_in, edit_application, parameters_kind
from updater.formats.overrides import override_kind
from updater.formats.targets import apply_to_all

_TAKES = {
    "helmvalues": ("--set",),
    "kustomization": ("--image",),
    "override": ("--set", "--image"),
    "manifests": ("--image",),
    "application": ("--set", "--image"),
}
"""Which options say what a target shall hold."""
_CREATED = ("helmvalues", "override")
_STDIN = "-"
_NO_IMAGE = ImageReference(Repository("", ""), "")
_IMAGE_REMEDY = "write nginx:1.27, name=newName:newTag, name=*:newTag or name@sha256:…"


@dataclass(frozen=True, slots=True)
class _Task:
    """What the options ask for."""

    target: str
    settings: tuple[str, ...]
    images: tuple[str, ...]
    application: str
    source: int | None

    def edited(self, text: str | None) -> str:
        """Make the edit.

        Raises:
            Misconfigured: the options do not fit together, or one cannot be read.
            EditError: the edit cannot be made.
        """
        self._check()
        edits = [*map(_setting, self.settings), *(_image(each, self.target) for each in self.images)]
        if text is None and self.target not in _CREATED:
            raise EditError("there is no such file: correct its name")
        if self.target == "application":
            return self._application_edited(text or "", edits)
        changed = apply_to_all(self._kind(text or ""), {_NAME: text}, edits)
        return changed.get(_NAME, text or "")

    def _check(self) -> None:
        given = [option for option, values in (("--set", self.settings), ("--image", self.images)) if values]
        takes = _TAKES[self.target]
        if not given or not set(given) <= set(takes):
            raise Misconfigured(f"--target {self.target} needs {' or '.join(takes)}, to say what it shall hold")
        if len(given) > 1:
            raise Misconfigured("--set and --image exclude each other: a source takes parameters, or images")

    def _kind(self, text: str) -> FileKind:
        if self.target == "override":
            return FileKind.OVERRIDE_KUSTOMIZE if self.images else override_kind(text)
        return FileKind(self.target)

    def _application_edited(self, text: str, edits: list[Edit]) -> str:
        name = self._application_name(text)
        kind = FileKind.OVERRIDE_KUSTOMIZE if self.images else parameters_kind(text, name, self.source)
        return edit_application(text, name, self.source, kind, edits)

    def _application_name(self, text: str) -> ApplicationName:
        names = applications_in(text)
        wanted = [name for name in names if self.application in ("", name.name, str(name))]
        if len(wanted) == 1:
            return wanted[0]
        if not names:
            raise EditError("there is no Application in this file: correct the file's name")
        raise Misconfigured(f"--application has to name one of {', '.join(map(str, names))}")


_NAME = "edited"
"""The one file, as far as the formats are concerned; the user is told its own name."""


@click.command()
@click.argument("file", type=click.Path(dir_okay=False))
@click.option(
    "--target", type=click.Choice(list(_TAKES)), required=True, help="How the file says which image it wants."
)
@click.option(
    "--set", "settings", multiple=True, metavar="PATH=VALUE", help="Set a values path, parameter or variable."
)
@click.option("--image", "images", multiple=True, metavar="SPEC", help="Set an image, in the notation of kustomize.")
@click.option(
    "--application", metavar="[NS/]NAME", default="", help="Which Application of the file, if it has several."
)
@click.option("--source", type=int, metavar="N", help="Which source of the Application, if it has several.")
@click.option("-w", "--write", is_flag=True, help="Write the file instead of showing the difference.")
def edit(
    *,
    file: str,
    target: str,
    settings: tuple[str, ...],
    images: tuple[str, ...],
    application: str,
    source: int | None,
    write: bool,
) -> None:
    """Show, as a diff, the edit that write-back would make to FILE; only the bytes of the value change.

    FILE may be -, for standard input; -w then prints the whole result.

    SPEC is nginx:1.27, name=newName:newTag, name=*:newTag (the name stays) or name@sha256:…; for --target manifests,
    alias=image:tag also sets the lines that are marked for the alias.
    """
    try:
        before = _read(file)
        after = _Task(target, settings, images, application, source).edited(before)
        if write and (after != before or file == _STDIN):
            _write(file, after)
    except Misconfigured as error:
        click.echo(f"updater: {error}", err=True)
        sys.exit(EXIT_USAGE)
    except (EditError, OSError, UnicodeDecodeError) as error:
        click.echo(f"updater: {file}: {_reason(error)}", err=True)
        sys.exit(EXIT_FAILED)
    if not write:
        sys.stdout.writelines(_difference(file, before, after))
    if after == before:
        click.echo(f"updater: {file}: nothing changes", err=True)


def _read(file: str) -> str | None:
    if file == _STDIN:
        return sys.stdin.buffer.read().decode()
    path = Path(file)
    return path.read_bytes().decode() if path.exists() else None


def _write(file: str, text: str) -> None:
    """Replace the file at once, so that nobody reads half of it; its mode stays, a link to it too."""
    if file == _STDIN:
        sys.stdout.buffer.write(text.encode())
        return
    path = Path(file).resolve()
    if not path.exists():
        path.write_bytes(text.encode())
        return
    with tempfile.NamedTemporaryFile(dir=path.parent, prefix=f".{path.name}.", delete=False) as new:
        try:
            new.write(text.encode())
            new.flush()
            os.fchmod(new.fileno(), path.stat().st_mode)
            Path(new.name).replace(path)
        except BaseException:
            Path(new.name).unlink()
            raise


def _difference(file: str, before: str | None, after: str) -> Iterator[str]:
    old_name, new_name = file if before is not None else os.devnull, file
    for line in difflib.unified_diff(_lines(before or ""), _lines(after), old_name, new_name):
        yield line if line.endswith("\n") else f"{line}\n\\ No newline at end of file\n"


def _lines(text: str) -> list[str]:
    """Split as diff does: at line feeds alone."""
    return list(io.StringIO(text, newline="\n"))


def _reason(error: Exception) -> str:
    if isinstance(error, UnicodeDecodeError):
        return "no UTF-8 text: correct the file"
    if isinstance(error, OSError):
        return error.strerror or str(error)
    return str(error).removeprefix(f"{_NAME}: ")


def _setting(text: str) -> Edit:
    path, equals, value = text.partition("=")
    if not equals or not path or not value:
        raise Misconfigured(f"--set is {text!r}: write PATH=VALUE, such as image.tag=v2.0")
    return Edit(_NO_IMAGE.at(ImageVersion(value)), ImageKeys(tag=path))


def _image(text: str, target: str) -> Edit:
    name, _, image = text.rpartition("=")
    if name and image.startswith("*"):
        name, image = "", name + image[1:]
    try:
        reference = parse_reference(image)
    except Misconfigured as error:
        raise Misconfigured(f"--image is {text!r} ({error}): {_IMAGE_REMEDY}") from None
    if not reference.version:
        raise Misconfigured(f"--image is {text!r}, without a tag or digest: {_IMAGE_REMEDY}")
    if target == "manifests":
        return Edit(reference, ImageKeys(), name)
    return Edit(reference, ImageKeys(kustomize_name=name))
