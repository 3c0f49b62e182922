"""What the daemon says: one line for each event, as JSON or as text, with secrets masked and sizes bounded.

Libraries that use `logging` are heard from warnings upwards, in the same form.
"""

import logging
import re
import sys
import threading
from collections.abc import Iterable, Mapping, MutableMapping
from datetime import UTC, datetime
from itertools import islice
from traceback import TracebackException
from typing import TextIO

import msgspec
import structlog
from structlog.typing import Processor

from updater.redaction import MASK, redact
from updater.settings.daemon import Log

_Plain = str | int | float | bool | None | list["_Plain"] | dict[str, "_Plain"]

_LONGEST_TEXT = 8_192
_MOST_ITEMS = 100
_DEEPEST = 6
_MOST_FRAMES = 20
_LARGEST_INTEGER = 2**63
_SECRET_KEY = re.compile(
    r"(password|passwd|passphrase|token|secret|authorization|cookie|api[-_]?key|private[-_]?key)s?$",
    re.IGNORECASE,
)
_BARE = re.compile(r"[!#-<>-\[\]-~]+")
"""A value that needs no quotes in text: printable ASCII without space, `"`, `=` and backslash."""

_SEVERITIES = {
    "debug": logging.DEBUG,
    "info": logging.INFO,
    "warning": logging.WARNING,
    "error": logging.ERROR,
    "exception": logging.ERROR,
    "critical": logging.CRITICAL,
}
_encode = msgspec.json.Encoder().encode


def configure_logging(log: Log, stream: TextIO | None = None) -> None:
    """Send all that is logged, by us and by libraries, to a stream (standard error by default); may be called again."""
    output = _Output(stream or sys.stderr)
    areas = dict(each.split("=") for each in log.levels)
    severities = {area: _SEVERITIES[level] for area, level in areas.items()}
    structlog.configure(
        processors=[
            _by_area(severities, _SEVERITIES[log.level]),
            structlog.contextvars.merge_contextvars,
            _render_json if log.format == "json" else _render_text,
        ],
        wrapper_class=structlog.make_filtering_bound_logger(min(_SEVERITIES[log.level], *severities.values(), 50)),
        logger_factory=lambda *_: output,
        cache_logger_on_first_use=False,
    )
    root = logging.getLogger()
    for handler in [each for each in root.handlers if isinstance(each, _Forward)]:
        root.removeHandler(handler)
    root.addHandler(_Forward(logging.WARNING))
    root.setLevel(logging.WARNING)
    logging.captureWarnings(True)


def _by_area(severities: Mapping[str, int], otherwise: int) -> Processor:
    """Drop what is less severe than is wanted of its area: the word before the dot in an event's name."""

    def processor(_: object, method: str, event: MutableMapping[str, object]) -> MutableMapping[str, object]:
        area = str(event.get("event", "")).partition(".")[0]
        if _SEVERITIES[method] < severities.get(area, otherwise):
            raise structlog.DropEvent
        return event

    return processor


class _Output:
    """Writes whole lines, whichever thread they come from; what cannot be written is lost, and stops nobody."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._lock = threading.Lock()

    def msg(self, line: str) -> None:
        with self._lock:
            try:
                self._stream.write(f"{line}\n")
                self._stream.flush()
            except (OSError, ValueError):
                return

    debug = info = warning = error = critical = msg


class _Forward(logging.Handler):
    """Passes what libraries log on to our own log."""

    def emit(self, record: logging.LogRecord) -> None:
        log = structlog.get_logger()
        log.log(
            min(max(record.levelno, logging.WARNING), logging.CRITICAL) // 10 * 10,
            "library.logged",
            logger=record.name,
            message=_message(record),
            exc_info=record.exc_info,
        )


def _message(record: logging.LogRecord) -> str:
    try:
        return record.getMessage()
    except Exception:  # noqa: BLE001 - a library's faulty call must not hide what it wanted to say
        return str(record.msg)


def _render_json(_: object, level: str, event: MutableMapping[str, object]) -> str:
    return _encode(_line(level, event)).decode()


def _render_text(_: object, level: str, event: MutableMapping[str, object]) -> str:
    line = _line(level, event)
    time, level_name, name = line.pop("time"), line.pop("level"), line.pop("event")
    exception = line.pop("exception", None)
    pairs = "".join(f" {key}={_text(value)}" for key, value in line.items())
    trace = "".join(f"\n    {_printable(row)}" for row in str(exception).splitlines()) if exception else ""
    return f"{time} {str(level_name).upper():7} {_printable(str(name))}{pairs}{trace}"


def _line(level: str, event: MutableMapping[str, object]) -> dict[str, _Plain]:
    """Make the line's fields, plain and masked: time, level and event first, then the others as they were given."""
    exc_info = event.pop("exc_info", None)
    line: dict[str, _Plain] = {
        "time": datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z"),
        "level": level,
        "event": _plain(event.pop("event", "")),
    }
    for key, value in event.items():
        name = redact(key)
        line.setdefault(name, MASK if _SECRET_KEY.search(key) else _plain(value))
    if exc_info:
        line["exception"] = _exception(exc_info)
    return line


def _plain(value: object, depth: int = 0) -> _Plain:
    """Reduce a value to what JSON knows; texts are masked, and everything is bounded."""
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, float):
        return float(value)
    if isinstance(value, int):
        return int(value) if -_LARGEST_INTEGER <= value < _LARGEST_INTEGER else str(value)
    if isinstance(value, Mapping | list | tuple | set | frozenset):
        return _container(value, depth) if depth < _DEEPEST else "…"
    return _bounded(redact(_string(value)))


def _container(value: Mapping[object, object] | Iterable[object], depth: int) -> _Plain:
    if isinstance(value, Mapping):
        return {
            redact(_string(key)): MASK if _SECRET_KEY.search(_string(key)) else _plain(each, depth + 1)
            for key, each in islice(value.items(), _MOST_ITEMS)
        }
    return [_plain(each, depth + 1) for each in islice(value, _MOST_ITEMS)]


def _string(value: object) -> str:
    try:
        if isinstance(value, str):
            return str.__str__(value)
        if isinstance(value, bytes):
            return value.decode("utf-8", "backslashreplace")
        return value.isoformat() if isinstance(value, datetime) else str(value)
    except Exception:  # noqa: BLE001 - a value that cannot be shown must not stop who logs it
        return f"<{type(value).__name__}>"


def _bounded(text: str) -> str:
    if len(text) <= _LONGEST_TEXT:
        return text
    half = _LONGEST_TEXT // 2
    return f"{text[:half]} … {text[-half:]}"


def _exception(exc_info: object) -> str:
    """Tell an exception with its causes and the innermost frames; never with the values of variables."""
    if isinstance(exc_info, BaseException):
        error: object = exc_info
    else:
        error = exc_info[1] if isinstance(exc_info, tuple) else sys.exc_info()[1]
    if not isinstance(error, BaseException):
        return ""
    told = TracebackException.from_exception(error, limit=-_MOST_FRAMES, max_group_width=5, max_group_depth=3)
    return _bounded(redact("".join(told.format()).rstrip()))


def _text(value: _Plain) -> str:
    if isinstance(value, str) and _BARE.fullmatch(value):
        return value
    return _encode(value).decode()


def _printable(text: str) -> str:
    return text if text.isprintable() else _encode(text).decode()
