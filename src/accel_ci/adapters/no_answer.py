"""Why there was no answer, in one line, out of the errors that requests, urllib3 and google-auth wrap it in."""

from __future__ import annotations

import re

from accel_ci.formats import output

CHARACTERS = 300
POOL = re.compile(r"^HTTPS?Connection(?:Pool)?\(host='([^']*)', port=\d+\): ")


def why(error: BaseException) -> str:
    """What happened, by its kind and in its own words."""
    inner = _innermost(error)
    text = POOL.sub(r"\1: ", str(inner))
    return f"{type(inner).__name__}: {output.one_line(text, CHARACTERS)}"


def _innermost(error: BaseException) -> BaseException:
    inner = next((each for each in (getattr(error, "reason", None), *error.args) if isinstance(each, Exception)), None)
    return _innermost(inner) if inner else error
