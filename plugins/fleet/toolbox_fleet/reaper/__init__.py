"""The reaper: stops, pauses, archives and deletes sandboxes in time."""
