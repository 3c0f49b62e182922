"""What a template consists of, once it is understood."""

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Literal:
    """A text, number, truth value, or nil."""

    value: str | int | float | bool | None


@dataclass(frozen=True, slots=True)
class Dot:
    """`.` alone."""


@dataclass(frozen=True, slots=True)
class Field:
    """`.A.B`, of dot."""

    names: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Variable:
    """`$x.A.B`; the name has its `$`."""

    name: str
    names: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Function:
    """A function's name."""

    name: str


@dataclass(frozen=True, slots=True)
class Chain:
    """`(…).A.B`."""

    of: "Operand"
    names: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Pipeline:
    """Commands, each of which gets the value of the one before as its last argument."""

    commands: tuple["Command", ...]
    line: int
    variables: tuple[str, ...] = ()
    assigns: bool = False
    """Whether the variables exist already (`=`), instead of being declared (`:=`)."""


Operand = Literal | Dot | Field | Variable | Function | Chain | Pipeline
Command = tuple[Operand, ...]


@dataclass(frozen=True, slots=True)
class Text:
    """What stands between actions."""

    text: str


@dataclass(frozen=True, slots=True)
class Action:
    """`{{pipeline}}`."""

    pipeline: Pipeline


@dataclass(frozen=True, slots=True)
class Branch:
    """`{{if}}`, `{{with}}` or `{{range}}`."""

    word: str
    pipeline: Pipeline
    body: "Nodes"
    otherwise: "Nodes | None" = None


@dataclass(frozen=True, slots=True)
class Jump:
    """`{{break}}` or `{{continue}}`."""

    word: str


@dataclass(frozen=True, slots=True)
class Call:
    """`{{template "name" pipeline}}`."""

    name: str
    line: int
    pipeline: Pipeline | None = None


Node = Text | Action | Branch | Jump | Call
Nodes = tuple[Node, ...]
Definitions = Mapping[str, Nodes]
