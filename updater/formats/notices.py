"""What people and programs are told about images: one notice for each thing, in three forms."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from enum import StrEnum

import msgspec

from updater.formats.gotemplate import Struct, Template

_MOST_LINES = 20
_LONGEST_LINE = 500
_SOURCE = "/updater"
_TYPE = "io.argoproj.updater.image"
_encode = msgspec.json.Encoder().encode


class NoticeKind(StrEnum):
    """What somebody may want to be told."""

    UPDATED = "updated"
    HELD = "held"
    FAILED = "failed"
    RECOVERED = "recovered"


_SIGNS: Mapping[NoticeKind, str] = {
    NoticeKind.UPDATED: ":rocket:",
    NoticeKind.HELD: ":hand:",
    NoticeKind.FAILED: ":warning:",
    NoticeKind.RECOVERED: ":white_check_mark:",
}


@dataclass(frozen=True, slots=True)
class Notice:
    """Something to be told about an image, or, with an empty alias, about a whole application."""

    id: str
    kind: NoticeKind
    namespace: str
    application: str
    alias: str
    image: str
    previous: str
    version: str
    commit: str
    """Empty for what is not in Git."""
    message: str
    at: datetime

    @property
    def subject(self) -> str:
        return "/".join(part for part in (self.namespace, self.application, self.alias) if part)


def json_body(notices: Sequence[Notice]) -> bytes:
    """Word a batch for programs: `{"events": [...]}`."""
    return _encode({"events": [_record(notice) for notice in notices]})


def templated_body(template: Template, notices: Sequence[Notice]) -> bytes:
    """Word a batch by a Go template, which gets `.Events`.

    Raises:
        TemplateError: the template does not fit.
    """
    events = [
        Struct(
            Id=notice.id,
            Kind=str(notice.kind),
            AppNamespace=notice.namespace,
            AppName=notice.application,
            Alias=notice.alias,
            Image=notice.image,
            OldTag=notice.previous,
            NewTag=notice.version,
            Commit=notice.commit,
            Message=notice.message,
            Time=notice.at.isoformat(),
        )
        for notice in notices
    ]
    return template.render(Struct(Events=events)).encode()


def slack_body(notices: Sequence[Notice]) -> bytes:
    """Word a batch for an incoming webhook of Slack, or of what understands the same: a line for each notice."""
    lines = [_line(notice) for notice in notices[:_MOST_LINES]]
    more = len(notices) - _MOST_LINES
    return _encode({"text": "\n".join([*lines, *([f"… and {more} more"] if more > 0 else [])])})


def cloud_event(notice: Notice) -> bytes:
    """Word one notice as a CloudEvent 1.0 in structured mode."""
    return _encode(
        {
            "specversion": "1.0",
            "id": notice.id,
            "source": _SOURCE,
            "type": f"{_TYPE}.{notice.kind}",
            "subject": notice.subject,
            "time": notice.at.isoformat(),
            "datacontenttype": "application/json",
            "data": _record(notice),
        }
    )


def _record(notice: Notice) -> dict[str, object]:
    return {**asdict(notice), "kind": str(notice.kind), "at": notice.at.isoformat()}


def _line(notice: Notice) -> str:
    start = f"{_SIGNS[notice.kind]} *{_escaped(notice.subject)}* {notice.kind}"
    if notice.kind is NoticeKind.UPDATED:
        change = f"{notice.previous} → {notice.version}" if notice.previous else notice.version
        return f"{start}: {_escaped(notice.image)} {_escaped(change)}"
    return f"{start}: {_escaped(notice.message)[:_LONGEST_LINE]}" if notice.message else start


def _escaped(text: str) -> str:
    """Keep Slack from reading links and mentions where there are none."""
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;").replace("\n", " ")
