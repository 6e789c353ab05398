"""What `accel-ci secrets list` shows of boxes that anybody may have sealed."""

from __future__ import annotations

from accel_ci.domain import sealed
from accel_ci.domain.sealed import Sealed
from accel_ci.render import sealing
from tests.formats.runner_parser import Runner

HOSTILE = "push\x1b]8;;http://evil\x07\nHF_TOKEN  4711  every trusted run\n::error::x\u202e"


def test_what_a_stranger_sealed_is_one_safe_line() -> None:
    """Contexts are written by whoever has the public key: no row of its own, no link, no command, no turned text."""
    inside = Sealed(repository_id=4711, name="TOKEN", contexts=(HOSTILE,), value="hunter2-and-more").model_dump_json()
    shown = sealing.table(f"TOKEN={sealed.MARK}QUFB\n", open_=lambda box: inside.encode())
    assert len(shown.splitlines()) == 2 and not set("\x1b\x07\u202e") & set(shown)
    assert Runner().read(shown.encode()) == [] and "hunter2" not in shown


def test_each_box_has_its_line() -> None:
    """The same name twice in a workflow is two boxes, and both are told."""
    text = "".join(f"ACCEL_CI_SECRET_TOKEN: {sealed.MARK}{content}\n" for content in ("QUFB", "QUFBQUFB"))
    shown = sealing.table(text, open_=None).splitlines()
    assert [line.split()[0] for line in shown] == ["NAME", "TOKEN", "TOKEN"]
    assert shown[1].endswith("4 characters") and shown[2].endswith("8 characters")
    assert sealing.table("nothing", open_=None) == "nothing is sealed in it\n"
