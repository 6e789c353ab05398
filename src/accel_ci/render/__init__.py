"""Text for people and for later steps: pure functions of the record."""
