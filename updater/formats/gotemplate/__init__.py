"""Go's text/template, as users have it in their commit messages and branch names.

A faithful subset: all actions, pipelines, variables, literals and functions but `call`, complex numbers and the `#v` of
printf. What it renders is bounded in size, depth and steps, so that a template can be wrong, but not do harm.
"""

from dataclasses import dataclass

from updater.formats.gotemplate.execution import execute
from updater.formats.gotemplate.lexer import TemplateError
from updater.formats.gotemplate.nodes import (
    Action,
    Branch,
    Call,
    Chain,
    Definitions,
    Field,
    Nodes,
    Operand,
    Pipeline,
    Variable,
)
from updater.formats.gotemplate.parser import parse
from updater.formats.gotemplate.values import Struct, Value

__all__ = ["Struct", "Template", "TemplateError", "Value"]


@dataclass(frozen=True, slots=True)
class Template:
    """A template that was understood."""

    definitions: Definitions

    @staticmethod
    def parse(text: str) -> "Template":
        """Read a template.

        Raises:
            TemplateError: with its line and a remedy.
        """
        return Template(parse(text))

    def render(self, data: Value) -> str:
        """Fill the template in.

        Raises:
            TemplateError: the data does not have what it asks for, or a bound was reached.
        """
        return execute(self.definitions, data).encode("utf-8", "surrogateescape").decode("utf-8", "replace")

    def asks_for(self, name: str) -> bool:
        """Tell whether a field is named anywhere in it."""
        return any(_names(nodes, name) for nodes in self.definitions.values())


def _names(nodes: Nodes, name: str) -> bool:
    for node in nodes:
        pipeline = node.pipeline if isinstance(node, Action | Branch | Call) else None
        if pipeline is not None and any(_named(operand, name) for command in pipeline.commands for operand in command):
            return True
        if isinstance(node, Branch) and (_names(node.body, name) or _names(node.otherwise or (), name)):
            return True
    return False


def _named(operand: Operand, name: str) -> bool:
    if isinstance(operand, Pipeline):
        return any(_named(each, name) for command in operand.commands for each in command)
    if isinstance(operand, Chain):
        return name in operand.names or _named(operand.of, name)
    return isinstance(operand, Field | Variable) and name in operand.names
