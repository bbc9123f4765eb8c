"""The messages that end with exit code 3, read from guard's source, so that no list of them is kept by hand.

A message is written with … for each part that is put in when it is said: ``the store … does not exist``.
"""

from __future__ import annotations

import ast
import re
from itertools import product
from typing import TYPE_CHECKING

from guard.commands.helping import page_text
from tests.support.repositories import PACKAGE

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

OPEN = "…"
"""Stands for what is put into a message."""


def explained() -> list[str]:
    """Every message that the page of troubleshooting explains."""
    return [message for first, _, _ in rows() for message in re.findall(r"`([^`]+)`", first)]


def rows() -> list[tuple[str, str, str]]:
    """The rows of that page's tables: messages, their meaning, what to do."""
    lines = [line for line in page_text("troubleshooting").splitlines() if line.startswith("| ")]
    cells = [line.strip("|").split(" | ") for line in lines]
    return [(first, second, third) for first, second, third in cells if first.strip() != "message"]


_BASE = "GuardError"
_OTHER_CODES = {"EXIT_REFUSED", "EXIT_USAGE", "EXIT_DONE"}
_NOT_3 = {
    "UsageError",  # exits with 2
    "Unreadable",  # guard.agents.jsonfile raises it, and guard.agents.install words it as a refusal
}


def of_python() -> dict[str, str]:
    """Every message of an error whose exit code is 3, and where it stands: "guard/stores/choose.py:152"."""
    trees = {file: ast.parse(file.read_text(encoding="utf-8")) for file in sorted((PACKAGE / "guard").rglob("*.py"))}
    names = _errors(trees.values())
    within = {file: list(_functions(tree)) for file, tree in trees.items()}
    functions = {function.name: function for found in within.values() for function in found}
    found: dict[str, str] = {}
    for file, here in within.items():
        for function in here:
            for call in ast.walk(function):
                if isinstance(call, ast.Call) and _called(call) in names and call.args and not _has_other_code(call):
                    for message in _Reader(functions).texts(call.args[0], function):
                        found.setdefault(message, f"{file.relative_to(PACKAGE)}:{call.lineno}")
    return found


def of_sh(name: str) -> set[str]:
    """Every message that a program of sh in hooks/ gives to its function ``cannot``."""
    text = (PACKAGE / "hooks" / name).read_text(encoding="ascii")
    given = re.findall(r"""\bcannot (?:"((?:\\.|[^"\\])*)"|'([^']*)')""", text)
    given += [(each, "") for each in re.findall(r'\bg_(?:gone|failed)="((?:\\.|[^"\\])*)"', text)]
    given += [(each, "") for each in re.findall(r'\$\{g_gone:-"((?:\\.|[^"\\])*)"\}', text)]
    messages = {re.sub(r"\$\{[^}]*\}|\$\w+", OPEN, double or single) for double, single in given}
    return messages - {OPEN}


def _errors(trees: Iterable[ast.Module]) -> set[str]:
    """The names of the error's classes, but not of those that end with another exit code."""
    classes = [node for tree in trees for node in _statements(tree) if isinstance(node, ast.ClassDef)]
    names = {_BASE}
    while more := {each.name for each in classes if names & {getattr(b, "id", "") for b in each.bases}} - names:
        names |= more
    return names - _NOT_3


def _functions(tree: ast.Module) -> Iterator[ast.FunctionDef]:
    return (node for node in _statements(tree) if isinstance(node, ast.FunctionDef))


def _statements(node: ast.AST) -> Iterator[ast.AST]:
    """Every statement below a node; what expressions are made of is not looked at."""
    for field in ("body", "orelse", "finalbody", "handlers", "cases"):
        for each in getattr(node, field, ()) if not isinstance(node, ast.expr) else ():
            yield each
            yield from _statements(each)


def _called(call: ast.Call) -> str:
    return getattr(call.func, "id", "") or getattr(call.func, "attr", "")


def _has_other_code(call: ast.Call) -> bool:
    codes = [keyword.value for keyword in call.keywords if keyword.arg == "code"]
    return any(isinstance(code, ast.Name) and code.id in _OTHER_CODES for code in codes)


class _Reader:
    """Reads what a text can be, as far as it is written down; ``functions`` are those of the whole source, by name."""

    def __init__(self, functions: Mapping[str, ast.FunctionDef]) -> None:
        self._functions = functions
        self._being_read: list[str] = []

    def texts(self, node: ast.expr, scope: ast.FunctionDef) -> set[str]:
        """Every text that an expression in a function can give; :data:`OPEN` stands for what is not known."""
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            return {node.value}
        if isinstance(node, ast.JoinedStr):
            return {"".join(parts) for parts in product(*(self.texts(value, scope) for value in node.values))}
        if isinstance(node, ast.FormattedValue):
            return self.texts(node.value, scope)
        if isinstance(node, ast.IfExp):
            return self.texts(node.body, scope) | self.texts(node.orelse, scope)
        if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Add):
            both = product(self.texts(node.left, scope), self.texts(node.right, scope))
            return {left + right for left, right in both} - {OPEN + OPEN} or {OPEN}
        if isinstance(node, ast.Name):
            if node.id in self._being_read:
                return set()  # a text that is made of the name's former one: the former ones are read as well
            self._being_read.append(node.id)
            values = [self.texts(value, where) for value, where in self._assigned(node.id, scope)]
            self._being_read.pop()
            return set[str]().union(*values) if values else {OPEN}
        return {OPEN}

    def _assigned(self, name: str, scope: ast.FunctionDef) -> Iterator[tuple[ast.expr, ast.FunctionDef]]:
        """What a function gives to a name, alone or with others in one assignment, and the function of each value."""
        for node in ast.walk(scope):
            if not isinstance(node, ast.Assign):
                continue
            for target in node.targets:
                if isinstance(target, ast.Name) and target.id == name:
                    yield node.value, scope
                elif isinstance(target, ast.Tuple):
                    names = [getattr(each, "id", None) for each in target.elts]
                    if name in names:
                        yield from ((pair.elts[names.index(name)], at) for pair, at in self._pairs(node.value, scope))

    def _pairs(self, value: ast.expr, scope: ast.FunctionDef) -> Iterator[tuple[ast.Tuple, ast.FunctionDef]]:
        """The tuples that a value can be: one itself, one of a dictionary's, or one that a function returns."""
        if isinstance(value, ast.Tuple):
            yield value, scope
        elif isinstance(value, ast.Call):
            looked_up = value.func.value if isinstance(value.func, ast.Attribute) else None
            if isinstance(looked_up, ast.Name):
                given = (table for table, _ in self._assigned(looked_up.id, scope) if isinstance(table, ast.Dict))
                looked_up = next(given, looked_up)
            if isinstance(looked_up, ast.Dict):
                yield from ((each, scope) for each in (*looked_up.values, *value.args) if isinstance(each, ast.Tuple))
            elif asked := self._functions.get(_called(value)):
                returned = [node.value for node in ast.walk(asked) if isinstance(node, ast.Return) and node.value]
                yield from (pair for each in returned for pair in self._pairs(each, asked))
