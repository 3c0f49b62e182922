"""AIU's `registries.conf`, read strictly: what it says is followed or refused, never passed over.

Scalars are taken by their text, as Go's YAML reads them into typed fields: `insecure: no` is false, `name: 5` is "5".
"""

import hashlib
import re
import ssl
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

from ruamel.yaml import YAML, MappingNode, Node, ScalarNode, SequenceNode
from ruamel.yaml.error import MarkedYAMLError, YAMLError

from updater.config.options import nearest
from updater.domain.durations import parse_go_duration
from updater.domain.errors import Misconfigured
from updater.domain.secrets import FORMS, parse_credential_source
from updater.redaction import register_secret
from updater.settings.daemon import DEFAULT_REGISTRIES_CONF
from updater.settings.registries import APIS, DIRECT, ClientCertificate, Registries, RegistrySettings, hostname

_HOST = re.compile(r"[A-Za-z0-9]([A-Za-z0-9.-]*[A-Za-z0-9])?(:[0-9]{1,5})?|\[[0-9A-Fa-f:.]+\](:[0-9]{1,5})?")
_PATH_COMPONENT = re.compile(r"[a-z0-9]+(?:[._-]+[a-z0-9]+)*")
_NUMBER = re.compile(r"[-+]?[0-9]{1,9}(?:\.[0-9]{1,9})?")
_COUNT = re.compile(r"[0-9]{1,4}")
_NULL = "tag:yaml.org,2002:null"
_TRUE = frozenset({"y", "yes", "true", "on"})
_FALSE = frozenset({"n", "no", "false", "off"})
_SORT_MODES = ("latest-first", "latest-last", "none")
_NO_AUTHORITIES: Mapping[str, str] = {}


def load_registries(path: Path | None, authorities: Mapping[str, str] = _NO_AUTHORITIES) -> Registries:
    """Read a file, or AIU's own where there is one; without any, the built-in registries serve.

    `authorities` are the certificates to trust for each host, unless an entry has its own.

    Raises:
        Misconfigured: with each problem's place, value and remedy on a line of its own.
    """
    if path is None and not DEFAULT_REGISTRIES_CONF.is_file():
        return Registries((), authorities)
    path = path or DEFAULT_REGISTRIES_CONF
    try:
        text = path.read_text("utf-8")
    except OSError as error:
        raise Misconfigured(f"{path}: cannot be read: {error.strerror}; set registries.file") from None
    except UnicodeDecodeError:
        raise Misconfigured(f"{path}: is no text: write YAML in UTF-8") from None
    return parse_registries_conf(text, str(path), authorities)


def parse_registries_conf(text: str, where: str, authorities: Mapping[str, str] = _NO_AUTHORITIES) -> Registries:
    """Read entries, below the key `registries` or as a bare list.

    Raises:
        Misconfigured: with each problem's place, value and remedy on a line of its own.
    """
    problems: list[str] = []
    entries = [_Entry(node, where, authorities, problems) for node in _entries(text, where)]
    settings = [(entry, read) for entry in entries if (read := entry.read()) is not None]
    _check_together(settings, problems)
    if problems:
        count = f"{len(problems)} settings are wrong:\n  " if len(problems) > 1 else ""
        raise Misconfigured(count + "\n  ".join(problems))
    return Registries(tuple(read for _, read in settings), authorities)


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

    def __init__(self, node: Node, where: str, authorities: Mapping[str, str], problems: list[str]) -> None:
        self._node = node
        self._where = where
        self._known_authorities = authorities
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
                self._problems.append(f"{self.place()}: {required} is missing: {KEYS[required].remedy}")
        if len(self._problems) > before:
            return None
        fields: dict[str, Any] = {KEYS[key].field: value for key, value in values.items() if KEYS[key].field}
        fields |= {"ca_data": self._authorities(values), "client_certificate": self._client_certificate(values)}
        return RegistrySettings(**fields) if len(self._problems) == before else None

    def _values(self, node: MappingNode) -> Iterator[tuple[str, object]]:
        for key_node, value_node in node.value:
            key = str(key_node.value)
            line = key_node.start_mark.line + 1
            if key in self._lines:
                self._problems.append(f"{self._where}:{line}: {key} is there twice: leave one of them out")
            elif key not in KEYS:
                self._problems.append(f"{self._where}:{line}: there is no such key {key}; {nearest(key, KEYS)}")
            elif not isinstance(value_node, ScalarNode):
                self._problems.append(f"{self._where}:{line}: {key} is no single value: {KEYS[key].remedy}")
            elif value_node.tag != _NULL:
                self._lines[key] = line
                yield from self._value(key, value_node.value.strip())

    def _value(self, key: str, text: str) -> Iterator[tuple[str, object]]:
        try:
            yield key, KEYS[key].convert(text)
        except ValueError:
            shown = f" is {text[:80]!r}" if KEYS[key].may_be_shown else " is not understood"
            self._problems.append(f"{self.place(key)}: {key}{shown}: {KEYS[key].remedy}")

    def _authorities(self, values: Mapping[str, object]) -> str:
        """Gather the entry's certificates, or what Argo CD has for the host where the entry has none."""
        ca_data = str(values.get("ca_data", ""))
        if "ca_file" not in values and not ca_data:
            ca_data = self._known_authorities.get(hostname(urlsplit(str(values["api_url"])).netloc), "")
        try:
            if "ca_file" in values:
                ca_data = f"{ca_data}\n{Path(str(values['ca_file'])).read_text('utf-8')}"
            if ca_data:
                ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT).load_verify_locations(cadata=ca_data)
        except OSError as error:  # which ssl.SSLError is
            self._wrong_authorities(values, str(error.strerror or error.args[0]))
        except ValueError:
            self._wrong_authorities(values, "no text")
        return ca_data

    def _wrong_authorities(self, values: Mapping[str, object], reason: str) -> None:
        if "ca_data" in self._lines:
            key = shown = "ca_data"
        elif "ca_file" in self._lines:
            key, shown = "ca_file", f"ca_file {values['ca_file']}"
        else:
            key, shown = "ca_file", "argocd-tls-certs-cm, for the host of api_url,"
        self._problems.append(f"{self.place(key)}: {shown} holds no certificates ({reason}): {KEYS[key].remedy}")

    def _client_certificate(self, values: Mapping[str, object]) -> ClientCertificate | None:
        """Check that certificate and key are there and belong together; the key may be in the certificate's file."""
        if "client_cert" not in values and "client_key" not in values:
            return None
        if "client_cert" not in values:
            self._problems.append(f"{self.place('client_key')}: client_cert is missing: {KEYS['client_cert'].remedy}")
            return None
        certificate = Path(str(values["client_cert"]))
        key = Path(str(values.get("client_key", certificate)))
        try:
            content = certificate.read_bytes() + b"\0" + key.read_bytes()
            # A password is asked for on the terminal unless one is given.
            ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT).load_cert_chain(certificate, key, password="")
        except (OSError, ValueError) as error:
            reason = getattr(error, "strerror", None) or (error.args[0] if error.args else type(error).__name__)
            self._problems.append(
                f"{self.place('client_cert')}: client_cert {certificate} with client_key {key} cannot be used "
                f"({reason}): name a readable PEM certificate and its key without a password"
            )
            return None
        return ClientCertificate(certificate, key, hashlib.sha256(content).hexdigest())


def _check_together(entries: list[tuple[_Entry, RegistrySettings]], problems: list[str]) -> None:
    """Check what no single entry can tell."""
    prefixes = Counter(
        settings.canonical_prefix for _, settings in entries if settings.prefix or not settings.mirror_of
    )
    mirrored = Counter(settings.canonical_mirror_of for _, settings in entries)
    defaults = sum(settings.default for _, settings in entries)
    for entry, settings in entries:
        if prefixes[settings.canonical_prefix] > 1:
            shown = f"prefix {settings.prefix!r} is there twice" if settings.prefix else "two entries have no prefix"
            problems.append(f"{entry.place('prefix')}: {shown}: give each entry its own")
        if settings.mirror_of and mirrored[settings.canonical_mirror_of] > 1:
            problems.append(
                f"{entry.place('mirror_of')}: mirror_of {settings.mirror_of!r} is there twice: keep one of them"
            )
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


def _original(text: str) -> str:
    return _prefix(_text(text))


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


def _api(text: str) -> str:
    if text not in APIS:
        raise ValueError
    return text


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


def _proxy(text: str) -> str:
    if text.lower() == DIRECT:
        return DIRECT
    url = urlsplit(text)
    if url.scheme not in ("http", "https") or not url.hostname or url.path.strip("/") or url.query or url.fragment:
        raise ValueError
    _ = url.port  # raises for one that is no port
    if url.password:
        register_secret(unquote(url.password))
        register_secret(url.password)
    return text.rstrip("/")


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
KEYS: Mapping[str, _Key] = {
    "name": _Key("name", _text, "write what to call the registry in messages"),
    "prefix": _Key("prefix", _prefix, "write how the images' names begin, such as registry.example.com/team"),
    "api_url": _Key(
        "api_url",
        _api_url,
        "write the registry's address without /v2 and credentials, such as https://registry.example.com",
        may_be_shown=False,
    ),
    "credentials": _Key("credentials", _credentials, f"write {FORMS}", may_be_shown=False),
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
    "api": _Key("api", _api, f"write {', '.join(APIS[:-1])} or {APIS[-1]}"),
    "timeout": _Key("timeout", _some_seconds, f"{_DURATION}, above zero"),
    "interval": _Key("interval", _some_seconds, f"{_DURATION}, above zero"),
    "proxy": _Key(
        "proxy", _proxy, f"write http://<host>:<port>, or {DIRECT} for a direct connection", may_be_shown=False
    ),
    "client_cert": _Key("", _text, "name a readable file with a PEM certificate"),
    "client_key": _Key("", _text, "name a readable file with the PEM key of client_cert"),
    "mirror_of": _Key(
        "mirror_of", _original, "write how the names begin that it is asked for, such as docker.io or quay.io/team"
    ),
}
