"""Worker processes that run dulwich, and the pool that gives them tasks."""
