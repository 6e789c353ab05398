"""What users may write: one model per action, the only source of names, types, defaults and help."""
