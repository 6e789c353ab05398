"""Text to text: from the models to action.yml, the published faces, README tables and the reference.

People write name, description and runs of an action; its inputs and outputs are filled in from its model.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Mapping

from accel_ci.inputs import declaration, models
from accel_ci.inputs.declaration import Input, Inputs
from accel_ci.inputs.fields import Boolean

JOURNEY = models.JourneyInputs.verb
PUBLISHED = tuple(verb for verb in models.ACTIONS if verb != JOURNEY)
IMAGE = "container/action.yml"
IN_PLACE = ("action.yml", IMAGE)
WORKFLOW = ".github/workflows/test.yml"
INTERNAL = "../internal/"
FROM_CONTEXTS = {
    "token": "github.token",
    "matrix": "toJSON(matrix)",
    "strategy": "toJSON(strategy)",
    "temp": "toJSON(runner.temp)",
}
FILLED_IN = "Filled in by GitHub; leave it out."
# `$/` is the very commit that the user pinned; GitHub Enterprise Server, runners before 2.336.0 and act do not know it.
SELF, NAMED = "uses: $/", ("uses: org/accel-ci/", "@v1 # zizmor: ignore[unpinned-uses] our own release")
COMMAND = "python tools/generate.py"
START, END = "<!-- inputs: written by tools/generate.py -->", "<!-- end of inputs -->"
_BLOCK = re.compile(r"^(?:inputs|outputs):.*\n(?: .*\n|\n)*", re.MULTILINE)
_CALL = re.compile(r"^    inputs:.*\n(?:      .*\n|\n)*", re.MULTILINE)
_TABLE = re.compile(re.escape(START) + ".*?" + re.escape(END), re.DOTALL)


def sources() -> tuple[str, ...]:
    """The paths of the files that people write and `generated` needs."""
    return (
        *IN_PLACE,
        WORKFLOW,
        *(f"actions/{verb}/action.yml" for verb in PUBLISHED),
        *(f"{verb}/README.md" for verb in PUBLISHED),
    )


def generated(texts: Mapping[str, str]) -> dict[str, str]:
    """Every file that is generated, in whole or in part, as it should be: text by path; `texts` are the `sources()`."""
    files = {path: definition(texts[path], models.JourneyInputs, image=path == IMAGE) for path in IN_PLACE}
    files[WORKFLOW] = workflow(texts[WORKFLOW], models.JourneyInputs)
    files["ghes/action.yml"] = for_old_runners(files["action.yml"], "action.yml", up="")
    for verb in PUBLISHED:
        source, model = f"actions/{verb}/action.yml", models.ACTIONS[verb]
        files[source] = definition(texts[source], model)
        files[f"{verb}/action.yml"] = face(files[source], source)
        if SELF in files[source]:
            files[f"ghes/{verb}/action.yml"] = for_old_runners(files[source], source, up="../")
        files[f"{verb}/README.md"] = readme(texts[f"{verb}/README.md"], model)
    files |= {f"docs/reference/{verb}.md": reference(model) for verb, model in models.ACTIONS.items()}
    return files | {"docs/reference/README.md": index()}


def definition(text: str, model: type[Inputs], *, image: bool = False) -> str:
    """An action.yml with the model's inputs and outputs in front of its `runs:`, whatever stood there before.

    The action of an `image` gets as inputs what other actions read from contexts that a container has not.
    """
    rest = _BLOCK.sub("", text)
    before, runs, after = rest.partition("\nruns:\n")
    if not runs:
        raise ValueError("an action.yml needs a line `runs:`")
    return f"{before}\n{''.join(_blocks(model, image=image))}runs:\n{after}"


def workflow(text: str, model: type[Inputs]) -> str:
    """A reusable workflow that takes the model's inputs, whatever inputs it had before."""
    return _CALL.sub(lambda _: "".join(_called_with(model)), text, count=1)


# A copy, for want of better: links break on Windows and in cached actions, and YAML cannot include another file.
def face(text: str, source: str) -> str:
    """The published copy of a definition, one directory higher: only the way to the shared scripts differs."""
    return f"# Written by {COMMAND} from {source}.\n" + text.replace(INTERNAL, "../actions/internal/")


def for_old_runners(text: str, source: str, *, up: str) -> str:
    """The copy below ghes/ of a definition: it names its nested action with a tag; `up` leads from its face to the root."""
    here, below = f"$GITHUB_ACTION_PATH/{up}", f"$GITHUB_ACTION_PATH/../{up}"
    return f"# Written by {COMMAND} from {source}.\n" + tagged(
        text.replace(INTERNAL, "../actions/internal/").replace(here, below)
    )


def tagged(text: str) -> str:
    """The text with the nested actions named by repository and tag."""
    before, after = NAMED
    return re.sub(re.escape(SELF) + r"(\S+)", rf"{before}\1{after}", text)


def readme(text: str, model: type[Inputs]) -> str:
    """A README with the model's table between its markers."""
    if not _TABLE.search(text):
        raise ValueError(f"a README needs the markers {START} and {END}")
    table = f"{START}\n{inputs_table(model)}{END}"
    return _TABLE.sub(lambda _: table, text)


def inputs_table(model: type[Inputs]) -> str:
    """The model's inputs as a Markdown table."""
    return _inputs(declaration.inputs(model))


def reference(model: type[Inputs]) -> str:
    """The reference page of one action."""
    outputs = _table(("Output", "Meaning"), ((f"`{name}`", text) for name, text in model.outputs.items()))
    return (
        f"# {title(model)}\n\n<!-- Written by {COMMAND} from src/accel_ci/inputs: change it there. -->\n\n"
        f"{_summary(model)}\n\n"
        f"In a workflow: `uses: {uses(model)}`. On the command line: `{_command(model)}`.\n\n"
        f"## Inputs\n\n{inputs_table(model)}\n## Outputs\n\n{outputs}\n"
        "How durations, sizes, lists and the rest are written: [all actions](README.md#how-values-are-written).\n"
    )


def index() -> str:
    """The list of all actions, and how values are written."""
    rows = ((f"[{title(model)}]({verb}.md)", _summary(model)) for verb, model in models.ACTIONS.items())
    return (
        f"# All actions\n\n<!-- Written by {COMMAND} from src/accel_ci/inputs: change it there. -->\n\n"
        f"{_table(('Action', 'What it does'), rows)}\n{_command_line()}{_HOW_VALUES_ARE_WRITTEN}"
    )


def title(model: type[Inputs]) -> str:
    """What the docs call the action."""
    return "accel-ci, the whole journey" if model.verb == JOURNEY else model.verb


def uses(model: type[Inputs]) -> str:
    """What a workflow writes to use the action."""
    return "org/accel-ci@v1" if model.verb == JOURNEY else f"org/accel-ci/{model.verb}@v1"


def _command_line() -> str:
    """What the command line has beside the actions: verbs of its own, and more options of `run`."""
    parts = ["## On the command line only\n"]
    for verb, model in models.COMMAND_LINE.items():
        known = declaration.inputs(models.ACTIONS[verb]) if verb in models.ACTIONS else ()
        more = [entry for entry in declaration.inputs(model) if entry not in known]
        if more:
            command = " [-- COMMAND]" if model.bare and "run" in model.model_fields else ""
            form = f"[{model.bare.upper()}]{command}" if model.bare else f"--{more[0].name} ..."
            parts.append(f"`accel-ci {verb} {form}`: {_summary(model)}\n\n{_inputs(more)}")
    return "\n".join([*parts, ""])


def _inputs(entries: Iterable[Input]) -> str:
    return _table(("Input", "Default", "Meaning", "Form"), map(_row, entries))


def _blocks(model: type[Inputs], *, image: bool) -> Iterator[str]:
    yield f"inputs: # from src/accel_ci/inputs/models.py, by {COMMAND}\n"
    for entry in declaration.inputs(model):
        # GitHub does not enforce `required`; editors and linters do, and that is whom it is for.
        yield f"  {entry.name}:\n    description: {_quoted(entry.help)}\n    required: {_quoted(entry.required)}\n"
        if entry.default is not None:
            yield f"    default: {_quoted(entry.default)}\n"
    for name, value in FROM_CONTEXTS.items() if image else ():
        yield f"  {name}:\n    description: {_quoted(FILLED_IN)}\n    required: false\n    default: ${{{{ {value} }}}}\n"
    yield "outputs:\n"
    for name, text in model.outputs.items():
        yield f"  {name}:\n    description: {_quoted(text)}\n"
        if not image:
            yield f"    value: ${{{{ steps.main.outputs.{name} }}}}\n"


def _called_with(model: type[Inputs]) -> Iterator[str]:
    yield f"    inputs: # from src/accel_ci/inputs/models.py, by {COMMAND}\n"
    for entry in declaration.inputs(model):
        # The caller's `spot: false` is no string to GitHub, which refuses it for one.
        boolean = isinstance(entry.syntax, Boolean)
        yield f"      {entry.name}:\n        description: {_quoted(entry.help)}\n"
        yield f"        type: {'boolean' if boolean else 'string'}\n        required: {_quoted(entry.required)}\n"
        if entry.default is not None:
            yield f"        default: {entry.default if boolean else _quoted(entry.default)}\n"


def _command(model: type[Inputs]) -> str:
    first = declaration.inputs(model)[0].name
    return f"accel-ci {model.verb} --{first} ..." + (" -- COMMAND" if "run" in model.model_fields else "")


def _row(entry: Input) -> tuple[str, ...]:
    standard = "**required**" if entry.default is None else f"`{entry.default}`" if entry.default else ""
    return f"`{entry.name}`", standard, entry.help, entry.syntax.kind


def _table(head: tuple[str, ...], rows: Iterable[tuple[str, ...]]) -> str:
    lines = (head, ("---",) * len(head), *(tuple(cell.replace("|", "\\|") for cell in row) for row in rows))
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)


def _summary(model: type[Inputs]) -> str:
    return (model.__doc__ or "").split("\n", 1)[0]


def _quoted(value: str | bool) -> str:
    # JSON's strings and booleans are YAML's too, so that the program needs no YAML library.
    return json.dumps(value, ensure_ascii=False)


_HOW_VALUES_ARE_WRITTEN = """## How values are written

All values are texts; an empty text means the default. Every mistake is reported at once, before anything costs money.

- **accelerator type**: a family and a count, `v6e-8` or `l4-1`, or a machine type of Compute Engine, `e2-standard-4` or
  `n1-standard-8+t4-1`; `local` is this computer, `local-4` four workers on it.
- **duration**: hours, minutes, seconds: `1h30m`, `30m`, `90s`; `20m + 25m` adds up. A number alone is refused.
- **size**: `500KiB`, `100MiB`, `1GiB`. Units count in 1024s.
- **boolean**: `true`, `yes`, `on`; `false`, `no`, `off`; in any case.
- **list**: separated by commas or new lines.
- **settings name=value**: a list of them; which there are says the page of the backend.
- **relative path**: below the repository, without `..`; `*` and `**` match names and directories.
- **lines NAME=VALUE**: one variable a line; empty lines and lines that begin with `#` are left out.

No input takes a secret: credentials come from the job's own identity.
"""
