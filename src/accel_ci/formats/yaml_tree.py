"""Somebody's YAML as texts with their places: nothing is built from its tags, and no alias makes it grow."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from accel_ci.domain import errors

MAX_BYTES = 256 * 1024
MAX_NODES = 10_000
MAX_DEPTH = 60  # of a workflow GitHub reads nine levels


class YamlError(ValueError):
    """The text is no YAML that we read; says where and why."""


@dataclass(frozen=True, slots=True)
class Tree:
    """A text, a list or a mapping, and where it begins: a mapping's member begins at its key. Lines count from 1.

    `text_line` and `text_column` are the place of a text's first character, which for a block is below its key.
    """

    line: int
    column: int
    text: str = ""
    text_line: int = 0
    text_column: int = 0
    items: tuple[Tree, ...] = ()
    members: dict[str, Tree] = field(default_factory=dict)

    def get(self, *names: str) -> Tree:
        """What lies below these names; an empty tree at our own place where there is nothing."""
        here = self
        for name in names:
            here = here.members.get(name, Tree(here.line, here.column))
        return here

    def __bool__(self) -> bool:
        return bool(self.text or self.items or self.members)

    def texts(self) -> Iterator[str]:
        """Every text below, and the names of members."""
        if self.text:
            yield self.text
        for item in self.items:
            yield from item.texts()
        for name, member in self.members.items():
            yield name
            yield from member.texts()


def read(content: bytes) -> Tree:
    """The only document of this content. YamlError for what is too large, too deep, too manifold or no YAML.

    ConfigurationError where PyYAML is not installed.
    """
    try:
        import yaml  # 57 ms and 3 MB that only this verb needs
    except ImportError:
        raise errors.ConfigurationError(
            "PyYAML is not installed", what_to_do="pip install 'accel-ci[doctor]'"
        ) from None
    if len(content) > MAX_BYTES:
        raise YamlError(f"more than {MAX_BYTES // 1024} KiB")
    try:
        # The pure loader: libyaml's recursion ends the process where Python's raises.
        text = content.decode()
        root = yaml.compose(text, Loader=yaml.SafeLoader)
        return _Reader(text.split("\n")).tree(root, depth=0) if root is not None else Tree(1, 1)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark
        place = f"line {mark.line + 1}, column {mark.column + 1}: " if mark else ""
        raise YamlError(f"{place}{error.problem or 'no YAML'}") from None
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise YamlError(str(error).split("\n", 1)[0]) from None
    except RecursionError:
        raise YamlError("nested too deeply") from None


class _Reader:
    """Walks PyYAML's nodes. An alias is walked again, so nodes are counted: that is what a bomb is made of."""

    def __init__(self, lines: list[str]) -> None:
        self._lines = lines
        self._seen = 0

    def tree(self, node: Any, *, depth: int, key: Any = None) -> Tree:
        """What the node holds, with its place (line and column, from 1); YamlError beyond MAX_NODES or MAX_DEPTH."""
        self._seen += 1
        if self._seen > MAX_NODES:
            raise YamlError(f"more than {MAX_NODES:,} values, aliases counted")
        if depth > MAX_DEPTH:
            raise YamlError("nested too deeply")
        begin = (key or node).start_mark
        place = (begin.line + 1, begin.column + 1)
        if node.id == "scalar":
            return self._text(node, place)
        if node.id == "sequence":
            return Tree(*place, items=tuple(self.tree(each, depth=depth + 1) for each in node.value))
        named = ((name, value) for name, value in node.value if name.id == "scalar")
        return Tree(*place, members={name.value: self.tree(value, depth=depth + 1, key=name) for name, value in named})

    def _text(self, node: Any, place: tuple[int, int]) -> Tree:
        line, column = node.start_mark.line, node.start_mark.column
        if node.style in ("|", ">"):
            line += 1
            below = next((each for each in self._lines[line:] if each.strip()), "")
            column = len(below) - len(below.lstrip())
        return Tree(*place, text=node.value, text_line=line + 1, text_column=column + 1)
