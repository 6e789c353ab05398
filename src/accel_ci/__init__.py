"""accel-ci: tests on rented accelerators, one truthful verdict, no machine left behind."""

__version__ = "0.1.0"
