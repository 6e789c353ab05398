"""What the documents say leads somewhere: links and their anchors, commands, options, inputs, make's targets."""

from __future__ import annotations

import itertools
import re
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from accel_ci.inputs import declaration, manifest, models
from accel_ci.inputs.fields import Boolean
from tests.house import source_tree
from tests.house.source_tree import REPOSITORY

DOCUMENTS = [name for name in source_tree.files() if name.endswith(".md")]
FENCE = re.compile(r"^( *)```([a-z]*)\n(.*?)^\1```$", re.MULTILINE | re.DOTALL)
SPAN = re.compile(r"(?<!`)`([^`\n]+)`(?!`)")
LINK = re.compile(r"\]\((?!https?:|mailto:)([^)#\s]*)(?:#([^)\s]+))?\)")
MENTION = re.compile(r"(?<![\w./-])(?:https://github\.com/org/accel-ci/blob/main/)?(docs/[\w/-]+\.md)(?:#([\w-]+))?")
COMMAND = re.compile(
    r"(?m)(?:^(?:[ -]*run: |[ -]*(?:[A-Z_]+=\S+ )*(?:\S*bin/)?)|[;&|] |then )accel-ci(?= )([^|&;#)\n\"]*)"
)
CALLED = re.compile(r"(?:org/accel-ci|\$)(?:/([a-z-]+))?(?:@v1)?")
SIM_OPTIONS = {"state", "env", "port", "ssh-port", "project", "zone"}


def text_of(name: str) -> str:
    """The file as it is now."""
    return (REPOSITORY / name).read_text(encoding="utf-8")


def anchors(name: str) -> set[str]:
    """The anchors that GitHub gives a document's headings: its github-markup's rule."""
    seen: Counter[str] = Counter()
    found = set()
    for heading in re.findall(r"^#{1,6} +(.+?) *#*$", FENCE.sub("", text_of(name)), re.MULTILINE):
        words = re.sub(r"\[([^]]*)\]\([^)]*\)", r"\1", heading)
        slug = re.sub(r"[^\w\- ]", "", words.lower()).replace(" ", "-")
        found.add(f"{slug}-{seen[slug]}" if seen[slug] else slug)
        seen[slug] += 1
    return found


@pytest.mark.parametrize("name", DOCUMENTS)
def test_each_anchor_is_a_heading(name: str) -> None:
    """A link with a `#` leads to a heading of the document that it names, its own or another."""
    place = (REPOSITORY / name).parent
    links = LINK.findall(FENCE.sub("", text_of(name)))
    there = [(target, anchor) for target, anchor in links if anchor and (target.endswith(".md") or not target)]
    found = {(target, anchor): _known(place / target if target else REPOSITORY / name) for target, anchor in there}
    assert [link for link, known in found.items() if link[1] not in known] == []


def _known(path: Path) -> set[str]:
    return anchors(str(path.resolve().relative_to(REPOSITORY))) if path.is_file() else set()


@pytest.mark.parametrize("anchor", ["plain", "two-words", "code--more", "a-b", "same", "same-1", "linked"])
def test_anchors_are_made_as_github_makes_them(anchor: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Lower case, without punctuation, a hyphen for each space, a number for the second of a name; no fenced line."""
    text = (
        "# Plain\n## Two words!\n### `code` & more\n## a-b\n## Same\n## Same\n## [linked](x.md)\n```bash\n# none\n```\n"
    )
    monkeypatch.setitem(globals(), "text_of", lambda name: text)
    assert anchor in anchors("x.md") and "none" not in anchors("x.md")


def test_pages_that_are_named_exist() -> None:
    """In documents, messages, workflows and scripts: `docs/x.md`, also with an anchor, or as an address of this repository."""
    found = {
        f"{name}: {page}#{anchor}"
        for name in source_tree.files()
        if name.endswith((".py", ".md", ".yml", ".sh")) and not name.startswith("tests/")
        for page, anchor in MENTION.findall(text_of(name))
        if not (REPOSITORY / page).is_file() or (anchor and anchor not in anchors(page))
    }
    assert found == set()


def blocks(name: str, *kinds: str) -> Iterator[str]:
    """The fenced blocks of these kinds, without their indentation."""
    for indent, kind, content in FENCE.findall(text_of(name)):
        if kind in kinds:
            yield "".join(line.removeprefix(indent) for line in content.splitlines(keepends=True))


def commands(name: str) -> Iterator[str]:
    """What the document says to type behind `accel-ci`."""
    said = [*blocks(name, "bash", "sh", "yaml", ""), *SPAN.findall(FENCE.sub("", text_of(name)))]
    for text in said:
        found = (re.sub(r"\s+", " ", words).strip() for words in COMMAND.findall(text.replace("\\\n", " ")))
        yield from (words for words in found if re.match(r"[a-z]|--", words))


def wrong(command: str) -> str:
    """Why these words are none of the command line's; "" when they are."""
    ours = command.partition(" -- ")[0].removesuffix(" --").split(" ")
    verb, options = ours[0], [word.partition("=")[0] for word in ours if re.fullmatch(r"--?[a-z][\w-]*(=.*)?", word)]
    switches = set[str]()
    if verb.startswith("-"):
        return "" if verb in ("--help", "--version") else f"no option {verb}"
    if verb == "sim":
        known = {f"--{each}" for each in SIM_OPTIONS} | {"--help"}
    elif verb in models.COMMAND_LINE:
        entries = declaration.inputs(models.COMMAND_LINE[verb])
        known = {f"--{each.name}" for each in entries} | {"--help"}
        switches = {f"--{each.name}" for each in entries if isinstance(each.syntax, Boolean)}
        known |= {switch.replace("--", "--no-") for switch in switches}
    else:
        return f"no verb {verb}"
    for word, behind in itertools.pairwise(ours):
        if word in switches and behind in ("true", "false"):
            return f"{word} takes no {behind} behind it"
    unknown = [option for option in options if option not in known]
    return f"no option {', '.join(unknown)} of {verb}" if unknown else ""


@pytest.mark.parametrize("name", DOCUMENTS)
def test_each_command_exists(name: str) -> None:
    """Every `accel-ci ...` of a document is a verb with options of its own."""
    assert {command: why for command in commands(name) if (why := wrong(command))} == {}


def test_commands_are_found_and_judged() -> None:
    """The test above has something to test, and sees a wrong verb and a wrong option."""
    assert sum(len(list(commands(name))) for name in DOCUMENTS) > 50
    assert wrong("attack") == "no verb attack" and wrong("list --colour x") == "no option --colour of list"
    assert wrong("cleanup --dry-run true") == "--dry-run takes no true behind it"
    assert wrong("run --backend local -- x --not-ours") == wrong("sim serve --port 1") == wrong("--version") == ""


def test_the_simulators_options_are_its_own() -> None:
    """The list above is the simulator's."""
    words = set(re.findall(r'"--([a-z-]+)"', text_of("src/accel_ci_sim/wire/command.py")))
    assert words == SIM_OPTIONS


@pytest.mark.parametrize("name", DOCUMENTS)
def test_each_workflow_can_be_read_and_gives_inputs_that_exist(name: str) -> None:
    """Each YAML of a document is YAML, and gives actions of ours nothing that they do not take."""
    for block in blocks(name, "yaml"):
        assert list(_strange_inputs(yaml.safe_load(block))) == [], block


def _strange_inputs(tree: Any) -> Iterator[str]:
    if isinstance(tree, list):
        for each in tree:
            yield from _strange_inputs(each)
    if not isinstance(tree, dict):
        return
    uses, given = str(tree.get("uses", "")), tree.get("with")
    if "/.github/workflows/test.yml" in uses:
        called = yaml.load(text_of(".github/workflows/test.yml"), Loader=yaml.BaseLoader)  # noqa: S506 - `on` must stay a text
        known = set(called["on"]["workflow_call"]["inputs"])
    elif (match := CALLED.fullmatch(uses)) and (match[1] or "run") in models.ACTIONS:
        known = {each.name for each in declaration.inputs(models.ACTIONS[match[1] or "run"])}
    else:
        known = set(given or ())
    yield from (f"{uses}: {each}" for each in given or () if each not in known)
    for each in tree.values():
        yield from _strange_inputs(each)


def test_each_target_of_make_exists() -> None:
    """Every `make ...` of a document is a target of the Makefile."""
    targets = set(re.findall(r"^([a-z-]+):", text_of("Makefile"), re.MULTILINE))
    found = {
        f"{name}: make {target}"
        for name in DOCUMENTS
        for text in (*blocks(name, "bash"), *SPAN.findall(FENCE.sub("", text_of(name))))
        for target in re.findall(r"(?:^|\s)make ([a-z-]+)", text)
        if target not in targets
    }
    assert found == set()


def test_each_published_action_has_a_page() -> None:
    """The reference has a page for each action, and README leads to it."""
    assert [verb for verb in manifest.PUBLISHED if not (REPOSITORY / f"docs/reference/{verb}.md").is_file()] == []
