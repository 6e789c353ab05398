"""The repository's own source as parsed trees, for the tests that hold it to the house rules."""

from __future__ import annotations

import ast
import functools
import io
import pathlib
import subprocess
import tokenize
from collections.abc import Iterator
from dataclasses import dataclass

REPOSITORY = pathlib.Path(__file__).resolve().parents[2]
PROGRAM = "src/accel_ci"
Function = ast.FunctionDef | ast.AsyncFunctionDef


@dataclass(frozen=True)
class Module:
    """One Python file: `name` is its path below the repository."""

    name: str
    text: str
    tree: ast.Module

    def at(self, node: ast.AST, problem: str) -> str:
        """What is wrong, where, as an editor understands it."""
        return f"{self.name}:{getattr(node, 'lineno', 1)}: {problem}"

    def code_lines(self) -> int:
        """How many lines hold code: no blanks, comments or docstrings."""
        docstrings = {line for node in ast.walk(self.tree) for line in _docstring_lines(node)}
        layout = {tokenize.COMMENT, tokenize.NL, tokenize.NEWLINE, tokenize.INDENT, tokenize.DEDENT, tokenize.ENDMARKER}
        lines: set[int] = set()
        for token in tokenize.generate_tokens(io.StringIO(self.text).readline):
            if token.type not in layout:
                lines.update(range(token.start[0], token.end[0] + 1))
        return len(lines - docstrings)

    def functions(self) -> Iterator[Function]:
        """Every function and method, nested ones too."""
        return (node for node in ast.walk(self.tree) if isinstance(node, Function))


def modules(*folders: str) -> list[Module]:
    """The Python files in these folders that git knows or would add."""
    return [_module(name) for name in files() if name.endswith(".py") and name.startswith(folders)]


@functools.cache
def files() -> tuple[str, ...]:
    """Every file that is or would be committed, by its path below the repository."""
    command = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    listed = subprocess.run(command, cwd=REPOSITORY, capture_output=True, text=True, check=True).stdout
    return tuple(sorted(name for name in listed.split("\0") if name and (REPOSITORY / name).is_file()))


def function_lines(function: Function) -> int:
    """How long a function is, its docstring left out."""
    first = function.body[1] if ast.get_docstring(function) and len(function.body) > 1 else function.body[0]
    return (function.end_lineno or 0) - first.lineno + 1 + (function.body[0].lineno - function.lineno)


def imports(module: Module) -> Iterator[tuple[ast.AST, str]]:
    """Every import with the dotted name of what is imported."""
    for node in ast.walk(module.tree):
        if isinstance(node, ast.Import):
            yield from ((node, alias.name) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield from ((node, f"{node.module}.{alias.name}") for alias in node.names)


@functools.cache
def _module(name: str) -> Module:
    text = (REPOSITORY / name).read_text(encoding="utf-8")
    return Module(name, text, ast.parse(text, name))


def _docstring_lines(node: ast.AST) -> range:
    if not isinstance(node, ast.Module | ast.ClassDef | Function) or ast.get_docstring(node) is None:
        return range(0)
    return range(node.body[0].lineno, (node.body[0].end_lineno or 0) + 1)
