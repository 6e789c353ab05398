"""What several use cases do: acquire and release machines, follow a phase, keep the record."""
