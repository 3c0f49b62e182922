"""Traces: how long each step from a nudge to a commit took, and what led to it."""

from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import Protocol


class Span(Protocol):
    """A step under way."""

    def note(self, **attributes: str | int) -> None:
        """Add what is only known now."""
        ...


class Tracing(Protocol):
    """Times steps. A trace goes with a message from one stage to the next, as a W3C `traceparent`."""

    def span(self, name: str, causes: Sequence[str] = (), **attributes: str | int) -> AbstractContextManager[Span]:
        """Time what is done within; a step within another is a part of it.

        Args:
            name: as `git.push`.
            causes: traces of what led to it, empty ones are passed over. Outside of any step the first is gone on
                with; the others are linked.
            attributes: what an operator looks for.
        """
        ...

    def current(self) -> str:
        """Return the trace of the step under way; empty when there is none."""
        ...


class _Unspanned:
    def note(self, **attributes: str | int) -> None:
        pass


class Untraced:
    """Implements `Tracing` where nobody asked for it."""

    _span = nullcontext(_Unspanned())

    def span(self, name: str, causes: Sequence[str] = (), **attributes: str | int) -> AbstractContextManager[Span]:  # noqa: ARG002
        return self._span

    def current(self) -> str:
        return ""


UNTRACED = Untraced()
