"""The log's form, and that no secret gets into it."""

import io
import json
import logging
import re
import warnings
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Literal

import pytest
import structlog
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from updater import redaction
from updater.domain.decision import Reason
from updater.logs import configure_logging
from updater.redaction import MASK, register_secret
from updater.settings.daemon import LOG_AREAS, Log

log = structlog.get_logger()

DEFAULT = Log()
Form = Literal["json", "text"]


@pytest.fixture(autouse=True)
def _forgotten_secrets() -> Iterator[None]:
    yield
    redaction._secrets.clear()
    redaction._forms.cache_clear()
    redaction._detector.cache_clear()


class _Log:
    """What was said since it was made."""

    def __init__(self, settings: Log = DEFAULT) -> None:
        self.stream = io.StringIO()
        logging.getLogger().handlers.clear()
        configure_logging(settings, self.stream)

    @property
    def text(self) -> str:
        return self.stream.getvalue()

    @property
    def lines(self) -> list[Mapping[str, object]]:
        return [json.loads(line) for line in self.text.splitlines()]


def test_a_line_begins_with_time_level_and_event() -> None:
    said = _Log()
    log.info("image.updated", application="argocd/demo", to="v2.0")
    assert list(said.lines[0]) == ["time", "level", "event", "application", "to"]
    assert said.lines[0]["level"] == "info"
    assert datetime.fromisoformat(str(said.lines[0]["time"])).tzinfo == UTC


def test_events_below_the_level_are_not_said() -> None:
    said = _Log(Log(level="warning"))
    log.info("image.updated")
    log.warning("image.incomplete")
    assert [line["event"] for line in said.lines] == ["image.incomplete"]


def test_an_area_has_a_level_of_its_own() -> None:
    said = _Log(Log(level="warning", levels=("registry=debug", "git=error")))
    log.debug("registry.asked")
    log.info("image.updated")
    log.warning("git.filter_refused")
    log.error("git.crashed")
    assert [line["event"] for line in said.lines] == ["registry.asked", "git.crashed"]


def test_every_area_of_the_log_has_a_name_to_set_its_level_by() -> None:
    rows = re.findall(r"^\|([^|]*)\|", Path("docs/log.md").read_text("utf-8"), re.MULTILINE)
    documented = re.findall(r"`([a-z_]+)\.", "".join(rows))
    assert set(LOG_AREAS) == set(documented)


def test_libraries_are_heard_from_warnings_on_in_the_same_form() -> None:
    said = _Log()
    logging.getLogger("aiohttp.client").info("a detail")
    logging.getLogger("aiohttp.client").warning("closed %s", "early")
    line = said.lines[0]
    assert (line["event"], line["logger"], line["message"]) == ("library.logged", "aiohttp.client", "closed early")


def test_a_librarys_faulty_call_is_still_heard() -> None:
    said = _Log()
    logging.getLogger("library").error("%d things", "no number")
    assert said.lines[0]["message"] == "%d things"


def test_warnings_of_python_are_logged() -> None:
    said = _Log()
    with warnings.catch_warnings():
        warnings.simplefilter("always")
        logging.captureWarnings(True)
        warnings.warn("an old way", UserWarning, stacklevel=1)
    assert "an old way" in said.text


def test_configuring_again_does_not_say_things_twice() -> None:
    said = _Log()
    configure_logging(DEFAULT, said.stream)
    logging.getLogger("library").warning("once")
    assert len(said.lines) == 1


def _fail(value: object) -> None:
    raise ValueError(value)


def test_an_exception_is_a_field_without_the_values_of_variables() -> None:
    said = _Log()
    local_value = "value-of-a-variable"
    try:
        _fail(len(local_value))
    except ValueError:
        log.exception("stage.crashed", exception="not this")
    told = str(said.lines[0]["exception"])
    assert told.splitlines()[-1] == "ValueError: 19"
    assert len(said.lines) == 1


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        (Path("/var/lib"), "/var/lib"),
        (Reason.NEWER, "newer"),
        (datetime(2026, 1, 2, tzinfo=UTC), "2026-01-02T00:00:00+00:00"),
        ({"a": (1, 2)}, {"a": [1, 2]}),
        ({3}, [3]),
        (b"caf\xc3\xa9\xff", "café\\xff"),
        (2**70, str(2**70)),
        (float("nan"), None),
        ("\ud800", "\\ud800"),
    ],
)
def test_any_value_can_be_logged(value: object, shown: object) -> None:
    said = _Log()
    log.info("event", value=value)
    assert said.lines[0]["value"] == shown


class _Unshowable:
    def __str__(self) -> str:
        raise ValueError


def test_a_value_that_cannot_be_shown_stops_nobody() -> None:
    said = _Log()
    log.info("event", value=_Unshowable(), nested={"a": _Unshowable()})
    assert said.lines[0]["value"] == "<_Unshowable>"


def test_a_value_that_contains_itself_is_cut_off() -> None:
    said = _Log()
    endless: list[object] = []
    endless.append(endless)
    log.info("event", value=endless)
    assert len(said.text) < 200


def test_a_huge_text_keeps_its_beginning_and_its_end() -> None:
    said = _Log()
    log.info("event", reason="begin" + "x" * 1_000_000 + "end")
    reason = str(said.lines[0]["reason"])
    assert len(reason) < 9000
    assert reason.startswith("begin")
    assert reason.endswith("end")


def test_text_is_one_line_whatever_is_in_it() -> None:
    said = _Log(Log(format="text"))
    log.info("image.skipped", reason="two\nlines \x1b[31m", to="v1", count=3)
    [line] = said.text.splitlines()
    assert line.endswith('image.skipped reason="two\\nlines \\u001b[31m" to=v1 count=3')


def test_a_stream_that_is_gone_stops_nobody() -> None:
    said = _Log()
    said.stream.close()
    log.info("event")


def test_what_is_named_like_a_secret_is_masked() -> None:
    said = _Log()
    log.info("event", password="a", api_key="b", headers={"Authorization": "c"}, token=None, secret_name="git-creds")
    line = said.lines[0]
    assert (line["password"], line["api_key"], line["headers"]) == (MASK, MASK, {"Authorization": MASK})
    assert line["secret_name"] == "git-creds"


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("fetch https://bot:p@ss@git.example.com/a.git failed", f"fetch https://{MASK}@git.example.com/a.git failed"),
        ("Authorization: Bearer abc.def", f"Authorization: Bearer {MASK}"),
        ("{'Authorization': 'Basic dTpw'}", f"{{'Authorization': 'Basic {MASK}'}}"),
        ("sent Basic dXNlcjpwYXNz==", f"sent Basic {MASK}"),
        ("https://blobs.example.com/x?sig=abc%3D&se=1", f"https://blobs.example.com/x?sig={MASK}&se=1"),
        ('Bearer realm="https://auth.example.com/token",service="x"',) * 2,
        ("Basic authentication is required",) * 2,
        ("https://registry.example.com/v2/team/app",) * 2,
    ],
)
def test_what_looks_like_credentials_is_masked_and_nothing_else(text: str, shown: str) -> None:
    said = _Log()
    log.info("event", reason=text)
    assert said.lines[0]["reason"] == shown


def test_short_values_are_no_secrets() -> None:
    register_secret("main")
    said = _Log()
    log.info("event", branch="main")
    assert said.lines[0]["branch"] == "main"


def test_each_line_of_a_private_key_is_a_secret() -> None:
    line = "b3BlbnNzaC1rZXktdjEAAAAABG5vbmUA"
    register_secret(f"-----BEGIN KEY-----\n{line}\n-----END KEY-----\n")
    said = _Log()
    log.info("event", reason=f"bad key near {line[:30]}{line[30:]}")
    assert line not in said.text


_SECRETS = st.text(st.characters(codec="utf-8", exclude_characters="*"), min_size=8, max_size=40).filter(
    lambda text: (
        len(text.strip()) >= 8 and not text.strip().isdigit() and text.strip() not in "exceptionValueErrorTraceback"
    ),
)


@pytest.mark.parametrize("form", ["json", "text"])
@settings(deadline=None, max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(secret=_SECRETS, before=st.text(max_size=20), as_bytes=st.booleans())
def test_no_registered_secret_is_ever_said(form: Form, secret: str, before: str, as_bytes: bool) -> None:  # noqa: FBT001
    """Wherever it stands: in a value, a key, a list, a cause, or in what a library logs."""
    register_secret(secret.encode() if as_bytes else secret)
    said = _Log(Log(format=form))
    quiet = f"{before} {secret} after"
    log.info(quiet, reason=quiet, data={quiet: [quiet, quiet.encode()]}, error=ValueError(quiet), **{quiet: 1})
    logging.getLogger("library").warning("%s", quiet)
    try:
        _fail(quiet)
    except ValueError as error:
        log.warning("event", exc_info=RuntimeError(quiet, error))
        log.exception("event")
    for spelling in {
        secret.strip(),
        json.dumps(secret.strip())[1:-1],
        json.dumps(secret.strip(), ensure_ascii=False)[1:-1],
    }:
        assert spelling not in said.text
