"""What `accel-ci secrets` prints."""

from __future__ import annotations

from accel_ci.domain import sealed
from accel_ci.domain.sealed import NotOursError, Open
from accel_ci.formats import output


def keys(public: str, *, file: str) -> str:
    """What to do with a new pair of keys."""
    return (
        f"public key:  {public}\nprivate key: in {file}, which nobody else may read\n\n"
        f"Give the private key to the workflow, then delete the file:\n  gh secret set ACCEL_CI_SECRETS_KEY < {file}\n"
        "Seal a value:\n  accel-ci secrets encrypt --variable HF_TOKEN"
        f' --repository-id "$(gh api repos/OWNER/NAME --jq .id)" --public-key {public}\n'
    )


def box(name: str, content: str) -> str:
    """The line for a workflow's `env:`."""
    return f"ACCEL_CI_SECRET_{name}: {sealed.MARK}{content}\n"


def table(text: str, *, open_: Open | None) -> str:
    """The boxes in a text, a line each; never a value. Without a key only what everybody can see."""
    rows = [(name, *_inside(content.removeprefix(sealed.MARK), open_)) for name, content in sealed.boxes(text)]
    if not rows:
        return "nothing is sealed in it\n"
    head = ("NAME", "REPOSITORY", "CONTEXTS", "UNTIL", "NOTE")
    widths = [max(len(row[column]) for row in (head, *rows)) for column in range(len(head))]
    lines = ("  ".join(map(str.ljust, row, widths)).rstrip() for row in (head, *rows))
    return "".join(f"{line}\n" for line in lines)


def _inside(content: str, open_: Open | None) -> tuple[str, str, str, str]:
    # Only the key tells what is inside; the name in front of a box is what somebody wrote there.
    if open_ is None:
        return "-", "-", "-", f"sealed, {len(content)} characters"
    try:
        found = sealed.read(open_(content))
    except NotOursError:
        return "-", "-", "-", "sealed for another key, or changed"
    if found is None:
        return "-", "-", "-", "of a version that is not known"
    return (
        str(found.repository_id),
        # Whoever sealed it wrote this, and a maintainer reads it before a merge.
        output.one_line(", ".join(found.contexts)) or "every trusted run",
        found.ends,
        f"sealed as {found.name}",
    )
