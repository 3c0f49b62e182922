"""Understand a template, as the parser of Go's text/template/parse does; what it refuses is refused."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace

from updater.formats.gotemplate.lexer import Kind, TemplateError, Token, tokens_of
from updater.formats.gotemplate.literals import character, number, unquote
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

FUNCTIONS = frozenset(
    (
        *("and", "or", "not", "eq", "ne", "lt", "le", "gt", "ge", "len", "index", "slice"),
        *("print", "printf", "println", "html", "js", "urlquery"),
    ),
)
MAIN = "\0"
"""The name of what stands outside of all definitions."""
_DEEPEST = 50
_READERS: Mapping[Kind, Callable[[str], str | int | float]] = {
    Kind.STRING: unquote,
    Kind.CHARACTER: character,
    Kind.NUMBER: number,
}
_TERMS = (
    *(Kind.BOOL, Kind.CHARACTER, Kind.DOT, Kind.FIELD, Kind.IDENTIFIER, Kind.NUMBER, Kind.NIL),
    *(Kind.STRING, Kind.VARIABLE, Kind.OPEN),
)


def parse(template: str) -> Definitions:
    """Read a template and the templates defined in it; the main one is called `MAIN`.

    Raises:
        TemplateError: with its line and a remedy.
    """
    parser = _Parser(tokens_of(template))
    try:
        main = parser.main()
    except RecursionError:
        raise TemplateError("the template is nested too deep") from None
    parser.define(MAIN, main)
    return parser.defined


@dataclass
class _Parser:
    tokens: list[Token]
    at: int = 0
    defined: dict[str, Nodes] = field(default_factory=dict)
    variables: list[str] = field(default_factory=lambda: ["$"])
    ranges: int = 0
    depth: int = 0

    def main(self) -> Nodes:
        nodes: list[Node] = []
        while self.peek().kind is not Kind.END:
            if self._at_word("define"):
                self._definition()
                continue
            node = self._node()
            if isinstance(node, Token):
                raise self._error(f"unexpected {{{{{node.text}}}}}: nothing is open that it could belong to", node)
            nodes.append(node)
        return tuple(nodes)

    def define(self, name: str, nodes: Nodes) -> None:
        """Take in a definition; an empty one gives way to another, as in Go."""
        if name not in self.defined or _empty(self.defined[name]):
            self.defined[name] = nodes
        elif not _empty(nodes):
            raise TemplateError(f"template {name!r} is defined twice: give one of them another name")

    def _definition(self) -> None:
        self.next()
        self.next_word()
        name = self._template_name("define")
        self._expect_right("define")
        self.define(name, self._apart())

    def _apart(self) -> Nodes:
        """Read the body of a template of its own, which sees no variables but its `$`."""
        variables, ranges = self.variables, self.ranges
        self.variables, self.ranges = ["$"], 0
        body, end = self._nodes()
        if end.text != "end":
            raise self._error("expected {{end}}, found {{else}}", end)
        self.variables, self.ranges = variables, ranges
        return body

    def _nodes(self) -> tuple[Nodes, Token]:
        """Read up to `{{end}}` or `{{else`; give that word, too."""
        nodes: list[Node] = []
        while True:
            token = self.peek()
            if token.kind is Kind.END:
                raise self._error("the template ends before its {{end}}: write one for each if, range, with and define")
            node = self._node()
            if isinstance(node, Token):
                return tuple(nodes), node
            nodes.append(node)

    def _node(self) -> Node | Token:  # noqa: C901, PLR0911 - one for each word
        token = self.next()
        if token.kind is Kind.TEXT:
            return Text(token.text)
        if token.kind is not Kind.LEFT:
            raise self._unexpected(token)
        word = self.peek_word()
        if word.kind is not Kind.KEYWORD:
            return Action(self._pipeline("the action", Kind.RIGHT))
        self.next_word()
        match word.text:
            case "if" | "range" | "with":
                return self._branch(word.text)
            case "end":
                self._expect_right("end")
                return word
            case "else":
                if not (self.peek_word().kind is Kind.KEYWORD and self.peek_word().text in ("if", "with")):
                    self._expect_right("else")
                return word
            case "break" | "continue":
                self._expect_right(word.text)
                if not self.ranges:
                    raise self._error(f"{{{{{word.text}}}}} stands outside of every {{{{range}}}}", word)
                return Jump(word.text)
            case "template":
                return self._call(word)
            case "block":
                return self._block(word)
        raise self._unexpected(word)

    def _branch(self, word: str) -> Branch:
        mark = len(self.variables)
        pipeline = self._pipeline(word, Kind.RIGHT)
        self.ranges += word == "range"
        body, end = self._nodes()
        self.ranges -= word == "range"
        otherwise: Nodes | None = None
        if end.text == "else":
            following = self.peek_word()
            if following.kind is Kind.KEYWORD and following.text == word and word != "range":
                self.next_word()
                otherwise = (self._branch(word),)
            else:
                otherwise, end = self._nodes()
                if end.text != "end":
                    raise self._error("expected {{end}}, found another {{else}}", end)
        del self.variables[mark:]
        return Branch(word, pipeline, body, otherwise)

    def _call(self, word: Token) -> Call:
        name = self._template_name("template")
        if self.peek_word().kind is Kind.RIGHT:
            self.next_word()
            return Call(name, word.line)
        return Call(name, word.line, self._pipeline("template", Kind.RIGHT))

    def _block(self, word: Token) -> Call:
        name = self._template_name("block")
        pipeline = self._pipeline("block", Kind.RIGHT)
        self.define(name, self._apart())
        return Call(name, word.line, pipeline)

    def _template_name(self, word: str) -> str:
        token = self.next_word()
        if token.kind is not Kind.STRING:
            raise self._error(f"{word} needs the template's name in quotes, not {token}", token)
        return str(self._value(token))

    def _pipeline(self, place: str, end: Kind) -> Pipeline:
        line = self.peek_word().line
        variables, assigns = self._variables(place)
        commands: list[Command] = []
        while True:
            token = self.next_word()
            if token.kind is end:
                break
            if token.kind not in _TERMS:
                raise self._unexpected(token)
            self.at -= 1
            commands.append(self._command())
        if not commands:
            raise self._error(f"{place} has no value", token)
        for command in commands[1:]:
            if isinstance(command[0], Literal | Dot):
                raise self._error("only a function can stand behind a |", token)
        return Pipeline(tuple(commands), line, variables, assigns)

    def _variables(self, place: str) -> tuple[tuple[str, ...], bool]:
        """Read `$x :=`, `$x =` or, for a range, `$i, $x :=`; nothing when the pipeline begins otherwise."""
        names: list[str] = []
        while self.peek_word().kind is Kind.VARIABLE:
            start = self.at
            name = self.next_word()
            following = self.next_word()
            if following.kind in (Kind.ASSIGN, Kind.DECLARE):
                names.append(name.text)
                self.variables.append(name.text)
                return tuple(names), following.kind is Kind.ASSIGN
            if following.kind is not Kind.COMMA:
                self.at = start
                break
            names.append(name.text)
            self.variables.append(name.text)
            if place != "range" or len(names) > 1:
                raise self._error("too many variables: range takes two, everything else one", name)
            if self.peek_word().kind not in (Kind.VARIABLE, Kind.RIGHT, Kind.CLOSE):
                raise self._error("only a variable can stand behind the comma", name)
        return tuple(names), False

    def _command(self) -> Command:
        operands: list[Operand] = []
        while True:
            self._skip_space()
            operand = self._operand()
            if operand is not None:
                operands.append(operand)
            token = self.next()
            if token.kind is Kind.SPACE:
                continue
            if token.kind in (Kind.RIGHT, Kind.CLOSE):
                self.at -= 1
            elif token.kind is not Kind.PIPE:
                raise self._unexpected(token)
            break
        if not operands:
            raise self._error("there is nothing before the |", token)
        return tuple(operands)

    def _operand(self) -> Operand | None:
        token = self.peek()
        term = self._term()
        names: list[str] = []
        while term is not None and self.peek().kind is Kind.FIELD:
            names.append(self.next().text[1:])
        if term is None or not names:
            return term
        if isinstance(term, Literal | Dot):
            raise self._error(f"{token.text} has no fields", token)
        if isinstance(term, Field | Variable):
            return replace(term, names=(*term.names, *names))
        return Chain(term, tuple(names))

    def _term(self) -> Operand | None:  # noqa: C901, PLR0911 - one for each kind
        token = self.next()
        match token.kind:
            case Kind.IDENTIFIER:
                if token.text not in FUNCTIONS:
                    known = ", ".join(sorted(FUNCTIONS))
                    raise self._error(f"there is no function {token.text}; there are {known}", token)
                return Function(token.text)
            case Kind.DOT:
                return Dot()
            case Kind.NIL:
                return Literal(None)
            case Kind.BOOL:
                return Literal(token.text == "true")
            case Kind.VARIABLE:
                if token.text not in self.variables:
                    raise self._error(f"there is no variable {token.text} here: declare it with :=", token)
                return Variable(token.text)
            case Kind.FIELD:
                return Field((token.text[1:],))
            case Kind.STRING | Kind.CHARACTER | Kind.NUMBER:
                return Literal(self._value(token))
            case Kind.OPEN:
                return self._parenthesised(token)
        self.at -= 1
        return None

    def _parenthesised(self, token: Token) -> Pipeline:
        self.depth += 1
        if self.depth > _DEEPEST:
            raise self._error("the parentheses are nested too deep", token)
        pipeline = self._pipeline("the parenthesis", Kind.CLOSE)
        self.depth -= 1
        return pipeline

    def _value(self, token: Token) -> str | int | float:
        try:
            return _READERS[token.kind](token.text)
        except (ValueError, OverflowError) as error:
            raise self._error(f"{token.text}: {error}", token) from None

    def peek(self) -> Token:
        return self.tokens[self.at]

    def next(self) -> Token:
        token = self.tokens[self.at]
        self.at = min(self.at + 1, len(self.tokens) - 1)
        return token

    def peek_word(self) -> Token:
        self._skip_space()
        return self.peek()

    def next_word(self) -> Token:
        self._skip_space()
        return self.next()

    def _skip_space(self) -> None:
        while self.peek().kind is Kind.SPACE:
            self.at += 1

    def _at_word(self, word: str) -> bool:
        """Tell whether an action begins here with this word."""
        if self.peek().kind is not Kind.LEFT:
            return False
        behind = self.tokens[self.at + 1 : self.at + 3]
        first = next((token for token in behind if token.kind is not Kind.SPACE), None)
        return first is not None and first.kind is Kind.KEYWORD and first.text == word

    def _expect_right(self, word: str) -> None:
        token = self.next_word()
        if token.kind is not Kind.RIGHT:
            raise self._error(f"nothing can stand behind {word} but }}}}, not {token}", token)

    def _unexpected(self, token: Token) -> TemplateError:
        return self._error(f"{token} cannot stand here", token)

    def _error(self, message: str, token: Token | None = None) -> TemplateError:
        return TemplateError(f"line {(token or self.peek()).line}: {message}")


def _empty(nodes: Nodes) -> bool:
    return all(isinstance(node, Text) and not node.text.strip() for node in nodes)
