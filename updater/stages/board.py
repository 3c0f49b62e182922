"""What is known of every tracked image at present, said once when it changes.

The stages report here; the board logs what is new, stays silent about what is not, and counts for the round's summary.
It is the one place that decides what an operator gets to read about an image.
"""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field, replace

import structlog

from updater.domain.application import ApplicationName
from updater.domain.decision import Current, Decision, Hold, Invalid, Origin, Reason, Update, UpToDate
from updater.domain.election import Election
from updater.domain.image import ImageVersion
from updater.domain.messages import (
    Happening,
    ImageIdentity,
    Noticed,
    Problem,
    TrackedApplication,
    TrackedImage,
)
from updater.domain.record import ImageView, decision_summary, is_failing
from updater.domain.round import RoundSummary

log = structlog.get_logger()

_SKIPS = frozenset({Reason.NO_CANDIDATE, Reason.NOT_FOUND})
_UNDECIDED = frozenset({Reason.INCOMPLETE, Reason.VERIFYING})
"""Holds that say nothing about a version: somebody has to answer first."""
_PASSING = frozenset({Reason.VERIFYING, Reason.NO_CANDIDATE})
"""Holds that are nobody's wish, and no news."""


@dataclass(slots=True)
class _Image:
    """The state of one (application, alias)."""

    tracked: TrackedImage
    decision: Decision | None = None
    expected: Decision | None = None
    """What is decided before anybody has looked at the target, and not said yet."""
    election: Election | None = None
    current: Current = field(default_factory=Current)
    write_error: str = ""
    proposed: str = ""
    """Branch and commit, when a change waits on a branch of its own to be merged."""

    @property
    def name(self) -> str:
        return str(self.tracked.image)

    def failing(self) -> bool:
        return is_failing(self.decision, self.write_error)

    def skipped(self) -> bool:
        held = isinstance(self.decision, Hold) and self.decision.reason is not Reason.INCOMPLETE
        return held or (isinstance(self.decision, UpToDate) and self.decision.reason in _SKIPS)


@dataclass(slots=True)
class _Application:
    tracked: TrackedApplication | None = None
    images: dict[str, _Image] = field(default_factory=dict)
    problems: tuple[Problem, ...] = ()
    warnings: tuple[Problem, ...] = ()


class Board:
    """The present state of everything tracked, in memory, for logs, summaries and questions."""

    def __init__(self) -> None:
        self._applications: dict[ApplicationName, _Application] = {}
        self._unreadable: dict[str, str] = {}
        self._updated = 0
        self._listeners: list[Callable[[Noticed], None]] = []

    def subscribe(self, listener: Callable[[Noticed], None]) -> None:
        """Have something called with all that is new, at once and in order; it must not wait."""
        self._listeners.append(listener)

    def _tell(
        self,
        happening: Happening,
        name: ApplicationName,
        alias: str = "",
        message: str = "",
        previous: ImageVersion = ImageVersion(),
        version: ImageVersion = ImageVersion(),
        commit: str = "",
    ) -> None:
        image = self._image(name, alias)
        noticed = Noticed(happening, name, alias, image.name if image else "", message, previous, version, commit)
        for listener in self._listeners:
            listener(noticed)

    def application_seen(self, tracked: TrackedApplication) -> None:
        """Take in an application; its images keep their state while they are tracked as before."""
        known = self._applications.get(tracked.name, _Application())
        images = {image.alias: _Image(image) for image in tracked.images}
        for alias, image in images.items():
            before = known.images.get(alias)
            if before is not None and before.name == image.name:
                images[alias] = replace(before, tracked=image.tracked)
        self._applications[tracked.name] = _Application(tracked, images, tracked.problems, tracked.warnings)
        for problem in _new(tracked.problems, known.problems):
            log.warning("image.misconfigured", **_place(tracked.name, problem.alias), reason=problem.message)
            self._tell(Happening.MISCONFIGURED, tracked.name, problem.alias, problem.message)
        for warning in _new(tracked.warnings, known.warnings):
            log.warning("annotation.ignored", **_place(tracked.name, warning.alias), reason=warning.message)
        self._tell(Happening.CHANGED, tracked.name)

    def application_gone(self, name: ApplicationName) -> None:
        if self._applications.pop(name, None):
            log.info("application.gone", application=str(name))
            self._tell(Happening.CHANGED, name)

    def unreadable(self, name: str, message: str) -> None:
        """Note an Application that cannot be understood; said again only when the reason is another."""
        if self._unreadable.get(name) != message:
            self._unreadable[name] = message
            log.warning("application.unreadable", application=name, reason=message)

    def readable(self, name: str) -> None:
        self._unreadable.pop(name, None)

    def decided(
        self,
        name: ApplicationName,
        alias: str,
        decision: Decision,
        election: Election | None,
        current: Current,
    ) -> None:
        """Note a decision and what it was made from; a repeated one is not logged again."""
        image = self._image(name, alias)
        if image is None:
            return
        known, image.decision = image.decision, decision
        image.election, image.current = election, current
        if not isinstance(decision, Update):
            image.write_error = ""  # nothing waits to be written any more
        if known is None or not _same(known, decision):
            _log_decision({**_place(name, alias), "image": image.name}, decision, election)
            candidate = decision.candidate if isinstance(decision, Hold) else ImageVersion()
            self._tell(_happening(decision), name, alias, decision.message, current.version, candidate)

    def expected(
        self,
        name: ApplicationName,
        alias: str,
        decision: Decision,
        election: Election | None,
        current: Current,
    ) -> None:
        """Note what seems to be wanted, until whoever reads the target has the last word."""
        image = self._image(name, alias)
        if image is not None:
            image.expected, image.election, image.current = decision, election, current

    def applications(self) -> list[ApplicationName]:
        """Name all that is known."""
        return list(self._applications)

    def problems(self, name: ApplicationName) -> tuple[Problem, ...] | None:
        """Return what stops an application or one of its images; None when the application is not known."""
        application = self._applications.get(name)
        return application.problems if application else None

    def fails(self, name: ApplicationName, alias: str) -> bool | None:
        """Tell whether an image, or with an empty alias an application, cannot be kept up to date at present.

        None when it is not tracked any more.
        """
        application = self._applications.get(name)
        if application is None:
            return None
        if any(problem.alias == alias for problem in application.problems):
            return True
        image = application.images.get(alias)
        return image.failing() if image else (None if alias else False)

    def undecided(self, identity: ImageIdentity) -> TrackedApplication | None:
        """Return the application of an image for which nothing could be decided yet; None when something was."""
        image = self._image(*identity)
        decision = image.decision if image else None
        waits = decision is None or (isinstance(decision, Hold) and decision.reason in _UNDECIDED)
        return self._applications[identity.application].tracked if image and waits else None

    def views(self, name: ApplicationName) -> list[ImageView]:
        """Return what is known of the images of an application, in the order of its image-list."""
        application = self._applications.get(name)
        return [
            ImageView(image.tracked, image.decision or image.expected, image.election, image.current, image.write_error)
            for image in (application.images.values() if application else ())
        ]

    def updated(self, name: ApplicationName, alias: str, previous: ImageVersion, update: Update, commit: str) -> None:
        """Note a confirmed write; `commit` is empty for a patched Application."""
        self._updated += 1
        image = self._image(name, alias)
        if image is None:
            return
        image.write_error = ""
        image.decision = UpToDate(
            reason=Reason.CURRENT,
            message=f"{update.version} was written",
            version=update.version,
        )
        image.current = Current(update.version, Origin.TARGET)
        keys = {"from": str(previous), "to": str(update.version), **({"commit": commit} if commit else {})}
        log.info("image.updated", **_place(name, alias), image=image.name, **keys)
        self._tell(Happening.UPDATED, name, alias, update.message, previous, update.version, commit)

    def proposed(
        self,
        name: ApplicationName,
        alias: str,
        previous: ImageVersion,
        update: Update,
        branch: str,
        commit: str,
        url: str = "",
    ) -> None:
        """Note that a change waits on a branch of its own, or in a pull request; the same commit is said once."""
        image = self._image(name, alias)
        if image is None:
            return
        if not isinstance(image.decision, Update):
            image.decision = update
        image.write_error = ""
        known, image.proposed = image.proposed, f"{branch} {commit}"
        if known != image.proposed:
            keys = {"from": str(previous), "to": str(update.version), "branch": branch, "commit": commit}
            keys |= {"pull_request": url} if url else {}
            log.info("image.proposed", **_place(name, alias), image=image.name, **keys)

    def would_update(self, name: ApplicationName, alias: str, previous: ImageVersion, update: Update) -> None:
        """Note what a dry run leaves undone."""
        image = self._image(name, alias)
        if image is not None:
            image.decision = update
            keys = {"from": str(previous), "to": str(update.version)}
            log.info("image.would_update", **_place(name, alias), image=image.name, **keys)

    def write_failed(self, name: ApplicationName, alias: str, message: str) -> None:
        """Note that a write did not succeed; the same failure is said once."""
        image = self._image(name, alias)
        if image is None or image.write_error == message:
            return
        image.write_error = message
        log.warning("image.write_failed", **_place(name, alias), image=image.name, reason=message)
        self._tell(Happening.FAILED, name, alias, message)

    def taken_back(self, name: ApplicationName, message: str) -> None:
        """Warn that somebody takes back what is written to an Application, or may do so."""
        if name in self._applications:
            log.warning("application.generated", application=str(name), reason=message)

    def outranked(self, name: ApplicationName, alias: str, message: str) -> None:
        """Warn that what is written to an Application has no effect."""
        image = self._image(name, alias)
        if image is not None:
            log.warning("image.outranked", **_place(name, alias), image=image.name, reason=message)

    def write_settled(self, name: ApplicationName, alias: str) -> None:
        """Note that the target could be read and needs nothing."""
        image = self._image(name, alias)
        if image is not None and image.write_error:
            image.write_error = ""
            self._tell(Happening.CHANGED, name, alias)

    def summary(self) -> RoundSummary:
        """Count what holds now; updates are counted since the last summary."""
        images = list(self._images())
        problems = sum(len(application.problems) for application in self._applications.values())
        updated, self._updated = self._updated, 0
        return RoundSummary(
            applications=len(self._applications),
            images_considered=sum(image.decision is not None for image in images),
            images_skipped=sum(image.skipped() for image in images),
            images_updated=updated,
            errors=problems + len(self._unreadable) + sum(image.failing() for image in images),
        )

    def _images(self) -> Iterator[_Image]:
        for application in self._applications.values():
            yield from application.images.values()

    def _image(self, name: ApplicationName, alias: str) -> _Image | None:
        application = self._applications.get(name)
        return application.images.get(alias) if application else None


def _log_decision(place: dict[str, str], decision: Decision, election: Election | None) -> None:
    """Say the decision's record, with the verdicts counted: a repository has many tags."""
    keys = {**place, **decision_summary(decision), **_counted(election)}
    match decision:
        case Update():
            log.info("image.update_decided", **{"from": str(decision.previous)}, to=str(decision.version), **keys)
        case Hold(reason=Reason.INCOMPLETE):
            log.warning("image.incomplete", **keys)
        case Hold():
            log.info("image.held", to=str(decision.candidate), **keys)
        case Invalid():
            log.warning("image.misconfigured", **place, reason=decision.message)
        case UpToDate(reason=reason) if reason in _SKIPS:
            log.warning("image.skipped", **keys)
        case UpToDate():
            log.info("image.up_to_date", at=str(decision.version), **keys)


def _happening(decision: Decision) -> Happening:
    match decision:
        case Invalid():
            return Happening.MISCONFIGURED
        case Hold(reason=Reason.INCOMPLETE):
            return Happening.FAILED
        case Hold(reason=reason) if reason not in _PASSING:
            return Happening.HELD
        case _:
            return Happening.CHANGED


def _counted(election: Election | None) -> dict[str, object]:
    if election is None:
        return {}
    return {"verdicts": {"kept": len(election.candidates), **{str(word): n for word, n in election.counts.items()}}}


def _same(one: Decision, other: Decision) -> bool:
    """Tell whether two decisions say the same; sentences that count tags may differ."""
    if type(one) is not type(other) or one.reason is not other.reason:
        return False
    if isinstance(one, Hold) and isinstance(other, Hold):
        return one.candidate == other.candidate
    if isinstance(one, Update | UpToDate) and isinstance(other, Update | UpToDate):
        return one.version == other.version
    return one.message == other.message


def _place(name: ApplicationName, alias: str) -> dict[str, str]:
    return {"application": str(name), **({"alias": alias} if alias else {})}


def _new(problems: Iterable[Problem], known: Iterable[Problem]) -> list[Problem]:
    return [problem for problem in problems if problem not in set(known)]
