"""Which of an Application's sources takes an image, and which Git repository its files come from."""

import posixpath
from collections.abc import Callable, Sequence

from updater.domain.application import Application, Source
from updater.domain.errors import Misconfigured
from updater.domain.image import ImageReference, Repository
from updater.domain.references import OCI, parse_entry
from updater.domain.target import ImageKeys

PARAMETRISED = ("Helm", "Kustomize", "Plugin")
"""Types of sources that take images as parameters."""

Numbered = tuple[int, Source]


def choose_source(application: Application, wanted: str, keys: ImageKeys, selector: str, file: str) -> Numbered:
    """Choose the source that an image is for, with its index.

    Args:
        application: with its sources.
        wanted: the type that the annotations speak of; empty when they leave it open.
        keys: under which names the image stands.
        selector: the annotation `<alias>.source`: an index, `name`, `ref` or chart; empty when there is none.
        file: the values file that is to be written, as an annotation names it; empty when none does.

    Raises:
        Misconfigured: there is none, or several could be meant.
    """
    numbered = list(enumerate(application.sources))
    if not numbered:
        raise Misconfigured(
            "the Application has no source: spec.source, spec.sources or spec.sourceHydrator.drySource is needed"
        )
    if selector:
        return _selected(numbered, selector)
    able = [item for item in numbered if not lends_only(item[1])] or numbered
    for evidence in _evidence(wanted, keys, file):
        able = [item for item in able if evidence(item[1])] or able
    if len(able) == 1:
        return able[0]
    raise Misconfigured(
        f"the Application has several sources that could take the image: set <alias>.source to {_choices(able)}"
    )


def chart_source(application: Application, image: ImageReference, selector: str) -> int:
    """Find the source that is a chart of the image-list; return its index.

    Raises:
        Misconfigured: there is none, or several.
    """
    numbered = list(enumerate(application.sources))
    found = [item for item in numbered if _chart_of(item[1]) == image.repository]
    if not found:
        charts = ", ".join(str(chart) for source in application.sources if (chart := _chart_of(source))) or "none"
        raise Misconfigured(f"chart {image.written} is no source of the Application, whose charts are: {charts}")
    if selector:
        return _selected(found, selector)[0]
    if len(found) > 1:
        raise Misconfigured(f"chart {image.written} is several sources: set <alias>.source to one of {_choices(found)}")
    return found[0][0]


def _chart_of(source: Source) -> Repository | None:
    """Name the chart that a source is, as an image-list would; None when it is none."""
    address = source.repo_url.rstrip("/")
    scheme, found, _ = address.partition("://")
    if not source.chart and scheme != OCI:
        return None
    written = f"{address if found else f'{OCI}://{address}'}{f'/{source.chart}' if source.chart else ''}"
    try:
        return parse_entry(written).reference.repository
    except Misconfigured:
        return None


def lends_only(source: Source) -> bool:
    """Tell whether a source only lends its files to others, by `$ref`."""
    return bool(source.ref) and not source.path and not source.chart


def lender_of(application: Application, source: Source, file: str) -> tuple[Source, str]:
    """Find the source whose repository holds a values file, and the file's path there.

    `$ref/path` names both, as `helm.valueFiles` does. A chart has no files in Git: its own are those that another
    source lends it.

    Raises:
        Misconfigured: there is no such source, or several could be meant.
    """
    if file.startswith("$"):
        name, _, path = file[1:].partition("/")
        lender = next((each for each in application.sources if each.ref == name), None)
        if lender is None:
            refs = ", ".join(f"${each.ref}" for each in application.sources if each.ref) or "none"
            raise Misconfigured(f"annotation write-back-target names the source ${name}, which is none of {refs}")
        return lender, f"/{path}"
    if not source.chart:
        return source, file
    lent = [each for each in lent_files(source) if each.partition("/")[2] == file.strip("/")]
    lenders = [each for each in application.sources if each.ref and not each.chart]
    if len(lent) == 1:
        return lender_of(application, source, lent[0])
    if len(lenders) == 1:
        return lenders[0], f"/{file.strip('/')}"
    raise _no_repository(source)


def only_lent_file(source: Source) -> str:
    """Return the one values file that a chart takes from a Git repository.

    Raises:
        Misconfigured: it takes none, or several.
    """
    files = lent_files(source)
    if len(files) != 1:
        raise _no_repository(source)
    return files[0]


def lent_files(source: Source) -> list[str]:
    return [file for file in source.value_files if file.startswith("$")]


def _no_repository(source: Source) -> Misconfigured:
    files = " or ".join(f"helmvalues:{file}" for file in lent_files(source))
    remedy = (
        f"set write-back-target to {files}" if files else "name the one to write to in the annotation git-repository"
    )
    return Misconfigured(f"source {source.repo_url} is a chart repository, not a Git repository: {remedy}")


def _evidence(wanted: str, keys: ImageKeys, file: str) -> Sequence[Callable[[Source], bool]]:
    """Return what speaks for a source, the strongest first; each counts only where it holds for any."""
    parameter = keys.spec or keys.tag
    return (
        lambda source: bool(file) and _takes_file(source, file),
        lambda source: source.kind == wanted or (not wanted and source.kind in PARAMETRISED),
        lambda source: any(each.name == parameter for each in (*source.helm_parameters, *source.plugin_env)),
    )


def _takes_file(source: Source, file: str) -> bool:
    """Tell whether a source's `helm.valueFiles` have the file that an annotation names."""
    if file.startswith("$"):
        return file in source.value_files
    path = _joined(source.path, file)
    return any(
        (each.partition("/")[2] if each.startswith("$") else _joined(source.path, each)) == path
        for each in source.value_files
    )


def _joined(base: str, path: str) -> str:
    return posixpath.normpath(posixpath.join("/", base, path)).strip("/")


def _selected(numbered: Sequence[Numbered], selector: str) -> Numbered:
    chosen = [item for item in numbered if selector in (str(item[0]), item[1].name, item[1].ref, item[1].chart)]
    if len(chosen) == 1:
        return chosen[0]
    choices = _choices(chosen or numbered)
    raise Misconfigured(f"annotation source is {selector!r}, which is not one source: choose among {choices}")


def _choices(numbered: Sequence[Numbered]) -> str:
    return ", ".join(
        f"{index} ({source.name or source.ref or source.chart or source.path or source.repo_url})"
        for index, source in numbered
    )
