"""Tell what is known of an application, in the form that `updater explain` and the API show."""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Protocol

from updater.domain.application import ApplicationName
from updater.domain.polling import PollKey
from updater.domain.record import ImageView, image_record, problem_record
from updater.domain.secrets import CredentialSource
from updater.ports.registry import Due, DueTimes
from updater.stages.board import Board


class CredentialSources(Protocol):
    """Knows whose credentials are used where."""

    def credentials(self, key: PollKey) -> CredentialSource | None: ...


@dataclass(frozen=True, slots=True)
class Reporter:
    """Answers questions from what the stages know; it asks no registry and writes nothing."""

    board: Board
    sources: CredentialSources
    due_times: DueTimes
    looks_again: bool = True
    """False: this look was the only one."""

    async def application(self, name: ApplicationName) -> dict[str, object] | None:
        """Return an application's images with their decisions, and its problems; None when it is not known."""
        problems = self.board.problems(name)
        if problems is None:
            return None
        views = [view for _, view in await self.views([name])]
        return {
            "application": str(name),
            "images": [image_record(name, view) for view in views],
            "problems": [problem_record(problem) for problem in problems],
        }

    async def views(self, names: Iterable[ApplicationName]) -> list[tuple[ApplicationName, ImageView]]:
        """Return all that is known of the images of several applications."""
        due = await self.due_times.due_times()
        return [
            (name, self._completed(view, due.get(view.tracked.poll)))
            for name in names
            for view in self.board.views(name)
        ]

    def _completed(self, view: ImageView, due: Due | None) -> ImageView:
        return replace(
            view,
            credentials=self.sources.credentials(view.tracked.poll),
            checked_at=due.polled_at if due else None,
            next_check_at=due.due_at if due and self.looks_again else None,
        )
