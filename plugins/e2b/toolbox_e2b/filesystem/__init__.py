"""``filesystem.Filesystem``: directories, metadata and changes."""
