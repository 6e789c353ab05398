"""From models to action.yml, faces, tables and the reference, text to text."""

from __future__ import annotations

from typing import Annotated, ClassVar

import pytest
import yaml

from accel_ci.inputs import declaration, manifest, models
from accel_ci.inputs.declaration import Inputs, given
from accel_ci.inputs.fields import Choice, Pattern

WRITTEN = """# why this action is as it is
name: tiny
description: A small action

runs:
  using: composite
  steps:
    - run: '"$GITHUB_ACTION_PATH/../internal/setup/setup.sh"'
      shell: bash
      with:
        inputs: not a block of ours
"""


class Tiny(Inputs):
    """Do little: this is what it says. And more.

    Nobody reads on.
    """

    verb = "tiny"
    outputs: ClassVar = {"size": 'How "large" it became.'}

    what: Annotated[str, Pattern("thing", "[a-z]+", "x")] = given("a", 'What: "it" is, `x` # or y.')
    how_: Annotated[str, Choice(("fast", "slow"))] = given("fast", "How.")


def test_inputs_and_outputs_are_filled_in() -> None:
    """A definition gets its model's inputs and outputs; name, description and steps stay."""
    document = yaml.safe_load(manifest.definition(WRITTEN, Tiny))
    assert document["inputs"] == {
        "what": {"description": 'What: "it" is, `x` # or y.', "required": False, "default": "a"},
        "how": {"description": "How.", "required": False, "default": "fast"},
    }
    assert document["outputs"] == {
        "size": {"description": 'How "large" it became.', "value": "${{ steps.main.outputs.size }}"}
    }
    assert {key: document[key] for key in ("name", "description", "runs")} == yaml.safe_load(WRITTEN)


def test_filling_in_twice_changes_nothing() -> None:
    """A filled definition is its own definition, and another model's blocks are replaced as a whole."""
    once = manifest.definition(WRITTEN, Tiny)
    assert manifest.definition(once, Tiny) == once
    assert manifest.definition(manifest.definition(WRITTEN, models.ProvisionInputs), Tiny) == once


def test_what_people_wrote_around_the_blocks_stays() -> None:
    """Comments and blank lines of people are kept, wherever the old blocks stood."""
    old = "inputs:\n  gone:\n    description: x\n\n    default: y\noutputs:\n  gone: {value: z}\n# kept\n"
    text = manifest.definition(old + WRITTEN, Tiny)
    assert text.startswith("# kept\n# why this action is as it is\nname: tiny\n")
    assert "gone" not in text


def test_a_definition_without_steps_is_refused() -> None:
    """A file without `runs:` is no definition."""
    with pytest.raises(ValueError, match="runs:"):
        manifest.definition("name: x\n", Tiny)


def test_a_required_input_has_no_default() -> None:
    """What is required says so and carries no default, which GitHub would take."""
    document = yaml.safe_load(manifest.definition(WRITTEN, models.RunRemoteInputs))
    assert document["inputs"]["run"] == {
        "description": models.RunRemoteInputs.model_fields["run"].description,
        "required": True,
    }


def test_a_face_differs_by_one_path() -> None:
    """A published face is its definition, but for its first line and the way to the shared scripts."""
    first, _, rest = manifest.face(WRITTEN, "actions/tiny/action.yml").partition("\n")
    assert first == "# Written by python tools/generate.py from actions/tiny/action.yml."
    assert rest == WRITTEN.replace("/../internal/", "/../actions/internal/")


def test_a_table_stands_between_its_markers() -> None:
    """A README keeps its words, and what stood between the markers is replaced by the table."""
    text = f"# tiny\n\n{manifest.START}\nold\n{manifest.END}\n\nMore.\n"
    assert manifest.readme(text, Tiny) == (
        f"# tiny\n\n{manifest.START}\n"
        "| Input | Default | Meaning | Form |\n"
        "| --- | --- | --- | --- |\n"
        '| `what` | `a` | What: "it" is, `x` # or y. | thing |\n'
        "| `how` | `fast` | How. | fast \\| slow |\n"
        f"{manifest.END}\n\nMore.\n"
    )


def test_a_readme_without_markers_is_refused() -> None:
    """A README that lost its markers is not passed over in silence."""
    with pytest.raises(ValueError, match="markers"):
        manifest.readme("# tiny\n", Tiny)


@pytest.mark.parametrize("verb", models.ACTIONS)
def test_the_reference_names_everything(verb: str) -> None:
    """A reference page has every input with its default, and every output."""
    model = models.ACTIONS[verb]
    page = manifest.reference(model)
    for entry in declaration.inputs(model):
        standard = "**required**" if entry.required else f"`{entry.default}`" if entry.default else ""
        assert f"| `{entry.name}` | {standard} | {entry.help} |" in page
    for name, text in model.outputs.items():
        assert f"| `{name}` | {text} |" in page
    assert f"`accel-ci {verb} --" in page


def test_the_index_names_every_action_and_what_only_the_command_line_has() -> None:
    """The index leads to every action's page, and lists the command line's own verbs and options."""
    page = manifest.index()
    assert all(f"]({verb}.md)" in page for verb in models.ACTIONS)
    only = page.split("## On the command line only")[1].split("## How values are written")[0]
    assert [line.split("`")[1] for line in only.splitlines() if line.startswith("`accel-ci")] == [
        "accel-ci run --on-infrastructure ...",
        "accel-ci attach [NAME]",
        "accel-ci keep [MACHINE]",
        "accel-ci end [MACHINE]",
        "accel-ci list --backend ...",
        "accel-ci ssh [MACHINE] [-- COMMAND]",
        "accel-ci accelerators --zone ...",
        "accel-ci secrets [ACTION]",
        "accel-ci doctor [FILES]",
    ]


def test_every_form_is_explained() -> None:
    """Every form that the tables name is explained in the index, or says by itself what it is."""
    page = manifest.index()
    kinds = {entry.syntax.kind for model in models.ACTIONS.values() for entry in declaration.inputs(model)}
    explained = {kind for kind in kinds if f"- **{kind}**" in page}
    assert explained == {"accelerator type", "duration", "size", "boolean", "relative path", "lines NAME=VALUE"}
    plain = {kind for kind in kinds - explained if not kind.startswith("list of ") and " | " not in kind}
    assert plain == {
        "check name",
        "label",
        "number",
        "path",
        "project id",
        "service account",
        "slot name",
        "text",
        "workflow file",
        "workload identity provider",
    }
