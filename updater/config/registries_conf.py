"""AIU's `registries.conf`, read strictly: what it says is followed or refused, never passed over.

Scalars are taken by their text, as Go's YAML reads them into typed fields: `insecure: no` is false, `name: 5` is "5".
"""

import re
import ssl
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from ruamel.yaml import YAML, MappingNode, Node, ScalarNode, SequenceNode
from ruamel.yaml.error import MarkedYAMLError, YAMLError

from updater.config.options import nearest
from updater.domain.durations import parse_go_duration
from updater.domain.errors import Misconfigured
from updater.domain.secrets import parse_credential_source
from updater.settings.daemon import DEFAULT_REGISTRIES_CONF
from updater.settings.registries import Registries, RegistrySettings

TLS_DIRECTORY = Path("/app/config/tls")
"""Argo CD's `argocd-tls-certs-cm`, where its manifests mount it: one file of certificates for each host."""

_HOST = re.compile(r"[A-Za-z0-9]([A-Za-z0-9.-]*[A-Za-z0-9])?(:[0-9]{1,5})?|\[[0-9A-Fa-f:.]+\](:[0-9]{1,5})?")
_PATH_COMPONENT = re.compile(r"[a-z0-9]+(?:[._-]+[a-z0-9]+)*")
_NUMBER = re.compile(r"[-+]?[0-9]{1,9}(?:\.[0-9]{1,9})?")
_COUNT = re.compile(r"[0-9]{1,4}")
_NULL = "tag:yaml.org,2002:null"
_TRUE = frozenset({"y", "yes", "true", "on"})
_FALSE = frozenset({"n", "no", "false", "off"})
_SORT_MODES = ("latest-first", "latest-last", "none")


def load_registries(path: Path | None, tls_directory: Path = TLS_DIRECTORY) -> Registries:
    """Read a file, or AIU's own where there is one; without any, the built-in registries serve.

    Raises:
        Misconfigured: with each problem's place, value and remedy on a line of its own.
    """
    if path is None and not DEFAULT_REGISTRIES_CONF.is_file():
        return Registries()
    path = path or DEFAULT_REGISTRIES_CONF
    try:
        text = path.read_text("utf-8")
    except OSError as error:
        raise Misconfigured(f"{path}: cannot be read: {error.strerror}; set registries.file") from None
    except UnicodeDecodeError:
        raise Misconfigured(f"{path}: is no text: write YAML in UTF-8") from None
    return parse_registries_conf(text, str(path), tls_directory)


def parse_registries_conf(text: str, where: str, tls_directory: Path = TLS_DIRECTORY) -> Registries:
    """Read entries, below the key `registries` or as a bare list.

    Raises:
        Misconfigured: with each problem's place, value and remedy on a line of its own.
    """
    problems: list[str] = []
    entries = [_Entry(node, where, tls_directory, problems) for node in _entries(text, where)]
    settings = [(entry, read) for entry in entries if (read := entry.read()) is not None]
    _check_together(settings, problems)
    if problems:
        count = f"{len(problems)} settings are wrong:\n  " if len(problems) > 1 else ""
        raise Misconfigured(count + "\n  ".join(problems))
    return Registries(tuple(read for _, read in settings))


def _entries(text: str, where: str) -> list[Node]:
    root = _compose(text, where)
    if isinstance(root, MappingNode):
        keys = [key.value for key, _ in root.value]
        if keys != ["registries"]:
            raise Misconfigured(f"{where}: holds {', '.join(map(str, keys))[:80]}: write one key, registries:")
        root = root.value[0][1]
    if root is None or (isinstance(root, ScalarNode) and root.tag == _NULL):
        return []
    if not isinstance(root, SequenceNode):
        raise Misconfigured(f"{where}: holds no list of registries: begin each entry with '- name:'")
    return list(root.value)


def _compose(text: str, where: str) -> Node | None:
    try:
        root: Node | None = YAML(typ="safe", pure=True).compose(text)
    except MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        line = f":{mark.line + 1}" if mark else ""
        raise Misconfigured(f"{where}{line}: is no YAML: {error.problem or error.context}") from None
    except (YAMLError, RecursionError) as error:
        raise Misconfigured(f"{where}: is no YAML: {str(error).partition(chr(10))[0]}") from None
    return root


class _Entry:
    """One entry's node, read key by key; what is wrong is gathered in `problems`."""

    def __init__(self, node: Node, where: str, tls_directory: Path, problems: list[str]) -> None:
        self._node = node
        self._where = where
        self._tls_directory = tls_directory
        self._problems = problems
        self._lines: dict[str, int] = {}

    def place(self, key: str = "") -> str:
        line = self._lines.get(key, self._node.start_mark.line + 1)
        return f"{self._where}:{line}"

    def read(self) -> RegistrySettings | None:
        if not isinstance(self._node, MappingNode):
            self._problems.append(f"{self.place()}: is no registry: begin each entry with '- name:'")
            return None
        before = len(self._problems)
        values = dict(self._values(self._node))
        for required in ("name", "api_url"):
            if required not in self._lines:
                self._problems.append(f"{self.place()}: {required} is missing: {_KEYS[required].remedy}")
        if len(self._problems) > before:
            return None
        authorities = self._authorities(values)
        fields: dict[str, Any] = {_KEYS[key].field: value for key, value in values.items() if _KEYS[key].field}
        return RegistrySettings(**(fields | {"ca_data": authorities}))

    def _values(self, node: MappingNode) -> Iterator[tuple[str, object]]:
        for key_node, value_node in node.value:
            key = str(key_node.value)
            line = key_node.start_mark.line + 1
            if key in self._lines:
                self._problems.append(f"{self._where}:{line}: {key} is there twice: leave one of them out")
            elif key not in _KEYS:
                self._problems.append(f"{self._where}:{line}: there is no such key {key}; {nearest(key, _KEYS)}")
            elif not isinstance(value_node, ScalarNode):
                self._problems.append(f"{self._where}:{line}: {key} is no single value: {_KEYS[key].remedy}")
            elif value_node.tag != _NULL:
                self._lines[key] = line
                yield from self._value(key, value_node.value.strip())

    def _value(self, key: str, text: str) -> Iterator[tuple[str, object]]:
        try:
            yield key, _KEYS[key].convert(text)
        except ValueError:
            shown = f" is {text[:80]!r}" if _KEYS[key].may_be_shown else " is not understood"
            self._problems.append(f"{self.place(key)}: {key}{shown}: {_KEYS[key].remedy}")

    def _authorities(self, values: Mapping[str, object]) -> str:
        """Gather the entry's certificates, or what Argo CD has for the host where the entry has none."""
        ca_file, ca_data = Path(str(values.get("ca_file", ""))), str(values.get("ca_data", ""))
        if "ca_file" not in values and not ca_data:
            ca_file = self._tls_directory / (urlsplit(str(values["api_url"])).hostname or "")
        try:
            if "ca_file" in values or ca_file.is_file():
                ca_data = f"{ca_data}\n{ca_file.read_text('utf-8')}"
            if ca_data:
                ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT).load_verify_locations(cadata=ca_data)
        except OSError as error:  # which ssl.SSLError is
            self._wrong_authorities(ca_file, str(error.strerror or error.args[0]))
        except ValueError:
            self._wrong_authorities(ca_file, "no text")
        return ca_data

    def _wrong_authorities(self, ca_file: Path, reason: str) -> None:
        key = "ca_data" if "ca_data" in self._lines else "ca_file"
        shown = "" if key == "ca_data" else f" {ca_file}"
        self._problems.append(f"{self.place(key)}: {key}{shown} holds no certificates ({reason}): {_KEYS[key].remedy}")


def _check_together(entries: list[tuple[_Entry, RegistrySettings]], problems: list[str]) -> None:
    """Check what no single entry can tell."""
    prefixes = Counter(settings.canonical_prefix for _, settings in entries)
    defaults = sum(settings.default for _, settings in entries)
    for entry, settings in entries:
        if prefixes[settings.canonical_prefix] > 1:
            shown = f"prefix {settings.prefix!r} is there twice" if settings.prefix else "two entries have no prefix"
            problems.append(f"{entry.place('prefix')}: {shown}: give each entry its own")
        if settings.default and defaults > 1:
            problems.append(f"{entry.place('default')}: default is true for two entries: keep one of them")


def _text(text: str) -> str:
    if not text:
        raise ValueError
    return text


def _api_url(text: str) -> str:
    url = urlsplit(text)
    base = text.rstrip("/")
    plain = not (url.query or url.fragment or "@" in url.netloc) and text.isascii() and " " not in text
    if url.scheme not in ("http", "https") or not url.hostname or not plain or base.endswith("/v2"):
        raise ValueError
    _ = url.port  # raises for one that is no port
    return base


def _prefix(text: str) -> str:
    host, *path = text.rstrip("/").split("/")
    if text and not (_HOST.fullmatch(host) and all(map(_PATH_COMPONENT.fullmatch, path))):
        raise ValueError
    return "/".join([host.lower(), *path])


def _namespace(text: str) -> str:
    if text and not all(map(_PATH_COMPONENT.fullmatch, text.split("/"))):
        raise ValueError
    return text


def _flag(text: str) -> bool:
    if text.lower() not in _TRUE | _FALSE:
        raise ValueError
    return text.lower() in _TRUE


def _sort_mode(text: str) -> str:
    if text.lower() not in ("", *_SORT_MODES):
        raise ValueError
    return text.lower() or "none"


def _number(text: str) -> float:
    if not _NUMBER.fullmatch(text):
        raise ValueError
    return float(text)


def _count(text: str) -> int:
    if not _COUNT.fullmatch(text) or int(text) == 0:
        raise ValueError
    return int(text)


def _seconds(text: str) -> float:
    try:
        seconds = parse_go_duration(text)
    except Misconfigured:
        raise ValueError from None
    if seconds < 0:
        raise ValueError
    return seconds


def _some_seconds(text: str) -> float:
    seconds = _seconds(text)
    if not seconds:
        raise ValueError
    return seconds


def _credentials(text: str) -> object:
    try:
        return parse_credential_source(text)
    except Misconfigured:
        raise ValueError from None


@dataclass(frozen=True, slots=True)
class _Key:
    """What one key of an entry may hold."""

    field: str
    """Of `RegistrySettings`; empty for a key that ends in none."""
    convert: Callable[[str], object]
    """Raises ValueError for what cannot be read."""
    remedy: str
    may_be_shown: bool = True
    """False where people put passwords by mistake."""


_DURATION = "write a duration such as 30s or 12h"
_FLAG = "write true or false"
_SOURCE = (
    "write secret:<namespace>/<name>#<field>, pullsecret:<namespace>/<name>, env:<variable> or ext:<absolute path>"
)
_KEYS: Mapping[str, _Key] = {
    "name": _Key("name", _text, "write what to call the registry in messages"),
    "prefix": _Key("prefix", _prefix, "write how the images' names begin, such as registry.example.com/team"),
    "api_url": _Key(
        "api_url",
        _api_url,
        "write the registry's address without /v2 and credentials, such as https://registry.example.com",
        may_be_shown=False,
    ),
    "credentials": _Key("credentials", _credentials, _SOURCE, may_be_shown=False),
    "credsexpire": _Key("credentials_expire", _seconds, _DURATION),
    "limit": _Key("limit", _number, "write requests a second, such as 20; 0 for no limit"),
    "burst": _Key("burst", _count, "write a whole number of requests from 1 to 9999"),
    "concurrency": _Key("concurrency", _count, "write a whole number of requests from 1 to 9999"),
    "insecure": _Key("insecure", _flag, _FLAG),
    "ca_file": _Key("", _text, "name a readable file of PEM certificates"),
    "ca_data": _Key("ca_data", _text, "write PEM certificates, as a block after ca_data: |", may_be_shown=False),
    "defaultns": _Key("default_namespace", _namespace, "write a namespace such as library"),
    "tagsortmode": _Key("tag_sort_mode", _sort_mode, f"write {', '.join(_SORT_MODES[:-1])} or {_SORT_MODES[-1]}"),
    "default": _Key("default", _flag, _FLAG),
    "ping": _Key("", _flag, _FLAG),
    "timeout": _Key("timeout", _some_seconds, f"{_DURATION}, above zero"),
}
