"""`python -m accel_ci` is `accel-ci`."""

from __future__ import annotations

import sys

from accel_ci import cli

sys.exit(cli.main())
