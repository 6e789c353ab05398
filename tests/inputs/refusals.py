"""How a syntax refuses a text."""

from __future__ import annotations

import pytest

from accel_ci.inputs.fields import FieldError, Syntax


def refused(syntax: Syntax, text: str) -> FieldError:
    """The error that reading the text ends with; the test fails when there is none."""
    with pytest.raises(FieldError) as caught:
        syntax.parse(text)
    return caught.value
