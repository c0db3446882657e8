"""What a template may say: text, fields, `if`, `for` over a list of fields, and blocks. Nothing else.

Staff edit templates, so a template is data: it is checked when it is loaded, before any of it runs. It can call
nothing, reach no attribute that is not a field, import no other file and cannot loop inside a loop. So it can
neither leak nor take more time or memory than its data, and a misspelt field is found at start-up, also in a
branch that no sample takes.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from difflib import get_close_matches
from typing import NoReturn

from jinja2 import nodes

#: No template needs more characters than this.
LONGEST_SOURCE = 60_000

_PLAIN = (nodes.Template, nodes.Output, nodes.TemplateData, nodes.Const, nodes.If, nodes.CondExpr)
_LOGIC = (nodes.And, nodes.Or, nodes.Not, nodes.Compare, nodes.Operand)
_LOOP_FIELDS = frozenset({"first", "last", "index"})


class GrammarError(ValueError):
    """A template says something that templates may not say: names the file, the line and what is allowed."""


@dataclass(frozen=True, slots=True)
class Shape:
    """The fields of one kind of template: single `values`, `records` of values, `lists` of records or values."""

    values: frozenset[str]
    records: Mapping[str, frozenset[str]] = field(default_factory=dict)
    lists: Mapping[str, frozenset[str]] = field(default_factory=dict)


def check(tree: nodes.Template, name: str, shape: Shape) -> None:
    """Raise GrammarError unless the parsed template `name` keeps to the grammar and to the fields of `shape`."""
    _Checker(name, shape).visit(tree, {})


@dataclass(frozen=True, slots=True)
class _Checker:
    name: str
    shape: Shape

    def visit(self, node: nodes.Node, loop: Mapping[str, frozenset[str]]) -> None:
        """`loop` has the loop's variables and their fields; a variable without fields is a value."""
        match node:
            case nodes.Name():
                self._value(node, loop)
                return
            case nodes.Getattr(node=nodes.Name(name=owner), attr=attribute):
                self._field(node, owner, attribute, loop)
                return
            case nodes.If(test=nodes.Name(name=name)) if name in self.shape.lists:
                for branch in (*node.body, *node.elif_, *node.else_):
                    self.visit(branch, loop)
                return
            case nodes.For():
                self._for(node, loop)
                return
            case nodes.Block(scoped=False):
                pass
            case _ if not isinstance(node, _PLAIN + _LOGIC):
                self._refuse(node, f"{type(node).__name__.lower()} is not allowed: only fields, if, for and blocks")
        for child in node.iter_child_nodes():
            self.visit(child, loop)

    def _value(self, node: nodes.Name, loop: Mapping[str, frozenset[str]]) -> None:
        values = self.shape.values | {name for name, fields in loop.items() if not fields}
        if node.name not in values:
            self._unknown(node, node.name, values)

    def _field(self, node: nodes.Node, owner: str, attribute: str, loop: Mapping[str, frozenset[str]]) -> None:
        records = {**self.shape.records, **loop}
        if owner not in records:
            self._unknown(node, owner, records)
        if attribute not in records[owner]:
            self._unknown(node, f"{owner}.{attribute}", {f"{owner}.{each}" for each in records[owner]})

    def _for(self, node: nodes.For, loop: Mapping[str, frozenset[str]]) -> None:
        if loop:
            self._refuse(node, "a loop inside a loop is not allowed")
        if not (isinstance(node.target, nodes.Name) and isinstance(node.iter, nodes.Name)):
            self._refuse(node, f"a loop goes over one of the lists: {_listed(self.shape.lists)}")
        if node.iter.name not in self.shape.lists:
            self._unknown(node, node.iter.name, self.shape.lists)
        if node.test is not None or node.recursive or node.else_:
            self._refuse(node, "a loop has no condition, no else and does not recurse")
        inside = {node.target.name: self.shape.lists[node.iter.name], "loop": _LOOP_FIELDS}
        for child in node.body:
            self.visit(child, inside)

    def _unknown(
        self, node: nodes.Node, name: str, known: frozenset[str] | set[str] | Mapping[str, object]
    ) -> NoReturn:
        near = get_close_matches(name, list(known), n=1)
        hint = f"did you mean {near[0]!r}?" if near else f"there are {_listed(known)}"
        self._refuse(node, f"there is no field {name!r}: {hint}")

    def _refuse(self, node: nodes.Node, why: str) -> NoReturn:
        raise GrammarError(f"{self.name}, line {node.lineno}: {why}")


def _listed(names: frozenset[str] | set[str] | Mapping[str, object]) -> str:
    return ", ".join(sorted(names))
