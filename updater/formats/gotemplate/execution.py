"""Render a template, as Go's text/template does, within bounds of size, depth and steps."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from updater.formats.gotemplate.functions import call
from updater.formats.gotemplate.lexer import TemplateError
from updater.formats.gotemplate.nodes import (
    Action,
    Branch,
    Call,
    Chain,
    Command,
    Definitions,
    Dot,
    Field,
    Function,
    Jump,
    Literal,
    Node,
    Nodes,
    Operand,
    Pipeline,
    Text,
    Variable,
)
from updater.formats.gotemplate.parser import MAIN
from updater.formats.gotemplate.values import ABSENT, Absent, Struct, Value, shown, truth, type_of

LARGEST_OUTPUT = 1_000_000
"""Characters of what is written, and of each text on the way."""
MOST_STEPS = 500_000
"""Actions and rounds of a range."""
MOST_HANDLED = 20_000_000
"""Characters of what functions read and make."""
DEEPEST_CALL = 40
"""Templates that call each other."""


class _Break(Exception):
    """Leave the range."""


class _Continue(Exception):
    """Begin the range's next round."""


def execute(definitions: Definitions, data: Value) -> str:
    """Render the main template with `data` as its dot.

    Raises:
        TemplateError: the data does not have what the template asks for, or a bound was reached.
    """
    output = _Output()
    try:
        _State(definitions, output, [("$", data)]).walk(data, definitions[MAIN])
    except RecursionError:
        raise TemplateError("the template is nested too deep") from None
    return "".join(output.pieces)


@dataclass
class _Output:
    """What was written, and what it cost."""

    pieces: list[str] = field(default_factory=list)
    size: int = 0
    steps: int = 0
    handled: int = 0

    def write(self, text: str) -> None:
        self.size += len(text)
        if self.size > LARGEST_OUTPUT:
            raise TemplateError(f"the template writes more than {LARGEST_OUTPUT} characters")
        self.pieces.append(text)

    def handle(self, values: Iterable[Value]) -> None:
        """Count the texts that a function reads and makes, which is what its time depends on."""
        self.handled += sum(len(value) for value in values if isinstance(value, str))
        if self.handled > MOST_HANDLED:
            raise TemplateError(f"the template's functions handle more than {MOST_HANDLED} characters")

    def step(self) -> None:
        self.steps += 1
        if self.steps > MOST_STEPS:
            raise TemplateError(f"the template takes more than {MOST_STEPS} steps")


@dataclass
class _State:
    """One template being rendered, with its variables."""

    definitions: Definitions
    output: _Output
    variables: list[tuple[str, Value]]
    depth: int = 0

    def walk(self, dot: Value, nodes: Nodes) -> None:
        for node in nodes:
            self.output.step()
            self._walk(dot, node)

    def _walk(self, dot: Value, node: Node) -> None:
        match node:
            case Text(text):
                self.output.write(text)
            case Action(pipeline):
                value = self._pipeline(dot, pipeline)
                if not pipeline.variables:
                    self.output.write(shown(value))
            case Branch(word="range"):
                self._range(dot, node)
            case Branch():
                self._if_or_with(dot, node)
            case Jump(word):
                raise _Break if word == "break" else _Continue
            case Call():
                self._call_template(dot, node)

    def _if_or_with(self, dot: Value, node: Branch) -> None:
        mark = len(self.variables)
        value = self._pipeline(dot, node.pipeline)
        if truth(value):
            self.walk(value if node.word == "with" else dot, node.body)
        elif node.otherwise is not None:
            self.walk(dot, node.otherwise)
        del self.variables[mark:]

    def _range(self, dot: Value, node: Branch) -> None:
        mark = len(self.variables)
        pipeline = node.pipeline
        rounds = _rounds(self._pipeline(dot, pipeline), pipeline)
        inner = len(self.variables)
        ran = False
        try:
            for index, element in rounds:
                ran = True
                self.output.step()
                self._bind(pipeline, index, element)
                try:
                    self.walk(element, node.body)
                except _Continue:
                    pass
                finally:
                    del self.variables[inner:]
        except _Break:
            pass
        if not ran and node.otherwise is not None:
            self.walk(dot, node.otherwise)
        del self.variables[mark:]

    def _bind(self, pipeline: Pipeline, index: Value, element: Value) -> None:
        """Give a range's variables their values: the element alone, or the index and the element."""
        names = pipeline.variables
        values = (element,) if len(names) == 1 else (index, element)
        for place, (name, value) in enumerate(zip(names, values, strict=False)):
            if pipeline.assigns:
                self._assign(name, value)
            else:
                self.variables[len(self.variables) - len(names) + place] = (name, value)

    def _call_template(self, dot: Value, node: Call) -> None:
        if node.name not in self.definitions:
            raise TemplateError(f"line {node.line}: there is no template {node.name!r}: add a define of it")
        if self.depth == DEEPEST_CALL:
            raise TemplateError(f"line {node.line}: templates call each other more than {DEEPEST_CALL} deep")
        data = ABSENT if node.pipeline is None else self._pipeline(dot, node.pipeline)
        inner = _State(self.definitions, self.output, [("$", data)], self.depth + 1)
        inner.walk(data, self.definitions[node.name])

    def _pipeline(self, dot: Value, pipeline: Pipeline) -> Value:
        self.output.step()
        final: list[Value] = []
        try:
            for command in pipeline.commands:
                value = self._command(dot, command, final)
                final = [ABSENT if value is None else value]
        except TemplateError as error:
            raise error if str(error).startswith("line ") else TemplateError(f"line {pipeline.line}: {error}") from None
        for name in pipeline.variables:
            if pipeline.assigns:
                self._assign(name, final[0])
            else:
                self.variables.append((name, final[0]))
        return final[0]

    def _assign(self, name: str, value: Value) -> None:
        for place in reversed(range(len(self.variables))):
            if self.variables[place][0] == name:
                self.variables[place] = (name, value)
                return
        raise TemplateError(f"there is no variable {name} here: declare it with :=")

    def _command(self, dot: Value, command: Command, final: Sequence[Value]) -> Value:
        first, *rest = command
        if isinstance(first, Function):
            return self._call(dot, first.name, rest, final)
        if rest or final:
            raise TemplateError("something that is no function was given an argument: put a function before it")
        if first == Literal(None):
            raise TemplateError("nil alone is nothing to write")
        return self._operand(dot, first)

    def _call(self, dot: Value, name: str, arguments: Sequence[Operand], final: Sequence[Value]) -> Value:
        if name in ("and", "or"):
            return self._and_or(dot, name, arguments, final)
        if name == "printf" and arguments and isinstance(arguments[0], Literal):
            _check_format(arguments[0])
        values = [*(self._operand(dot, each) for each in arguments), *final]
        result = call(name, values)
        self.output.handle([*values, result])
        if isinstance(result, str) and len(result) > LARGEST_OUTPUT:
            raise TemplateError(f"{name} makes a text of more than {LARGEST_OUTPUT} characters")
        return result

    def _and_or(self, dot: Value, name: str, arguments: Sequence[Operand], final: Sequence[Value]) -> Value:
        """Return the first argument that settles it; those behind it are not looked at."""
        if not arguments and not final:
            raise TemplateError(f"{name} takes at least one argument")
        value: Value = ABSENT
        for each in arguments:
            value = self._operand(dot, each)
            if truth(value) == (name == "or"):
                return value
        return final[0] if final else value

    def _operand(self, dot: Value, operand: Operand) -> Value:  # noqa: PLR0911 - one for each kind
        match operand:
            case Literal(value):
                return value
            case Dot():
                return dot
            case Field(names):
                return _fields(dot, names)
            case Variable(name, names):
                return _fields(self._variable(name), names)
            case Chain(of, names):
                if of == Literal(None):
                    raise TemplateError("nil has no fields")
                return _fields(self._operand(dot, of), names)
            case Function(name):
                return self._call(dot, name, (), ())
            case Pipeline():
                return self._pipeline(dot, operand)

    def _variable(self, name: str) -> Value:
        for known, value in reversed(self.variables):
            if known == name:
                return value
        raise TemplateError(f"there is no variable {name} here: declare it with :=")


def _check_format(literal: Literal) -> None:
    if not isinstance(literal.value, str):
        raise TemplateError("printf takes a format first")


def _fields(value: Value, names: Iterable[str]) -> Value:
    for name in names:
        match value:
            case Absent():
                return ABSENT
            case Struct():
                if name not in value:
                    known = ", ".join(f".{each}" for each in value)
                    raise TemplateError(f"there is no field .{name} here; there are {known}")
                value = value[name]
            case Mapping():
                value = value.get(name, ABSENT)
            case _:
                raise TemplateError(f"a {type_of(value)} has no field .{name}")
    return value


def _rounds(value: Value, pipeline: Pipeline) -> Iterable[tuple[Value, Value]]:
    """Give index and element of each round of a range."""
    match value:
        case None | Absent():
            return ()
        case bool() | float() | str() | Struct():
            raise TemplateError(f"line {pipeline.line}: range cannot go over a {type_of(value)}")
        case int():
            if len(pipeline.variables) > 1:
                raise TemplateError(f"line {pipeline.line}: a range over a number has one variable")
            return ((ABSENT, number) for number in range(value))
        case Mapping():
            return ((key, value[key]) for key in sorted(value))
    return enumerate(value)
