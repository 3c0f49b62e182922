"""Write to the Application itself: a narrow patch of the parameters that are ours."""

from collections.abc import Callable, Hashable, Mapping
from dataclasses import dataclass
from datetime import datetime

import structlog

from updater.domain.application import ApplicationName
from updater.domain.errors import ClusterError, EditError, Misconfigured, StoreError
from updater.domain.messages import UpdateDecided
from updater.domain.target import ApplicationTarget
from updater.ports import ApplicationWriter, WriteMemory
from updater.stages.board import Board
from updater.stages.present import edit_for

log = structlog.get_logger()

Waiting = Mapping[Hashable, UpdateDecided]


@dataclass
class ApplicationPatcher:
    """Handles the updates of Applications with `write-back-method: argocd`."""

    applications: ApplicationWriter
    memory: WriteMemory
    board: Board
    now: Callable[[], datetime]
    dry_run: bool = False

    async def write(self, name: ApplicationName, batch: Waiting) -> Waiting:
        """Patch one Application; return what has to be tried again."""
        again: dict[Hashable, UpdateDecided] = {}
        for identity, decided in batch.items():
            if self.dry_run:
                self.board.would_update(name, decided.image.alias, decided.current.version, decided.decision)
                continue
            try:
                await self._patch(decided)
            except (ClusterError, EditError, Misconfigured, StoreError) as error:
                self.board.write_failed(name, decided.image.alias, str(error))
                again[identity] = decided
            except Exception as error:
                log.exception("write_back.crashed", application=str(name))
                self.board.write_failed(name, decided.image.alias, f"unexpected {type(error).__name__}")
                again[identity] = decided
        return again

    async def _patch(self, decided: UpdateDecided) -> None:
        name, image, update = decided.tracked.name, decided.image, decided.decision
        target = image.target
        assert isinstance(target, ApplicationTarget)  # noqa: S101 - the writer sends Git targets another way
        if update.released:
            await self.memory.rejected(name, image.alias, target, update.released)
        changed = await self.applications.set_images(target, [edit_for(image, update.version)])
        await self.memory.written(name, image.alias, target, update.version, "", self.now())
        if changed:
            self.board.updated(name, image.alias, decided.current.version, update, "")
        else:
            self.board.write_settled(name, image.alias)
