"""Write to the Application itself: a narrow patch of the parameters that are ours.

An Application that an ApplicationSet generates may lose what is written to it: its controller makes it again as the
template has it. That is no person's rollback, so nothing is remembered that could be taken for one, and the write is
tried again ever more rarely.
"""

from collections.abc import Callable, Hashable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

import structlog

from updater.domain.application import Application, ApplicationName
from updater.domain.application_sets import written_pointer
from updater.domain.decision import Origin
from updater.domain.errors import ClusterError, EditError, LeadershipLost, Misconfigured, StoreError
from updater.domain.image import ImageVersion
from updater.domain.messages import ImageIdentity, UpdateDecided
from updater.domain.target import ApplicationTarget
from updater.ports.cluster import ApplicationWriter, Leadership, Still
from updater.ports.memory import WriteMemory
from updater.stages.board import Board
from updater.stages.keyed import Pace, retry_delay
from updater.stages.outranked import Outranked
from updater.stages.present import edit_for, parameter_version

log = structlog.get_logger()

Waiting = Mapping[Hashable, UpdateDecided]

_PATIENCE = Pace(first_retry=60, longest_retry=1800)
_MOST_REMEMBERED = 10_000


class _TakenBack(Exception):
    """What was written before did not stay, and it is too early to write again."""


@dataclass(frozen=True, slots=True)
class _Patched:
    """What was last written to an Application whose ApplicationSet may take it back."""

    version: ImageVersion
    at: datetime
    taken_back: int = 0
    """How often in a row, before."""
    gone: bool = False
    """Whether it has been seen to be taken back as well."""


@dataclass
class ApplicationPatcher:
    """Handles the updates of Applications with `write-back-method: argocd`."""

    applications: ApplicationWriter
    memory: WriteMemory
    board: Board
    now: Callable[[], datetime]
    leadership: Leadership
    outranked: Outranked
    dry_run: bool = False
    patience: Pace = _PATIENCE
    """How long to wait before writing again what was taken back."""
    _patched: dict[ImageIdentity, _Patched] = field(default_factory=dict)
    _warned: dict[ApplicationName, str] = field(default_factory=dict)

    async def write(self, name: ApplicationName, batch: Waiting) -> Waiting:
        """Patch one Application; return what has to be tried again."""
        again: dict[Hashable, UpdateDecided] = {}
        for identity, decided in batch.items():
            if self.dry_run:
                self.board.would_update(name, decided.image.alias, decided.current.version, decided.decision)
                continue
            try:
                await self._write(decided)
            except LeadershipLost:
                log.info("write_back.left_to_another", application=str(name), changes=len(batch))
                raise
            except (ClusterError, EditError, Misconfigured, StoreError, _TakenBack) as error:
                self.board.write_failed(name, decided.image.alias, str(error))
                again[identity] = decided
            except Exception as error:
                log.exception("write_back.crashed", application=str(name))
                self.board.write_failed(name, decided.image.alias, f"unexpected {type(error).__name__}")
                again[identity] = decided
        return again

    async def _write(self, decided: UpdateDecided) -> None:
        target = decided.image.target
        assert isinstance(target, ApplicationTarget)  # noqa: S101 - the writer sends Git targets another way
        name, alias, version = decided.tracked.name, decided.image.alias, decided.decision.version
        if decided.decision.released:
            await self.memory.rejected(name, alias, target, decided.decision.released)
        threat = await self._threat(decided, target)
        before = await self._stayed(decided, target, threat) if threat else None
        changed = await self._patch(decided, target)
        if threat:
            _make_room(self._patched)
            self._patched[decided.identity] = _Patched(version, self.now(), before.taken_back if before else 0)
        else:
            await self.memory.written(name, alias, target, version, "", self.now())
        if changed:
            await self.outranked.look(decided, target)

    async def _patch(self, decided: UpdateDecided, target: ApplicationTarget) -> bool:
        name, image, update = decided.tracked.name, decided.image, decided.decision
        if not self.leadership.holds():
            raise LeadershipLost
        still = await self._as_decided(decided, target)
        changed = await self.applications.set_images(target, [edit_for(image, update.version)], still)
        if changed:
            self.board.updated(name, image.alias, decided.current.version, update, "")
        else:
            self.board.write_settled(name, image.alias)
        return changed

    async def _as_decided(self, decided: UpdateDecided, target: ApplicationTarget) -> Still:
        """Tell an Application that is as it was from one that somebody gave another version: they have to be heard."""
        image, before = decided.image, decided.current
        written = (await self.memory.memory(decided.tracked.name, image.alias, target)).written
        known = {before.version if before.origin is Origin.TARGET else None, written or None, decided.decision.version}

        def still(application: Application) -> bool:
            return parameter_version(application, image) in known

        return still

    async def _threat(self, decided: UpdateDecided, target: ApplicationTarget) -> str:
        """Say who may take back what is written, and what helps; empty when nobody does. It is warned of once."""
        application = decided.tracked.application
        if not application.generated_by:
            return ""
        owner = f"ApplicationSet {application.name.namespace}/{application.generated_by}"
        pointer = written_pointer(application, target)
        remedy = f"add jsonPointers: [{pointer}] to its spec.ignoreApplicationDifferences, or use write-back-method git"
        threat = f"{owner} takes back what is written to the Applications that it generates: {remedy}"
        try:
            rules = await self.applications.application_set(application.name.namespace, application.generated_by)
        except ClusterError as error:
            threat = f"{owner} may take back what is written to the Applications that it generates: {error}; {remedy}"
        else:
            if rules.spare(application.name.name, pointer):
                return ""
        if self._warned.get(application.name) != threat:
            _make_room(self._warned)
            self._warned[application.name] = threat
            self.board.taken_back(application.name, threat)
        return threat

    async def _stayed(self, decided: UpdateDecided, target: ApplicationTarget, threat: str) -> _Patched | None:
        """Look whether what was written before is still there; None when it is, or there is nothing to look for.

        Raises:
            _TakenBack: it is not, and it is too early to write again.
        """
        before = self._patched.get(decided.identity)
        if before is None:
            return None
        if not before.gone and await self.applications.holds(target, [edit_for(decided.image, before.version)]):
            return None
        self._patched[decided.identity] = replace(before, gone=True)
        times = before.taken_back + 1
        if self.now() < before.at + timedelta(seconds=retry_delay(self.patience, times)):
            raise _TakenBack(f"{before.version} was written, and is gone again: {threat}; it is tried ever more rarely")
        return replace(before, taken_back=times)


def _make_room(remembered: dict[ImageIdentity, _Patched] | dict[ApplicationName, str]) -> None:
    """Forget what is remembered when it becomes too much: Applications of pull requests come and go."""
    if len(remembered) >= _MOST_REMEMBERED:
        remembered.clear()
