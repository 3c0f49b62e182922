"""The daemon's settings out of its file and the environment, or everything that is wrong with them at once."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import Any

from ruamel.yaml import YAML, MappingNode
from ruamel.yaml.error import MarkedYAMLError, YAMLError
from ruamel.yaml.reader import ReaderError
from yarl import URL

from updater.config.environment import Variable, variables
from updater.config.options import OPTIONS, SECTIONS, nearest, spelled
from updater.config.place import pod_defaults
from updater.domain.errors import Misconfigured
from updater.domain.schedule import parse_schedule
from updater.formats.gotemplate import Template, TemplateError
from updater.settings.daemon import Settings


def load_settings(
    path: Path | None, environ: Mapping[str, str], names: Mapping[str, str] = MappingProxyType({})
) -> Settings:
    """Read the settings: our variables come before AIU's, these before the file, and that before the defaults.

    Some defaults depend on where we run (`updater.config.place`).

    Args:
        path: None: no file.
        environ: all variables.
        names: what a variable is called in messages, where something else set it.

    Raises:
        Misconfigured: with each problem's place, value and remedy on a line of its own.
    """
    loading = _Loading(names)
    loading.take_defaults(pod_defaults())
    if path is not None:
        loading.take_file(path)
    loading.take_variables(variables(environ, loading.problems))
    loading.raise_problems()
    sections: dict[str, Any] = {name: section(**loading.values.get(name, {})) for name, section in SECTIONS.items()}
    settings = Settings(**sections)
    loading.check_together(settings)
    loading.raise_problems()
    return settings


@dataclass
class _Loading:
    """What was read so far, and what was wrong with it."""

    names: Mapping[str, str]
    """Of variables that something else set."""
    values: dict[str, dict[str, Any]] = field(default_factory=dict)
    problems: list[str] = field(default_factory=list)

    def raise_problems(self) -> None:
        if len(self.problems) > 1:
            raise Misconfigured("\n  ".join([f"{len(self.problems)} settings are wrong:", *self.problems]))
        if self.problems:
            raise Misconfigured(self.problems[0])

    def take_defaults(self, defaults: Mapping[str, object]) -> None:
        for path, value in defaults.items():
            option = OPTIONS[path]
            self.values.setdefault(option.section, {})[option.key] = value

    def take_variables(self, found: Iterable[Variable]) -> None:
        for variable in found:
            option = variable.option
            try:
                value = option.convert_text(variable.text, Path.cwd())
            except Misconfigured as error:
                name = self.names.get(variable.name, f"variable {variable.name}")
                self.problems.append(f"{name} ({option.path}) {error}")
            else:
                self.values.setdefault(option.section, {})[option.key] = value

    def take_file(self, path: Path) -> None:
        file = _read(path)
        for name, content in file.content.items():
            if name not in SECTIONS:
                self.problems.append(f"{file.place(name)}: {_unknown_section(name)}")
            elif isinstance(content, dict):
                for key, raw in content.items():
                    self._take(file, name, str(key), raw)
            elif content is not None:
                self.problems.append(f"{file.place(name)}: {name} is {spelled(content)}: write its settings below it")

    def _take(self, file: "_File", section: str, key: str, raw: object) -> None:
        option = OPTIONS.get(f"{section}.{key}")
        if option is None:
            self.problems.append(f"{file.place(section, key)}: {_unknown_key(section, key)}")
            return
        try:
            self.values.setdefault(section, {})[option.key] = option.convert(raw, file.path.parent)
        except Misconfigured as error:
            self.problems.append(f"{file.place(section, key)}: {option.path} {error}")

    def check_together(self, settings: Settings) -> None:
        """Check what no single option can tell."""
        applications = settings.applications
        try:
            parse_schedule(settings.updates.schedule)
        except Misconfigured as error:
            self.problems.append(f"updates.schedule: {error}")
        try:
            Template.parse(settings.notifications.webhook_template)
        except TemplateError as error:
            self.problems.append(f"notifications.webhook_template: {error}")
        self._check_web(settings)
        if applications.source == "directory" and applications.directory is None:
            self.problems.append(
                "applications.directory is missing: name the directory of manifests that applications.source asks for",
            )
        if applications.source == "kubernetes" and applications.directory is not None:
            self.problems.append(
                f"applications.directory is {str(applications.directory)!r}, and nothing reads it: "
                "write applications.source: directory, or leave it out",
            )

    def _check_web(self, settings: Settings) -> None:
        webhooks = settings.webhooks
        if bool(webhooks.gar_audience) != bool(webhooks.gar_service_account):
            self.problems.append(
                "webhooks.gar_audience and webhooks.gar_service_account need each other: anybody can have a token of "
                "Google's for an audience, and only the account tells whose it is",
            )
        if not _is_address(webhooks.gar_keys):
            self.problems.append(f"webhooks.gar_keys is {webhooks.gar_keys!r}, which is no address: write https://…")
        if webhooks.relay and webhooks.relay.host is None:
            self.problems.append(f"webhooks.relay is {webhooks.relay!r}, which names no host: write host:port")
        for section, tls in (("web", settings.web), ("webhooks", webhooks)):
            if tls.tls_key is not None and tls.tls_cert is None:
                self.problems.append(f"{section}.tls_key is set, and no certificate: set {section}.tls_cert too")
        if webhooks.enabled and webhooks.listen == settings.web.listen and settings.web.tls_cert is not None:
            self.problems.append(
                "web.tls_cert is set where webhooks.listen is the same: set webhooks.tls_cert in its place"
            )


@dataclass(frozen=True, slots=True)
class _File:
    """A settings file, parsed."""

    path: Path
    content: Mapping[str, object]
    lines: Mapping[tuple[str, ...], int]
    """Where a key of a section, or a section, stands."""

    def place(self, *keys: str) -> str:
        line = self.lines.get(keys)
        return f"{self.path}:{line}" if line else str(self.path)


def _read(path: Path) -> _File:
    try:
        text = path.read_text("utf-8")
        content = YAML(typ="safe", pure=True).load(text)
        root = YAML(typ="safe", pure=True).compose(text)
    except OSError as error:
        raise Misconfigured(f"{path}: cannot be read: {error.strerror}; name another file with --config") from None
    except (UnicodeDecodeError, ReaderError):
        raise Misconfigured(f"{path}: is no text: write YAML in UTF-8") from None
    except MarkedYAMLError as error:
        raise Misconfigured(f"{path}:{_line_of(error)}: is no YAML: {_reason(error)}") from None
    except YAMLError as error:
        raise Misconfigured(f"{path}: is no YAML: {_reason(error)}") from None
    if content is None:
        return _File(path, {}, {})
    if not isinstance(content, dict):
        raise Misconfigured(f"{path}: holds {spelled(content)}: write sections such as git: with settings below them")
    return _File(path, {str(name): value for name, value in content.items()}, dict(_lines(root)))


def _lines(root: MappingNode) -> Iterable[tuple[tuple[str, ...], int]]:
    for key, value in root.value:
        yield (key.value,), key.start_mark.line + 1
        if isinstance(value, MappingNode):
            for inner, _ in value.value:
                yield (key.value, inner.value), inner.start_mark.line + 1


def _line_of(error: MarkedYAMLError) -> int:
    mark = error.problem_mark or error.context_mark
    return mark.line + 1 if mark else 1


def _reason(error: YAMLError) -> str:
    return str(getattr(error, "problem", None) or error).partition("\n")[0]


def _is_address(text: str) -> bool:
    try:
        url = URL(text)
    except ValueError:
        return False
    return url.scheme in ("http", "https") and bool(url.host)


def _unknown_section(name: str) -> str:
    if name in OPTIONS:
        option = OPTIONS[name]
        return f"there is no such section {name}: write {option.section}: and below it {option.key}:"
    return f"there is no such section {name}; {nearest(name, SECTIONS)}"


def _unknown_key(section: str, key: str) -> str:
    homes = [option.path for option in OPTIONS.values() if option.key == key]
    keys = [option.key for option in OPTIONS.values() if option.section == section]
    hint = f"did you mean {homes[0]}?" if homes else nearest(key, keys, f"{section}.")
    return f"there is no such setting {section}.{key}; {hint}"
