"""Views: the screens of jobs that run on a terminal."""
