"""Each layer alone keeps what it promises; without any of them machines live for ever, and in the flow written by hand."""

from __future__ import annotations

import pytest

from accel_ci_sim import __main__ as program
from accel_ci_sim.direct import ablation, campaign, setting
from accel_ci_sim.direct.layers import Layer
from accel_ci_sim.direct.setting import Setting
from accel_ci_sim.direct.tally import Tally

WORLDS = range(40)


@pytest.fixture(scope="module")
def alone() -> dict[Layer | None, Tally]:
    """The figures of the same worlds with each layer alone."""
    return {promise.layer: tally for promise, tally in ablation.run(3, WORLDS, rate=0.03, spread=map)}


def test_every_layer_keeps_its_promise(alone: dict[Layer | None, Tally]) -> None:
    """All seven, each alone, with crashes and lost replies."""
    assert set(alone) == {None, *Layer}
    assert [tally.found for tally in alone.values()] == [[]] * len(alone)


def test_every_layer_ends_machines(alone: dict[Layer | None, Tally]) -> None:
    """Fewer live for ever than without any; the limit and the sweeper leave none at all."""
    nothing = alone[None].left
    assert nothing > 20
    for layer in (Layer.STEP, Layer.POST, Layer.JOB):
        assert alone[layer].left < nothing / 2
    assert alone[Layer.NATIVE].left == alone[Layer.SWEEPER].left == 0
    assert alone[Layer.NATIVE].taken and alone[Layer.SWEEPER].ended_by["sweep"]


def test_a_missing_layer_is_missing() -> None:
    """Where only the cleanup job works nobody else asks for a machine's end but a failing provision."""
    tally = campaign.run(3, WORLDS, rate=0.03, how=Setting(layers=frozenset({Layer.JOB})))
    assert set(tally.ended_by) <= {"cleanup-job", "provision"}


def test_the_flow_written_by_hand_leaks() -> None:
    """In the same worlds, in which ours leaves nothing."""
    worlds = range(200)
    theirs = campaign.run(3, worlds, rate=0.01, how=setting.PEER)
    ours = campaign.run(3, worlds, rate=0.01)
    assert ours.left == 0 and theirs.leaking >= 4


def test_the_commands_print_tables(capsys: pytest.CaptureFixture[str]) -> None:
    """A row for each layer, and a row for each fault rate."""
    assert program.main(["ablate", "--worlds", "4"]) == 0
    assert program.main(["peer", "--worlds", "5"]) == 0
    rows = capsys.readouterr().out.splitlines()
    for layer in Layer:
        assert any(row.startswith(layer.value) for row in rows)
    assert [row.split()[0] for row in rows[-4:]] == ["0", "0.01", "0.03", "0.1"]
