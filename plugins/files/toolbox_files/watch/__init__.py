"""Changes in directories, as they happen."""
