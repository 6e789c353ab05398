"""What each verb does: texts in, exit code out."""
