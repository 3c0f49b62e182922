"""Every option of the daemon by its dotted path, and how a value from outside becomes the option's own."""

import difflib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, get_args, get_origin

import msgspec

from updater.domain.errors import Misconfigured
from updater.settings.daemon import (
    LOG_AREAS,
    AreaLevel,
    Count,
    Namespace,
    NamespacePattern,
    Number,
    Occasion,
    Settings,
    Text,
)
from updater.settings.units import Duration, Interval, Listen, Size

_LONGEST_SHOWN = 80
_REMEDIES: Mapping[object, str] = {
    bool: "write true or false",
    str: "write a text",
    Text: "write a text that is not empty",
    Count: "write a whole number of at least 1",
    Number: "write a whole number, 0 or more",
    Namespace: "write the name of a namespace",
    Namespace | None: "write the name of a namespace, or leave it out",
    Path: "write a path",
    Path | None: "write a path, or leave it out",
    Duration: Duration.remedy,
    Interval: Interval.remedy,
    Size: Size.remedy,
    Listen: Listen.remedy,
    tuple[NamespacePattern, ...]: "write a list of namespaces, such as [argocd, team-*] or ['*']",
    tuple[Namespace, ...]: "write a list of names of namespaces, such as [team-a, team-b]",
    tuple[Text, ...]: "write a list of texts, such as [latest, '*-rc*']",
    tuple[AreaLevel, ...]: f"write a list such as [registry=debug, web=warning]; areas are {', '.join(LOG_AREAS)}",
    tuple[Occasion, ...]: "write a list of updated, held, failed and recovered",
    tuple[Path, ...]: "write a list of paths, such as [/app/scripts]",
}


@dataclass(frozen=True, slots=True)
class Option:
    """One thing to set."""

    section: str
    key: str
    type: Any
    """As it is annotated in `updater.settings.daemon`."""

    @property
    def path(self) -> str:
        return f"{self.section}.{self.key}"

    def of(self, settings: Settings) -> object:
        """Return the option's value."""
        value: object = getattr(getattr(settings, self.section), self.key)
        return value

    @property
    def variable(self) -> str:
        return f"UPDATER_{self.section}_{self.key}".upper()

    @property
    def remedy(self) -> str:
        if get_origin(self.type) is Literal:
            *most, last = get_args(self.type)
            return f"write {', '.join(most)} or {last}"
        return _REMEDIES[self.type]

    def convert(self, raw: object, directory: Path) -> object:
        """Turn what a file holds into the option's value; relative paths start at `directory`.

        Raises:
            Misconfigured: it is of another type, or outside of what is allowed.
        """
        return self._convert(raw, directory, strict=True)

    def convert_text(self, text: str, directory: Path) -> object:
        """Turn a variable's text into the option's value; the items of a list are separated by commas.

        Raises:
            Misconfigured: it cannot be read as such.
        """
        items = [item.strip() for item in text.split(",") if item.strip()]
        raw = items if get_origin(self.type) is tuple else text
        return self._convert(raw, directory, strict=False)

    def _convert(self, raw: object, directory: Path, *, strict: bool) -> object:
        def decode(kind: type, value: object) -> object:
            return _decode(kind, value, directory)

        try:
            value: object = msgspec.convert(raw, self.type, strict=strict, dec_hook=decode)
        except (msgspec.ValidationError, Misconfigured):
            raise Misconfigured(f"is {spelled(raw)}: {self.remedy}") from None
        return value


OPTIONS = {
    option.path: option
    for section in msgspec.structs.fields(Settings)
    for option in (Option(section.name, field.name, field.type) for field in msgspec.structs.fields(section.type))
}
SECTIONS: Mapping[str, type[msgspec.Struct]] = {
    section.name: section.type for section in msgspec.structs.fields(Settings)
}


def nearest(name: str, known: Iterable[str], prefix: str = "") -> str:
    """Point to the known name that an unknown one may stand for, or list what is known; with what all begin with."""
    names = sorted(known)
    close = difflib.get_close_matches(name, names, n=1)
    if close:
        return f"did you mean {prefix}{close[0]}?"
    return f"known are {', '.join(f'{prefix}{each}' for each in names)}"


def spelled(raw: object) -> str:
    """Show a value as YAML has it, and no more of it than helps."""
    if raw is None or isinstance(raw, bool):
        return {None: "null", True: "true", False: "false"}[raw]
    text = repr(raw)
    return text if len(text) <= _LONGEST_SHOWN else f"{text[:_LONGEST_SHOWN]}…"


def _decode(kind: type, value: object, directory: Path) -> object:
    number = isinstance(value, int) and not isinstance(value, bool)
    if issubclass(kind, Path) and isinstance(value, str) and value:
        return directory / value
    if issubclass(kind, Duration | Listen | Size) and (isinstance(value, str) or number):
        return kind.parse(str(value))
    raise ValueError
