"""The house rules that no linter knows, held against every file of the program and its tests."""

from __future__ import annotations

import ast
import pathlib
import statistics
import sys
from collections.abc import Iterator

import pytest

from tests.house import source_tree
from tests.house.source_tree import PROGRAM, Function, Module

OUTSIDE = (f"{PROGRAM}/adapters/", f"{PROGRAM}/on_machine/")
CATCHER = f"{PROGRAM}/cli.py"
WIRING = (CATCHER, f"{PROGRAM}/wiring.py")
TALKERS = ("src/accel_ci/adapters/actions_job.py", "src/accel_ci/adapters/terminal_job.py", f"{PROGRAM}/on_machine/")
TIME = {
    "time.sleep",
    "time.time",
    "time.monotonic",
    "datetime.now",
    "datetime.utcnow",
    "datetime.datetime.now",
    "date.today",
}
VAGUE = {"utils", "util", "helpers", "helper", "common", "manager", "misc", "tools"}
# Whole-file work on a path; Files, our own port, has none of these names.
FILE_METHODS = {"read_text", "write_text", "read_bytes", "write_bytes", "mkdir", "unlink", "rmdir", "touch", "iterdir"}


def calls(module: Module) -> Iterator[tuple[ast.Call, str]]:
    """Every call with the dotted name of what is called."""
    for node in ast.walk(module.tree):
        if isinstance(node, ast.Call):
            yield node, ast.unparse(node.func)


def program(*, without: tuple[str, ...] = ()) -> list[Module]:
    """The modules of the program, some left out."""
    return [module for module in source_tree.modules(f"{PROGRAM}/") if not module.name.startswith(without or ("\0",))]


def test_files_are_opened_in_adapters_only() -> None:
    """Outside of adapters, wiring and what runs on machines, nobody opens a file or works on a path."""
    found = [
        module.at(call, f"{name}() outside of adapters")
        for module in program(without=(*OUTSIDE, *WIRING))
        for call, name in calls(module)
        if name in {"open", "io.open", "Path", "pathlib.Path"} or name.rpartition(".")[2] in FILE_METHODS
    ]
    assert not found, "\n".join(found)


def test_only_the_job_adapters_print() -> None:
    """What a person sees goes through the job port, which makes it safe."""
    found = [
        module.at(call, f"{name}()")
        for module in program(without=TALKERS)
        for call, name in calls(module)
        if name in {"print", "sys.stdout.write", "sys.stderr.write"}
    ]
    assert not found, "\n".join(found)


def test_time_and_chance_come_through_their_ports() -> None:
    """Outside of adapters nobody reads a clock, sleeps or rolls dice, so that a simulated world decides about both."""
    found = [
        module.at(call, f"{name}()")
        for module in program(without=OUTSIDE)
        for call, name in calls(module)
        if name in TIME
        or name.split(".")[0] in {"random", "secrets"}
        or name in {"os.urandom", "uuid.uuid4", "uuid.uuid1"}
    ]
    assert not found, "\n".join(found)


def test_the_environment_is_read_at_the_boundary() -> None:
    """Only cli.py and wiring.py know os.environ; everybody else is given what it needs."""
    found = [
        module.at(node, "os.environ")
        for module in program(without=(*WIRING, f"{PROGRAM}/on_machine/"))
        for node in ast.walk(module.tree)
        if isinstance(node, ast.Attribute) and ast.unparse(node) in {"os.environ", "os.environb", "os.getenv"}
    ]
    assert not found, "\n".join(found)


def test_only_the_boundary_catches_everything() -> None:
    """Errors of unknown kind reach cli.py, which confesses them; nobody swallows one on the way."""
    found = [
        module.at(node, f"except {ast.unparse(node.type) if node.type else ''}")
        for module in program()
        for node in ast.walk(module.tree)
        if isinstance(node, ast.ExceptHandler) and too_broad(node.type)
        if not (ends_with_raise(node) or (module.name == CATCHER and node.type))
    ]
    assert not found, "\n".join(found)


def ends_with_raise(handler: ast.ExceptHandler) -> bool:
    """True when the handler tidies up and lets the error go on."""
    last = handler.body[-1]
    return isinstance(last, ast.Raise) and last.exc is None


def too_broad(caught: ast.expr | None) -> bool:
    """True for a bare except, Exception and BaseException, alone or among others."""
    names = caught.elts if isinstance(caught, ast.Tuple) else [caught]
    return any(name is None or ast.unparse(name) in {"Exception", "BaseException"} for name in names)


def test_functions_and_modules_are_short() -> None:
    """No function has more than 60 lines without its docstring, no module more than 400 lines of code."""
    modules = source_tree.modules("src/", "tools/", "actions/", "bench/")
    long_functions = [
        module.at(function, f"{function.name} has {source_tree.function_lines(function)} lines")
        for module in modules
        for function in module.functions()
        if source_tree.function_lines(function) > 60
    ]
    long_modules = [f"{module.name}: {module.code_lines()} lines" for module in modules if module.code_lines() > 400]
    assert not long_functions + long_modules, "\n".join(long_functions + long_modules)


def test_most_functions_are_very_short() -> None:
    """The median function has at most 9 lines, nineteen in twenty at most 40."""
    lengths = [source_tree.function_lines(function) for module in program() for function in module.functions()]
    assert statistics.median(lengths) <= 9
    assert statistics.quantiles(lengths, n=20)[-1] <= 40


def test_public_names_say_what_comes_back() -> None:
    """Every public module, class, function and method has a docstring, save methods whose port has it already."""
    modules = source_tree.modules("src/", "tools/", "actions/", "tests/fakes/")
    promised = {name for module in modules for name in protocol_methods(module)}
    found = [
        module.at(node, f"{getattr(node, 'name', 'the module')} has no docstring")
        for module in modules
        for node, in_class in public_nodes(module.tree)
        if ast.get_docstring(node) is None and not (in_class and getattr(node, "name", "") in promised)
    ]
    assert not found, "\n".join(found)


def protocol_methods(module: Module) -> Iterator[str]:
    """The methods that the module's Protocols declare, and explain."""
    for node in ast.walk(module.tree):
        if isinstance(node, ast.ClassDef) and any(ast.unparse(base).startswith("Protocol") for base in node.bases):
            yield from (method.name for method in node.body if isinstance(method, Function))


def public_nodes(tree: ast.Module) -> Iterator[tuple[ast.Module | ast.ClassDef | Function, bool]]:
    """Whatever needs a docstring, and whether it stands in a class; nothing inside of functions or private classes."""
    if tree.body:
        yield tree, False
    for node in tree.body:
        if isinstance(node, ast.ClassDef | Function) and not node.name.startswith("_"):
            yield node, False
            for member in node.body if isinstance(node, ast.ClassDef) else []:
                if isinstance(member, ast.ClassDef | Function) and not member.name.startswith("_"):
                    yield member, True


def test_every_test_states_the_fact_it_proves() -> None:
    """Each test function has a docstring that is a sentence."""
    found = [
        module.at(function, f"{function.name}: {ast.get_docstring(function)!r} is no sentence")
        for module in source_tree.modules("tests/")
        for function in module.functions()
        if function.name.startswith("test_") and not (ast.get_docstring(function) or "").rstrip().endswith((".", "?"))
        if not module.name.startswith("tests/on_machine/projects/")
    ]
    assert not found, "\n".join(found)


def test_no_test_uses_mocks() -> None:
    """Fakes stand in for the world; nothing of unittest.mock or its kin is imported."""
    found = [
        module.at(node, ast.unparse(node))
        for module in source_tree.modules("tests/", "bench/", "src/")
        for node in ast.walk(module.tree)
        if isinstance(node, ast.Import | ast.ImportFrom) and "mock" in ast.unparse(node)
    ]
    assert not found, "\n".join(found)


def test_nothing_is_skipped() -> None:
    """No test is skipped or expected to fail: what cannot run everywhere is chosen by a parameter instead."""
    forbidden = {
        "pytest.skip",
        "pytest.importorskip",
        "pytest.xfail",
        "pytest.mark.skip",
        "pytest.mark.skipif",
        "pytest.mark.xfail",
    }
    found = [
        module.at(node, ast.unparse(node))
        for module in source_tree.modules("tests/")
        for node in ast.walk(module.tree)
        if isinstance(node, ast.Attribute) and ast.unparse(node) in forbidden
    ]
    assert not found, "\n".join(found)


def test_what_runs_on_machines_needs_nothing_of_ours() -> None:
    """Files that are sent to machines import the standard library, pytest and one another; nobody imports them."""
    sent = source_tree.modules(f"{PROGRAM}/on_machine/")
    own = {pathlib.PurePath(module.name).stem for module in sent}
    allowed = sys.stdlib_module_names | own | {"pytest", "_pytest"}
    found = [
        module.at(node, name)
        for module in sent
        for node, name in source_tree.imports(module)
        if name.split(".")[0] not in allowed and not name.startswith("accel_ci.on_machine.")  # the latter for mypy only
    ]
    found += [
        module.at(node, name)
        for module in program(without=(f"{PROGRAM}/on_machine/",))
        for node, name in source_tree.imports(module)
        if name.startswith("accel_ci.on_machine")
    ]
    assert not found, "\n".join(found)


def test_modules_have_telling_names() -> None:
    """No module is a drawer for odds and ends, and none has the name of one of the standard library's."""
    found = [
        module.name
        for module in source_tree.modules("src/")
        for stem in [pathlib.PurePath(module.name).stem]
        if stem in VAGUE or (stem in sys.stdlib_module_names and not stem.startswith("__"))
    ]
    assert not found, "\n".join(found)


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("open('x')", test_files_are_opened_in_adapters_only),
        ("print('x')", test_only_the_job_adapters_print),
        ("import time\ntime.sleep(1)", test_time_and_chance_come_through_their_ports),
        ("import datetime\ndatetime.datetime.now()", test_time_and_chance_come_through_their_ports),
        ("import random\nrandom.random()", test_time_and_chance_come_through_their_ports),
        ("import os\nos.environ", test_the_environment_is_read_at_the_boundary),
        ("try:\n    pass\nexcept:\n    pass", test_only_the_boundary_catches_everything),
        ("try:\n    pass\nexcept (OSError, Exception):\n    pass", test_only_the_boundary_catches_everything),
        ("def f() -> None:\n" + "    f()\n" * 61, test_functions_and_modules_are_short),
        ("x = 1\n" * 401, test_functions_and_modules_are_short),
        ("def f() -> None:\n    pass", test_public_names_say_what_comes_back),
    ],
)
def test_the_rules_bite(text: str, problem: object, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each rule finds the violation that is planted for it, so that its silence means something."""
    planted = Module(f"{PROGRAM}/domain/planted.py", text, ast.parse(text))
    monkeypatch.setattr(source_tree, "modules", lambda *folders: [planted])
    assert callable(problem)
    with pytest.raises(AssertionError):
        problem()
