"""No file of ours imports itself by a detour: data flows one way, and every file can be read before its users."""

from __future__ import annotations

import ast
from collections.abc import Sequence

import pytest

from tests.house import source_tree
from tests.house.source_tree import PROGRAM, Module

SIMULATOR = "src/accel_ci_sim"
SENT = "accel_ci.on_machine"  # these files lie side by side on the machine, and call one another by their bare names
Graph = dict[str, set[str]]


def graph(modules: Sequence[Module]) -> Graph:
    """Who imports whom by dotted names, wherever the import stands: in functions and under TYPE_CHECKING, too."""
    known = {dotted(module) for module in modules}
    return {
        dotted(module): {found for _, name in source_tree.imports(module) for found in resolved(name, module, known)}
        for module in modules
    }


def dotted(module: Module) -> str:
    """The name that importers use: `accel_ci.domain.lease`; of a package's own file, the package."""
    return module.name.removeprefix("src/").removesuffix(".py").removesuffix("/__init__").replace("/", ".")


def resolved(name: str, importer: Module, known: set[str]) -> set[str]:
    """The module of ours that an imported name is, or is in; none for all others."""
    if dotted(importer).startswith(f"{SENT}.") and f"{SENT}.{name.split('.')[0]}" in known:
        name = f"{SENT}.{name}"
    candidates = [name, name.rpartition(".")[0]]
    return set([each for each in candidates if each in known][:1])


def circles(imports: Graph) -> list[list[str]]:
    """The strongly connected components that have a cycle, each sorted."""
    reached = {name: reachable(imports, name) for name in imports}
    found = {
        frozenset(other for other in reached[name] if name in reached[other])
        for name in imports
        if name in reached[name]
    }
    return sorted(sorted(circle) for circle in found)


def reachable(imports: Graph, start: str) -> set[str]:
    """All that the module needs, step by step; itself only when there is a way back."""
    seen: set[str] = set()
    ahead = list(imports[start])
    while ahead:
        name = ahead.pop()
        if name not in seen:
            seen.add(name)
            ahead += imports[name]
    return seen


def test_no_imports_go_in_circles() -> None:
    """Neither the program nor the simulator has an import cycle, for types alone or late in a function included."""
    imports = graph(source_tree.modules(f"{PROGRAM}/", f"{SIMULATOR}/"))
    problems = [
        "\n".join(f"{name} imports {', '.join(sorted(imports[name] & set(circle)))}" for name in circle)
        for circle in circles(imports)
    ]
    assert not problems, "\n\n".join(problems)


@pytest.mark.parametrize(
    ("folder", "first", "second"),
    [
        ("domain", "from accel_ci.domain import second", "from accel_ci.domain import first"),
        ("domain", "from accel_ci.domain.second import Thing", "import accel_ci.domain.first"),
        ("domain", "if TYPE_CHECKING:\n    from accel_ci.domain.second import Thing", "import accel_ci.domain.first"),
        ("domain", "def f():\n    from accel_ci.domain import second", "from accel_ci.domain import third"),
        ("on_machine", "import second", "from first import Thing"),
        ("on_machine", "from accel_ci.on_machine import second", "from first import Thing"),
    ],
)
def test_every_kind_of_circle_is_found(folder: str, first: str, second: str) -> None:
    """Two files that need one another are told apart from a third one that only one of them, or nobody, needs."""
    texts = {"first": first, "second": second, "third": f"from accel_ci.{folder}.first import f"}
    planted = [Module(f"{PROGRAM}/{folder}/{name}.py", text, ast.parse(text)) for name, text in texts.items()]
    whole = ["first", "second", "third"] if "third" in second else ["first", "second"]
    assert circles(graph(planted)) == [[f"accel_ci.{folder}.{name}" for name in whole]]


def test_a_shared_foundation_is_no_circle() -> None:
    """Two ways to the same file are fine; a file that imports itself is not, nor are two circles one."""
    assert circles({"top": {"left", "right"}, "left": {"base"}, "right": {"base"}, "base": set()}) == []
    assert circles({"self": {"self"}, "a": {"b"}, "b": {"a", "self"}}) == [["a", "b"], ["self"]]
