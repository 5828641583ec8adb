"""Screenshots, displays and windows."""
