"""Creating, copying, moving, archiving and deleting trees."""
