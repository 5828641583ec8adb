"""The backend ``dulwich``, which works without a git program."""
