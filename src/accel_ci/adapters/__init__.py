"""The world: each port's real implementations. Libraries and cloud clients are imported where they are used."""
